"""Measures how well a model finds unmasked photos of people by masked ones: CMC and mAP.

    python -m tfrecords_tools.mask --source crops/mine --output_dir masked/mine
    python -m eval.test_masked --model_path output/run --source masked/mine --original_source crops/mine
      [--list FILE.csv] [--original_features FILE] [--own_original]

The list of masked photos and their originals is masked.csv, as `tfrecords_tools.mask` writes it. Prints a table, and
writes results.json and report.html.
"""

from pathlib import Path

from absl import flags

from keras_face import commands
from keras_face.evaluation.protocols import read_masked
from keras_face.measurement.drawn import marked_search
from keras_face.measurement.identification import measure_masked
from keras_face.measurement.runs import Run

EVALUATION = commands.evaluation_flags("output/eval/masked", verification=False)
LIST = flags.DEFINE_string("list", None, "CSV with columns original and masked; default: masked.csv in --source.")
SOURCE = flags.DEFINE_string("source", "", "Folder of the masked photos.")
ORIGINAL_SOURCE = flags.DEFINE_string("original_source", "", "Folder of their originals.")
ORIGINAL_FEATURES = flags.DEFINE_string(
    "original_features", None, "Embeddings of the originals, where they are not in --features."
)
OWN_ORIGINAL = flags.DEFINE_bool("own_original", False, "Compare a masked photo with its own original, too: easier.")


def main() -> str:
    run = Run(**EVALUATION())
    if run.model_path and not (SOURCE.value and ORIGINAL_SOURCE.value):
        raise ValueError("expected --source and --original_source")
    if not LIST.value and not SOURCE.value:
        raise ValueError("expected --list or --source")
    if ORIGINAL_FEATURES.value and not run.features:
        raise ValueError("--model_path has no use for --original_features")
    protocol = read_masked(LIST.value or Path(SOURCE.value, "masked.csv"), own_original=OWN_ORIGINAL.value)
    protocol = marked_search(protocol, SOURCE.value, ORIGINAL_SOURCE.value)
    gallery = run.other_features(ORIGINAL_FEATURES.value) if ORIGINAL_FEATURES.value else run.source
    masked, originals = (
        SOURCE.value or run.features or "",
        ORIGINAL_SOURCE.value or ORIGINAL_FEATURES.value or run.features,
    )
    return run.finish([], [measure_masked(run.source, gallery, protocol, masked, originals or "")])


if __name__ == "__main__":
    commands.run(main, renamed={"masked": "source", "originals": "original_source"})
