"""A .rec file of InsightFace or MXNet becomes records, without MXNet; its photos stay as they are.

python -m tfrecords_tools.from_mxnet --source faces_emore --output_dir DIR [--set_size K] [--min_photos N]
    [--labels_from agreed|headers|identities] [--colour_order rgb|bgr] [--skip_damaged]
"""

from absl import flags

from keras_face import commands
from keras_face.formats import rec_layout, rec_to_records

SOURCE = flags.DEFINE_string("source", None, "Folder with a train.rec, or a .rec file.", required=True)
OUTPUT = commands.output_flags()
TEMPLATE = commands.template_flag(
    what="What the photos are aligned to; default: arcface for 112x112 photos, as in all of InsightFace's sets."
)
SET_SIZE = commands.set_size_flag()
MIN_PHOTOS = commands.min_photos_flag()
LABELS_FROM = flags.DEFINE_enum(
    "labels_from",
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
        labels_from=LABELS_FROM.value,
        colour_order=COLOUR_ORDER.value,
        template=TEMPLATE.value,
        min_photos=MIN_PHOTOS.value,
        set_size=SET_SIZE.value,
        skip_damaged=SKIP_DAMAGED.value,
    )
    return f"{output.path}: {summary}"


if __name__ == "__main__":
    commands.run(main, renamed={"labels": "labels_from"})
