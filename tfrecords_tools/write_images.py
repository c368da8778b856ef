"""A folder per person of aligned photos becomes records.

python -m tfrecords_tools.write_images --source DIR --output_dir DIR [--people FILE] [--set_size K] [--min_photos N]
    [--decode] [--num_shards N]
"""

from absl import flags

from keras_face import commands
from keras_face.records import from_photos

SOURCE = flags.DEFINE_string("source", None, "Folder with one folder of aligned photos per person.", required=True)
OUTPUT = commands.output_flags()
PEOPLE = flags.DEFINE_string("people", None, "Text file of the people to take: a name a line, or LFW's people format.")
TEMPLATE = commands.template_flag(what="What the photos are aligned to; default: what `align` recorded in the folder.")
SET_SIZE = commands.set_size_flag()
MIN_PHOTOS = commands.min_photos_flag()
DECODE = flags.DEFINE_bool("decode", False, "Decode every photo to see that it can be: slow; or `inspect` the records.")


def main() -> str:
    output = OUTPUT()
    summary = from_photos.write_folder(
        SOURCE.value,
        output,
        PEOPLE.value,
        MIN_PHOTOS.value,
        SET_SIZE.value,
        decode=DECODE.value,
        template=TEMPLATE.value,
    )
    return f"{output.path}: {summary}"


if __name__ == "__main__":
    commands.run(main)
