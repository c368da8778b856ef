"""InsightFace's .bin, or margin-centre-face's lfw.np, becomes a folder of photos and pairs for eval.test_lfw.

python -m tfrecords_tools.from_bin --source lfw.bin --output_dir DIR [--skip_damaged]
python -m eval.test_lfw --model_path MODEL --source DIR
"""

from absl import flags

from keras_face import commands
from keras_face.formats import bin_files

commands.pixel_limit_flag()
SOURCE = flags.DEFINE_string("source", None, "A .bin file, or a .np file of margin-centre-face.", required=True)
OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder to make; must not exist.", required=True)
SKIP_DAMAGED = flags.DEFINE_bool("skip_damaged", False, "Leave out pairs of photos that cannot be read.")


def main() -> str:
    summary = bin_files.unpack(SOURCE.value, OUTPUT_DIR.value, skip_damaged=SKIP_DAMAGED.value)
    return f"{OUTPUT_DIR.value}: {summary}"


if __name__ == "__main__":
    commands.run(main)
