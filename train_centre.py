"""Trains with an angular-margin head and the angular centre term; without --config and data, the quick start.

python -m train_centre
python -m train_centre --set data.train=mine --set mine.records=records/mine --epoch 20 --output_dir output/mine
python -m train_centre --config recipes/lfw_view1.ini --output_dir output/lfw --set training.batch_size=64
python -m train_centre --config recipes/seqface_1.ini --tiny
"""

from keras_face import commands
from keras_face.training.log import show_log
from keras_face.training.run import train

read_config = commands.training_flags("the built-in quick start on drawn people.")


def main() -> int:
    show_log()
    train(read_config(lambda file: (), ()))
    return 0


def run() -> None:
    commands.run(main)


if __name__ == "__main__":
    run()
