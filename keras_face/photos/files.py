"""Photo files of any kind become uint8 RGB, or say in one line why not."""

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 89_478_485  # from which on Pillow warns of a bomb: 256 MiB of RGB
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
}
EXTENSIONS = frozenset(extension for extensions in _EXTENSIONS.values() for extension in extensions)


class PhotoError(ValueError):
    """A file that is no photo; the text is the reason, as said in `skipped.csv`."""


def read_photo(path: str | os.PathLike) -> np.ndarray:
    """Returns the pixels of a photo file the way up that it is to be seen.

    JPEG, PNG, GIF, WebP, TIFF, BMP, PNM (PGM, PPM, PBM) and JPEG 2000. Its EXIF orientation is applied. Grey photos
    become three equal channels, 16 bits a channel become 8 (65535 becomes 255). What is transparent is laid over
    black, which is also what a crop has outside its photo. CMYK becomes RGB without a colour profile, and is
    inverted in JPEG, as Adobe writes it. Of an animation, or a file with several pages, the first is taken: cameras
    write such files (MPO) for one photo.

    Args:
        path: The file; its name does not matter.

    Returns: uint8 RGB [height, width, 3].
    Raises: PhotoError: It is no such file, empty, damaged, cut off, cannot be read, has more than MAX_PIXELS (said by
        its header, before anything is decoded), or has pixels of more than 16 bits.
    """
    with _opened(path) as image:
        image.load()
        if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
            raise PhotoError("pixels of more than 16 bits")
        upright = _upright(image)
        if upright.mode == "I" or upright.mode.startswith("I;16"):  # convert() would clip at 255
            grey = (np.asarray(upright, np.float32) / 257 + 0.5).astype(np.uint8)
            return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, (0, 0, 0, 255)), upright)
        return np.array(upright.convert("RGB"))


def photo_size(path: str | os.PathLike) -> tuple[int, int]:
    """Returns the (height, width) of a photo file from its header, before its orientation is applied.

    Raises: PhotoError as `read_photo` does, but for what only decoding shows.
    """
    with _opened(path) as image:
        return image.height, image.width


@contextlib.contextmanager
def _opened(path: str | os.PathLike) -> Iterator[Image.Image]:
    """Yields an image of which only the header was read; whatever is wrong, then or within, is a PhotoError."""
    try:
        with _opened_file(path) as file, Image.open(file, formats=tuple(_EXTENSIONS)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PhotoError(f"more than {MAX_PIXELS:,} pixels")
            yield image
    except PhotoError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PhotoError(f"more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise PhotoError("neither JPEG, PNG, GIF, WebP, TIFF, BMP, PNM nor JPEG 2000, or cut off at once") from None
    except Exception as error:  # what damaged bytes raise in Pillow's decoders is not only OSError
        raise PhotoError("damaged or cut off") from error


def _opened_file(path: str | os.PathLike) -> BinaryIO:
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
