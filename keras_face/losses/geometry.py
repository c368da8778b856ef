"""Unit vectors, sines, angles and distances with finite values and gradients where the textbook formulas have none."""

import math

from keras_face.backend import tf

# The sine at the largest float32 below 1. No cosine strictly inside (-1, 1) has a smaller one, so derivatives
# that divide by the sine are exact there, and at -1, 1 and beyond they are those of the nearest inner cosine.
SMALLEST_SINE = math.sqrt(1.0 - (1.0 - 2.0**-24) ** 2)  # 3.45e-4

# A vector whose largest component is below this has no direction.
SMALLEST_COMPONENT = 1e-12


def unit(vectors: tf.Tensor) -> tf.Tensor:
    """Returns float32 vectors of unit length along the last axis.

    Huge components do not overflow. A vector shorter than about 1e-12 has no direction: it is returned as it is,
    with the gradient of the identity, so that a zero embedding is neither NaN nor thrown far away by one step.

    Args:
        vectors: Any floating type, [..., size].
    """
    vectors = tf.cast(vectors, tf.float32)
    # The result does not depend on this factor, so stopping its gradient changes nothing.
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(vectors), axis=-1, keepdims=True))
    has_direction = largest > SMALLEST_COMPONENT
    vectors = vectors / tf.where(has_direction, largest, 1.0)
    squared = tf.reduce_sum(tf.square(vectors), axis=-1, keepdims=True)
    return vectors * tf.math.rsqrt(tf.where(has_direction, squared, 1.0))


def length(vectors: tf.Tensor) -> tf.Tensor:
    """Returns the Euclidean lengths along the last axis, float32.

    Huge components do not overflow before the length does. A vector shorter than about 1e-12 has length 0, with
    gradient 0.

    Args:
        vectors: Any floating type, [..., size].
    """
    vectors = tf.cast(vectors, tf.float32)
    # The result does not depend on this factor, so stopping its gradient changes nothing.
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(vectors), axis=-1))
    has_direction = largest > SMALLEST_COMPONENT
    factor = tf.where(has_direction, largest, 1.0)
    squared = tf.reduce_sum(tf.square(vectors / factor[..., tf.newaxis]), axis=-1)
    return tf.where(has_direction, factor * tf.sqrt(tf.where(has_direction, squared, 1.0)), 0.0)


@tf.custom_gradient
def sine(cosine: tf.Tensor) -> tuple:
    """Returns the sine, float32 in [0, 1], of the angle in [0, pi] with this cosine.

    The derivative -cosine / sine has no limit at -1 and 1. It is exact for every float32 inside (-1, 1) and clamped
    to that of the nearest such float (magnitude 2896) at -1, 1 and beyond. tf.sqrt's own gradient is infinite there,
    and NaN under XLA even behind tf.where.

    Args:
        cosine: float32, any shape; rounding may take it beyond [-1, 1].
    """
    value = _sine(cosine)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return -upstream * cosine / tf.maximum(value, SMALLEST_SINE)

    return value, gradient


@tf.custom_gradient
def angle(cosine: tf.Tensor) -> tuple:
    """Returns the angle, float32 in [0, pi] radians, with this cosine.

    As precise as the cosine allows, unlike acos under XLA; the derivative -1 / sine is clamped as that of `sine`.

    Args:
        cosine: float32, any shape; rounding may take it beyond [-1, 1].
    """
    value = _sine(cosine)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return -upstream / tf.maximum(value, SMALLEST_SINE)

    return tf.atan2(value, cosine), gradient


# arccos(x) is within 2e-8 of sqrt(1 - x) times this polynomial of x, highest power first, for x in [0, 1].
_ARC_COSINE = (
    -0.0012624911,
    0.0066700901,
    -0.0170881256,
    0.0308918810,
    -0.0501743046,
    0.0889789874,
    -0.2145988016,
    1.5707963050,
)


@tf.custom_gradient
def polynomial_angle(cosine: tf.Tensor) -> tuple:
    """Returns the `angle` of a float32 cosine, as precise in float32, by operations that XLA compiles into one pass.

    Much quicker than `angle` in a compiled function, and slower outside of one.

    Args:
        cosine: float32, any shape; rounding may take it beyond [-1, 1].

    Reference: Abramowitz and Stegun 1964, Handbook of Mathematical Functions, 4.4.46
    """
    magnitude = tf.minimum(tf.abs(cosine), 1.0)
    acute = tf.sqrt(1.0 - magnitude) * tf.math.polyval(list(_ARC_COSINE), magnitude)

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        return -upstream / tf.maximum(_sine(cosine), SMALLEST_SINE)

    return tf.where(cosine < 0.0, math.pi - acute, acute), gradient


def _sine(cosine: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.maximum((1.0 - cosine) * (1.0 + cosine), 0.0))


def dot(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns the inner products along the last axis, in full float32 even on a GPU whose matrix products are not."""
    return tf.reduce_sum(first * second, axis=-1)


def distance(first: tf.Tensor, second: tf.Tensor, squared: bool = False) -> tf.Tensor:
    """Returns the Euclidean distance along the last axis, or its square; gradient 0 where the points are one."""
    summed = tf.reduce_sum(tf.math.squared_difference(first, second), axis=-1)
    if squared:
        return summed
    apart = summed > 0.0
    return tf.where(apart, tf.sqrt(tf.where(apart, summed, 1.0)), 0.0)
