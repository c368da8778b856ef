"""Raw photos and their aligned crops side by side, for a person to look at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_face.alignment.templates import Template
from keras_face.photos.files import read_photo

_CELL, _CAPTION, _GAP = 168, 16, 6  # pixels
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
    pairs = [pairs[index] for index in np.linspace(0, len(pairs) - 1, min(len(pairs), _PAIRS)).round().astype(int)]
    width, height = 2 * _CELL + 3 * _GAP, _CELL + _CAPTION + 2 * _GAP
    sheet = Image.new("RGB", (min(_COLUMNS, len(pairs)) * width, -(-len(pairs) // _COLUMNS) * height), (32, 32, 32))
    font = ImageFont.load_default(11)
    draw = ImageDraw.Draw(sheet)
    for index, (entry, crop) in enumerate(pairs):
        left, top = index % _COLUMNS * width + _GAP, index // _COLUMNS * height + _GAP
        sheet.paste(_raw(read_photo(root / entry["name"]), entry["crops"], crop), (left, top))
        sheet.paste(_aligned(read_photo(crops_dir / crop["name"]), template), (left + _CELL + _GAP, top))
        draw.text((left, top + _CELL + 1), _caption(crop, font), (220, 220, 220), font)
    sheet.save(path, "PNG")


def _raw(photo: np.ndarray, crops: Sequence[dict[str, Any]], shown: dict[str, Any]) -> Image.Image:
    """Returns a photo with the boxes of its faces, and the landmarks of the one that is shown."""
    height, width = photo.shape[:2]
    scale = _CELL / max(height, width)
    picture = _fitted(photo)
    if "box" not in shown:  # it was aligned before
        return picture
    draw = ImageDraw.Draw(picture)
    origin = (np.array(picture.size) - np.round(np.array([width, height]) * scale)) / 2
    for crop in [*crops, shown]:
        corner, size = np.array(crop["box"][:2]), np.array(crop["box"][2:])
        colour = _SHOWN if crop is shown else _BOX
        draw.rectangle([*(origin + corner * scale), *(origin + (corner + size) * scale)], outline=colour)
    radius = np.clip(0.03 * shown["box"][2] * scale, 0.6, 1.6)
    for x, y in origin + (np.array(shown["landmarks"]) + 0.5) * scale:
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=_FOUND)
    return picture


def _aligned(crop: np.ndarray, template: Template) -> Image.Image:
    height, width = template.image_size
    scale = _CELL / max(height, width)
    picture = _fitted(crop)
    draw = ImageDraw.Draw(picture)
    origin = (np.array(picture.size) - np.round(np.array([width, height]) * scale)) / 2
    for x, y in origin + (template.landmarks + 0.5) * scale:
        draw.line([x - 3, y, x + 3, y], fill=_WANTED)
        draw.line([x, y - 3, x, y + 3], fill=_WANTED)
    return picture


def _fitted(photo: np.ndarray) -> Image.Image:
    """Returns a photo in the middle of a square cell."""
    height, width = photo.shape[:2]
    scale = _CELL / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    cell = Image.new("RGB", (_CELL, _CELL))
    cell.paste(
        Image.fromarray(cv2.resize(photo, size, interpolation=way)), ((_CELL - size[0]) // 2, (_CELL - size[1]) // 2)
    )
    return cell


def _caption(crop: dict[str, Any], font: Any) -> str:
    score = crop.get("score")
    end = "" if score is None else f"  {score:.3f}"
    name = crop["name"].encode(errors="replace").decode().replace("\n", " ")
    shown = name
    while len(name) > 1 and font.getlength(f"{shown}{end}") > 2 * _CELL:
        name = name[1:]
        shown = f"…{name}"
    return f"{shown}{end}"
