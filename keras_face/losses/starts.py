"""Where the prototypes of a head begin."""

from collections.abc import Sequence
from typing import Any

from keras_face.backend import keras, tf


@keras.utils.register_keras_serializable(package="keras_face")
class UnitRows(keras.initializers.Initializer):
    """Gives rows of length 1 in random directions, all equally likely.

    The authors of AdaFace and MagFace begin so; SphereFace's layer makes its prototypes unit vectors before each step.
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None, **settings: Any) -> tf.Tensor:
        return tf.math.l2_normalize(keras.initializers.RandomNormal(stddev=1.0)(shape, dtype), axis=-1)


def start_of(initializer: str | float | keras.initializers.Initializer | None) -> keras.initializers.Initializer:
    """Returns the initializer of prototypes, [identities, embedding_size].

    Args:
        initializer: A number: of a normal distribution, its standard deviation; None: 0.01, as arcface_torch and LATSE.
            "unit": lengths of 1, see `UnitRows`. Or an initializer of Keras, or its name.

    Raises: ValueError if there is no initializer of that name.
    """
    if initializer is None:
        initializer = 0.01
    if isinstance(initializer, (int, float)):
        return keras.initializers.RandomNormal(stddev=initializer)
    return UnitRows() if initializer == "unit" else keras.initializers.get(initializer)
