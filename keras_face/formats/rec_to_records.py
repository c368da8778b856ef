"""InsightFace's and MXNet's .rec files become records; JPEG and PNG photos stay as they are, byte for byte."""

import dataclasses
import functools
import io
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from keras_face.formats import image_records, packed, rec_layout, rec_lists
from keras_face.formats.rec_layout import Problems, RecPhotos
from keras_face.formats.recordio import RecordFile
from keras_face.photos import checked, encoding, headers
from keras_face.photos.checked import Verdict, check_packed
from keras_face.photos.summary import Summary
from keras_face.records import writing

COLOUR_ORDERS = ("rgb", "bgr")
_NUMPY = b"\x93NUMPY"


@dataclasses.dataclass(frozen=True)
class LoadImage:
    """Reads the photos of a .rec file; pixels that are not encoded become PNG, which keeps them as they are.

    Args:
        path: The .rec file.
        version: Size and time of the file; another version is read anew.
        colour_order: Of photos that are not encoded, "rgb" or "bgr"; None: these are none.
        image_size: (height, width) of photos that are bare pixels; None: these are none.

    Call arguments:
        offset: Where the record begins.

    Returns: A JPEG or PNG file; from `pixels` uint8 RGB [height, width, 3].
    """

    path: str
    version: tuple[int, int]
    colour_order: str | None
    image_size: tuple[int, int] | None

    def __call__(self, offset: int) -> bytes:
        image = self.image(offset)
        if headers.is_photo(image):
            return image
        pixels = self.pixels(image)
        if isinstance(pixels, str):
            raise ValueError(f"{self.path}, offset {offset}: {pixels}")
        return encoding.png(pixels)

    def image(self, offset: int) -> bytes:
        """Returns the image of a record as it is in the file."""
        return image_records.image_of(_open(self.path, self.version).read(offset))

    def check(self, image: bytes) -> tuple[Verdict, bool]:
        """Returns the (height, width) of an image, or why it is none; and whether records may hold it as it is."""
        if headers.is_photo(image):
            return check_packed(image)
        pixels = self.pixels(image)
        return pixels if isinstance(pixels, str) else pixels.shape[:2], True

    def pixels(self, image: bytes) -> np.ndarray | str:
        """Returns the pixels of an image that is not encoded, or why it is none."""
        if image.startswith(_NUMPY):
            try:
                array = np.load(io.BytesIO(image), allow_pickle=False)
            except (ValueError, EOFError):
                return "a damaged NumPy array"
            if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
                return f"a NumPy array of {array.dtype} {list(array.shape)}, expected uint8 [height, width, 3]"
        elif self.image_size and len(image) == 3 * self.image_size[0] * self.image_size[1]:
            array = np.frombuffer(image, np.uint8).reshape(*self.image_size, 3)
        else:
            return "neither JPEG nor PNG, nor an array or pixels of the size in `property`"
        if self.colour_order is None:
            raise ValueError(f"{self.path}: photos that are not encoded; say --colour_order rgb or bgr")
        return array if self.colour_order == "rgb" else array[..., ::-1]


def write_from_rec(
    source: str | os.PathLike,
    output: writing.Output | str | os.PathLike,
    *,
    labels_from: str = "agreed",
    colour_order: str | None = None,
    template: str | None = None,
    min_photos: int = 1,
    set_size: int = 1,
    skip_damaged: bool = False,
    progress: bool = True,
) -> Summary:
    """Writes the photos of a .rec file as records, and returns the summary; labels become 0, 1, ... in their order.

    Beside the .rec are read: the .idx of its name, without which the whole .rec is gone through all the same; the .lst
    of its name, for the names of photos and people; `property`, if it is train.rec. What was left out, and why, is in
    `skipped.csv` beside the records.

    Args:
        source: The .rec file, or a folder with a train.rec.
        output: Where to.
        labels_from: Whose labels: "headers", "identities" or "agreed"; see `rec_layout.read_photos`.
        colour_order: "rgb" or "bgr", of photos that are arrays or bare pixels; None: these are refused.
        template: What the photos are aligned to; None: "arcface" if most are 112x112, as in all of InsightFace's
            sets, else nobody knows.
        min_photos: People with fewer good photos are left out, >= 1.
        set_size: Photos of one person in a record, at most.
        skip_damaged: Leave out what cannot be read, instead of raising.
        progress: Whether to show progress bars.

    Raises: ValueError, with the offset: a record or the index is damaged, something is missing, headers and identities
        disagree; nobody has enough good photos; see `writing.write_records`.
    """
    if colour_order not in (None, *COLOUR_ORDERS):
        raise ValueError(f"colour_order must be rgb or bgr, got {colour_order!r}")
    path = _rec_file(Path(source))
    writing.check_new(output)
    problems: Problems = []
    found = rec_layout.read_photos(RecordFile(path), labels_from, problems, skip_damaged)
    size = _expected_size(path, found, problems)
    load = LoadImage(os.fspath(path), _version(path), colour_order, size)
    sizes, reasons, unplain = _check(load, found, progress)
    damaged = [(_place(path, found, row), reason) for row, reason in reasons.items()]
    rec_layout.refuse([*problems, *damaged], skip_damaged)
    notes: Problems = []
    lists = path.with_suffix(".lst")
    names = rec_lists.read_names(lists, found, notes) if lists.exists() else None
    people = rec_lists.identity_names(names, found.labels)
    keys, labels_of = found.keys.tolist(), found.labels.tolist()
    chosen = packed.Packed(
        numbers=found.offsets,
        labels=found.labels,
        sizes=sizes,
        name=names.__getitem__ if names else lambda row: f"{people[labels_of[row]]}/{keys[row]}",
        identity=people.__getitem__,
        reasons=reasons,
        unplain=unplain,
    )
    try:
        return packed.write_packed(
            chosen,
            load,
            output,
            source=f"{path}, labels: {labels_from}, photos of each: {min_photos} or more, in a set: {set_size}",
            skipped=problems + notes,
            image_size=size,
            template=template or _template(size, sizes),
            min_photos=min_photos,
            set_size=set_size,
            progress=progress,
        )
    finally:
        _open.cache_clear()


def _rec_file(source: Path) -> Path:
    """Returns the .rec file that a source means."""
    if not source.is_dir():
        if source.suffix != ".rec":
            raise ValueError(f"expected a .rec file, or a folder with a train.rec, got {source}")
        return source
    if not (source / "train.rec").exists():
        others = checked.some([str(path) for path in sorted(source.glob("*.rec"))])
        raise ValueError(f"{source} has no train.rec; {f'give one of {others}' if others else 'nor another .rec file'}")
    return source / "train.rec"


def _expected_size(path: Path, found: RecPhotos, problems: Problems) -> tuple[int, int] | None:
    """Returns the (height, width) that `property` says, if it is there and of this file, and checks its people."""
    if path.name != "train.rec" or not (path.parent / "property").exists():
        return None
    told = rec_lists.read_property(path.parent / "property")
    people = np.unique(found.labels)
    if people.size and told.num_identities not in (people.size, people[-1] + 1):
        problems.append(("property", f"{told.num_identities} people, but {path.name} has {people.size}"))
    return told.image_size


def _template(told: tuple[int, int] | None, sizes: np.ndarray) -> str | None:
    """Returns what the photos are aligned to, as far as their size says it."""
    return "arcface" if (told or packed.most_common(sizes)) == (112, 112) else None


def _check(load: LoadImage, found: RecPhotos, progress: bool) -> tuple[np.ndarray, dict[int, str], frozenset[int]]:
    """Returns int64 [n, 2], height and width of the photos, 0 where there is none, and why there is none.

    And the offsets of those that records may not hold as they are.
    """
    sizes, reasons, unplain = np.zeros((found.offsets.size, 2), np.int64), {}, []
    rows = tqdm(found.offsets.tolist(), "checking", unit=" photos", disable=not progress)
    for row, offset in enumerate(rows):
        size, plain = load.check(load.image(offset))
        if not plain:
            unplain.append(offset)
        if isinstance(size, str):
            reasons[row] = size
        else:
            sizes[row] = size
    return sizes, reasons, frozenset(unplain)


def _place(path: Path, found: RecPhotos, row: int) -> str:
    return f"{path.name}, record {found.keys[row]}, offset {found.offsets[row]}"


def _version(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


@functools.lru_cache(maxsize=2)
def _open(path: str, version: tuple[int, int]) -> RecordFile:
    """Returns the opened file, one for all photos that are read in this process."""
    return RecordFile(path)
