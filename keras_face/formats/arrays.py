"""NumPy arrays of photos become records, encoded as PNG, which keeps every pixel, or as JPEG."""

import dataclasses
import functools
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from keras_face.formats import packed
from keras_face.photos import encoding
from keras_face.photos.summary import Summary
from keras_face.records import writing

COLOUR_ORDERS = ("rgb", "bgr")


@dataclasses.dataclass(frozen=True)
class LoadRow:
    """Encodes photos of an array.

    Args:
        path: The .npy or .npz file.
        key: Name of the array in an .npz file; None: it is an .npy file.
        version: Time of the file; another version is read anew.
        colour_order: Of the array, "rgb" or "bgr".
        quality: Of a JPEG, 1 to 100; 0: PNG.

    Call arguments:
        row: Row of the array.

    Returns: A JPEG or PNG file.
    """

    path: str
    key: str | None
    version: int
    colour_order: str
    quality: int

    def __call__(self, row: int) -> bytes:
        pixels = _array(self.path, self.key, self.version)[row]
        grey = pixels.ndim == 2 or pixels.shape[2] == 1
        rgb = np.broadcast_to(pixels.reshape(*pixels.shape[:2], -1), (*pixels.shape[:2], 3)) if grey else pixels
        rgb = rgb[..., ::-1] if self.colour_order == "bgr" else rgb
        return encoding.jpeg(rgb, self.quality) if self.quality else encoding.png(rgb)


def write_arrays(
    images: str | os.PathLike,
    labels: str | os.PathLike | None,
    output: writing.Output | str | os.PathLike,
    *,
    colour_order: str,
    images_key: str = "images",
    labels_key: str = "labels",
    quality: int = 0,
    template: str | None = None,
    min_photos: int = 1,
    set_size: int = 1,
    progress: bool = True,
) -> Summary:
    """Writes an array of photos as records, and returns the summary; labels become 0, 1, ... in their order.

    Args:
        images: A .npy file of uint8 [n, height, width, 3], or grey [n, height, width] or [n, height, width, 1], which
            becomes three equal channels; or an .npz file that has it.
        labels: A .npy or .npz file of [n] whole numbers or text, the people; None: in the .npz file of the images.
        output: Where to.
        colour_order: Of the photos, "rgb" or "bgr".
        images_key: Name of the array of photos in an .npz file.
        labels_key: Name of the array of labels in an .npz file.
        quality: Of the JPEG files, 1 to 100; 0: PNG, which keeps every pixel.
        template: What the photos are aligned to; None: nobody knows.
        min_photos: People with fewer photos are left out, >= 1.
        set_size: Photos of one person in a record, at most.
        progress: Whether to show a progress bar.

    Raises: ValueError: A file is no such array, colour order or quality is none, or nobody has enough photos; see
        `writing.write_records`.
    """
    if colour_order not in COLOUR_ORDERS:
        raise ValueError(f"colour_order must be rgb or bgr, got {colour_order!r}")
    if not 0 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100 for JPEG, or 0 for PNG, got {quality}")
    writing.check_new(output)
    images = Path(images)
    if labels is None and images.suffix != ".npz":
        raise ValueError(f"expected labels in a file of their own, as {images} is no .npz file")
    key, version = images_key if images.suffix == ".npz" else None, images.stat().st_mtime_ns
    pixels = _array(os.fspath(images), key, version)
    channels = {3: 1, 4: pixels.shape[-1]}.get(pixels.ndim) if pixels.ndim else None
    if pixels.dtype != np.uint8 or channels not in (1, 3) or 0 in pixels.shape:
        raise ValueError(
            f"{images}: expected uint8 [photos, height, width, 3], or grey [photos, height, width] or "
            f"[photos, height, width, 1], got {pixels.dtype} {list(pixels.shape)}"
            f"{'; scale to 0 ... 255 and convert' if pixels.dtype.kind == 'f' else ''}"
        )
    labels = images if labels is None else Path(labels)
    people = _array(os.fspath(labels), labels_key if labels.suffix == ".npz" else None, labels.stat().st_mtime_ns)
    if people.dtype.kind not in "iuUS" or people.shape != pixels.shape[:1]:
        raise ValueError(
            f"{labels}: expected [{len(pixels)}] whole numbers or text, got {people.dtype} {list(people.shape)}"
        )
    if people.dtype.kind == "i" and people.size and people.min() < 0:
        raise ValueError(
            f"{labels}: expected people, whole numbers from 0 on or text, got {people.min()} at photo "
            f"{people.argmin()}: negative stands for an unknown person; leave these photos out"
        )
    names, numbers = np.unique(people, return_inverse=True)
    identities = [name.decode(errors="replace") if isinstance(name, bytes) else str(name) for name in names.tolist()]
    count, height, width = pixels.shape[:3]
    table = packed.Packed(
        numbers=np.arange(count),
        labels=numbers.reshape(-1),
        sizes=np.tile([height, width], (count, 1)),
        name=lambda row: f"{identities[numbers[row]]}/{row}",
        identity=identities.__getitem__,
        reasons={},
    )
    encoding = f"JPEG quality {quality}" if quality else "PNG"
    try:
        return packed.write_packed(
            table,
            LoadRow(os.fspath(images), key, version, colour_order, quality),
            output,
            source=f"array {images}, {colour_order}, labels {labels}, as {encoding}, in a set: {set_size}",
            template=template,
            min_photos=min_photos,
            set_size=set_size,
            progress=progress,
        )
    finally:
        _array.cache_clear()  # it may hold all pixels in memory


@functools.lru_cache(maxsize=2)
def _array(path: str, key: str | None, version: int) -> np.ndarray:
    """Returns an array of a file, mapped into memory if it is an .npy file; one for all photos of this process."""
    try:
        if key is None:
            return np.lib.format.open_memmap(path, mode="r")
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if key not in arrays:
                raise ValueError(f"no array {key!r} in it, but {', '.join(arrays.files) or 'none'}")
            return arrays[key]
    except (ValueError, EOFError, TypeError, AttributeError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: expected NumPy's file of an array: {error}") from None
