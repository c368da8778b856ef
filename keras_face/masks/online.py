"""Masks put on aligned crops inside tf.data: drawn once with NumPy; chosen, dyed, lit and blended by TensorFlow."""

import dataclasses
import functools
from typing import Any

import numpy as np

from keras_face.backend import tf
from keras_face.masks import colours, drawing, landmarks, light
from keras_face.masks.wardrobe import COLOURS, PATTERNS, generator
from keras_face.photos.luminance import LUMINANCE

# How far a mask may lie from where it lies on the mean face: share of the height, share of its size, radians.
_SHIFT, _ZOOM, _TURN = 0.025, 0.05, 0.06
_VARIANTS = 4  # of each mask picture that are drawn, zoomed and turned at random; shifts are free
_UNIT = 200  # stored value of a luminance of 1; uint8 holds up to 1.27
Overlay = tuple[
    tf.Tensor, tf.Tensor
]  # cut from `Bank.overlays` and `Bank.seconds`: float32 [pixels, 3] and [pixels, 1]
_DRAWS = ("picture", "pattern", "colour", "accent", "across", "down")


@dataclasses.dataclass(frozen=True, eq=False)
class Bank:
    """The masks as they lie on the mean face of a crop's size, drawn for the rows of the crop that they can reach.

    Args:
        overlays: uint8 [pictures * variants, height, width, 3], with a margin around: alpha (of 255), and,
            premultiplied by alpha (of _UNIT), the luminance of the cloth, and that of what is not dyed.
        seconds: uint8 [pictures * variants * patterns, height, width, 1]: as the second channel, that of the cloth
            which has the second colour.
        top: The first row of the crop that is drawn, but for the margin.
        margin: Pixels on all four sides.
        step: Every how many pixels, across and down, the light is looked at.
        plane: float32 [3, pixels]: times the luminance of these pixels the mean and the slopes (x, y) of the light.
        covered: float32 [pixels], shares that sum to 1: times them a mean over what masks cover.
        basis: float32 [rows * columns, 3]: 1 and what the slopes are multiplied by at each pixel of the crop's rows.
    """

    overlays: np.ndarray
    seconds: np.ndarray
    top: int
    margin: int
    step: int
    plane: np.ndarray
    covered: np.ndarray
    basis: np.ndarray


def wear_mask(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns an aligned crop with a mask on the face, one that the package draws.

    Picture, colours and pattern are drawn as `wardrobe.Wardrobe` has them by default, with a small zoom, turn and
    shift. The light of the covered part goes over to the mask as in `light`. The mask lies where the mean face has
    it: in crops aligned to ArcFace's template (`landmarks.aligned`).

    Args:
        image: uint8 RGB [height, width, 3], static shape; an aligned crop.
        seed: int64 [2].

    Returns: uint8 [height, width, 3].
    Raises: ValueError if the shape is not static, or no RGB image's.
    """
    image = tf.convert_to_tensor(image)
    if not image.shape.is_fully_defined() or image.shape.rank != 3 or image.shape[2] != 3 or image.dtype != tf.uint8:
        raise ValueError(f"expected uint8 [height, width, 3] of static shape, got {image.dtype.name} {image.shape}")
    bank = make_bank(*image.shape[:2])
    overlay, colour, accent = _chosen(bank, image.shape[:2], seed)
    lower = tf.cast(image[bank.top :], tf.float32)
    worn = _blended(bank, lower, overlay, colour, accent)
    return tf.concat([image[: bank.top], tf.cast(tf.round(tf.clip_by_value(worn, 0.0, 255.0)), tf.uint8)], axis=0)


@functools.lru_cache(8)
def make_bank(height: int, width: int) -> Bank:
    """Returns the masks for crops of a size, pixels; they are always the same.

    Raises: ValueError if the size is too small.
    """
    if min(height, width) < 16:
        raise ValueError(f"expected crops of at least 16 pixels a side to wear masks, got {height}x{width}")
    points = landmarks.aligned((height, width))
    margin = int(np.ceil(_SHIFT * height)) + 1
    size = height + 2 * margin, width + 2 * margin
    overlays, seconds = [], []
    for name in drawing.names():
        mask_picture = drawing.draw(name)
        alpha, cloth = mask_picture.rgba[..., 3:] / np.float32(255), mask_picture.cloth[..., np.newaxis]
        light_of_cloth = cloth * mask_picture.light * alpha
        own = (1 - cloth) * mask_picture.rgba[..., :1] / np.float32(255) * alpha
        planes = [alpha, light_of_cloth, own]
        planes += [
            colours.pattern(pattern, alpha.shape[:2])[..., np.newaxis] * light_of_cloth for pattern in _patterns()
        ]
        for variant in range(_VARIANTS):
            zoom, turn = generator(variant, name).uniform(-1, 1, 2) * (_ZOOM, _TURN)
            moved = _turned(points, 1 + zoom, turn) + margin
            bent = [mask_picture.put_on(plane, moved, size) for plane in planes]
            stored = np.concatenate([bent[0] * 255, *(plane * _UNIT for plane in bent[1:])], axis=-1)
            stored = np.rint(np.clip(stored, 0, 255)).astype(np.uint8)
            overlays.append(stored[..., :3])
            seconds += [stored[..., 3 + index, np.newaxis] for index in range(len(_patterns()))]
    reached = np.stack(overlays)[..., 0].any(axis=(0, 2))
    top = max(0, int(np.flatnonzero(reached)[0]) - 2 * margin)
    often = np.mean([plane[margin:-margin, margin:-margin, 0] > 127 for plane in overlays], axis=0) >= 0.5
    step = max(1, height // 32)
    sparse = np.zeros_like(often)
    sparse[top::step, ::step] = often[top::step, ::step]
    basis = light.plane_basis((height, width), sparse)
    plane = np.zeros((3, height, width))
    plane[:, sparse] = np.linalg.pinv(basis[sparse], rcond=1e-6)
    return Bank(
        np.stack(overlays)[:, top:],
        np.stack(seconds)[:, top:],
        top,
        margin,
        step,
        plane[:, top::step, ::step].reshape(3, -1).astype(np.float32),
        (sparse[top::step, ::step].ravel() / sparse.sum()).astype(np.float32),
        basis[top:].reshape(-1, 3).astype(np.float32),
    )


def _turned(points: np.ndarray, zoom: float, turn: float) -> np.ndarray:
    middle = points.mean(axis=0)
    rotation = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return (points - middle) @ rotation.T + middle


def _patterns() -> list[str]:
    return sorted(set(PATTERNS), key=PATTERNS.index)


def _chosen(bank: Bank, size: tuple[int, int], seed: tf.Tensor) -> tuple[Overlay, tf.Tensor, tf.Tensor]:
    """Returns a mask, and the RGB, float32 [3], of its colour and of its pattern's."""
    draws = dict(zip(_DRAWS, tf.unstack(tf.random.stateless_uniform([len(_DRAWS)], seed)), strict=True))
    height, width = size[0] - bank.top, size[1]
    row = tf.cast(draws["picture"] * len(bank.overlays), tf.int32)
    pattern = _taken([_patterns().index(name) for name in PATTERNS], draws["pattern"])
    begin = [tf.cast(draws[name] * (2 * bank.margin + 1), tf.int32) for name in ("down", "across")]

    def cut(planes: np.ndarray, row: tf.Tensor) -> tf.Tensor:
        shape = [1, height, width, planes.shape[3]]
        cut = tf.slice(planes, [row, *begin, 0], shape)
        return tf.cast(tf.reshape(cut, [height * width, planes.shape[3]]), tf.float32)

    overlay = cut(bank.overlays, row), cut(bank.seconds, row * len(_patterns()) + pattern)
    others = [[colours.colour(other) for other in sorted(set(COLOURS)) if other != name] for name in COLOURS]
    accents = _taken(np.array(others, np.float32), draws["colour"])
    colour = _taken(np.array([colours.colour(name) for name in COLOURS], np.float32), draws["colour"])
    return overlay, colour, _taken(accents, draws["accent"])


def _taken(values: Any, draw: tf.Tensor) -> tf.Tensor:
    """Returns the one of the values that a number in [0, 1) falls to."""
    values = tf.convert_to_tensor(values)
    return tf.gather(values, tf.cast(draw * values.shape[0], tf.int32))


def _blended(bank: Bank, pixels: tf.Tensor, overlay: Overlay, colour: tf.Tensor, accent: tf.Tensor) -> tf.Tensor:
    """Returns the pixels, float32 [height, width, 3], under the overlay in these colours, lit as they are.

    What has one value a pixel is spread over the three channels by matrices, which is faster than broadcasting.
    """
    grey = tf.constant(LUMINANCE)[:, tf.newaxis]
    seen = tf.reshape(pixels[:: bank.step, :: bank.step], [-1, 3])
    luminance = seen @ grey
    mean, slope_x, slope_y = tf.unstack(tf.squeeze(bank.plane @ luminance, axis=1))
    colourful = tf.reduce_sum(bank.covered * tf.reduce_mean(tf.abs(seen - luminance), axis=1)) / light.COLOURFUL
    share = light.SLOPE / tf.maximum(mean, 1.0)
    slopes = tf.stack([1.0, share * slope_x, share * slope_y])
    gain = tf.clip_by_value(bank.basis @ tf.tile(slopes[:, tf.newaxis], [1, 3]), *light.SLOPES)
    brightness = tf.clip_by_value(tf.sqrt(tf.maximum(mean, 0.0) / light.USUAL), *light.BRIGHTNESS)
    dyes = tf.stack([colour, accent])
    greys = dyes @ grey
    first, second = tf.unstack(greys + tf.minimum(colourful, 1.0) * (dyes - greys))
    shape, second_cloth = overlay
    strength = brightness / _UNIT
    # Of alpha nothing, of cloth the first colour, of the rest its own; where the second is, that in place of the first.
    paint = shape @ (tf.stack([tf.zeros([3]), first, tf.fill([3], 255.0)]) * strength)
    paint += second_cloth @ ((second - first) * strength)[tf.newaxis]
    alpha = shape @ tf.constant([[1 / 255] * 3, [0.0] * 3, [0.0] * 3])
    under = tf.reshape(pixels, [-1, 3])
    worn = under - alpha * under + tf.minimum(paint * gain, 255.0 * alpha)
    return tf.reshape(worn, pixels.shape)
