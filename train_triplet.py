"""Fine-tunes a trained network with the batch-hard triplet loss; without --config, the network of the quick start.

    python -m train_triplet
    python -m train_triplet --config config.ini --model_path output/vgg-ms1m --output_dir output/vgg-triplet

Over the file's values it sets `loss.head=none`, `loss.centre_weight=0`, `loss.triplet_weight=10` and
`data.images_per_identity=4`; flags and --set come after that.
"""

from absl import app, flags

from keras_face import config, progress
from keras_face.training import train

CONFIG = flags.DEFINE_string("config", None, "INI file; none: goes on from the built-in quick start of train_centre.")
SET = flags.DEFINE_multi_string("set", [], "section.key=value, over the file; may be given again.")
OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the run; the same as --set run.output_dir=DIR.")
FAMILIAR = {
    name: flags.DEFINE_string(name, None, f"The same as --set {key}=VALUE.")
    for name, key in config.FAMILIAR_FLAGS.items()
}

TRIPLET = ("loss.head=none", "loss.centre_weight=0", "loss.triplet_weight=10", "data.images_per_identity=4")
AFTER_QUICK_START = (
    "run.output_dir=output/quick_start_triplet",
    "model.model_path=output/quick_start",
    "schedule.learning_rate=0.002",
    "training.steps=100",
)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"Too many arguments: {argv[1:]}")
    progress.show_log()
    overrides = [*TRIPLET, *(() if CONFIG.value else AFTER_QUICK_START)]
    overrides += [config.familiar(name, flag.value) for name, flag in FAMILIAR.items() if flag.value is not None]
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
