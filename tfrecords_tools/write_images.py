"""A folder per person of aligned photos becomes records.

python -m tfrecords_tools.write_images --source DIR --output_dir DIR [--people FILE] [--set_size K] [--min_photos N]
"""

from absl import flags

from keras_face import commands
from keras_face.records import from_photos

SOURCE = flags.DEFINE_string("source", None, "Folder with one folder of aligned photos per person.", required=True)
OUTPUT = commands.output_flags()
PEOPLE = flags.DEFINE_string("people", None, "Text file of the people to take: a name a line, or LFW's people format.")
SET_SIZE = flags.DEFINE_integer("set_size", 1, "Photos of one person in a record, at most.", lower_bound=1)
MIN_PHOTOS = flags.DEFINE_integer("min_photos", 1, "People with fewer good photos are left out.", lower_bound=1)
DECODE = flags.DEFINE_bool("decode", False, "Decode every photo to see that it can be: slow; or `inspect` the records.")


def main() -> str:
    output = OUTPUT()
    summary = from_photos.write_folder(
        SOURCE.value, output, PEOPLE.value, MIN_PHOTOS.value, SET_SIZE.value, decode=DECODE.value
    )
    return f"{output.path}: {summary}"


if __name__ == "__main__":
    commands.run(main)
