"""Encoded photos become pixels, all by one rule; and become what records hold, so that the training sees the same."""

import numpy as np

from keras_face.backend import tf
from keras_face.photos import headers, images
from keras_face.photos.encoding import AGAIN, jpeg, png
from keras_face.photos.files import PhotoError, read_photo

_LOSSY = (b"\xff\xd8\xff", b"RIFF")  # JPEG, WebP
_LOSSY_BOXES = (b"ftyp", b"jP  ")  # AVIF and HEIC, JPEG 2000: after a length of four bytes


def pixels_of(data: bytes) -> np.ndarray:
    """Returns the pixels of an encoded photo as `files.read_photo` does, by the training's decoder where it can.

    Returns: uint8 RGB [height, width, 3].
    Raises: PhotoError: As `read_photo`.
    """
    if not headers.is_plain(data):
        return read_photo(data)
    try:
        return images.decode(data).numpy()
    except tf.errors.OpError:
        raise PhotoError("damaged or cut off") from None


def for_records(data: bytes) -> bytes:
    """Returns a JPEG or PNG file of which the training's decoder makes what `pixels_of` makes of a photo.

    It is the photo itself, byte for byte, wherever that is so already: not where its EXIF has it turned, where it is
    transparent in part, or of another kind. Then it is encoded again: as JPEG, if it was lossy, else as PNG.

    Raises: PhotoError: As `read_photo`.
    """
    if headers.is_plain(data):
        return data
    seen = read_photo(data)
    if headers.is_photo(data) and _is_trained_on(data, seen):
        return data
    lossy = data.startswith(_LOSSY) or data[4:8] in _LOSSY_BOXES
    return jpeg(seen, AGAIN, full_colours=True) if lossy else png(seen)


def is_changed(data: bytes) -> bool:
    """Returns whether the training's decoder sees a JPEG or PNG otherwise than `pixels_of`, as in records of old.

    False where it cannot be read at all.
    """
    if headers.is_plain(data):
        return False
    try:
        return not _is_trained_on(data, read_photo(data))
    except PhotoError:
        return False


def _is_trained_on(data: bytes, seen: np.ndarray) -> bool:
    """Returns whether the training's decoder makes these pixels of a photo."""
    try:
        return np.array_equal(seen, images.decode(data).numpy())
    except tf.errors.OpError:
        return False
