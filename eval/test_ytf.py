"""Measures an exported model on pairs of tracks: YouTube Faces, or anything in its formats.

    python -m eval.test_ytf --model_path output/run --config config.ini
    python -m eval.test_ytf --model_path output/run --prefix ytf/112x112 --splits splits.txt --ytf_error ytf-error.txt

Frames folder, splits file and error list come from the [ytf] section of the configuration; a flag goes before it.
Prints a table of raw and corrected figures, and writes results.json, ytf_raw_roc.png, ytf_raw_histogram.png and the
same for corrected.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from absl import app, flags

from keras_face import config as configuration
from keras_face.data.prepare import test_sections
from keras_face.evaluation.results import table, write_results
from keras_face.export import load_embedder
from keras_face.measurement import measure_ytf

_MODEL_PATH = flags.DEFINE_string(
    "model_path", None, "SavedModel folder, folder of numbered ones, or run folder.", required=True
)
_CONFIG = flags.DEFINE_string("config", None, "INI file; its [ytf] section says where frames, splits and errors are.")
_PREFIX = flags.DEFINE_string("prefix", None, "Folder of aligned frames, Name/number/*.jpg.")
_SPLITS = flags.DEFINE_string("splits", None, "YTF's splits file, of 5 or 6 columns.")
_YTF_ERROR = flags.DEFINE_string("ytf_error", None, "List of wrong tracks, Name/number a line; '': none.")
_MAX_FRAMES = flags.DEFINE_integer(
    "max_frames", None, "Frames of a track that are used, evenly spaced; 0: all.", lower_bound=0
)
_FLIP = flags.DEFINE_bool("flip", True, "Embed each frame and its mirror image.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Frames per call of the model.", lower_bound=1)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "output/eval/ytf", "Folder for results.json and the plots.")


def main(argv: Sequence[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"expected flags only, got {argv[1:]}")
    given = {_PREFIX.name: _PREFIX, _SPLITS.name: _SPLITS, _YTF_ERROR.name: _YTF_ERROR, _MAX_FRAMES.name: _MAX_FRAMES}
    overrides = [f"ytf.{name}={flag.value}" for name, flag in given.items() if flag.value is not None]
    try:
        config = configuration.load(_CONFIG.value, overrides)
        _, ytf = test_sections(config.lfw, config.ytf, config.synthetic, config.run.seed, Path(config.run.output_dir))
        if not ytf.prefix or not ytf.splits:
            raise ValueError("expected a frames folder and a splits file: give --prefix and --splits, or --config")
        result = measure_ytf(
            load_embedder(_MODEL_PATH.value, _BATCH_SIZE.value),
            ytf.prefix,
            ytf.splits,
            ytf.ytf_error or None,
            flip=_FLIP.value,
            max_frames=ytf.max_frames,
            plots_dir=_OUTPUT_DIR.value,
            progress=sys.stderr.isatty(),
        )
        write_results(result.rows(), f"{_OUTPUT_DIR.value}/results.json")
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    print(table(result.rows()))
    print(f"results.json and plots: {_OUTPUT_DIR.value}")


if __name__ == "__main__":
    app.run(main)
