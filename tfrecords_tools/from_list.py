"""A list of aligned photos, `path label` or `path,label` a line, becomes records.

python -m tfrecords_tools.from_list --list train.txt --output_dir DIR [--prefix DIR] [--set_size K]
"""

import os

from absl import flags

from keras_face import commands
from keras_face.records import from_photos

LIST = flags.DEFINE_string("list", None, "Text file; labels are whole numbers.", required=True)
OUTPUT = commands.output_flags()
PREFIX = flags.DEFINE_string("prefix", None, "Folder that the paths start from; default: that of the list.")
SET_SIZE = flags.DEFINE_integer("set_size", 1, "Photos of one person in a record, at most.", lower_bound=1)


def main() -> str:
    output = OUTPUT()
    prefix = os.path.dirname(LIST.value) if PREFIX.value is None else PREFIX.value
    return f"{output.path}: {from_photos.write_list(LIST.value, prefix, output, SET_SIZE.value)}"


if __name__ == "__main__":
    commands.run(main)
