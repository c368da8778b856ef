"""Measures a model on IJB-B or IJB-C, as InsightFace lays them out: 1:1 and 1:N.

    python -m eval.test_ijb --model_path output/run --source IJBC --pooling norm_quality
    python -m eval.test_ijb --features ijbc.npz --source IJBC
    python -m eval.test_ijb --scores scores.npz

Of its own: [--images DIR] [--pooling WEIGHTS] [--best N] [--nomedia] [--set_score max|mean|softmax]
[--noidentification].

Photos are the loose crops, aligned by the landmarks of the list; the detector's score is their quality. InsightFace's
N1D1 is --pooling norm_quality, N0D0 equal, N1D0 norm, N0D1 quality. Prints tables, and writes results.json and
report.html.
"""

from pathlib import Path

from absl import flags

from keras_face import commands
from keras_face.evaluation.pooling import WEIGHTINGS
from keras_face.evaluation.protocols import find_ijb
from keras_face.measurement.ijb import measure_ijb, model_template, read_ijb
from keras_face.measurement.runs import Run

EVALUATION = commands.evaluation_flags("output/eval/ijb")
SOURCE = commands.photos_flag("Folder that has `meta`, and `loose_crop` unless there is --images.")
IMAGES = flags.DEFINE_string("images", None, "Folder of the loose crops; default: loose_crop in --source.")
TEMPLATE = commands.template_flag(None, "What photos are aligned to; default: the model's own.")
POOLING = commands.pooling_flags("an IJB template", "photos")
MEDIA = flags.DEFINE_bool("media", True, "First pool the frames of a video, so that it counts as one photo.")
IDENTIFICATION = flags.DEFINE_bool("identification", None, "Measure 1:N; default: if its files are there.")


def main() -> str:
    run = Run(**EVALUATION())
    if TEMPLATE.value in WEIGHTINGS:
        raise ValueError(f"expected --pooling {TEMPLATE.value}: --template is the layout of aligned landmarks")
    if run.scores:
        return run.finish([run.measured_scores()])
    if not SOURCE.value:
        raise ValueError("expected --source")
    files = find_ijb(SOURCE.value)
    images = IMAGES.value or (str(Path(SOURCE.value, "loose_crop")) if run.model_path else None)
    template = TEMPLATE.value or (model_template(run.source) if run.model_path else "arcface")
    ijb = read_ijb(files, images, template)
    pooling = POOLING(by_media=MEDIA.value)
    identification = IDENTIFICATION.value
    if identification is None:
        identification = files.probes is not None and pooling.set_score is None
    measured, identified = measure_ijb(run.source, ijb, pooling=pooling, identification=identification)
    return run.finish([measured], identified, locate=ijb.best_photo if images else None)


if __name__ == "__main__":
    commands.run(main, renamed={"alignment": "template"})
