"""A set of TensorFlow Datasets with photos and a label becomes records.

python -m tfrecords_tools.from_tfds --name lfw --output_dir DIR
python -m tfrecords_tools.from_tfds --name celeb_a --label_key identity/Identity_No --split train+test --output_dir DIR
python -m tfrecords_tools.from_tfds --builder_dir my_set/1.0.0 --template arcface --output_dir DIR
"""

from absl import flags

from keras_face import commands
from keras_face.formats import tfds_sets

NAME = flags.DEFINE_string("name", None, "Name of the set; it is downloaded if it is not there.")
BUILDER_DIR = flags.DEFINE_string("builder_dir", None, "Folder of a set with its dataset_info.json, instead of a name.")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where sets by name are kept; default: ~/tensorflow_datasets.")
SPLIT = flags.DEFINE_string("split", "train", "Which part: train, train+test, train[:10%] ...")
IMAGE_KEY = flags.DEFINE_string("image_key", "image", "Feature that is the photo; a/b is b within a.")
LABEL_KEY = flags.DEFINE_string("label_key", "label", "Feature that is the person: a class, text or a whole number.")
TEMPLATE = flags.DEFINE_string("template", "unaligned", "What the photos are aligned to, as arcface.")
OUTPUT = commands.output_flags()
SET_SIZE = flags.DEFINE_integer("set_size", 1, "Photos of one person in a record, at most.", lower_bound=1)
MIN_PHOTOS = flags.DEFINE_integer("min_photos", 1, "People with fewer good photos are left out.", lower_bound=1)


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
