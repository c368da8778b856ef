"""A folder of photos and its pairs become InsightFace's .bin.

python -m tfrecords_tools.to_bin --source lfw/aligned112 --pairs lfw/protocol/pairs.txt --output lfw.bin
"""

from absl import flags

from keras_face import commands
from keras_face.formats import bin_files

commands.pixel_limit_flag()
SOURCE = flags.DEFINE_string("source", None, "Folder of aligned photos.", required=True)
PAIRS = flags.DEFINE_string("pairs", None, "Pairs in a format of eval.test_lfw; default: pairs.txt in the folder.")
OUTPUT = flags.DEFINE_string("output", None, "File to make, *.bin; must not exist.", required=True)


def main() -> str:
    return f"{OUTPUT.value}: {bin_files.pack(SOURCE.value, OUTPUT.value, PAIRS.value)}"


if __name__ == "__main__":
    commands.run(main, renamed={"data": "source"})
