"""Photos of people, checked: which can be decoded and have the size of the rest, and why the others do not."""

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.pool import ThreadPool

from tqdm import tqdm

from keras_face.backend import tf
from keras_face.photos import headers, images

Photo = tuple[str, str]  # its name in records and reports, and its file


@dataclasses.dataclass(frozen=True)
class People:
    """Checked photos of people, in the order of their labels, and what was left out.

    Args:
        photos: Those of each person, by name; all can be decoded and have the size `image_size`.
        image_size: (height, width), pixels.
        skipped: Name and reason of each file, folder or person that was left out.
    """

    photos: Mapping[str, Sequence[Photo]]
    image_size: tuple[int, int]
    skipped: Sequence[tuple[str, str]]


def photo_size(data: bytes, decode: bool = False) -> tuple[int, int] | str:
    """Returns the (height, width) of an encoded photo, or why it is none, as said in `skipped.csv`.

    Args:
        data: A whole JPEG or PNG file.
        decode: Whether to decode it even if its structure is whole.
    """
    if not headers.is_photo(data):
        return "neither JPEG nor PNG" if data else "an empty file"
    if not decode and (size := headers.whole_size(data)):
        return size
    try:
        # The decoder of the training: OpenCV's would take a photo that is cut off.
        height, width, _ = images.decode(data).shape
    except tf.errors.OpError:
        return "damaged or cut off"
    return height, width


def check_photo(path: str, decode: bool = False) -> tuple[int, int] | str:
    """Returns the same of a file as `photo_size` of its bytes, or why it cannot be read."""
    try:
        data = read_bytes(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return photo_size(data, decode)


def read_bytes(path: str) -> bytes:
    """Returns the bytes of a file."""
    with open(path, "rb", buffering=0) as file:
        return file.read()


def check(
    people: Mapping[str, Sequence[Photo]],
    skipped: Sequence[tuple[str, str]],
    min_photos: int,
    image_size: tuple[int, int] | None,
    progress: bool,
    decode: bool = False,
) -> People:
    """Returns what is good of the photos, and what is not, after what was skipped before.

    Args:
        people: Photos of each person, by name, in the order of their labels.
        skipped: Name and reason of what was left out already.
        min_photos: People with fewer good photos are left out.
        image_size: (height, width) that the photos must have; None: what most have.
        progress: Whether to show a progress bar.
        decode: Whether to decode every photo; else only those whose structure leaves a doubt.

    Raises: ValueError if nobody has enough good photos.
    """
    paths = [path for photos in people.values() for _, path in photos]
    checks = tqdm(_checks(paths, decode), "checking", len(paths), unit=" photos", disable=not progress)
    found = iter(list(checks))
    verdicts = {person: [(photo, next(found)) for photo in photos] for person, photos in people.items()}
    sizes = Counter(size for photos in verdicts.values() for _, size in photos if not isinstance(size, str))
    size = image_size or max(sizes, key=lambda size: (sizes[size], size), default=(0, 0))
    skipped = list(skipped)
    good: dict[str, list[Photo]] = {}
    for person, photos in verdicts.items():
        good[person] = [photo for photo, verdict in photos if verdict == size]
        for (name, _), verdict in photos:
            if isinstance(verdict, str):
                skipped.append((name, verdict))
            elif verdict != size:
                skipped.append((name, f"{verdict[0]}x{verdict[1]}, expected height x width {size[0]}x{size[1]}"))
        if len(good[person]) < min_photos:
            skipped.append((person, f"fewer than {min_photos} good photos"))
            del good[person]
    if not good:
        raise ValueError(
            f"nobody has {min_photos} good photos; left out: "
            f"{some([f'{name} ({reason})' for name, reason in skipped]) or 'nothing'}"
        )
    return People(good, size, skipped)


def _checks(paths: Sequence[str], decode: bool) -> Iterator[tuple[int, int] | str]:
    """Yields what `check_photo` says of each file."""
    if not decode:  # threads would wait for each other: most of the work is Python's
        yield from map(check_photo, paths)
        return
    with ThreadPool(os.cpu_count()) as pool:
        yield from pool.imap(lambda path: check_photo(path, decode=True), paths, chunksize=64)


def some(names: Sequence[str]) -> str:
    """Returns the first names, for a message."""
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
