"""Measures how well a model finds unmasked photos of people by masked ones: CMC and mAP.

    python -m tfrecords_tools.mask --source crops/mine --output_dir masked/mine
    python -m eval.test_masked --model_path output/run --masked masked/mine --originals crops/mine

The list of masked photos and their originals is masked.csv, as `tfrecords_tools.mask` writes it. Prints a table, and
writes results.json and report.html.
"""

from pathlib import Path

from absl import flags

from keras_face import commands
from keras_face.evaluation.protocols import read_masked
from keras_face.measurement.identification import measure_masked
from keras_face.measurement.runs import Run

EVALUATION = commands.evaluation_flags("output/eval/masked", verification=False)
LIST = flags.DEFINE_string("list", None, "CSV with columns original and masked; default: masked.csv in --masked.")
MASKED = flags.DEFINE_string("masked", "", "Folder of the masked photos.")
ORIGINALS = flags.DEFINE_string("originals", "", "Folder of their originals.")
ORIGINAL_FEATURES = flags.DEFINE_string(
    "original_features", None, "Embeddings of the originals, where they are not in --features."
)
OWN_ORIGINAL = flags.DEFINE_bool("own_original", False, "Compare a masked photo with its own original, too: easier.")


def main() -> str:
    run = Run(**EVALUATION())
    if run.model_path and not (MASKED.value and ORIGINALS.value):
        raise ValueError("expected --masked and --originals")
    if not LIST.value and not MASKED.value:
        raise ValueError("expected --list or --masked")
    if ORIGINAL_FEATURES.value and not run.features:
        raise ValueError("--model_path has no use for --original_features")
    protocol = read_masked(LIST.value or Path(MASKED.value, "masked.csv"), own_original=OWN_ORIGINAL.value)
    gallery = run.other_features(ORIGINAL_FEATURES.value) if ORIGINAL_FEATURES.value else run.source
    masked, originals = MASKED.value or run.features or "", ORIGINALS.value or ORIGINAL_FEATURES.value or run.features
    return run.finish([], [measure_masked(run.source, gallery, protocol, masked, originals or "")])


if __name__ == "__main__":
    commands.run(main)
