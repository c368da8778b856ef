"""Fine-tunes a trained network with the batch-hard triplet loss; without --config and data, that of the quick start.

    python -m train_triplet
    python -m train_triplet --config config.ini --model_path output/vgg-ms1m --output_dir output/vgg-triplet
    python -m train_triplet --set data.train=mine --set mine.records=records/sets --model_path output/mine --epoch 5

Backbone, width, embedding size and image size are those of the run of --model_path, but for what file and flags say.
Over the file's values it sets `[loss] head` to none and `[loss angular_centre] weight` to 0; where the file has no
triplets, `[loss batch_hard_triplet] weight` to 10; and where it has no face sets, `[data] images_per_identity` to 4.
Flags and --set come after that.
"""

from collections.abc import Callable

from keras_face import commands
from keras_face.config import Config
from keras_face.training.log import show_log
from keras_face.training.run import train

AFTER_QUICK_START = (
    "run.output_dir=output/quick_start_triplet",
    "model.model_path=output/quick_start",
    "schedule.learning_rate=0.002",
    "training.steps=100",
)

read_config = commands.training_flags("what goes on from the built-in quick start of train_centre.")


def triplets(file: Callable[..., Config]) -> list[str]:
    """Returns the overrides that make of a file's training one with triplets.

    Args:
        file: Loads the file with overrides.
    """
    # Each of the two keys by itself, as a file may leave to this what the other, or no head, asks for.
    weights = file("loss.head=softmax", "data.images_per_identity=2").loss_weights
    photos = file("loss.head=softmax", "loss batch_hard_triplet.weight=0").data.images_per_identity
    overrides = ["loss.head=none", "loss angular_centre.weight=0"]
    if "batch_hard_triplet" not in weights:
        overrides.append("loss batch_hard_triplet.weight=10")
    if photos < 2:
        overrides.append("data.images_per_identity=4")
    return overrides


def main() -> int:
    show_log()
    train(read_config(triplets, AFTER_QUICK_START))
    return 0


def run() -> None:
    commands.run(main)


if __name__ == "__main__":
    run()
