"""Crops, lists and other files that are whole wherever they are seen."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

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


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file, and makes its folder; the name never is a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(".incomplete")
    part.write_bytes(data)
    part.replace(path)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str | int]]) -> None:
    """Writes a table, and makes its folder; the name never is a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(".incomplete")
    with open(part, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    part.replace(path)
