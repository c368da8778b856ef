"""The shapes of a drawn face: the curves that a person and an expression give.

Coordinates before the projection are those of `synthetic_people`: pixels from the tip of an average nose,
x to the right, y down, z towards the viewer. Names of what a face has two of end in "left" or "right" of the image.
"""

import functools

import numpy as np

from keras_face.synthetic.people import Conditions, Person
from keras_face.synthetic.pose import Curve, align, stack, turn

FRACTION_BITS = 4  # of the fixed-point coordinates that OpenCV draws
SIDES = ("left", "right")

_EYE_Y = -20.1
_U = np.linspace(-1, 1, 9)
_BULGE = 1 - _U**2
_LIP_U = np.linspace(-1, 1, 13)
_LIP_SQUARE = _LIP_U**2
_LIP_BULGE = (1 - _LIP_SQUARE) ** 0.75
_CUPID = np.exp(-((_LIP_U / 0.2) ** 2))
_ROUND = np.linspace(0, 2 * np.pi, 14, endpoint=False)
_COS, _SIN = np.cos(_ROUND), np.sin(_ROUND)
_ARC = np.linspace(-np.pi, 0, 17)  # over the top of the head, from left to right
_BUMPS = np.cos(np.arange(17) * 2.2)
_HAIRLINE_U = np.linspace(1, -1, 11)  # from right to left
_FRECKLE_X = 27 * np.sin(np.arange(28) * 2.4)
_FRECKLE_Y = -2 + 10 * np.cos(np.arange(28) * 1.7)


def _closed_spline(num_points: int, per_segment: int) -> np.ndarray:
    """Matrix [num_points * per_segment, num_points] that draws a closed Catmull-Rom curve through points."""
    matrix = np.zeros((num_points * per_segment, num_points))
    for row in range(len(matrix)):
        segment, t = divmod(row / per_segment, 1)
        weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
        for offset, weight in enumerate(weights):
            matrix[row, (int(segment) + offset - 1) % num_points] += weight / 2
    return matrix


_FACE_SPLINE = _closed_spline(14, 3)
JAW = slice(12, 31)  # the points of the face's outline from the right cheek over the chin to the left one
_CHIN = np.exp(-(((np.arange(42) - 21) / 6) ** 2))  # how far each of them goes with the chin


def shapes(person: Person, conditions: Conditions) -> dict[str, np.ndarray]:
    """All curves of one face in one photo, by name: int32 [points, 2], pixels of the crop times 2**FRACTION_BITS.

    Args:
        person: Whose face it is.
        conditions: Pose, expression and errors of the alignment; the rest is not looked at.
    """
    still, where = _still(person)
    still = still.copy()
    y = still[1]
    y[where["face"]] += 0.8 * conditions.mouth_open * _CHIN
    y[where["brow_left"]] -= conditions.brow_raise
    y[where["brow_right"]] -= conditions.brow_raise
    y[where["hairline"]] += conditions.hair_ruffle
    moving, moving_where = stack(_eyes(person, conditions) | _mouth(person, conditions), person.depth, len(y))
    where = where | moving_where
    plane = turn(np.concatenate([still, moving], axis=1), conditions)
    plane = align(plane, where, conditions)
    fixed = np.rint(plane.view(np.float64).reshape(-1, 2) * (1 << FRACTION_BITS)).astype(np.int32)
    return {name: fixed[rows] for name, rows in where.items()}


@functools.lru_cache(256)
def _still(person: Person) -> tuple[np.ndarray, dict[str, slice]]:
    """The curves that conditions move as a whole or not at all, stacked."""
    curves = _head(person) | _hair(person) | _marks(person)
    half = _brow(person) | _nose_half(person) | _around_eye(person)
    for name, (x, y, z, roundness) in half.items():
        curves[f"{name}_left"] = (-x, y, z, roundness)
        curves[f"{name}_right"] = (x, y, z, roundness)
    for name, side in (("brow_left", -1), ("brow_right", 1)):
        x, y, z, roundness = curves[name]
        curves[name] = (x, y + side * 0.5 * person.brow_asymmetry, z, roundness)
    return stack(curves, person.depth, 0)


def _head(person: Person) -> dict[str, Curve]:
    width = person.face_width
    forehead, jaw, chin = width * person.forehead_width, width * person.jaw_width, width * person.chin_width
    right_x = [0.6 * forehead, forehead, width, 0.98 * width, jaw, chin]
    right_y = [-60, -40, -14, 5, 0.3 * person.chin_y + 9, person.chin_y - 5]
    face = (
        _FACE_SPLINE
        @ np.array(
            [[0, *right_x, 0, *(-x for x in reversed(right_x))], [-66, *right_y, person.chin_y, *reversed(right_y)]]
        ).T
    )
    curves: dict[str, Curve] = {
        "face": (face[:, 0], face[:, 1], -2.0, 0.6),
        "neck": (jaw * np.array([-0.7, -0.72, 0.72, 0.7]), np.array([25.0, 80, 80, 25]), -12.0, 0.8),
        "mask": (0.85 * width * _U, -4 + 5 * _U**2, 4 * _BULGE + 2, None),
        "forehead_lines": (0.5 * width * _U, -39 - 3 * _BULGE, 0.0, None),
        "hat_brim": (-(width + 5) * _U, -36 - 8 * _BULGE, 12 * _BULGE, 1.0),
        "hat_top": (*_arc(width + 6, 50), -8.0, 1.0),
        "middle": (np.zeros(1), np.array([-8.0]), 0.0, 0.0),
    }
    for name, side in (("ear_left", -1), ("ear_right", 1)):
        ear_x = side * (width + 0.3 * person.ear_out) + person.ear_out * _COS
        curves[name] = (ear_x, -11 + person.ear_size * _SIN, -10.0, 0.5)
    return curves


def _hair(person: Person) -> dict[str, Curve]:
    radius = person.face_width + 4 + 0.7 * person.hair_volume
    bumps = 1 + 0.045 * person.hair_curl * _BUMPS
    top_x, top_y = _arc(radius, 44 + person.hair_volume)
    top_x, top_y = top_x * bumps, -22 + (top_y + 22) * bumps
    end = max(person.hair_length, -24)
    back_x = np.concatenate([top_x, radius * np.array([1.03, 0.94, 0.7, -0.7, -0.94, -1.03])])
    back_y = np.concatenate([top_y, end + np.array([-5, 1, 4, 4, 1, -5])])

    forehead = person.face_width * person.forehead_width
    from_part = (_HAIRLINE_U * forehead - person.hair_part) / 9
    peak = np.exp(-((_HAIRLINE_U / 0.25) ** 2)) - np.exp(-(((np.abs(_HAIRLINE_U) - 0.6) / 0.25) ** 2))
    line_y = person.hairline_y + 26 * _HAIRLINE_U**6 + person.hairline_peak * peak
    line_y += person.fringe * (1 - np.exp(-from_part * from_part)) + 0.9 * person.hair_curl * _BUMPS[:11]

    # What falls beside the face, in front of the ears.
    lock_x = np.array([0.9 * forehead, radius, 1.04 * radius, 0.85 * radius, 0.94 * forehead, 0.97 * forehead])
    lock_y = np.array([-42, -36, end - 4, end + 2, 0.8 * end, min(-14, end)])
    return {
        "hair_back": (back_x, back_y, -14.0, 1.1),
        "hair_top": (top_x, top_y, -8.0, 1.05),
        "hairline": (0.97 * forehead * _HAIRLINE_U, line_y, 1.0, None),
        "lock_left": (-lock_x, lock_y, -4.0, 0.9),
        "lock_right": (lock_x, lock_y, -4.0, 0.9),
    }


def _arc(radius_x: float, radius_y: float) -> tuple[np.ndarray, np.ndarray]:
    return radius_x * np.cos(_ARC), -22 + radius_y * np.sin(_ARC)


def _brow(person: Person) -> dict[str, Curve]:
    x = person.brow_x + person.brow_width * _U
    y = person.brow_y - person.brow_arch * (_BULGE - 0.5) - person.brow_tilt * person.brow_width * _U
    thickness = person.brow_thickness * (1 - 0.6 * np.maximum(_U, 0))
    return {"brow": (_loop(x, x), _loop(y - thickness, y + 0.7 * thickness), 1.0, None)}


def _around_eye(person: Person) -> dict[str, Curve]:
    bend = 2 / person.frame_roundness
    glass_x = person.eye_x + 1 + person.frame_size * np.sign(_COS) * np.abs(_COS) ** bend
    glass_y = _EYE_Y + 1 + 0.78 * person.frame_size * np.sign(_SIN) * np.abs(_SIN) ** bend
    temple_x = np.array([person.eye_x + 1 + person.frame_size, person.face_width + 1])
    return {
        "socket": (person.eye_x + 1.35 * person.eye_width * _COS, _EYE_Y - 2.5 + 6.5 * _SIN, 0.0, None),
        "cheek": (21 + 10 * _COS, 4 + 7 * _SIN, 0.0, None),
        "glass": (glass_x, glass_y, 5.0, None),
        "temple": (temple_x, np.array([_EYE_Y - 1.5, -18]), np.array([person.depth, -6]), 0.3),
    }


def _nose_half(person: Person) -> dict[str, Curve]:
    wing, bridge, height, tip = person.nose_width, person.nose_bridge, person.nose_height, person.nose_y
    half_x = np.array([bridge, bridge, 0.75 * wing, wing, 0.6 * wing, 0, 0, 0, 0])
    half_y = np.array([-21, -9, tip - 4, tip + 1, tip + 5, tip + 6, tip, -9, -21])
    half_z = height * np.array([0.1, 0.35, 0.4, 0.3, 0.45, 0.6, 1.0, 0.6, 0.25])
    wing_y = tip + np.array([-3, -0.5, 2, 4.5])
    nostril_x, nostril_y = 0.48 * wing + person.nostril * _COS, tip + 4 + 0.65 * person.nostril * _SIN
    return {
        "nose": (half_x, half_y, half_z, None),
        "wing": (wing * np.array([0.8, 1.03, 1.05, 0.85]), wing_y, 0.27 * height, None),
        "nostril": (nostril_x, nostril_y, 0.5 * height, None),
    }


def _marks(person: Person) -> dict[str, Curve]:
    """Marks of the skin, and single places."""
    tip, bridge_x = person.nose_y, person.eye_x + 1 - person.frame_size
    ridge_z = person.nose_height * np.array([0.3, 0.6, 0.9, 1.0])
    return {
        "freckles": (_FRECKLE_X, _FRECKLE_Y, 0.0, None),
        "moles": (np.array(person.mole_x), np.array(person.mole_y), 0.0, None),
        "ridge": (np.array([0, person.nose_bend, 0, 0]), np.array([-18, -9, tip - 3, tip]), ridge_z, None),
        "under_nose": (0.9 * person.nose_width * _COS, tip + 7 + 1.6 * _SIN, 1.0, None),
        "glasses_bridge": (np.array([-bridge_x, 0, bridge_x]), np.array([-20, -22, -20]), 5.0, None),
        "eyes": (person.eye_x * np.array([-1.0, 1.0]), np.array([_EYE_Y, _EYE_Y]), 0.0, None),
        "nose_tip": (np.zeros(1), np.array([tip]), person.nose_height, None),
    }


def _eyes(person: Person, conditions: Conditions) -> dict[str, Curve]:
    width, height = person.eye_width, person.eye_height
    opening = max(0.0, conditions.eye_open - 0.15 * max(0.0, conditions.smile))
    middle = 0.5 * (1 - min(opening, 1.0))  # a closed eye is a line below its middle
    x = person.eye_x + width * _U
    tilt = _EYE_Y - person.eye_tilt * width * _U
    upper = height * (middle - opening) * _BULGE
    lower = 0.5 * height * _BULGE
    eye_x, eye_y = _loop(x, x), _loop(upper + tilt, lower + tilt)
    lid_y, fold_y, bag_y = upper + tilt, 0.9 * upper + tilt - 1.8 - 0.15 * height, lower + tilt + 3.2
    pupil_y = _EYE_Y + conditions.gaze_y - 0.5
    glint = 0.8 if conditions.light_x > 0 else -0.8
    curves: dict[str, Curve] = {}
    for name, side in (("left", -1), ("right", 1)):
        from_middle = side * conditions.gaze_x + person.iris * _COS  # outwards
        lid = np.maximum(0, 1 - (from_middle / width) ** 2) * height
        iris_y = conditions.gaze_y - 0.5 + person.iris * _SIN
        iris_y = np.minimum(np.maximum(iris_y, (middle - opening) * lid), 0.5 * lid)
        iris_y += _EYE_Y - person.eye_tilt * from_middle
        pupil_x = side * person.eye_x + conditions.gaze_x
        curves[f"eye_{name}"] = (side * eye_x, eye_y, 0.0, None)
        curves[f"lid_{name}"] = (side * x, lid_y, 0.3, None)
        curves[f"lid_fold_{name}"] = (side * x, fold_y, 0.0, None)
        curves[f"bag_{name}"] = (side * x, bag_y, 0.0, None)
        curves[f"iris_{name}"] = (side * (person.eye_x + from_middle), iris_y, 0.2, None)
        curves[f"pupil_{name}"] = (np.array([pupil_x, pupil_x + glint]), np.array([pupil_y, pupil_y - 1.1]), 0.3, None)
    return curves


def _mouth(person: Person, conditions: Conditions) -> dict[str, Curve]:
    smile, opening = conditions.smile, conditions.mouth_open
    width = person.mouth_width * (1 + 0.13 * smile) - 0.25 * opening
    x = width * _LIP_U
    line = person.mouth_y + 0.4 * person.mouth_asymmetry * _LIP_U
    line -= (person.mouth_corner + 2.0 * smile) * (_LIP_SQUARE - 0.35)
    gap = opening * _LIP_BULGE
    lower = line + gap
    top = line - person.upper_lip * (1 - 0.15 * smile) * _LIP_BULGE + person.cupid * _CUPID
    bottom = lower + person.lower_lip * (1 - 0.1 * smile) * _LIP_BULGE
    loop_x = _loop(x, x)
    teeth = line + np.minimum(gap, 2.6 * _LIP_BULGE)

    tip, middle, end = person.nose_y, float(bottom[6]), float(line[0])
    fold_x = np.array([person.nose_width + 2, 0.5 * (person.nose_width + width) + 4.3, width + 3.5])
    fold_y = np.array([tip + 1, 0.5 * (tip + end) + 1.5, end + 2])
    beard_x = np.array([-24, -width - 4, -0.6 * width, 0, 0.6 * width, width + 4, 24])
    beard_y = np.array([8, end - 3, middle + 1.5, middle + 3, middle + 1.5, end - 3, 8])
    moustache_x = np.concatenate([(-4, -10, -width - 1), x, (width + 1, 10, 4)])
    moustache_y = np.concatenate([(tip + 7.5, tip + 9, end + 1), top, (end + 1, tip + 9, tip + 7.5)])
    return {
        "upper_lip": (loop_x, _loop(top, line), 2.5, None),
        "lower_lip": (loop_x, _loop(lower, bottom), 2.5, None),
        "inside": (loop_x, _loop(line, lower), 1.0, None),
        "teeth": (0.85 * loop_x, _loop(line, teeth), 1.0, None),
        "lips_line": (x, line, 2.0, None),
        "corners": (x[::12], line[::12], 2.0, None),
        "under_lip": (0.5 * width * _COS, middle + 2.5 + 1.6 * _SIN, 0.0, None),
        "fold_left": (-fold_x, fold_y, 0.0, None),
        "fold_right": (fold_x, fold_y, 0.0, None),
        "beard": (beard_x, beard_y, 0.0, None),
        "moustache": (moustache_x, moustache_y, 2.0, None),
    }


def _loop(there: np.ndarray, back: np.ndarray) -> np.ndarray:
    """One closed curve from two that begin and end together."""
    return np.concatenate([there, back[::-1]])
