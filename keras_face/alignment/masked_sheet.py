"""Photos and their masked twins below them, for a person to look at."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from keras_face.photos.files import read_photo

_CELL, _GAP, _COLUMNS, _ROWS = 160, 4, 8, 4  # pixels, and pairs


def write_sheet(path: Path, pairs: Sequence[tuple[Path, Path]]) -> None:
    """Writes a PNG of at most 32 pairs, spread evenly over all: the original above its masked twin.

    Args:
        path: The PNG to write.
        pairs: Paths of originals and twins, at least one.
    """
    count = min(len(pairs), _COLUMNS * _ROWS)
    chosen = [pairs[index] for index in np.linspace(0, len(pairs) - 1, count).round().astype(int)]
    columns, rows = min(_COLUMNS, count), -(-count // _COLUMNS)
    height, width = 2 * _CELL + 3 * _GAP, _CELL + _GAP
    sheet = np.full((rows * height, columns * width + _GAP, 3), 32, np.uint8)
    for index, pair in enumerate(chosen):
        top, left = index // _COLUMNS * height + _GAP, index % _COLUMNS * width + _GAP
        for row, photo in enumerate(pair):
            start = top + row * (_CELL + _GAP)
            sheet[start : start + _CELL, left : left + _CELL] = _fitted(read_photo(photo))
    path.parent.mkdir(parents=True, exist_ok=True)
    _, data = cv2.imencode(".png", sheet[:, :, ::-1])
    part = path.with_name(f".{path.name}.incomplete")
    part.write_bytes(data.tobytes())
    part.replace(path)


def _fitted(photo: np.ndarray) -> np.ndarray:
    """Returns a photo in the middle of a square cell."""
    height, width = photo.shape[:2]
    scale = _CELL / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    fitted = cv2.resize(photo, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    cell = np.zeros((_CELL, _CELL, 3), np.uint8)
    top, left = (_CELL - size[1]) // 2, (_CELL - size[0]) // 2
    cell[top : top + size[1], left : left + size[0]] = fitted
    return cell
