"""With a trained model: photos under the wrong name, two people under one name, one person under two.

python -m tfrecords_tools.clean --records DIR --model_path MODEL --output FILE.csv [--max_angle_degrees A]
    [--min_cluster N]
python -m tfrecords_tools.clean --records DIR --list FILE.csv [--list FILE2.csv ...] --output_dir DIR2
    [--swap_channels]

The first writes a list to look over and changes nothing; the second writes a new dataset as lists say, of this command
or of inspect. Both at once: `--model_path ... --output FILE.csv --output_dir DIR2`.
"""

import math
import tempfile

from absl import flags

from keras_face import commands
from keras_face.export import load_embedder
from keras_face.inspection import cleaning, embeddings, findings, rewriting, sources
from keras_face.records.writing import check_new

commands.pixel_limit_flag()
RECORDS = flags.DEFINE_string("records", None, "Folder of records.", required=True)
MODEL_PATH = flags.DEFINE_string("model_path", None, "Exported model, trained on these people or on others.")
OUTPUT = flags.DEFINE_string("output", None, "List to write, CSV; is replaced.")
MAX_ANGLE_DEGREES = flags.DEFINE_float(
    "max_angle_degrees",
    None,
    "Largest angle of a photo to its person's centre, degrees; default: from the data. Sub-centre ArcFace: 75.",
)
MIN_CLUSTER = flags.DEFINE_integer(
    "min_cluster", 3, "Photos of a second person under one name that make a new person.", lower_bound=2
)
LISTS = flags.DEFINE_multi_string("list", [], "List to apply, of clean or inspect; can be repeated.")
OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of the new dataset; must not exist.")
SWAP_CHANNELS = flags.DEFINE_bool("swap_channels", False, "With --output_dir: exchange red and blue in all photos.")


def main() -> str:
    if MODEL_PATH.value is None and not (OUTPUT_DIR.value and (LISTS.value or SWAP_CHANNELS.value)):
        raise ValueError(
            "expected --model_path to make a list, or --list or --swap_channels with --output_dir, got neither"
        )
    if (MODEL_PATH.value is None) != (OUTPUT.value is None):
        raise ValueError("expected --model_path and --output together, got one of them")
    if OUTPUT_DIR.value is None and (LISTS.value or SWAP_CHANNELS.value):
        raise ValueError("expected --output_dir with --list or --swap_channels")
    if OUTPUT_DIR.value is not None:
        check_new(OUTPUT_DIR.value)
    entries = [entry for path in LISTS.value for entry in findings.read_list(path)]
    told = []
    if MODEL_PATH.value is not None and OUTPUT.value is not None:
        result = found(MODEL_PATH.value)
        findings.write_list(OUTPUT.value, result.entries)
        entries += result.entries
        told.append(f"{result}\n{OUTPUT.value}: {len(result.entries):,} lines")
    if OUTPUT_DIR.value is not None:
        told.append(str(rewriting.rewrite(RECORDS.value, entries, OUTPUT_DIR.value, SWAP_CHANNELS.value)))
    return "\n".join(told)


def found(model_path: str) -> cleaning.Cleaning:
    photos = sources.RecordPhotos(RECORDS.value)
    max_angle = None if MAX_ANGLE_DEGREES.value is None else math.radians(MAX_ANGLE_DEGREES.value)
    with tempfile.TemporaryDirectory() as scratch:
        good, vectors = embeddings.embed_all(photos, load_embedder(model_path), scratch, progress=True)
        return cleaning.clean_photos(photos, good, vectors, max_angle, MIN_CLUSTER.value)


if __name__ == "__main__":
    commands.run(main, renamed={"apply": "output_dir"})
