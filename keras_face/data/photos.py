"""Checked photos of people, and how they become records."""

import csv
import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

from tqdm import tqdm

from keras_face.backend import tf
from keras_face.data import images, records

Photo = tuple[str, Path]  # its name in records and reports, and where it is


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


@dataclasses.dataclass(frozen=True)
class Summary:
    """What became records, and what did not: name and reason of each file, folder or person left out."""

    people: int
    photos: int
    skipped: Sequence[tuple[str, str]]

    def __str__(self) -> str:
        reasons = Counter(reason for _, reason in self.skipped)
        lines = [f"{self.people:,} people, {self.photos:,} photos, {len(self.skipped):,} skipped"]
        return "\n".join(lines + [f"{count:>9,}  {reason}" for reason, count in reasons.most_common()])


def check_photo(path: Path) -> tuple[int, int] | str:
    """Returns the (height, width) of a photo, or why it is none, as said in `skipped.csv`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not records.is_photo(data):
        return "neither JPEG nor PNG" if data else "an empty file"
    try:
        # The decoder of the training: OpenCV's would take a photo that is cut off.
        height, width, _ = images.decode(data).shape
    except tf.errors.OpError:
        return "damaged or cut off"
    return height, width


def check(
    people: Mapping[str, Sequence[Photo]],
    skipped: Sequence[tuple[str, str]],
    min_photos: int,
    image_size: tuple[int, int] | None,
    progress: bool,
) -> People:
    """Returns what is good of the photos, and what is not, after what was skipped before.

    Args:
        people: Photos of each person, by name, in the order of their labels.
        skipped: Name and reason of what was left out already.
        min_photos: People with fewer good photos are left out.
        image_size: (height, width) that the photos must have; None: what most have.
        progress: Whether to show a progress bar.

    Raises: ValueError if nobody has enough good photos.
    """
    paths = [path for photos in people.values() for _, path in photos]
    with ThreadPool(os.cpu_count()) as pool:
        checks = pool.imap(check_photo, paths, chunksize=64)
        found = iter(list(tqdm(checks, "checking", len(paths), unit=" photos", disable=not progress)))
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


def write(found: People, output_dir: str | os.PathLike, set_size: int, source: str, progress: bool) -> Summary:
    """Returns the summary after writing photos as records, and what was skipped as `skipped.csv` beside them.

    Args:
        found: Made by `check`.
        output_dir: Folder to make; must not exist.
        set_size: Photos in a record, at most; those of a person are dealt out evenly: 10 become 4, 3 and 3.
        source: How the dataset was made.
        progress: Whether to show a progress bar.

    Raises: ValueError: see `records.write`.
    """
    if set_size < 1:
        raise ValueError(f"set_size must be >= 1, got {set_size}")

    def write_skipped(folder: Path) -> None:
        with open(folder / "skipped.csv", "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            csv.writer(file).writerows([("name", "reason"), *found.skipped])

    num_sets = sum(-(-len(photos) // set_size) for photos in found.photos.values())
    face_sets = _face_sets(found.photos, set_size)
    with tqdm(face_sets, "writing", num_sets, unit=" records", disable=not progress) as shown:
        records.write(
            output_dir,
            shown,
            identities=list(found.photos),
            image_size=found.image_size,
            source=source,
            finish=write_skipped,
        )
    return Summary(len(found.photos), sum(map(len, found.photos.values())), found.skipped)


def _face_sets(people: Mapping[str, Sequence[Photo]], set_size: int) -> Iterator[records.FaceSet]:
    """Yields the face sets; neighbours in a folder are often alike, so they are dealt to different sets."""
    for label, photos in enumerate(people.values()):
        num_sets = -(-len(photos) // set_size)
        for first in range(num_sets):
            members = photos[first::num_sets]
            names = "|".join(name for name, _ in members)
            yield records.FaceSet([path.read_bytes() for _, path in members], label, names)


def some(names: Sequence[str]) -> str:
    """Returns the first names, for a message."""
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
