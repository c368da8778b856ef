"""Random rectangles of an image, and the erasing of one."""

import math
from collections.abc import Sequence

from keras_face.backend import tf

SMALLEST_ERASED = 0.02  # share of the image
_LONGEST_ERASED = 3.0  # shapes from 1:3 to 3:1


def rectangle(size: Sequence[int], place: Sequence[tf.Tensor], areas: tuple[float, float], longest: float) -> tf.Tensor:
    """Returns which pixels are within a rectangle: bool [height, width, 1].

    Args:
        size: (height, width) of the image, pixels.
        place: Four numbers in [0, 1): where area, shape, top and left are in their ranges.
        areas: Range of the rectangle's share of the image; a side longer than the image is cut.
        longest: Range of height over width is [1 / longest, longest], evenly in its logarithm.
    """
    area, shape, top, left = place
    height, width = size
    low, high = areas
    pixels = (low + (high - low) * area) * height * width
    ratio = tf.exp((2.0 * shape - 1.0) * math.log(longest))  # height over width
    sides = tf.minimum(tf.round(tf.sqrt(tf.stack([pixels * ratio, pixels / ratio]))), [height, width])
    corner = tf.floor(tf.stack([top, left]) * (tf.constant([height, width], tf.float32) - sides + 1.0))
    rows, columns = (
        tf.logical_and(place >= corner[axis], place < corner[axis] + sides[axis])
        for axis, place in enumerate((tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32)))
    )
    return tf.logical_and(rows[:, tf.newaxis], columns[tf.newaxis])[..., tf.newaxis]


def erased(image: tf.Tensor, place: Sequence[tf.Tensor], noise_seed: tf.Tensor, largest_area: float) -> tf.Tensor:
    """Returns the image with noise in a rectangle of 2 % to `largest_area` of it, given `place` in [0, 1).

    Reference: Zhong et al. 2017, Random Erasing, https://arxiv.org/abs/1708.04896: 0.02 to 0.4.
    """
    inside = rectangle(image.shape[:2], place, (SMALLEST_ERASED, largest_area), _LONGEST_ERASED)
    noise = tf.random.stateless_uniform(image.shape, noise_seed, 0, 256, tf.int32)
    return tf.where(inside, tf.cast(noise, tf.uint8), image)
