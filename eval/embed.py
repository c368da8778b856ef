"""Writes the embeddings of photos, by name: what --features of the other commands reads.

    python -m eval.embed --model_path output/run --source lfw/aligned112 --output lfw.npz
    python -m eval.embed --model_path output/run --source records/mine --output mine.npz [--noflip] [--batch_size N]
    python -m eval.embed --model_path output/run --source megaface/aligned112 --output_dir features/megaface \
      --ending _net.bin

The source is a folder of aligned photos, of any depth, whose names are their paths in it; a folder of records; or a
packed test set, .bin or .np, with the names of `eval.test_bin`. The .npz has `names`, `embeddings` and `norms`. With
--output_dir each embedding is a file of its own, as MegaFace's devkit reads it. Both appear whole or not at all.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from absl import flags

from keras_face import commands, files
from keras_face.evaluation.features import write_features, write_megaface_features
from keras_face.export import load_embedder
from keras_face.measurement.feature_files import embed_all
from keras_face.measurement.photos import Photo
from keras_face.measurement.verification import PACKED, named_task, read_task
from keras_face.photos.files import EXTENSIONS
from keras_face.photos.lists import list_files
from keras_face.records.photos import RecordPhotos

commands.pixel_limit_flag()
MODEL_PATH = flags.DEFINE_string(
    "model_path", None, "SavedModel folder, folder of numbered ones, or run folder.", required=True
)
SOURCE = commands.photos_flag("Folder of aligned photos, or of records; or a packed test set, .bin.")
OUTPUT = flags.DEFINE_string("output", None, "File to write, .npz; is replaced.")
OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Folder of MegaFace's feature files, instead; must not exist.")
ENDING = flags.DEFINE_string("ending", None, "Of the names of MegaFace's feature files, as _net.bin.")
FLIP = flags.DEFINE_bool("flip", True, "Embed each photo and its mirror image.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Photos per call of the model.", lower_bound=1)


def main() -> str:
    output, folder, ending = OUTPUT.value, OUTPUT_DIR.value, ENDING.value
    if not SOURCE.value or bool(output) == bool(folder):
        raise ValueError("expected --source, and either --output or --output_dir")
    if bool(folder) != bool(ending):
        raise ValueError("expected --output_dir and --ending together, got one of them")
    if output and Path(output).suffix != ".npz":
        raise ValueError(f"{output}: expected a file .npz to write embeddings to")
    if folder:
        files.check_new(folder)
    read = _packed if Path(SOURCE.value).suffix in PACKED else _records if _is_dataset(SOURCE.value) else _files
    total, photos, left_out = read(SOURCE.value)
    embedder = load_embedder(MODEL_PATH.value, BATCH_SIZE.value)
    features = embed_all(embedder, photos, total, flip=FLIP.value, progress=sys.stderr.isatty())
    if folder and ending:
        with files.new_folder(folder) as scratch:
            write_megaface_features(scratch, features, ending)
    elif output:
        write_features(output, features)
    others = f"; {left_out:,} other files left out" if left_out else ""
    return f"{output or folder}: {total:,} embeddings of size {features.embeddings.shape[1]}{others}"


def _packed(source: str) -> tuple[int, Iterator[tuple[str, Photo]], int]:
    """Returns the number of distinct photos of a packed test set, names as `eval.test_bin` has them, and photos."""
    task = named_task(read_task(source))
    keys = task.pairs.distinct_keys()
    return len(keys), ((key, task.locate(key)) for key in keys), 0


def _is_dataset(source: str) -> bool:
    return Path(source, "dataset_info.json").is_file()


def _files(source: str) -> tuple[int, Iterator[tuple[str, Photo]], int]:
    """Returns the number of photos in a folder, names and paths, and the number of its other files."""
    root, names, _ = list_files(source)
    photos = [name for name in names if Path(name).suffix.lower() in EXTENSIONS]
    return len(photos), ((name, root / name) for name in photos), len(names) - len(photos)


def _records(source: str) -> tuple[int, Iterator[tuple[str, Photo]], int]:
    """Returns the number of photos in a dataset, and names and content of all."""
    photos = RecordPhotos(source)
    names = (photos.photo_name(number) for number in range(len(photos)))
    return len(photos), zip(names, photos.encoded(), strict=True), 0


if __name__ == "__main__":
    commands.run(main)
