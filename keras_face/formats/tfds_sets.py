"""TensorFlow Datasets' sets of photos with a label become records; encoded photos stay as they are, byte for byte."""

import dataclasses
import functools
import operator
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from keras_face import files
from keras_face.backend import tf
from keras_face.formats import packed
from keras_face.formats.recordio import RecordFile, RecordWriter
from keras_face.photos.checked import check_packed
from keras_face.photos.summary import Summary
from keras_face.records import writing


@dataclasses.dataclass(frozen=True)
class LoadRecord:
    """Reads photos of the file that they were gathered in.

    Args:
        path: A RecordIO file.

    Call arguments:
        offset: Where a photo begins.
    """

    path: str

    def __call__(self, offset: int) -> bytes:
        return _open(self.path).read(offset)


def write_tfds(
    output: writing.Output | str | os.PathLike,
    *,
    name: str | None = None,
    builder_dir: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    split: str = "train",
    image_key: str = "image",
    label_key: str = "label",
    template: str | None = None,
    min_photos: int = 1,
    set_size: int = 1,
    progress: bool = True,
) -> Summary:
    """Writes a dataset of TensorFlow Datasets as records, and returns the summary.

    People whose label is text are numbered in the order of their names. The photos are gathered in a file beside the
    output first, which goes when they are written.

    Args:
        output: Where to.
        name: The set's name, as "lfw" or "celeb_a"; it is downloaded if it is not there.
        builder_dir: Folder of a set that is there, with its `dataset_info.json`; either this or `name`.
        data_dir: Where sets by name are kept; None: TensorFlow Datasets' own place.
        split: Which part, as "train", "train+test" or "train[:10%]".
        image_key: Name of the photo among the features; "a/b" is b within a.
        label_key: Name of the person among the features: a ClassLabel, text or a whole number.
        template: What the photos are aligned to; None: nobody knows.
        min_photos: People with fewer good photos are left out, >= 1.
        set_size: Photos of one person in a record, at most.
        progress: Whether to show progress bars.

    Raises:
        ValueError: There is no such set, split or feature, a feature is of another kind, nobody has enough good
            photos; see `writing.write_records`.
        OSError: The set cannot be read, downloaded or written.
    """
    if (name is None) == (builder_dir is None):
        raise ValueError(f"expected either the name of a set or the folder of one, got {name!r} and {builder_dir!r}")
    path = writing.check_new(output)
    builder = _builder(name, builder_dir, data_dir)
    _check_features(builder.info, image_key, label_key)
    with files.scratch_folder(f"{path}.photos") as scratch:
        gathered = scratch / "photos.rec"
        people, sizes, reasons = [], [], {}
        unplain: list[int] = []
        with RecordWriter(gathered) as writer:
            examples = _examples(builder, split, image_key, label_key)
            for row, (person, image) in enumerate(tqdm(examples, "reading", unit=" photos", disable=not progress)):
                size, plain = check_packed(image)
                if not plain:
                    unplain.append(row)
                if isinstance(size, str):
                    reasons[row], size = size, (0, 0)
                people.append(person)
                sizes.append(size)
                writer.write(row, image)
        if not people:
            raise ValueError(f"{builder.info.full_name}, {split}: expected photos, got none")
        identities, labels = _numbered(people, _feature(builder.info, label_key))
        offsets = RecordFile(gathered).scan().offsets
        table = packed.Packed(
            numbers=offsets,
            labels=labels,
            sizes=np.array(sizes),
            name=lambda row: f"{identities[labels[row]]}/{row}",
            identity=lambda label: identities[label],
            reasons=reasons,
            unplain=frozenset(offsets[unplain].tolist()),
        )
        try:
            return packed.write_packed(
                table,
                LoadRecord(os.fspath(gathered)),
                output,
                source=f"TensorFlow Datasets {builder.info.full_name}, {split}, {image_key}, {label_key}",
                template=template,
                min_photos=min_photos,
                set_size=set_size,
                progress=progress,
            )
        finally:
            _open.cache_clear()  # an open file would keep its place on the disk


def _builder(name: str | None, builder_dir: str | os.PathLike | None, data_dir: str | os.PathLike | None) -> Any:
    """Returns the TensorFlow Datasets builder of a set that is ready to be read."""
    import tensorflow_datasets as tfds

    if builder_dir is not None:
        try:
            return tfds.builder_from_directory(os.fspath(builder_dir))
        except Exception as error:  # what a damaged description raises is open-ended: JSON, protobuf, a name
            raise ValueError(f"{builder_dir}: expected a dataset of TensorFlow Datasets: {error}") from error
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        raise ValueError(f"TensorFlow Datasets {tfds.__version__} has no set {name!r}") from None
    try:
        builder.download_and_prepare()
    except Exception as error:  # what a download raises is open-ended: the network, a checksum, a missing file
        raise OSError(f"cannot download {name}: {error}") from error
    return builder


def _feature(info: Any, key: str) -> Any:
    """Returns the feature under a key; "a/b" is b within a."""
    feature = info.features
    for part in key.split("/"):
        if not hasattr(feature, "keys") or part not in feature:
            known = ", ".join(sorted(_keys(info.features)))
            raise ValueError(f"{info.full_name}: expected a feature {key!r}, got {known}")
        feature = feature[part]
    return feature


def _keys(features: Any, prefix: str = "") -> list[str]:
    if not hasattr(features, "keys"):
        return [prefix[:-1]]
    return [key for name in features for key in _keys(features[name], f"{prefix}{name}/")]


def _check_features(info: Any, image_key: str, label_key: str) -> None:
    import tensorflow_datasets as tfds

    image, label = _feature(info, image_key), _feature(info, label_key)
    if not isinstance(image, tfds.features.Image):
        raise ValueError(f"{info.full_name}: {image_key} must be an Image, got {image}")
    whole = isinstance(label, (tfds.features.ClassLabel, tfds.features.Text)) or (
        isinstance(label, (tfds.features.Scalar, tfds.features.Tensor))
        and label.shape == ()
        and np.dtype(label.np_dtype).kind in "iu"
    )
    if not whole:
        raise ValueError(f"{info.full_name}: {label_key} must be a ClassLabel, Text or one whole number, got {label}")


def _examples(builder: Any, split: str, image_key: str, label_key: str) -> Iterator[tuple[int | str, bytes]]:
    """Yields person and encoded photo of each example, in the order of the files."""
    import tensorflow_datasets as tfds

    wanted: dict[str, Any] = {}
    for key in (image_key, label_key):
        _put(wanted, key, True)
    decoders: dict[str, Any] = {}
    _put(decoders, image_key, tfds.decode.SkipDecoding())
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(wanted, decoders=decoders),
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
    try:
        for example in dataset.as_numpy_iterator():
            person, image = (
                functools.reduce(operator.getitem, key.split("/"), example) for key in (label_key, image_key)
            )
            yield person.decode(errors="replace") if isinstance(person, bytes) else int(person), image
    except tf.errors.OpError as error:
        raise OSError(f"{builder.info.full_name} cannot be read: {error.message}") from error


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Puts a value into nested dictionaries; the key "a/b" is b within a."""
    *folders, last = key.split("/")
    for folder in folders:
        tree = tree.setdefault(folder, {})
    tree[last] = value


def _numbered(people: Sequence[int | str], label: Any) -> tuple[dict[int, str], np.ndarray]:
    """Returns the name of each label, and int64 [n], the label of each photo's person."""
    import tensorflow_datasets as tfds

    if isinstance(label, tfds.features.Text):
        names, numbers = np.unique(np.array(people, object), return_inverse=True)
        return dict(enumerate(names.tolist())), numbers.reshape(-1)
    labels = np.array(people, np.int64)
    known = label.num_classes if isinstance(label, tfds.features.ClassLabel) else 0
    return {who: label.int2str(who) if 0 <= who < known else str(who) for who in set(labels.tolist())}, labels


@functools.lru_cache(maxsize=1)
def _open(path: str) -> RecordFile:
    """Returns the opened file, one for all photos that are read in this process."""
    return RecordFile(path)
