"""Crops, lists and other files that are whole wherever they are seen."""

import cv2
import numpy as np

ENCODINGS = ("jpg", "png")


def encoded(pixels: np.ndarray, encoding: str) -> bytes:
    """Returns uint8 RGB pixels as a file: "jpg" (quality 95, colours in full) or "png" (lossless).

    Raises: ValueError if the encoding is another.
    """
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding must be one of {', '.join(ENCODINGS)}, got {encoding!r}")
    options = []
    if encoding == "jpg":
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444  # colours at half size would be 56 pixels wide
        options = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    return cv2.imencode(f".{encoding}", pixels[:, :, ::-1], options)[1].tobytes()
