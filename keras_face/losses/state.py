"""Numbers that a loss keeps between batches."""

from typing import Any

from keras_face.backend import keras, tf


def add_state(layer: keras.layers.Layer, name: str, initial: float, dtype: str = "float32") -> tf.Variable:
    """Returns a new scalar variable of the layer that no gradient moves.

    It may be assigned within a replica: every replica must compute the same value, from the gathered batch.
    """
    return layer.add_weight(
        name,
        shape=(),
        dtype=dtype,
        initializer=keras.initializers.Constant(initial),
        trainable=False,  # each replica assigns its own copy, without an exchange
    )


def moving_mean(variable: tf.Variable, value: tf.Tensor, share: float, moves: bool | tf.Tensor = True) -> tf.Tensor:
    """Moves a variable towards a value by a share of the way, and returns where it is then.

    Args:
        variable: float32 scalar.
        value: float32 scalar, the same on every replica.
        share: In (0, 1].
        moves: bool scalar; where it is False, the variable stays.
    """
    moved = tf.where(moves, (1.0 - share) * variable + share * value, variable)
    variable.assign(moved)
    return moved


def check_share(name: str, value: float) -> float:
    """Returns a setting that must be in (0, 1], else raises ValueError."""
    if not 0 < value <= 1:
        raise ValueError(f"{name} must be a share in (0, 1], got {value}")
    return value


def count_call(variable: tf.Variable, training: Any) -> tf.Tensor:
    """Returns how many training calls there were before this one, int64, and counts this one if it is one."""
    before = variable + tf.zeros((), variable.dtype)
    if training:
        variable.assign(before + 1)
    return before
