"""Random numbers that are a function of a seed alone, the same numbers eager, in a graph and compiled by XLA.

TensorFlow's own uniform and normal numbers are others under XLA, which makes other floats of the same random bits.
"""

import math

from keras_face.backend import tf


def uniform(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 numbers in [0, 1): those of tf.random.stateless_uniform(alg="philox"), bit by bit.

    Args:
        shape: int [rank].
        seed: int [2].
    """
    bits = tf.random.stateless_uniform(shape, seed, minval=None, maxval=None, dtype=tf.int32, alg="philox")
    # Random bits behind the exponent of 1 are a number in [1, 2).
    return tf.bitcast(tf.bitwise.bitwise_or(tf.bitwise.bitwise_and(bits, 0x7FFFFF), 0x3F800000), tf.float32) - 1.0


def normal(count: int | tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns float32 [count] normal numbers: those of tf.random.stateless_normal(alg="philox"), but for rounding.

    Args:
        count: How many.
        seed: int [2].

    Reference: Box and Muller 1958, A Note on the Generation of Random Normal Deviates
    """
    pairs = uniform(tf.stack([(count + 1) // 2, 2]), seed)
    radius = tf.sqrt(-2.0 * tf.math.log(tf.maximum(pairs[:, 0], 1e-7)))
    turn = 2.0 * math.pi * pairs[:, 1]
    return tf.reshape(tf.stack([radius * tf.sin(turn), radius * tf.cos(turn)], axis=1), [-1])[:count]
