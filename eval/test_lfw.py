"""Measures an exported model on pairs of photos: LFW, or anything in its formats.

    python -m eval.test_lfw --model_path output/run/export --data lfw/aligned112 --pairs lfw/protocol/pairs.txt
    python -m eval.test_lfw --model_path output/run --data lfw.bin

Prints a table, and writes results.json, lfw_roc.png and lfw_histogram.png.
"""

import sys
from collections.abc import Sequence

from absl import app, flags

from keras_face.evaluation.results import table, write_results
from keras_face.export import load_embedder
from keras_face.measurement import measure_lfw

_MODEL_PATH = flags.DEFINE_string(
    "model_path", None, "SavedModel folder, folder of numbered ones, or run folder.", required=True
)
_DATA = flags.DEFINE_string(
    "data", None, "Folder of aligned photos, InsightFace .bin, or margin-centre-face's lfw.np.", required=True
)
_PAIRS = flags.DEFINE_string(
    "pairs", None, "LFW's pairs.txt (View 2) or pairsDevTest.txt (View 1); default: pairs.txt in the folder of photos."
)
_FLIP = flags.DEFINE_bool("flip", True, "Embed each photo and its mirror image.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Photos per call of the model.", lower_bound=1)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "output/eval/lfw", "Folder for results.json and the plots.")


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"expected flags only, got {argv[1:]}")
    try:
        embedder = load_embedder(_MODEL_PATH.value, _BATCH_SIZE.value)
        result = measure_lfw(
            embedder,
            _DATA.value,
            _PAIRS.value,
            flip=_FLIP.value,
            plots_dir=_OUTPUT_DIR.value,
            progress=sys.stderr.isatty(),
        )
        write_results([result], f"{_OUTPUT_DIR.value}/results.json")
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    print(table([result]))
    print(f"results.json and plots: {_OUTPUT_DIR.value}")


if __name__ == "__main__":
    app.run(main)
