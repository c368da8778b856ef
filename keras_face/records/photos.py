"""The photos of a dataset of records one after the other, and any of them again, by number."""

import functools
import os
from collections.abc import Iterator, Sequence

import numpy as np

from keras_face.backend import said_by, tf
from keras_face.records.dataset import RECORD_OVERHEAD, open_dataset, parse
from keras_face.records.faults import UNREADABLE, first_fault

_HEADER = 12  # bytes of a TFRecord before its content


class RecordPhotos:
    """The photos of a dataset of records, in its order; photos of one record follow each other.

    Args:
        path: The dataset's folder.

    Attributes:
        labels: int64 [photos].
        identities: Names of the identities, in the order of their labels.
        image_size: (height, width) that all photos should have, pixels.
        template: Name of the template that the photos should be aligned to.

    Raises: ValueError: see `dataset.open_dataset`.
    """

    made_of_records = True

    def __init__(self, path: str | os.PathLike):
        self.info = open_dataset(path)
        self.path = self.info.path
        self.name = self.info.path.resolve().name
        self.identities: Sequence[str] = self.info.identities
        self.image_size: tuple[int, int] | None = self.info.image_size
        self.template: str = self.info.template
        index = self.info.index
        self.labels = np.repeat(index["label"], index["images"]).astype(np.int64)
        self.refused: Sequence[tuple[str, str]] = ()
        self._stops = np.cumsum(index["images"], dtype=np.int64)
        sizes = index["bytes"].astype(np.int64) + RECORD_OVERHEAD
        self._shard_stops = np.cumsum(self.info.shard_lengths)
        self._offsets = np.concatenate([[0], np.cumsum(sizes)])

    def __len__(self) -> int:
        return len(self.labels)

    def encoded(self) -> Iterator[bytes]:
        """Yields the encoded photos.

        Raises: ValueError if a record is damaged on disk.
        """
        batches = tf.data.TFRecordDataset(self.info.shards).batch(256).map(parse).prefetch(2)
        done = 0
        try:
            for batch in batches:
                images = batch["images"].flat_values.numpy()
                labels = np.repeat(batch["label"].numpy(), batch["images"].row_lengths().numpy())
                if not np.array_equal(labels, self.labels[done : done + len(labels)]):
                    raise ValueError(
                        first_fault(self.info) or f"{self.path}: expected the labels of index.npy, got others"
                    )
                done += len(images)
                yield from images
        except UNREADABLE as error:
            fault = first_fault(self.info) or f"{self.path}: a record cannot be read: {said_by(error)}"
            raise ValueError(f"{fault} (after {done} photos of the dataset)") from None

    def read(self, number: int) -> bytes:
        """Returns the encoded photo of a number."""
        record = int(np.searchsorted(self._stops, number, side="right"))
        first = int(self._stops[record - 1]) if record else 0
        return self._record(record)[1][number - first]

    def photo_name(self, number: int) -> str:
        """Returns what the photo of a number is called: its part of the record's name, or name and place in it."""
        record = int(np.searchsorted(self._stops, number, side="right"))
        first = int(self._stops[record - 1]) if record else 0
        return photo_names(self._record(record)[0], int(self._stops[record]) - first)[number - first]

    def _record(self, record: int) -> tuple[str, list[bytes]]:
        shard = int(np.searchsorted(self._shard_stops, record, side="right"))
        first = int(self._shard_stops[shard - 1]) if shard else 0
        start = int(self._offsets[record] - self._offsets[first])
        size = int(self._offsets[record + 1] - self._offsets[record]) - RECORD_OVERHEAD
        return _read_record(self.info.shards[shard], start + _HEADER, size)


def photo_names(record_name: str, num_images: int) -> list[str]:
    """Returns what the photos of a record are called: the parts of a name joined by "|", or the name and a number."""
    parts = record_name.split("|")
    if len(parts) == num_images:
        return parts
    return [f"{record_name}#{number}" for number in range(num_images)]


@functools.lru_cache(maxsize=4)
def _read_record(shard: str, start: int, size: int) -> tuple[str, list[bytes]]:
    with open(shard, "rb") as file:
        file.seek(start)
        example = tf.train.Example.FromString(file.read(size))
    features = example.features.feature
    name = features["name"].bytes_list.value[0].decode(errors="surrogateescape")
    return name, list(features["images"].bytes_list.value)
