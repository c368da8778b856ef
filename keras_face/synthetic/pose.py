"""The pose of a drawn head: curves in space become points of the crop, aligned to the ArcFace template.

Coordinates are those of `synthetic_people`, and z towards the viewer.
"""

import cmath
import math

import numpy as np

from keras_face.synthetic.people import Conditions

# Eyes, tip of the nose, corners of the mouth in a 112x112 crop, left in the image first.
# Source: insightface/utils/face_align.py, arcface_dst.
TEMPLATE_NAME = "arcface"
TEMPLATE = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)

# A curve is (x, y, z, roundness). On the surface of the face, z is the height above it and roundness None; in an
# outline, z is its plane and roundness its depth over its width: the outline of a ball stays when the ball turns.
Curve = tuple[np.ndarray, np.ndarray, np.ndarray | float, float | None]

_TEMPLATE = TEMPLATE @ (1, 1j)
_TEMPLATE_CENTRE = _TEMPLATE.mean()


def stack(curves: dict[str, Curve], depth: float, start: int) -> tuple[np.ndarray, dict[str, slice]]:
    """Curves as float64 [4, points] of x, y, z, roundness, all with z from the same plane; and where each is."""
    x, y = (np.concatenate([curve[axis] for curve in curves.values()]) for axis in (0, 1))
    z, roundness = np.empty((2, len(x)))
    where, end = {}, 0
    for name, (curve_x, _, curve_z, curve_roundness) in curves.items():
        rows = slice(end, end + len(curve_x))
        z[rows] = curve_z
        roundness[rows] = -1 if curve_roundness is None else curve_roundness
        where[name] = slice(start + rows.start, start + rows.stop)
        end = rows.stop
    surface = roundness < 0
    z += surface * depth * np.sqrt(np.maximum(0, 1 - (x / 48) ** 2 - (y / 80) ** 2))
    roundness[surface] = 0
    return np.stack([x, y, z, roundness]), where


def turn(points: np.ndarray, conditions: Conditions) -> np.ndarray:
    """Points [4, points] of the head in its pose, seen from the front: complex [points], x + iy."""
    x, y, z, roundness = points
    square = roundness * roundness
    cos, sin = math.cos(conditions.yaw), math.sin(conditions.yaw)
    turned_x = x * np.sqrt(cos * cos + sin * sin * square) + z * sin
    lean = math.sin(conditions.pitch)
    turned_y = y * np.sqrt(1 - lean * lean + lean * lean * square) + z * (cos * lean)
    return turned_x + 1j * turned_y


def align(plane: np.ndarray, where: dict[str, slice], conditions: Conditions) -> np.ndarray:
    """Moves points as an aligner does: by the similarity that brings five of them nearest to the template."""
    landmarks = np.concatenate([plane[where["eyes"]], plane[where["nose_tip"]], plane[where["corners"]]])
    centre = landmarks.mean()
    landmarks = landmarks - centre
    similarity = np.vdot(landmarks, _TEMPLATE - _TEMPLATE_CENTRE) / np.vdot(landmarks, landmarks).real
    similarity *= cmath.exp(complex(conditions.zoom, conditions.roll))
    place = _TEMPLATE_CENTRE + complex(conditions.shift_x, conditions.shift_y)
    return similarity * plane + (place - similarity * centre)
