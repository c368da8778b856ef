"""Photos that are packed in one file become records: chosen by size and number, dealt to face sets, written."""

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from typing import NamedTuple

import numpy as np

from keras_face.evaluation.short import Short
from keras_face.photos import checked
from keras_face.photos.limit import max_pixels, too_many
from keras_face.photos.pixels import for_records
from keras_face.photos.summary import Summary
from keras_face.records import photo_sets, writing


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Packed(Short):
    """Photos of people in one file.

    Args:
        numbers: int64 [n], what the file's reader takes of each photo: a row, an offset.
        labels: int64 [n], the person of each, in the file's own numbers.
        sizes: int64 [n, 2], height and width, pixels; 0 where the photo is none.
        name: Name of photo number i of these; no two have the same.
        identity: Name of the person of a label.
        reasons: Why a photo is none, by i.
        unplain: The `numbers` of photos that records may not hold as they are, see `photos.pixels.for_records`.
    """

    numbers: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray
    name: Callable[[int], str]
    identity: Callable[[int], str]
    reasons: dict[int, str]
    unplain: Set[int] = frozenset()


class Item(NamedTuple):
    """A face set that is still in its file: its label and name, and the numbers of its photos there."""

    label: int
    name: str
    numbers: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class LoadSet:
    """Makes face sets of items.

    Args:
        load_photo: From a photo's number to its JPEG or PNG file; picklable.
        unplain: Numbers of the photos that become others in records.

    Raises: ValueError: the photo has become none since it was checked.
    """

    load_photo: Callable[[int], bytes]
    unplain: Set[int] = frozenset()

    def __call__(self, item: Item) -> writing.FaceSet:
        return writing.FaceSet([self._photo(number) for number in item.numbers], item.label, item.name)

    def _photo(self, number: int) -> bytes:
        photo = self.load_photo(number)
        return for_records(photo) if number in self.unplain else photo


def write_packed(
    packed: Packed,
    load_photo: Callable[[int], bytes],
    output: writing.Output | str | os.PathLike,
    *,
    source: str,
    template: str | None = None,
    skipped: Sequence[tuple[str, str]] = (),
    image_size: tuple[int, int] | None = None,
    min_photos: int = 1,
    set_size: int = 1,
    progress: bool = True,
) -> Summary:
    """Writes packed photos as records, and returns the summary; labels become 0, 1, ... in the same order.

    What was left out, and why, is in `skipped.csv` beside the records.

    Args:
        packed: The photos.
        load_photo: From a photo's number to its JPEG or PNG file; picklable.
        output: Where to.
        source: How the dataset was made.
        template: What the photos are aligned to; None: nobody knows.
        skipped: Name and reason of what was left out already.
        image_size: (height, width) that the photos must have; None: what most have.
        min_photos: People with fewer good photos are left out, >= 1.
        set_size: Photos in a record, at most; those of a person are dealt out evenly: 10 become 4, 3 and 3.
        progress: Whether to show a progress bar.

    Raises: ValueError if nobody has enough good photos; see `writing.write_records`.
    """
    for name, value in (("min_photos", min_photos), ("set_size", set_size)):
        if value < 1:
            raise ValueError(f"{name} must be >= 1, got {value}")
    size = image_size or most_common(packed.sizes)
    too_large = packed.sizes.prod(axis=1) > max_pixels()
    good = (packed.sizes == size).all(axis=1) & (packed.sizes > 0).all(axis=1) & ~too_large
    skipped = list(skipped)
    for row in np.flatnonzero(~good).tolist():
        height, width = packed.sizes[row]
        other_size = f"{height}x{width}, expected height x width {size[0]}x{size[1]}"
        reason = packed.reasons.get(row, too_many() if too_large[row] else other_size)
        skipped.append((packed.name(row), reason))
    labels, counts = np.unique(packed.labels[good], return_counts=True)
    few = np.setdiff1d(packed.labels, labels[counts >= min_photos])
    skipped += [(packed.identity(label), f"fewer than {min_photos} good photos") for label in few.tolist()]
    labels = labels[counts >= min_photos]
    if not labels.size:
        reasons = checked.some([f"{name} ({reason})" for name, reason in skipped]) or "nothing"
        raise ValueError(f"nobody has {min_photos} good photos; left out: {reasons}")
    rows = np.flatnonzero(good & np.isin(packed.labels, labels))
    rows = rows[np.argsort(packed.labels[rows], kind="stable")]
    people = np.split(rows, np.flatnonzero(np.diff(packed.labels[rows])) + 1)
    writing.write_records(
        output,
        _items(packed, people, set_size),
        identities=[packed.identity(label) for label in labels.tolist()],
        image_size=size,
        source=source,
        template=template,
        load=LoadSet(load_photo, packed.unplain),
        skipped=skipped,
        total=sum(-(-len(rows) // set_size) for rows in people),
        progress=progress,
    )
    return photo_sets.summary(len(people), len(rows), skipped, template)


def most_common(sizes: np.ndarray) -> tuple[int, int]:
    """Returns the (height, width) that most photos have; of equals the largest."""
    counts = Counter(map(tuple, sizes[(sizes > 0).all(axis=1)].tolist()))
    return max(counts, key=lambda size: (counts[size], size), default=(0, 0))


def _items(packed: Packed, people: Sequence[np.ndarray], set_size: int) -> Iterator[Item]:
    """Yields the face sets; neighbours in a file are often alike, so they are dealt to different sets."""
    for label, rows in enumerate(people):
        photos = list(zip(map(packed.name, rows.tolist()), packed.numbers[rows].tolist(), strict=True))
        num_sets = -(-len(rows) // set_size)
        for first in range(num_sets):
            names, numbers = zip(*photos[first::num_sets], strict=True)
            yield Item(label, "|".join(names), numbers)
