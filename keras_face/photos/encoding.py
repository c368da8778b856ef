"""Photos become files: the one encoder, and the qualities that are not the user's to choose."""

import cv2
import numpy as np

ENCODINGS = ("jpg", "png")

CROPS = 95  # quality of JPEG, as in InsightFace's datasets
AGAIN = 98  # of photos that were JPEG before, so that little is lost a second time
DRAWN = 94  # of drawn people; it stays, as the documented figures were measured with it


def encoded(pixels: np.ndarray, encoding: str) -> bytes:
    """Returns uint8 RGB pixels as a file: "jpg" (quality 95, colours in full) or "png" (lossless).

    Raises: ValueError if the encoding is another.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding must be one of {', '.join(ENCODINGS)}, got {encoding!r}")
    return png(pixels) if encoding == "png" else jpeg(pixels, full_colours=True)


def jpeg(pixels: np.ndarray, quality: int = CROPS, full_colours: bool = False) -> bytes:
    """Returns uint8 RGB pixels [height, width, 3] as a JPEG file.

    Args:
        pixels: The photo.
        quality: 1 to 100.
        full_colours: Whether colours have all pixels; else half as many across and down, which are 56 in a crop.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if full_colours:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encoded(".jpg", pixels, options)


def png(pixels: np.ndarray) -> bytes:
    """Returns uint8 RGB pixels [height, width, 3] as a PNG file."""
    return _encoded(".png", pixels, [])


def _encoded(ending: str, pixels: np.ndarray, options: list[int]) -> bytes:
    return cv2.imencode(ending, np.ascontiguousarray(pixels[:, :, ::-1]), options)[1].tobytes()
