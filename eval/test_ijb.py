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
from keras_face.evaluation.pooling import WEIGHTINGS, Pooling
from keras_face.evaluation.protocols import find_ijb
from keras_face.evaluation.set_scores import METHODS
from keras_face.measurement.ijb import measure_ijb, model_template, read_ijb
from keras_face.measurement.pooling import PoolingRule
from keras_face.measurement.runs import Run

EVALUATION = commands.evaluation_flags("output/eval/ijb")
SOURCE = commands.photos_flag("Folder that has `meta`, and `loose_crop` unless there is --images.")
IMAGES = flags.DEFINE_string("images", None, "Folder of the loose crops; default: loose_crop in --source.")
TEMPLATE = commands.template_flag(None, "What photos are aligned to; default: the model's own.")
POOLING = flags.DEFINE_enum(
    "pooling", "equal", list(WEIGHTINGS), "How photos are weighed: equal, by norm, by quality, or by both."
)
BEST = flags.DEFINE_integer(
    "best", None, "Photos kept of an IJB template, those of the highest quality.", lower_bound=1
)
MEDIA = flags.DEFINE_bool("media", True, "First pool the frames of a video, so that it counts as one photo.")
SET_SCORE = flags.DEFINE_enum("set_score", None, list(METHODS), "Compare photo by photo instead of pooling.")
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
    by_media = MEDIA.value and SET_SCORE.value is None
    identification = IDENTIFICATION.value
    if identification is None:
        identification = files.probes is not None and SET_SCORE.value is None
    measured, identified = measure_ijb(
        run.source,
        ijb,
        pooling=PoolingRule(Pooling(POOLING.value, BEST.value, by_media), SET_SCORE.value),
        identification=identification,
    )
    return run.finish([measured], identified, locate=ijb.best_photo if images else None)


if __name__ == "__main__":
    commands.run(main, renamed={"alignment": "template"})
