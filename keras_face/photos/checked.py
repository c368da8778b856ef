"""Photos of people, checked: which can be decoded and have the size of the rest, and why the others do not."""

import dataclasses
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from multiprocessing.pool import ThreadPool

from tqdm import tqdm

from keras_face.evaluation.short import Short
from keras_face.photos import headers
from keras_face.photos.files import PhotoError
from keras_face.photos.pixels import pixels_of
from keras_face.photos.scan import scan_damage
from keras_face.photos.template import recorded

Photo = tuple[str, str]  # its name in records and reports, and its file
Verdict = tuple[int, int] | str  # the (height, width) of a photo, or why it is none
_LOOKED_AT = 256  # photos whose size says whether all are aligned


@dataclasses.dataclass(frozen=True, repr=False)
class People(Short):
    """Checked photos of people, in the order of their labels, and what was left out.

    Args:
        photos: Those of each person, by name; all can be decoded and have the size `image_size`.
        image_size: (height, width), pixels.
        skipped: Name and reason of each file, folder or person that was left out.
        unplain: Names of photos that records may not hold as they are, see `pixels.for_records`.
    """

    photos: Mapping[str, Sequence[Photo]]
    image_size: tuple[int, int]
    skipped: Sequence[tuple[str, str]]
    unplain: Set[str] = frozenset()


def photo_size(data: bytes, decode: bool = False) -> Verdict:
    """Returns the (height, width) of a JPEG or PNG photo the way up that it is to be seen, or why it is none.

    The reason is as said in `skipped.csv`.

    Args:
        data: A whole JPEG or PNG file.
        decode: Whether to decode it even if its structure is whole.
    """
    return check_packed(data, decode)[0]


def check_packed(data: bytes, decode: bool = False) -> tuple[Verdict, bool]:
    """Returns the same as `photo_size`, and whether the photo is plain: can go into records as it is."""
    if not headers.is_photo(data):
        return "neither JPEG nor PNG" if data else "an empty file", True
    return _checked(data, decode)


def check_photo(path: str, decode: bool = False) -> tuple[Verdict, bool]:
    """Returns the size of a photo of any kind in a file, or why it is none; and whether it is plain."""
    try:
        data = read_bytes(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}", True
    return _checked(data, decode)


def _checked(data: bytes, decode: bool) -> tuple[Verdict, bool]:
    if not decode and (size := headers.whole_size(data)):
        return size, True
    try:
        height, width, _ = pixels_of(data).shape
    except PhotoError as error:
        return str(error), True
    if decode and (damage := scan_damage(data)):
        return f"damaged: {damage}", True
    return (height, width), headers.is_plain(data)


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
    source: str | os.PathLike = "the photos",
) -> People:
    """Returns what is good of the photos, and what is not, after what was skipped before.

    Args:
        people: Photos of each person, by name, in the order of their labels.
        skipped: Name and reason of what was left out already.
        min_photos: People with fewer good photos are left out.
        image_size: (height, width) that the photos must have; None: what most have.
        progress: Whether to show a progress bar.
        decode: Whether to decode every photo; else only those whose structure leaves a doubt.
        source: Where they are, for an error.

    Raises: ValueError if nobody has enough good photos; as `check_alike`, if no size is given.
    """
    paths = [path for photos in people.values() for _, path in photos]
    shown = tqdm(_checks(paths, decode), "checking", len(paths), unit=" photos", disable=not progress)
    found = iter(list(shown))
    unplain: set[str] = set()
    verdicts: dict[str, list[tuple[Photo, Verdict]]] = {}
    for person, photos in people.items():
        verdicts[person] = of_person = []
        for photo in photos:
            verdict, plain = next(found)
            of_person.append((photo, verdict))
            if not plain:
                unplain.add(photo[0])
    sizes = Counter(size for of_person in verdicts.values() for _, size in of_person if not isinstance(size, str))
    if image_size is None:
        check_alike(sizes, source)
    size = image_size or max(sizes, key=lambda size: (sizes[size], size), default=(0, 0))
    skipped = list(skipped)
    good: dict[str, list[Photo]] = {}
    for person, of_person in verdicts.items():
        good[person] = [photo for photo, verdict in of_person if verdict == size]
        for (name, _), verdict in of_person:
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
    return People(good, size, skipped, frozenset(unplain))


def check_alike(sizes: Mapping[tuple[int, int], int], source: str | os.PathLike) -> None:
    """Raises ValueError, which names the command that aligns, if most photos are not of the most common size.

    Args:
        sizes: How many photos there are of each (height, width).
        source: Where they are.
    """
    total = sum(sizes.values())
    most = max(sizes.values(), default=0)
    if 2 * most < total:
        height, width = max(sizes, key=lambda size: sizes[size])
        photos = os.fspath(source).rstrip(os.sep)
        folders = f"--source {shlex.quote(photos)} --output_dir {shlex.quote(f'{photos}_aligned')}"
        raise ValueError(
            f"{source}: expected aligned photos, which are all of one size, got {len(sizes):,} sizes: {most:,} of "
            f"{total:,} photos are {height}x{width}, {total - most:,} are not; "
            f"first python -m tfrecords_tools.align {folders}"
        )


def check_aligned(source: str | os.PathLike, names: Sequence[str]) -> None:
    """Raises ValueError as `check_alike` if photos are whole ones, by the sizes of some, and nothing else is recorded.

    Args:
        source: Their folder.
        names: Of the photos in it.
    """
    paths = [os.path.join(source, name) for name in names[:: -(-len(names) // _LOOKED_AT) or 1]]
    if set(recorded(os.path.dirname(path) for path in paths)) == {None}:
        verdicts = [check_photo(path)[0] for path in paths]
        check_alike(Counter(size for size in verdicts if not isinstance(size, str)), source)


def _checks(paths: Sequence[str], decode: bool) -> Iterator[tuple[Verdict, bool]]:
    """Yields what `check_photo` says of each file."""
    if not decode:  # threads would wait for each other: most of the work is Python's
        yield from map(check_photo, paths)
        return
    with ThreadPool(os.cpu_count()) as pool:
        yield from pool.imap(lambda path: check_photo(path, decode=True), paths, chunksize=64)


def some(names: Sequence[str]) -> str:
    """Returns the first names, for a message."""
    return ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
