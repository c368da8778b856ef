"""The masks that the package draws itself: in the frame of the mean face, so that its landmarks are their anchors."""

import functools
from collections.abc import Callable

import cv2
import numpy as np

from keras_face.config.nearest import unknown
from keras_face.masks.mean_face import mean_face
from keras_face.masks.pictures import MaskPicture

_UNIT = 160  # pixels of a picture per eye distance
_LEFT, _TOP, _RIGHT, _BOTTOM = -1.5, -0.2, 1.5, 2.3  # of a picture, in eye distances from the middle of the eyes
_DETAIL = 2  # samples along each side of a pixel
_STRAP = 0.024  # thickness of an ear loop, eye distances
_EAR = 1.24  # how far to the side the last of a strap is seen, eye distances
# Jaw, bridge and foot of the nose, corners and middle of the mouth, and the eyes, which hold the upper edge down.
_ANCHORS = (*range(17), 27, 28, 29, 30, 31, 35, 36, 39, 40, 41, 42, 45, 46, 47, 48, 51, 54, 57)

Field = np.ndarray  # float [height, width], a value at each pixel
Points = list[tuple[float, float]]  # x and y in eye distances from the middle of the eyes


def names() -> tuple[str, ...]:
    """Returns the names that `draw` knows."""
    return tuple(_MASKS)


@functools.cache
def draw(name: str) -> MaskPicture:
    """Returns a mask picture that the package draws: white cloth and straps, for `colours.dress` to dye.

    Raises: ValueError if there is none of that name.
    """
    if name not in _MASKS:
        raise ValueError(unknown("mask picture", name, _MASKS))
    height, width = round((_BOTTOM - _TOP) * _UNIT), round((_RIGHT - _LEFT) * _UNIT)
    fine_x = (np.arange(width * _DETAIL) + 0.5) / (_UNIT * _DETAIL) + _LEFT
    fine_y = (np.arange(height * _DETAIL) + 0.5) / (_UNIT * _DETAIL) + _TOP
    outline, shade, straps, thickness = _MASKS[name]
    filled = _filled(outline)
    loops = _lines([line for half in straps for line in (half, [(-x, y) for x, y in half])], thickness)
    light = np.where(filled > 0, shade(fine_x[np.newaxis], fine_y[:, np.newaxis], _rim(filled)), 0.9)
    loops = loops * np.clip((_EAR - np.abs(fine_x)) / 0.14, 0, 1)  # hair and ears hide where a strap ends
    fine = np.stack([light, np.maximum(filled, loops), filled], axis=-1).astype(np.float32)
    channels = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    grey, alpha, cloth = (np.clip(channels[..., index], 0, 1) for index in range(3))
    picture = np.rint(np.stack([grey, grey, grey, alpha], axis=-1) * 255).astype(np.uint8)
    anchors = (mean_face()[list(_ANCHORS), :2] - (_LEFT, _TOP)) * _UNIT - 0.5
    return MaskPicture(name, picture, cloth, anchors, np.eye(68)[list(_ANCHORS)])


def _filled(half: Points) -> Field:
    """Returns how much of each pixel is within a symmetric outline, given by its right half from top to bottom."""
    right = _smooth(half)
    points = np.concatenate([right, right[::-1] * (-1, 1)])
    canvas = _canvas()
    cv2.fillPoly(canvas, [_fixed(points)], 255, cv2.LINE_AA, 4)
    return canvas / 255.0


def _lines(lines: list[Points], thickness: float) -> Field:
    canvas = _canvas()
    for line in lines:
        curve = _fixed(_smooth(line))
        cv2.polylines(canvas, [curve], False, 255, round(thickness * _UNIT * _DETAIL), cv2.LINE_AA, 4)
    return canvas / 255.0


def _canvas() -> np.ndarray:
    size = round((_BOTTOM - _TOP) * _UNIT) * _DETAIL, round((_RIGHT - _LEFT) * _UNIT) * _DETAIL
    return np.zeros(size, np.uint8)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Returns points in the fixed-point pixels (16 to the pixel) that OpenCV draws."""
    return np.rint((((points - (_LEFT, _TOP)) * _UNIT * _DETAIL) - 0.5) * 16).astype(np.int32)


def _smooth(points: Points) -> np.ndarray:
    """Returns a Catmull-Rom curve through points, float [samples, 2]."""
    knots = np.array([points[0], *points, points[-1]])
    t = np.linspace(0, 1, 12, endpoint=False)[:, np.newaxis]
    pieces = []
    for before, start, end, after in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        curve = 2 * start + (end - before) * t + (2 * before - 5 * start + 4 * end - after) * t**2
        pieces.append((curve + (3 * start - 3 * end + after - before) * t**3) / 2)
    return np.concatenate([*pieces, knots[-1:]])


def _rim(cloth: Field) -> Field:
    """Returns how far each pixel of the cloth is from its edge, in eye distances."""
    distance = cv2.distanceTransform((cloth > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    return distance / (_UNIT * _DETAIL)


def _bump(distance: Field, width: float) -> Field:
    return np.exp(-((distance / width) ** 2))


def _stitches(x: Field, y: Field, rim: Field, depth: float) -> Field:
    """Returns the darkness of a dashed seam at a distance from the edge."""
    dashes = 0.5 + 0.5 * np.sign(np.sin(np.hypot(x * 1.3, y - 0.9) * 90 + np.arctan2(y - 0.9, x) * 60))
    return _bump(rim - depth, 0.008) * dashes


def _round_light(x: Field, y: Field) -> Field:
    """Returns the light of a mask that bulges over nose and chin, lit from above."""
    under = np.clip((y - 1.45) / 0.6, 0, 1)
    return 0.93 - 0.17 * (x / 1.05) ** 2 - 0.26 * under**1.5 + 0.05 * _bump(x, 0.22) * np.clip(1.3 - y, 0, 1)


def _surgical(x: Field, y: Field, rim: Field) -> Field:
    light = _round_light(x, y)
    for level, curve in ((0.78, 0.10), (1.10, 0.02), (1.42, -0.08)):  # pleats, which fold downwards
        below = y - level - curve * x**2
        ends = np.clip((1.0 - np.abs(x)) * 8, 0, 1)
        light = light - ends * (0.22 * _bump(below, 0.014) + 0.14 * np.where(below > 0, np.exp(-below / 0.07), 0))
        light = light + ends * 0.05 * np.where(below < 0, np.exp(below / 0.06), 0)
    border = np.clip((rim - 0.075) / 0.012, 0, 1)  # the binding around the edge is thicker and lighter
    light = light * border + (light * 0.4 + 0.55) * (1 - border) - 0.10 * _bump(rim - 0.08, 0.012)
    return light - 0.12 * _stitches(x, y, rim, 0.04)


def _cloth(x: Field, y: Field, rim: Field) -> Field:
    light = _round_light(x, y) - 0.20 * _bump(x, 0.012) + 0.05 * _bump(np.abs(x) - 0.04, 0.03)
    weave = np.sin(x * 260) * np.sin(y * 260)
    folds = np.sin(9 * y + 5 * np.abs(x)) * np.clip(np.abs(x) - 0.35, 0, 1)
    light = light + 0.02 * weave + 0.06 * folds
    return light - 0.14 * _bump(rim - 0.06, 0.010) - 0.10 * _stitches(x, y, rim, 0.03)


def _folding(x: Field, y: Field, rim: Field) -> Field:
    """Returns the light of a mask that folds along its middle, such as KN95 and FFP2."""
    side = np.abs(x)
    light = _round_light(x, y) - 0.10 * side - 0.10 * _bump(side, 0.008) + 0.09 * _bump(side - 0.035, 0.035)
    for height, slope in ((0.72, 0.05), (1.38, -0.14)):  # welded lines
        along = y - height - slope * side
        dots = 0.5 + 0.5 * np.sin(side * 150)
        light = light - 0.16 * _bump(along, 0.012) * (0.35 + 0.65 * dots) * (side > 0.08) * (rim > 0.05)
    clip = _bump(y - 0.33 - 0.55 * side**1.5, 0.035) * (side < 0.32)
    return light - 0.10 * clip - 0.12 * _stitches(x, y, rim, 0.045) - 0.05 * _bump(rim - 0.09, 0.02)


def _cup(x: Field, y: Field, rim: Field) -> Field:
    """Returns the light of a moulded half-shell, such as N95."""
    light = 0.97 - 0.28 * ((x / 0.95) ** 2 + np.clip((y - 1.0) / 1.0, -1, 1) ** 2)
    light = light + 0.05 * _bump(np.hypot(x + 0.15, y - 0.75), 0.35)
    for height in (0.86, 1.52):  # ribs pressed into the shell
        along = y - height + 0.10 * x**2
        light = light - 0.14 * _bump(along, 0.014) + 0.06 * _bump(along - 0.03, 0.02)
    clip = np.clip(1 - np.abs(y - 0.40 - 0.5 * np.abs(x) ** 1.6) / 0.035, 0, 1) * (np.abs(x) < 0.3)
    return light - 0.22 * np.minimum(1, 2 * clip) - 0.14 * _bump(rim - 0.05, 0.016)


_Mask = tuple[Points, Callable[[Field, Field, Field], Field], list[Points], float]
# Right half of the outline from top to bottom, light, right halves of the straps, thickness of the straps.
_MASKS: dict[str, _Mask] = {
    "surgical": (
        [(0, 0.24), (0.14, 0.27), (0.4, 0.42), (0.75, 0.52), (1.07, 0.60), (1.06, 0.85), (1.01, 1.18), (0.87, 1.47),
         (0.63, 1.74), (0.33, 1.95), (0, 2.01)],
        _surgical,
        [[(1.03, 0.63), (1.12, 0.42), (1.22, 0.12), (1.27, -0.02)],
         [(0.98, 1.20), (1.08, 0.95), (1.20, 0.6), (1.27, 0.42)]],
        _STRAP,
    ),
    "cloth": (
        [(0, 0.16), (0.11, 0.22), (0.32, 0.44), (0.66, 0.56), (1.02, 0.56), (1.10, 0.60), (1.08, 0.84), (1.02, 1.17),
         (0.86, 1.49), (0.62, 1.75), (0.32, 1.96), (0, 2.02)],
        _cloth,
        [[(1.07, 0.61), (1.15, 0.40), (1.23, 0.14), (1.27, 0.0)],
         [(1.00, 1.17), (1.09, 0.95), (1.20, 0.62), (1.27, 0.45)]],
        _STRAP * 1.5,
    ),
    "ffp2": (
        [(0, 0.13), (0.09, 0.20), (0.30, 0.46), (0.68, 0.62), (1.05, 0.58), (1.11, 0.66), (1.08, 0.95), (0.95, 1.33),
         (0.72, 1.68), (0.36, 1.97), (0, 2.06)],
        _folding,
        [[(1.07, 0.64), (1.14, 0.42), (1.23, 0.14), (1.27, 0.0)],
         [(1.00, 1.15), (1.09, 0.94), (1.20, 0.62), (1.27, 0.45)]],
        _STRAP,
    ),
    "n95": (
        [(0, 0.19), (0.13, 0.24), (0.34, 0.44), (0.64, 0.60), (0.87, 0.85), (0.94, 1.15), (0.86, 1.48), (0.66, 1.76),
         (0.36, 1.96), (0, 2.02)],
        _cup,
        [[(0.76, 0.76), (0.95, 0.55), (1.15, 0.26), (1.28, 0.02)],
         [(0.86, 1.38), (0.99, 1.28), (1.12, 1.12), (1.2, 1.0)]],
        _STRAP * 2,
    ),
}  # fmt: skip
