"""Mask pictures: the drawing or photo of a mask, and where on a face its points belong."""

import csv
import dataclasses
import functools
import os
from pathlib import Path

import cv2
import numpy as np

from keras_face.masks.warp import warp
from keras_face.photos.limit import max_pixels, too_many
from keras_face.photos.luminance import LUMINANCE

MAX_SIDE = 4096  # pixels; nothing that is worn in a photo needs more
_DARKEST = 8.0  # grey levels
# Where the six points of MaskTheFace lie between landmarks: the bridge of the nose, the chin, and the points of the jaw
# beside the tip of the nose and the lower lip.
_NAMED = {
    "a": {1: 0.4, 2: 0.6},
    "b": {28: 1.0},
    "c": {15: 0.4, 14: 0.6},
    "d": {4: 1.0},
    "e": {8: 1.0},
    "f": {12: 1.0},
}
# Where these points lie in a picture without anchors, as shares of the box around what is opaque.
_USUAL = {
    "a": (0.02, 0.15),
    "b": (0.5, 0.01),
    "c": (0.98, 0.15),
    "d": (0.05, 0.62),
    "e": (0.5, 0.97),
    "f": (0.95, 0.62),
}


@dataclasses.dataclass(frozen=True, eq=False)
class MaskPicture:
    """A mask that can be put on.

    Args:
        name: Which it is.
        rgba: uint8 [height, width, 4]; not premultiplied.
        cloth: float32 [height, width], how much of the recolouring each pixel takes, [0, 1]; straps take none.
        anchors: float64 [n, 2], x and y in pixels of the picture (0 is the middle of the first pixel).
        weights: float64 [n, 68], whose rows sum to 1: anchor i belongs at weights[i] @ landmarks.
    """

    name: str
    rgba: np.ndarray
    cloth: np.ndarray
    anchors: np.ndarray
    weights: np.ndarray

    @functools.cached_property
    def light(self) -> np.ndarray:
        """float32 [height, width, 1]: luminance over its mean on the cloth; less if that is dark: no more noise."""
        luminance = self.rgba[..., :3] @ np.array(LUMINANCE, np.float32)
        weights = self.rgba[..., 3] * self.cloth
        mean = float((luminance * weights).sum() / max(float(weights.sum()), 1e-6))
        return (luminance / max(mean, _DARKEST))[..., np.newaxis]

    def put_on(self, planes: np.ndarray, landmarks: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
        """Returns planes of the picture as they lie on a face, float32 [height, width, channels].

        Args:
            planes: float32, of the picture's height and width; what is premultiplied stays so.
            landmarks: float64 [68, 2], pixels of the result.
            image_size: (height, width) of the result.
        """
        return warp(planes, *self.points(landmarks), image_size, outer=4)

    def points(self, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns points of the picture and of a photo, float64 [n + 4, 2] each, where they belong together.

        The last four are the picture's corners, carried on by the affine map that fits the anchors best, so that the
        points enclose all of the picture.

        Args:
            landmarks: float64 [68, 2].
        """
        goals = self.weights @ landmarks
        height, width = self.rgba.shape[:2]
        corners = np.array([[-1, -1], [width, -1], [-1, height], [width, height]], np.float64)
        fit = np.linalg.lstsq(np.column_stack([self.anchors, np.ones(len(goals))]), goals, rcond=None)[0]
        carried = np.column_stack([corners, np.ones(4)]) @ fit
        return np.concatenate([self.anchors, corners]), np.concatenate([goals, carried])


def read_mask_picture(path: str | os.PathLike, anchors_file: str | os.PathLike | None = None) -> MaskPicture:
    """Returns the mask picture of a PNG file with an alpha channel.

    Its anchors are in a CSV file with the header `landmark,x,y`: pixels of the picture, and what of the face belongs
    there: a landmark 0-67 (iBUG), the middle of several (`50+52`), or one of MaskTheFace's points a-f. Without that
    file the points a-f are taken at the usual places of the box around what is opaque, which suits a mask seen from the
    front and cut out closely.

    Args:
        path: The PNG file.
        anchors_file: None: the file beside it of the same name ending in .csv, if there is one.

    Raises: ValueError if a file is not as said; OSError if it cannot be read.
    """
    path = Path(path)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if _is_png(data) else None
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4 or picture.dtype != np.uint8:
        raise ValueError(
            f"{path}: expected a PNG file of 8-bit RGBA colours, at most {MAX_SIDE} pixels a side and no {too_many()}"
        )
    picture = cv2.cvtColor(picture, cv2.COLOR_BGRA2RGBA)
    if not (picture[..., 3] > 127).any():
        raise ValueError(f"{path}: expected a mask on a transparent ground, got nothing opaque")
    if anchors_file is None and path.with_suffix(".csv").is_file():
        anchors_file = path.with_suffix(".csv")
    anchors, weights = _usual(picture[..., 3]) if anchors_file is None else _read_anchors(Path(anchors_file))
    return MaskPicture(path.stem, picture, np.ones(picture.shape[:2], np.float32), anchors, weights)


def _is_png(data: np.ndarray) -> bool:
    """Returns whether bytes are a PNG file of a size that is decoded: the header alone is looked at."""
    header = data[:24].tobytes()
    sides = int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
    is_small = 0 < min(sides) <= max(sides) <= MAX_SIDE and sides[0] * sides[1] <= max_pixels()
    return header[:8] == b"\x89PNG\r\n\x1a\n" and is_small


def _usual(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = (np.flatnonzero((alpha > 127).any(axis=axis)) for axis in (1, 0))
    low = np.array([columns[0], rows[0]])
    size = np.array([columns[-1], rows[-1]]) - low
    return low + np.array(list(_USUAL.values())) * size, np.stack([_row(_NAMED[name]) for name in _USUAL])


def _read_anchors(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    if not rows or [cell.strip() for cell in rows[0]] != ["landmark", "x", "y"]:
        raise ValueError(f"{path}: expected the header landmark,x,y, got {','.join(rows[0]) if rows else 'nothing'!r}")
    anchors, weights = [], []
    for row in rows[1:]:
        try:
            landmark, x, y = row
            place = float(x), float(y)
            weights.append(_weights(landmark.strip()))
        except (ValueError, KeyError):
            place = (np.nan, np.nan)
        if not np.isfinite(place).all():
            raise ValueError(
                f"{path}: expected a landmark (0 to 67, several joined by +, or a to f) and two numbers, "
                f"got {','.join(row)!r}"
            )
        anchors.append(place)
    if len(anchors) < 3 or len(set(anchors)) < len(anchors):
        raise ValueError(f"{path}: expected at least three anchors, no two at the same place, got {len(anchors)}")
    return np.array(anchors, np.float64), np.array(weights)


def _row(shares: dict[int, float]) -> np.ndarray:
    row = np.zeros(68)
    for landmark, share in shares.items():
        row[landmark] = share
    return row


def _weights(landmark: str) -> np.ndarray:
    """Returns the row of `MaskPicture.weights` for what an anchors file says; ValueError or KeyError if it is wrong."""
    if landmark in _NAMED:
        return _row(_NAMED[landmark])
    numbers = [int(number) for number in landmark.split("+")]
    if min(numbers) < 0 or max(numbers) > 67:
        raise ValueError(f"landmark must be in [0, 67], got {landmark}")
    row = np.zeros(68)
    np.add.at(row, numbers, 1 / len(numbers))
    return row
