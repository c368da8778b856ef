"""The photos of a dataset one after the other, and any of them again: of records, or of a folder of people."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_face.photos.people import list_people
from keras_face.photos.template import UNKNOWN, agreed
from keras_face.records.photos import RecordPhotos


class FolderPhotos:
    """The photos of a folder with a folder of photos per person, before it is written as records.

    Args:
        path: The folder.

    Attributes:
        labels: int64 [photos].
        identities: Names of the people's folders, sorted.
        image_size: None: any.
        template: What the photos are aligned to, by the record of their folders.
        refused: Name and reason of what is neither a person's folder nor a photo in one.

    Raises: ValueError as `photos.people.list_people` and `photos.template.agreed`, or if there is no photo in a
        person's folder.
    """

    made_of_records = False

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        listing = list_people(self.path, may_be_empty=True)
        self.name = self.path.resolve().name
        self.image_size: tuple[int, int] | None = None
        self.identities: Sequence[str] = list(listing.photos)
        self.refused: Sequence[tuple[str, str]] = listing.skipped
        self._names = [name for names in listing.photos.values() for name in names]
        labels = [label for label, names in enumerate(listing.photos.values()) for _ in names]
        self.labels = np.array(labels, np.int64)
        self.template = agreed(self.path / person for person in self.identities) or UNKNOWN
        if not labels:
            raise ValueError(f"expected a folder of photos per person in {path}, got no photo in one")

    def __len__(self) -> int:
        return len(self.labels)

    def encoded(self) -> Iterator[bytes]:
        """Yields the content of the files; of one that cannot be read: nothing."""
        return map(self.read, range(len(self)))

    def read(self, number: int) -> bytes:
        """Returns the content of the file of a number."""
        try:
            return (self.path / self._names[number]).read_bytes()
        except OSError:
            return b""

    def photo_name(self, number: int) -> str:
        """Returns the path of the file of a number, from the folder on."""
        return self._names[number]


Photos = RecordPhotos | FolderPhotos
