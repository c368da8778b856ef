"""RandAugment: a few operations at a time, drawn from a list that is made for aligned faces."""

import math
from collections.abc import Callable

from keras_face.augmentation.colour import luminance_of, to_uint8
from keras_face.augmentation.geometry import warped
from keras_face.backend import tf

LARGEST_MAGNITUDE = 10.0
_ENHANCED = 0.6  # largest change of a factor around 1; 0.9, twice in a row, leaves nothing of a face to see
_TURN = math.radians(30)
_SHEAR = 0.3
_SHIFT = 0.15  # of the side; the published 150 of 331 pixels would take half of an aligned face away
_SMOOTH = ((1.0, 1.0, 1.0), (1.0, 5.0, 1.0), (1.0, 1.0, 1.0))  # PIL's SMOOTH, over 13


def rand_augmented(image: tf.Tensor, seed: tf.Tensor, operations: int, magnitude: float) -> tf.Tensor:
    """Returns the image after this many operations, each drawn from `OPERATIONS`, all equally likely.

    The list is that of the paper without solarize and posterize, which make of skin what no camera makes. Shifts and
    changes of colour, contrast, brightness and sharpness are smaller than those of ImageNet. Operations that can go two
    ways draw which.

    Args:
        image: uint8 [height, width, 3], static shape.
        seed: int64 [2].
        operations: How many, one after the other, >= 1; paper: 2.
        magnitude: Strength of all, [0, 10]; paper: 9 for ResNet-50 on ImageNet.

    Reference: Cubuk et al. 2019, RandAugment, https://arxiv.org/abs/1909.13719
    """
    draws = tf.random.stateless_uniform([operations, 2], seed)
    which = tf.cast(draws[:, 0] * len(OPERATIONS), tf.int32)
    strengths = tf.where(draws[:, 1] < 0.5, -1.0, 1.0) * (magnitude / LARGEST_MAGNITUDE)
    for number in range(operations):
        strength = strengths[number]
        branches = [_branch(operation, image, strength) for operation in OPERATIONS.values()]
        image = tf.ensure_shape(tf.switch_case(which[number], branches), image.shape)
    return image


def _branch(operation: Callable, image: tf.Tensor, strength: tf.Tensor) -> Callable[[], tf.Tensor]:
    return lambda: operation(image, strength)


def _blended(image: tf.Tensor, other: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Returns other + (image - other) * factor, the factor 1 + _ENHANCED strength, as PIL's ImageEnhance has it."""
    return to_uint8(other + (tf.cast(image, tf.float32) - other) * (1.0 + _ENHANCED * strength))


def _colour(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return _blended(image, luminance_of(tf.cast(image, tf.float32)), strength)


def _contrast(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return _blended(image, tf.reduce_mean(luminance_of(tf.cast(image, tf.float32))), strength)


def _brightness(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return _blended(image, tf.zeros([]), strength)


def _sharpness(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    pixels = tf.cast(image, tf.float32)[tf.newaxis]
    kernel = tf.tile(tf.constant(_SMOOTH)[:, :, tf.newaxis, tf.newaxis] / 13.0, [1, 1, 3, 1])
    padded = tf.pad(pixels, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    return _blended(image, tf.nn.depthwise_conv2d(padded, kernel, [1, 1, 1, 1], "VALID")[0], strength)


def _autocontrast(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Returns each channel stretched to 0 to 255; one of a single value stays."""
    del strength  # it has none
    pixels = tf.cast(image, tf.float32)
    low, high = tf.reduce_min(pixels, [0, 1]), tf.reduce_max(pixels, [0, 1])
    stretched = (pixels - low) * tf.math.divide_no_nan(255.0, high - low)
    return to_uint8(tf.where(high > low, stretched, pixels))


def _equalise(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    """Returns each channel with its values evenly spread: a value becomes the share of smaller ones, times 255."""
    del strength  # it has none
    values = tf.reshape(tf.cast(image, tf.int32), [-1, 3]) + 256 * tf.range(3)
    counts = tf.reshape(tf.math.bincount(tf.reshape(values, [-1]), minlength=768, maxlength=768), [3, 256])
    upto = tf.cast(tf.cumsum(counts, axis=1), tf.float32)
    least = tf.reduce_min(tf.where(counts > 0, upto, math.inf), axis=1, keepdims=True)  # the count of the darkest
    total = upto[:, -1:]
    spread = tf.math.divide_no_nan(upto - least, total - least) * 255.0
    table = tf.where(total > least, spread, tf.range(256, dtype=tf.float32)[tf.newaxis])
    return to_uint8(tf.reshape(tf.gather(tf.reshape(table, [-1]), values), tf.shape(image)))


def _rotate(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    cosine, sine = tf.cos(_TURN * strength), tf.sin(_TURN * strength)
    return warped(image, [[cosine, -sine], [sine, cosine]], 0.0, 0.0)


def _shear_across(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return warped(image, [[1.0, _SHEAR * strength], [0.0, 1.0]], 0.0, 0.0)


def _shear_down(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return warped(image, [[1.0, 0.0], [_SHEAR * strength, 1.0]], 0.0, 0.0)


def _shift_across(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return warped(image, [[1.0, 0.0], [0.0, 1.0]], _SHIFT * strength, 0.0)


def _shift_down(image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return warped(image, [[1.0, 0.0], [0.0, 1.0]], 0.0, _SHIFT * strength)


OPERATIONS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "identity": lambda image, strength: image,
    "autocontrast": _autocontrast,
    "equalise": _equalise,
    "rotate": _rotate,
    "colour": _colour,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "shear across": _shear_across,
    "shear down": _shear_down,
    "shift across": _shift_across,
    "shift down": _shift_down,
}
