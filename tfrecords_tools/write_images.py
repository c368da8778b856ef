"""A folder per person of aligned photos becomes records.

python -m tfrecords_tools.write_images --source DIR --output_dir DIR [--people FILE] [--set_size K] [--min_photos N]
"""

import sys

from absl import app, flags, logging

from keras_face.data import folders

SOURCE = flags.DEFINE_string("source", None, "Folder with one folder of aligned photos per person.", required=True)
OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of records to make; must not exist.", required=True)
PEOPLE = flags.DEFINE_string("people", None, "Text file of the people to take: a name a line, or LFW's people format.")
SET_SIZE = flags.DEFINE_integer("set_size", 1, "Photos of one person in a record, at most.", lower_bound=1)
MIN_PHOTOS = flags.DEFINE_integer("min_photos", 1, "People with fewer good photos are left out.", lower_bound=1)


def main(argv: list[str]) -> int:
    if len(argv) > 1:
        raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
    if flags.FLAGS["verbosity"].using_default_value:
        logging.set_verbosity(logging.WARNING)  # TensorFlow Datasets tells much between the progress bars
    try:
        summary = folders.write_folder(SOURCE.value, OUTPUT_DIR.value, PEOPLE.value, MIN_PHOTOS.value, SET_SIZE.value)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{OUTPUT_DIR.value}: {summary}")
    return 0


if __name__ == "__main__":
    app.run(main)
