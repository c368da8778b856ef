"""What is known of a dataset on disk, and the opening of one: only when it is whole."""

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any

import numpy as np

from keras_face import files
from keras_face.backend import tf

FORMAT = 1
COLOUR_ORDER = "rgb"
NAME, SPLIT = "face_sets", "train"  # TensorFlow Datasets' names, part of every file's
INDEX_DTYPE = np.dtype([("label", "<i8"), ("images", "<i4"), ("bytes", "<i4")])
_KINDS = {
    **dict.fromkeys(("num_records", "num_images", "num_identities", "num_sequences"), int),
    **dict.fromkeys(("template", "colour_order", "source", "package_version"), str),
    "image_size": list,
}
RECORD_OVERHEAD = 16  # bytes that a TFRecord file adds to each record


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset on disk; made by `open_dataset`.

    Args:
        path: Its folder.
        shards: The paths of its files.
        shard_lengths: The number of records in each.
        num_records: Face sets.
        num_images: Images of all face sets.
        num_identities: Labels 0, 1, ... are these.
        num_sequences: Labels -1, -2, ... are these: sequences of unknown people.
        image_size: (height, width) of every image, pixels.
        template: What the crops are aligned to; "unknown" where nobody said it.
        colour_order: Of the encoded images: "rgb".
        source: How it was made.
        package_version: The keras_face that made it.
        new_labels: int64, for each label >= 0 of the files the one that it has here; -1: this identity is left out, and
            the counts above but for `num_sequences` are without it, while files and index are those of all. None: the
            labels are those of the files. See `held_out.set_apart`.

    Examples:
        >>> dataset = keras_face.records.open_dataset("output/run/records/synthetic")
        >>> dataset.identities[:2]
        ('Person_00000', 'Person_00001')
        >>> int(dataset.index["label"].max())
        3
    """

    path: Path
    shards: tuple[str, ...]
    shard_lengths: tuple[int, ...]
    num_records: int
    num_images: int
    num_identities: int
    num_sequences: int
    image_size: tuple[int, int]
    template: str
    colour_order: str
    source: str
    package_version: str
    new_labels: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.path.name

    @functools.cached_property
    def identities(self) -> tuple[str, ...]:
        """The names of the identities, in the order of their labels."""
        names = files.read_json(self.path / "identities.json", "a list of names", _names)
        if self.new_labels is None:
            return names
        return tuple(name for name, label in zip(names, self.new_labels, strict=True) if label >= 0)

    @property
    def index(self) -> np.ndarray:
        """INDEX_DTYPE [num_records], mapped from disk: label, images and bytes of every record."""
        path = self.path / "index.npy"
        try:
            index = np.lib.format.open_memmap(path, mode="r")
        except (ValueError, EOFError, TypeError) as error:
            raise ValueError(f"{path}: expected NumPy's file of an array: {error}; write the dataset again") from None
        if index.dtype != INDEX_DTYPE or index.ndim != 1:
            raise ValueError(f"{path}: expected labels, images and bytes of records, got other columns")
        return index


def parse(records: tf.Tensor) -> dict[str, Any]:
    """Returns {"images": ragged string [n, images], "label": int64 [n], "name": string [n]} of serialized records."""
    features = {
        "images": tf.io.RaggedFeature(tf.string),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "name": tf.io.FixedLenFeature([], tf.string),
    }
    return tf.io.parse_example(records, features)


def open_dataset(path: str | os.PathLike) -> DatasetInfo:
    """Returns what is known of the dataset in a folder, after checking that it is all there.

    Raises: ValueError that says what is missing or disagrees: the folder, its metadata, a shard, bytes of a shard.

    Examples:
        >>> dataset = keras_face.records.open_dataset("output/run/records/synthetic")
        >>> dataset.num_images, dataset.image_size, dataset.template
        (24, (112, 112), 'arcface')
    """
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"expected a folder of records, but {path} is none")
    for name in ("dataset_info.json", "metadata.json", "identities.json", "index.npy"):
        if not (path / name).is_file():
            raise ValueError(f"{path} is no finished dataset of face sets: it has no {name}; write it again")
    facts = files.read_json(
        path / "metadata.json", "facts of a dataset", lambda known: dict(known.get("keras_face", {}))
    )
    if facts.get("format") != FORMAT:
        raise ValueError(f"{path}: expected records of format {FORMAT}, got {facts.get('format')}")
    known = [field.name for field in dataclasses.fields(DatasetInfo) if field.default is dataclasses.MISSING][3:]
    if missing := [name for name in known if name not in facts]:
        raise ValueError(f"{path}: metadata.json lacks {', '.join(missing)}; write the dataset again")
    for name, kind in _KINDS.items():
        if type(facts[name]) is not kind:
            raise ValueError(f"{path / 'metadata.json'}: {name}: expected {kind.__name__}, got {facts[name]!r}")
    if len(facts["image_size"]) != 2 or not all(type(side) is int and side > 0 for side in facts["image_size"]):
        raise ValueError(f"{path / 'metadata.json'}: image_size: expected height, width, got {facts['image_size']}")
    if facts["colour_order"] != COLOUR_ORDER:
        raise ValueError(f"{path}: expected images in the colour order rgb, got {facts['colour_order']!r}")
    facts["image_size"] = tuple(facts["image_size"])
    shards, lengths = shard_files(path)
    info = DatasetInfo(path, shards, lengths, **{name: facts[name] for name in known})
    index = info.index
    if not sum(lengths) == len(index) == info.num_records or int(index["images"].sum()) != info.num_images:
        raise ValueError(
            f"{path}: expected {info.num_records} records of {info.num_images} images in all, but the shards hold "
            f"{sum(lengths)}, and the index {len(index)} of {int(index['images'].sum())}"
        )
    if len(info.identities) != info.num_identities:
        raise ValueError(f"{path}: expected {info.num_identities} names of identities, got {len(info.identities)}")
    stops = np.cumsum(lengths).tolist()
    for shard, start, stop in zip(shards, [0, *stops], stops, strict=False):
        expected = int(index["bytes"][start:stop].sum(dtype=np.int64)) + RECORD_OVERHEAD * (stop - start)
        size = os.path.getsize(shard) if os.path.isfile(shard) else None
        if size != expected:
            raise ValueError(f"{shard}: expected {expected} bytes, got {'no file' if size is None else size}")
    return info


def shard_files(path: Path) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Returns the paths of the shards and their numbers of records, from TensorFlow Datasets' own description."""
    lengths = files.read_json(path / "dataset_info.json", f"the records of each file of the split {SPLIT}", _lengths)
    names = (f"{NAME}-{SPLIT}.tfrecord-{shard:05d}-of-{len(lengths):05d}" for shard in range(len(lengths)))
    return tuple(os.fspath(path / name) for name in names), lengths


def _lengths(info: Any) -> tuple[int, ...]:
    splits = {split["name"]: split for split in info["splits"]}
    return tuple(int(length) for length in splits[SPLIT]["shardLengths"])


def _names(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"it is {names!r:.40}")
    return tuple(names)
