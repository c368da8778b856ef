"""The room and the camera of a drawn photo: what is behind the face, the light on it, the sensor."""

import functools
import math

import cv2
import numpy as np

from keras_face.photos.luminance import LUMINANCE
from keras_face.synthetic.people import NUM_BACKGROUNDS, Conditions

SIZE = 112
_FIELD = 176  # the fields below are larger than the crop, which is cut out of them at a moving place
_BORDER = (_FIELD - SIZE) // 2
_NOISE_DEVIATION = 28.0  # of the stored noise
_GREY = np.tile(np.array(LUMINANCE, np.float32), (3, 1))


def background(conditions: Conditions) -> np.ndarray:
    """What is behind the face: uint8 [112, 112, 3], RGB."""
    return _cut(_scene(conditions.background), conditions.background_x, conditions.background_y).copy()


def photograph(canvas: np.ndarray, head_x: float, head_y: float, conditions: Conditions) -> np.ndarray:
    """The photo of an evenly lit scene in the light and with the camera of the conditions.

    Args:
        canvas: uint8 [112, 112, 3], RGB.
        head_x: Middle of the head in the canvas, pixels; the light falls on a ball there.
        head_y: As head_x.
        conditions: Light, camera, and the seed of the noise.

    Returns: uint8 [112, 112, 3], RGB.
    """
    light = _light(head_x, head_y, conditions)
    photo = cv2.multiply(canvas, cv2.merge([light, light, light]), dtype=cv2.CV_8U)
    photo = _blurred(cv2.transform(photo, _colour_matrix(conditions)), conditions)
    if conditions.noise > 0:
        y, x = (place % (_FIELD - SIZE) for place in divmod(conditions.noise_seed, _FIELD - SIZE))
        strength = conditions.noise / _NOISE_DEVIATION
        photo = cv2.addWeighted(photo, 1, _noise()[y : y + SIZE, x : x + SIZE], strength, -128 * strength)
    return photo


def _light(head_x: float, head_y: float, conditions: Conditions) -> np.ndarray:
    """float32 [112, 112]: brightness of an ellipsoid in one light from the side and light from all around."""
    lit = _cut(_normals(), 56 - head_x, 64 - head_y)
    strength = math.exp(conditions.exposure)
    direct = strength * (1 - conditions.ambient) / math.hypot(conditions.light_x, conditions.light_y, 1)
    light = lit @ np.array([direct * conditions.light_x, direct * conditions.light_y, direct], np.float32)
    light = np.maximum(light, 0) + np.float32(strength * conditions.ambient)
    if conditions.shadow > 0:
        x = np.arange(SIZE, dtype=np.float32) - 56
        angle = conditions.shadow_angle
        edge = (math.cos(angle) / 8) * x + (((math.sin(angle) * x) + conditions.shadow_offset) / 8)[:, None]
        light *= 1 - np.float32(conditions.shadow) * np.minimum(np.maximum(edge, 0), 1)
    return light


def _colour_matrix(conditions: Conditions) -> np.ndarray:
    """float32 [3, 4]: saturation, white balance and contrast as one map of RGB."""
    warmer, tint = math.exp(conditions.temperature), math.exp(conditions.tint)
    matrix = np.empty((3, 4), np.float32)
    matrix[:, :3] = (1 - conditions.saturation) * _GREY
    matrix[[0, 1, 2], [0, 1, 2]] += conditions.saturation
    matrix *= np.array([[warmer], [tint], [1 / warmer]], np.float32) * conditions.contrast
    matrix[:, 3] = 118 * (1 - conditions.contrast)
    return matrix


def _blurred(photo: np.ndarray, conditions: Conditions) -> np.ndarray:
    if conditions.motion > 1:
        width = 1 + 2 * round(conditions.motion / 2)
        photo = cv2.blur(photo, (width, 1))
    if conditions.blur > 0.3:
        width = 3 if conditions.blur < 0.7 else 5 if conditions.blur < 1.3 else 9
        photo = cv2.GaussianBlur(photo, (width, width), conditions.blur)
    if conditions.resolution < 0.95:
        side = max(8, round(SIZE * conditions.resolution))
        small = cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA)
        photo = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    return photo


def _cut(field: np.ndarray, x: float, y: float) -> np.ndarray:
    """The crop of a larger field, moved by x and y as far as there is field."""
    left = min(max(round(_BORDER + x), 0), 2 * _BORDER)
    top = min(max(round(_BORDER + y), 0), 2 * _BORDER)
    return field[top : top + SIZE, left : left + SIZE]


@functools.cache
def _normals() -> np.ndarray:
    """float32 [176, 176, 3]: normals of a head, which go on smoothly beyond its edge."""
    y, x = np.mgrid[:_FIELD, :_FIELD].astype(np.float32)
    x, y = (x - _BORDER - 56) / 46, (y - _BORDER - 64) / 64
    distance = np.hypot(x, y)
    sine = np.where(distance < 0.75, distance, 1 - 0.25 * np.exp(-(distance - 0.75) * 4))
    scale = sine / np.maximum(distance, 1e-6)
    return np.stack([x * scale, y * scale, np.sqrt(1 - sine**2)], -1).astype(np.float32)


@functools.cache
def _noise() -> np.ndarray:
    """uint8 [176, 176, 3]: what the sensor adds to 128."""
    noise = np.random.Generator(np.random.PCG64(1)).standard_normal((_FIELD, _FIELD, 3))
    return np.rint(128 + _NOISE_DEVIATION * noise).clip(0, 255).astype(np.uint8)


@functools.lru_cache(NUM_BACKGROUNDS)
def _scene(index: int) -> np.ndarray:
    """uint8 [176, 176, 3]: soft colours with boxes, bars and discs, sharp or out of focus."""
    random = np.random.Generator(np.random.PCG64([2, index]))
    soft = random.uniform(20, 235, (int(random.integers(2, 7)), int(random.integers(2, 7)), 3)).astype(np.float32)
    soft = 0.55 * soft + 0.45 * soft.mean(-1, keepdims=True)  # rooms are greyer than random colours
    scene = cv2.resize(soft, (_FIELD, _FIELD), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    for _ in range(int(random.integers(0, 14))):
        colour = random.uniform(0, 255, 3).tolist()
        first, second = random.integers(0, _FIELD, (2, 2)).tolist()
        kind = random.integers(3)
        if kind == 0:
            cv2.rectangle(scene, first, second, colour, -1)
        elif kind == 1:
            cv2.line(scene, first, second, colour, int(random.integers(2, 12)), cv2.LINE_AA)
        else:
            cv2.circle(scene, first, int(random.integers(4, 30)), colour, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(scene, (0, 0), float(random.uniform(0.5, 5)))
