"""Raw photos and their aligned crops side by side, for a person to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from keras_face.alignment.templates import Template
from keras_face.photos.files import read_photo
from keras_face.photos.sheet import evenly, fitted, grid, write, written

_CELL = 168  # pixels
_COLUMNS, _PAIRS = 4, 40  # pairs in a row, and in all
_BOX, _SHOWN, _FOUND, _WANTED = (64, 120, 255), (80, 240, 255), (80, 255, 80), (255, 80, 80)


def write_sheet(path: Path, root: Path, crops_dir: Path, entries: Sequence[dict[str, Any]], template: Template) -> None:
    """Writes a PNG of 40 crops, spread evenly, each beside its photo with what was found there.

    Args:
        path: The PNG to write.
        root: Folder of the photos.
        crops_dir: Folder of the crops.
        entries: The journal's, with crops; at least one.
        template: What the crops are aligned to; red crosses show where it has the landmarks.
    """
    pairs = [(entry, crop) for entry in entries for crop in entry["crops"]]
    shown = [_pair(root, crops_dir, *pairs[number], template) for number in evenly(len(pairs), _PAIRS)]
    write(path, grid(shown, min(_COLUMNS, len(shown)), gap=0))


def _pair(root: Path, crops_dir: Path, entry: dict[str, Any], crop: dict[str, Any], template: Template) -> np.ndarray:
    """Returns a photo and one of its crops side by side, and below them what the crop is called."""
    photo = _raw(read_photo(root / entry["name"]), entry["crops"], crop)
    pair = grid([photo, _aligned(read_photo(crops_dir / crop["name"]), template)], columns=2)
    score = crop.get("score")
    caption = crop["name"] if score is None else f"{crop['name']} {score:.3f}"
    return np.vstack([pair, written([caption], pair.shape[1])])


def _raw(photo: np.ndarray, crops: Sequence[dict[str, Any]], shown: dict[str, Any]) -> np.ndarray:
    """Returns a photo with the boxes of its faces, and the landmarks of the one that is shown."""
    picture = Image.fromarray(fitted(photo, _CELL))
    if "box" not in shown:  # it was aligned before
        return np.array(picture)
    draw = ImageDraw.Draw(picture)
    size = photo.shape[:2]
    for crop in [*crops, shown]:
        corner, extent = np.array(crop["box"][:2]), np.array(crop["box"][2:])
        corners = _in_cell(np.stack([corner, corner + extent]), size)
        draw.rectangle(corners.ravel().tolist(), outline=_SHOWN if crop is shown else _BOX)
    radius = np.clip(0.03 * shown["box"][2] * _CELL / max(size), 0.6, 1.6)
    for x, y in _in_cell(np.array(shown["landmarks"]) + 0.5, size):
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=_FOUND)
    return np.array(picture)


def _aligned(crop: np.ndarray, template: Template) -> np.ndarray:
    """Returns a crop with a cross wherever the template has a landmark."""
    picture = Image.fromarray(fitted(crop, _CELL))
    draw = ImageDraw.Draw(picture)
    for x, y in _in_cell(template.landmarks + 0.5, template.image_size):
        draw.line([x - 3, y, x + 3, y], fill=_WANTED)
        draw.line([x, y - 3, x, y + 3], fill=_WANTED)
    return np.array(picture)


def _in_cell(points: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """Returns where points [n, 2], (x, y), of a picture of this (height, width) are in its cell."""
    return (points - np.array(size)[::-1] / 2) * _CELL / max(size) + _CELL / 2
