"""A loss that is checked, and what it is called with."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_face.backend import tf

IDENTITIES, SEQUENCES, SIZE = 5, 3, 6
LABELS = np.array([0, 0, 3, 1, -1, -1, -3, 4, 1, 3])

# (embeddings, labels, weights, held) -> losses; float64 throughout, in plain loops. `weights` are those of the layer's
# get_weights(). `held` is (embeddings, weights) as they were before a finite difference moved one of them: what the
# formula takes as a constant (a detached margin, a stopped statistic) is computed from it.
Oracle = Callable[[np.ndarray, np.ndarray, list, tuple], np.ndarray]


def call_plainly(layer: Any, embeddings: Any, labels: Any, training: bool) -> Any:
    """Returns what a layer gives that is called as most are."""
    return layer(embeddings, labels, training=training)


@dataclasses.dataclass(frozen=True)
class Case:
    """A loss, and what is known of it.

    Attributes:
        make: Makes the layer, for IDENTITIES identities and SEQUENCES sequences.
        oracle: The losses when not training; None: not compared.
        label_range: The labels it accepts, lowest to below highest; None: all.
        weights: (shapes of the weights) -> their values; None: normal numbers, which state may not be.
        training_oracle: The losses when training, where they differ: statistics move before they are used.
        state_oracle: (embeddings, labels, weights) -> all weights after one call in training; None: they stay.
        differentiable: Whether finite differences of the oracle are the gradient.
        huge: The largest component of an embedding whose loss a float32 can hold.
        call: How the layer is called.

    Examples:
        >>> class SquaredLength(keras.layers.Layer):
        ...     def call(self, embeddings, labels, training=False):
        ...         return tf.reduce_sum(tf.square(tf.cast(embeddings, tf.float32)), axis=1)
        ...
        >>> def oracle(embeddings, labels, weights, held):
        ...     return np.square(embeddings).sum(axis=1)
        ...
        >>> case = Case(SquaredLength, oracle, label_range=None)
        >>> keras_face.testing.LOSS_CHECKS[0](case)  # its values are the formula's
    """

    make: Callable[[], Any]
    oracle: Oracle | None = None
    label_range: tuple[int, int] | None = (-SEQUENCES, IDENTITIES)
    weights: Callable[[list], list] | None = None
    training_oracle: Oracle | None = None
    state_oracle: Callable[[np.ndarray, np.ndarray, list], list] | None = None
    differentiable: bool = True
    huge: float = 1e30
    call: Callable[[Any, Any, Any, bool], Any] = call_plainly


def built(case: Case) -> tuple[Any, list[np.ndarray]]:
    """Returns the layer with random weights, and these."""
    random = np.random.default_rng(1)
    layer = case.make()
    layer.build((None, SIZE))
    shapes = [weight.shape for weight in layer.get_weights()]
    layer.set_weights(case.weights(shapes) if case.weights else [random.normal(size=shape) for shape in shapes])
    return layer, layer.get_weights()


def caller(case: Case, layer: Any) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns the function of embeddings and labels that the layer is when not training, however it is called."""
    return lambda embeddings, labels: case.call(layer, embeddings, labels, False)


def in_float64(weights: list[np.ndarray]) -> list[np.ndarray]:
    return [np.array(weight, float) for weight in weights]


def random_embeddings(count: int) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(count, SIZE))


def loss_and_gradients(
    case: Case, layer: Any, embeddings: tf.Tensor, labels: tf.Tensor, batch_size: int = 1, training: bool = True
) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
    """Returns the losses, and the gradients of their sum / batch_size by the embeddings and by the weights."""
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        loss = case.call(layer, embeddings, labels, training)
        total = tf.reduce_sum(loss) / batch_size
    by_embeddings, *by_weights = tape.gradient(
        total, [embeddings, *layer.trainable_weights], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return loss, by_embeddings, [tf.convert_to_tensor(gradient) for gradient in by_weights]


def singular_batch(weights: list[np.ndarray], dtype: str, huge: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns embeddings parallel and antiparallel to the first weight, zero, huge, tiny and equal; and labels."""
    random = np.random.default_rng(3)
    base = weights[0][0] if weights and np.ndim(weights[0]) == 2 else random.normal(size=SIZE)
    along = [base * length for length in random.uniform(0.1, 3.0, 100)]  # many, for the many ways to round to 1
    huge = min(huge, 6e4) if dtype == "float16" else huge
    rest = [np.zeros(SIZE), np.full(SIZE, huge), np.full(SIZE, -huge), np.eye(SIZE)[0] * 1e-3, np.zeros(SIZE)]
    embeddings = np.array([*along, *np.negative(along), *rest])
    labels = np.arange(len(embeddings)) % 2 * (IDENTITIES - 1)
    return tf.cast(tf.constant(embeddings, tf.float32), dtype), tf.constant(labels)
