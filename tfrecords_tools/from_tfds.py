"""A dataset of TensorFlow Datasets with photos and a label becomes records.

python -m tfrecords_tools.from_tfds --name lfw --output_dir DIR
python -m tfrecords_tools.from_tfds --name celeb_a --label_key identity/Identity_No --split train+test --output_dir DIR
python -m tfrecords_tools.from_tfds --builder_dir my_dataset/1.0.0 --template arcface --output_dir DIR

Also: [--data_dir DIR] [--image_key KEY].
"""

from absl import flags

from keras_face import commands
from keras_face.formats import tfds_sets

NAME = flags.DEFINE_string("name", None, "Name of the dataset; it is downloaded if it is not there.")
BUILDER_DIR = flags.DEFINE_string(
    "builder_dir", None, "Folder of a dataset with its dataset_info.json, instead of a name."
)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where datasets by name are kept; default: ~/tensorflow_datasets.")
SPLIT = flags.DEFINE_string("split", "train", "Which part: train, train+test, train[:10%] ...")
IMAGE_KEY = flags.DEFINE_string("image_key", "image", "Feature that is the photo; a/b is b within a.")
LABEL_KEY = flags.DEFINE_string("label_key", "label", "Feature that is the person: a class, text or a whole number.")
TEMPLATE = commands.template_flag()
OUTPUT = commands.output_flags()
SET_SIZE = commands.set_size_flag()
MIN_PHOTOS = commands.min_photos_flag()


def main() -> str:
    output = OUTPUT()
    summary = tfds_sets.write_tfds(
        output,
        name=NAME.value,
        builder_dir=BUILDER_DIR.value,
        data_dir=DATA_DIR.value,
        split=SPLIT.value,
        image_key=IMAGE_KEY.value,
        label_key=LABEL_KEY.value,
        template=TEMPLATE.value,
        min_photos=MIN_PHOTOS.value,
        set_size=SET_SIZE.value,
    )
    return f"{output.path}: {summary}"


if __name__ == "__main__":
    commands.run(main)
