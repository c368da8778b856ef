"""Face sets on disk: written through TensorFlow Datasets, described by metadata, opened only when whole.

A dataset is one folder in TensorFlow Datasets' layout (`tfds.builder_from_directory` reads it), and beside its
shards and `dataset_info.json`:

    metadata.json      how it was made, and its counts
    identities.json    the names of the identities, in the order of their labels
    index.npy          label, number of images and bytes of every record, in the order of the shards
"""

import contextlib
import dataclasses
import fcntl
import functools
import json
import operator
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import metadata as packages
from pathlib import Path
from typing import Any

import numpy as np

from keras_face.backend import tf
from keras_face.data.dataset_info import (
    COLOUR_ORDER,
    FORMAT,
    INDEX_DTYPE,
    SPLIT,
    DatasetInfo,
    open_dataset,
    parse,
    shard_files,
)

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


@dataclasses.dataclass(frozen=True)
class FaceSet:
    """Images that are known to show one person: a photo, photos of one identity, or a track.

    Args:
        images: Encoded JPEG or PNG files, aligned crops, RGB; at least one.
        label: >= 0: identity; < 0: a sequence whose person is unknown, -1 - sequence.
        name: Where it came from; unique in its dataset.

    Raises: ValueError if there is no image, no name, or an image is neither JPEG nor PNG.
    """

    images: Sequence[bytes]
    label: int
    name: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a face set must have a name, got an empty one")
        if not self.images:
            raise ValueError(f"face set {self.name!r} must have at least one image, got none")
        for image in self.images:
            if not is_photo(image):
                raise ValueError(f"face set {self.name!r} must hold JPEG or PNG files, got bytes {image[:8]!r}")


def is_photo(image_bytes: bytes) -> bool:
    """Returns whether the bytes begin as a JPEG or a PNG file does."""
    return image_bytes.startswith(_SIGNATURES)


def check_new(output_dir: str | os.PathLike) -> None:
    """Raises ValueError if the output exists."""
    if os.path.lexists(output_dir):
        raise ValueError(f"output_dir must not exist yet, but {output_dir} does")


def write(
    output_dir: str | os.PathLike,
    face_sets: Iterable[FaceSet],
    *,
    identities: Sequence[str],
    image_size: Sequence[int],
    source: str,
    template: str = "arcface",
    colour_order: str = COLOUR_ORDER,
    num_shards: int | None = None,
    finish: Callable[[Path], None] | None = None,
) -> DatasetInfo:
    """Returns the opened dataset after writing it, whole or not at all; the order is shuffled by name.

    It is written into `<output_dir>.incomplete` and then renamed; what a killed run left there is removed by the next.
    The names of all face sets are held in memory.

    Args:
        output_dir: Folder to make; must not exist.
        face_sets: What to write; read once.
        identities: Names of the identities 0, 1, ...; each must have a face set.
        image_size: (height, width) of all images, pixels.
        source: How the dataset was made, for its reader: a command, a path.
        template: What the crops are aligned to.
        colour_order: Of the encoded images; only "rgb" is taken.
        num_shards: Number of files; None: as many as makes them 64 to 128 MiB.
        finish: Called with the folder before it is renamed, to add files to it.

    Raises:
        ValueError: The output exists or is being written, there is nothing to write, a name comes twice, a label is
            out of range, an identity or a sequence number has no face set, or `colour_order` is not RGB.
        OSError: It cannot be written.
    """
    import tensorflow_datasets as tfds

    output_dir = Path(output_dir)
    check_new(output_dir)
    if colour_order != COLOUR_ORDER:
        raise ValueError(f"colour_order must be {COLOUR_ORDER!r}: encode the images as RGB, got {colour_order!r}")
    height, width = (operator.index(side) for side in image_size)
    with _scratch(output_dir) as scratch:
        tfds.display_progress_bar(False)  # the writer's caller knows the total, and shows the progress of its source
        builder = _builder_class()(data_dir=scratch)
        builder.examples = _examples(face_sets, len(identities))
        config = tfds.download.DownloadConfig(num_shards=num_shards, try_download_gcs=False)
        try:
            builder.download_and_prepare(download_dir=scratch / "downloads", download_config=config)
        except (tf.errors.OpError, RuntimeError) as error:  # what becomes of a full disk there
            raise OSError(f"cannot write {output_dir}: {error}") from error
        folder = Path(builder.data_path)
        index = _scan(shard_files(folder)[0])
        facts = {
            "format": FORMAT,
            "num_records": len(index),
            "num_images": int(index["images"].sum()),
            "num_identities": len(identities),
            "num_sequences": _count_labels(index["label"], identities),
            "image_size": [height, width],
            "template": template,
            "colour_order": colour_order,
            "source": source,
            "package_version": packages.version("keras_face"),
        }
        np.save(folder / "index.npy", index)
        (folder / "identities.json").write_text(json.dumps(list(identities), indent=0))
        (folder / "metadata.json").write_text(json.dumps({"keras_face": facts}, indent=2))
        if finish is not None:
            finish(folder)
        folder.rename(output_dir)
    return open_dataset(output_dir)


def _scan(shards: Sequence[str]) -> np.ndarray:
    """Returns the index of written shards: INDEX_DTYPE [num_records]."""

    def facts(records: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parsed = parse(records)
        return parsed["label"], parsed["images"].row_lengths(), tf.strings.length(records)

    batches = tf.data.TFRecordDataset(shards).batch(256).map(facts).as_numpy_iterator()
    return np.concatenate([np.rec.fromarrays(batch, dtype=INDEX_DTYPE) for batch in batches]).view(np.ndarray)


def _count_labels(labels: np.ndarray, identities: Sequence[str]) -> int:
    """Returns the number of sequences of unknown people; ValueError if an identity or a sequence has no face set."""
    present = np.unique(labels)
    absent = np.setdiff1d(np.arange(len(identities)), present)
    if len(absent):
        names = ", ".join(identities[label] for label in absent[:5])
        raise ValueError(f"every identity must have a face set, but {len(absent)} have none: {names} ...")
    num_sequences = max(0, -int(present.min()))
    if np.count_nonzero(present < 0) != num_sequences:
        raise ValueError(
            f"labels < 0 must be -1, -2, ... without gaps, got {np.count_nonzero(present < 0)} down to {-num_sequences}"
        )
    return num_sequences


def _examples(face_sets: Iterable[FaceSet], num_identities: int) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yields what TensorFlow Datasets writes, checked."""
    names = set()
    for face_set in face_sets:
        label = operator.index(face_set.label)
        if label >= num_identities:
            raise ValueError(f"face set {face_set.name!r}: label must be below {num_identities}, got {label}")
        if face_set.name in names:
            raise ValueError(f"names of face sets must be unique, got {face_set.name!r} twice")
        names.add(face_set.name)
        name = face_set.name.encode(errors="surrogateescape")
        yield name, {"images": list(face_set.images), "label": label, "name": name}
    if not names:
        raise ValueError("there must be at least one face set, got none")


@contextlib.contextmanager
def _scratch(output_dir: Path) -> Iterator[Path]:
    """Yields an empty folder beside `output_dir` for this process alone, and removes it in the end."""
    scratch = output_dir.with_name(f"{output_dir.name}.incomplete")
    scratch.mkdir(parents=True, exist_ok=True)
    with open(scratch / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another process is writing {output_dir}") from None
        try:
            for left in scratch.iterdir():  # by a run that was killed
                if left.is_dir():
                    shutil.rmtree(left)
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@functools.cache
def _builder_class() -> type:
    """Returns the TensorFlow Datasets builder of face sets; it writes the `examples` put into it."""
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():

        class FaceSets(tfds.core.GeneratorBasedBuilder):
            __module__ = "keras_face"  # a dotted name would need importlib_resources, which tfds does not install
            VERSION = tfds.core.Version(f"{FORMAT}.0.0")

            def _info(self):
                image = tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg")
                features = {
                    "images": tfds.features.Sequence(image),
                    "label": tfds.features.Scalar(np.int64),
                    "name": tfds.features.Text(),
                }
                return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

            def _split_generators(self, dl_manager):
                return {SPLIT: self.examples}

            def _generate_examples(self):
                return self.examples

            def _log_download_bytes(self):
                """Prints nothing: there is no download."""

            def _log_download_done(self):
                """Prints nothing: there is no download."""

    return FaceSets
