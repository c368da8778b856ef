"""A list of aligned photos, `path label` or `path,label` a line, becomes records.

python -m tfrecords_tools.from_list --list train.txt --output_dir DIR [--source DIR] [--set_size K]
"""

import os

from absl import flags

from keras_face import commands
from keras_face.records import from_photos

LIST = flags.DEFINE_string("list", None, "Text file; labels are whole numbers.", required=True)
OUTPUT = commands.output_flags()
SOURCE = flags.DEFINE_string("source", None, "Folder that the paths start from; default: that of the list.")
SET_SIZE = commands.set_size_flag()
TEMPLATE = commands.template_flag(
    what="What the photos are aligned to; default: what `align` recorded in their folders."
)


def main() -> str:
    output = OUTPUT()
    source = os.path.dirname(LIST.value) if SOURCE.value is None else SOURCE.value
    summary = from_photos.write_list(LIST.value, source, output, SET_SIZE.value, template=TEMPLATE.value)
    return f"{output.path}: {summary}"


if __name__ == "__main__":
    commands.run(main, renamed={"prefix": "source"})
