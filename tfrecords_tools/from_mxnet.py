"""A .rec file of InsightFace or MXNet becomes records, without MXNet; its photos stay as they are.

python -m tfrecords_tools.from_mxnet --source faces_emore --output_dir DIR [--set_size K] [--min_photos N]
"""

from absl import flags

from keras_face import commands
from keras_face.formats import rec_layout, rec_to_records

SOURCE = flags.DEFINE_string("source", None, "Folder with a train.rec, or a .rec file.", required=True)
OUTPUT = commands.output_flags()
TEMPLATE = flags.DEFINE_string("template", "arcface", "What the photos are aligned to.")
SET_SIZE = flags.DEFINE_integer("set_size", 1, "Photos of one person in a record, at most.", lower_bound=1)
MIN_PHOTOS = flags.DEFINE_integer("min_photos", 1, "People with fewer good photos are left out.", lower_bound=1)
LABELS = flags.DEFINE_enum(
    "labels",
    "agreed",
    list(rec_layout.LABELS),
    "Who is on a photo: what its own header says, the identity record that it is in, or both if they agree.",
)
COLOUR_ORDER = flags.DEFINE_enum(
    "colour_order", None, list(rec_to_records.COLOUR_ORDERS), "Of photos that are arrays or bare pixels."
)
SKIP_DAMAGED = flags.DEFINE_bool("skip_damaged", False, "Leave out what cannot be read, and list it in skipped.csv.")


def main() -> str:
    output = OUTPUT()
    summary = rec_to_records.write_from_rec(
        SOURCE.value,
        output,
        labels=LABELS.value,
        colour_order=COLOUR_ORDER.value,
        template=TEMPLATE.value,
        min_photos=MIN_PHOTOS.value,
        set_size=SET_SIZE.value,
        skip_damaged=SKIP_DAMAGED.value,
    )
    return f"{output.path}: {summary}"


if __name__ == "__main__":
    commands.run(main)
