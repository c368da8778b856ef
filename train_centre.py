"""Trains with an angular-margin head and the angular centre term; without --config, the quick start.

python -m train_centre
python -m train_centre --config recipes/lfw_view1.ini --output_dir output/lfw --set training.batch_size=64
"""

from absl import app, flags

from keras_face import config, progress
from keras_face.training import train

CONFIG = flags.DEFINE_string("config", None, "INI file; none: the built-in quick start on drawn people.")
SET = flags.DEFINE_multi_string("set", [], "section.key=value, over the file; may be given again.")
OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the run; the same as --set run.output_dir=DIR.")
FAMILIAR = {
    name: flags.DEFINE_string(name, None, f"The same as --set {key}=VALUE.")
    for name, key in config.FAMILIAR_FLAGS.items()
}


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Too many arguments: {argv[1:]}")
    progress.show_log()
    overrides = [config.familiar(name, flag.value) for name, flag in FAMILIAR.items() if flag.value is not None]
    if OUTPUT_DIR.value is not None:
        overrides.append(f"run.output_dir={OUTPUT_DIR.value}")
    try:
        train(config.load(CONFIG.value or config.QUICK_START, [*overrides, *SET.value]))
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        raise SystemExit(f"error: {error}") from error


def run():
    app.run(main)


if __name__ == "__main__":
    run()
