"""Photo files of any kind become uint8 RGB, or say in one line why not."""

import contextlib
import functools
import importlib.util
import io
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError, features

from keras_face.photos.headers import is_photo, is_short
from keras_face.photos.limit import max_pixels, too_many

# Not all that Pillow knows: some of the rest are programs (EPS) or documents.
_EXTENSIONS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "PPM": (".pgm", ".ppm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
}
_KINDS = "neither JPEG, PNG, GIF, WebP, TIFF, BMP, PNM, JPEG 2000, AVIF nor HEIC"
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
EXTENSIONS = frozenset(extension for extensions in _EXTENSIONS.values() for extension in extensions)


# How files of these kinds begin, by which one of another name is known.
_BEGINNINGS = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"II*\0", b"MM\0*", b"BM",
    b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51",
)  # fmt: skip


class PhotoError(ValueError):
    """A file that is no photo; the text is the reason, as said in `skipped.csv`."""


def read_photo(photo: str | os.PathLike | bytes) -> np.ndarray:
    """Returns the pixels of a photo the way up that it is to be seen: what every part of this package sees.

    JPEG, PNG, GIF, WebP, TIFF, BMP, PNM (PGM, PPM, PBM), JPEG 2000, AVIF, and HEIC where pillow-heif is installed. Its
    EXIF orientation is applied. Grey photos become three equal channels; of 16 bits a channel the upper 8 are taken.
    What is transparent is laid over black, which is also what a crop has outside its photo; but a photo that is
    transparent throughout has its colours: some programs leave the channel empty. CMYK becomes RGB without a colour
    profile, and is inverted in JPEG, as Adobe writes it. Of an animation, or a file with several pages, the first is
    taken: cameras write such files (MPO) for one photo.

    Args:
        photo: The file, whose name does not matter, or its content.

    Returns: uint8 RGB [height, width, 3].
    Raises: PhotoError: It is no such file, empty, damaged, cut off, cannot be read, has more than `limit.max_pixels`
        (said by its header, before anything is decoded), or has pixels of more than 16 bits.
    """
    with _opened(photo) as image:
        image.load()
        if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
            raise PhotoError("pixels of more than 16 bits")
        upright = _upright(image)
        if upright.mode == "I" or upright.mode.startswith("I;16"):  # convert() would clip at 255
            grey = (np.asarray(upright).astype(np.int32) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            if upright.getchannel("A").getextrema() != (0, 0):
                upright = Image.alpha_composite(Image.new("RGBA", upright.size, (0, 0, 0, 255)), upright)
        return np.array(upright.convert("RGB"))


def photo_size(path: str | os.PathLike) -> tuple[int, int]:
    """Returns the (height, width) of a photo file from its header, before its orientation is applied.

    Raises: PhotoError as `read_photo` does, but for what only decoding shows.
    """
    with _opened(path) as image:
        return image.height, image.width


def unlike_a_photo(path: str) -> str | None:
    """Returns why a file is no photo, if neither its name nor its beginning is one's; None: it is to be read."""
    if os.path.splitext(path)[1].lower() in EXTENSIONS:
        return None
    try:
        with _opened_file(path) as file:
            start = file.read(12)
    except PhotoError as error:
        return str(error)
    return None if start.startswith(_BEGINNINGS) or start[4:8] == b"ftyp" else _KINDS


@contextlib.contextmanager
def _opened(photo: str | os.PathLike | bytes) -> Iterator[Image.Image]:
    """Yields an image of which only the header was read; whatever is wrong, then or within, is a PhotoError."""
    start = b""
    try:
        with _opened_file(photo) as file:
            start = file.read(12)
            check_kind(start)
            file.seek(0)
            with Image.open(file, formats=_formats()) as image:
                if image.width * image.height > max_pixels():
                    raise PhotoError(too_many())
                if image.format in ("JPEG", "MPO"):
                    file.seek(0)
                    if is_short(file.read()):
                        raise PhotoError("damaged or cut off")
                yield image
    except PhotoError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PhotoError(too_many()) from None
    except UnidentifiedImageError:
        raise PhotoError("damaged or cut off" if is_photo(start) else f"{_KINDS}, or cut off at once") from None
    except Exception as error:  # what damaged bytes raise in Pillow's decoders is not only OSError
        raise PhotoError("damaged or cut off") from error


@functools.cache
def _formats() -> tuple[str, ...]:
    """Returns the names of the formats that Pillow can read here."""
    if importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    return tuple(kind for kind in _EXTENSIONS if kind in Image.OPEN)


def check_kind(start: bytes) -> None:
    """Raises PhotoError at the first 12 bytes of a file of a kind that needs what is not installed; says what."""
    if start[4:8] != b"ftyp":
        return
    if start[8:12] in _HEIC_BRANDS and "HEIF" not in _formats():
        raise PhotoError("HEIC, which needs pillow-heif: pip install pillow-heif")
    if start[8:12] in (b"avif", b"avis") and not features.check("avif"):
        raise PhotoError("AVIF, which needs a newer Pillow: pip install 'pillow>=11.3'")


def _opened_file(photo: str | os.PathLike | bytes) -> BinaryIO:
    if isinstance(photo, bytes):
        if not photo:
            raise PhotoError("an empty file")
        return io.BytesIO(photo)
    path = photo
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
            raise PhotoError("not a file")
        if status.st_size == 0:
            raise PhotoError("an empty file")
        return open(path, "rb")
    except OSError as error:
        raise PhotoError(f"cannot be read: {error.strerror}") from error


def _upright(image: Image.Image) -> Image.Image:
    """Returns the image turned as its EXIF says; as it is, if that is damaged."""
    try:
        if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
            return image
        return ImageOps.exif_transpose(image)
    except Exception:  # what damaged EXIF raises in Pillow is not only SyntaxError; the pixels are good
        return image
