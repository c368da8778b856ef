"""A NumPy array of photos becomes records.

python -m tfrecords_tools.from_np --source photos.npy --labels labels.npy --colour_order rgb --output_dir DIR
python -m tfrecords_tools.from_np --source people.npz --colour_order bgr --quality 95 --output_dir DIR
    [--images_key NAME] [--labels_key NAME] [--template NAME] [--set_size K] [--min_photos N]
"""

from absl import flags

from keras_face import commands
from keras_face.formats import arrays

SOURCE = flags.DEFINE_string("source", None, "A .npy or .npz file, uint8 [n, height, width, 3].", required=True)
LABELS = flags.DEFINE_string(
    "labels", None, "A .npy or .npz file, [n] numbers or names; default: the .npz of --source."
)
IMAGES_KEY = flags.DEFINE_string("images_key", "images", "Name of the photos in an .npz file.")
LABELS_KEY = flags.DEFINE_string("labels_key", "labels", "Name of the labels in an .npz file.")
COLOUR_ORDER = flags.DEFINE_enum(
    "colour_order", None, list(arrays.COLOUR_ORDERS), "Of the photos; OpenCV's arrays are bgr.", required=True
)
QUALITY = flags.DEFINE_integer("quality", 0, "Of the JPEG files; 0: PNG, which keeps every pixel.", 0, 100)
OUTPUT = commands.output_flags()
TEMPLATE = commands.template_flag()
SET_SIZE = commands.set_size_flag()
MIN_PHOTOS = commands.min_photos_flag()


def main() -> str:
    output = OUTPUT()
    summary = arrays.write_arrays(
        SOURCE.value,
        LABELS.value,
        output,
        colour_order=COLOUR_ORDER.value,
        images_key=IMAGES_KEY.value,
        labels_key=LABELS_KEY.value,
        quality=QUALITY.value,
        template=TEMPLATE.value,
        min_photos=MIN_PHOTOS.value,
        set_size=SET_SIZE.value,
    )
    return f"{output.path}: {summary}"


if __name__ == "__main__":
    commands.run(main, renamed={"images": "source"})
