"""What the conformance suite knows about one loss: how it is made, what it should give, and what it accepts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

IDENTITIES, SEQUENCES, SIZE = 5, 3, 6
LABELS = np.array([0, 0, 3, 1, -1, -1, -3, 4, 1, 3])
HEAD = {"num_identities": IDENTITIES, "num_sequences": SEQUENCES}

# (embeddings, labels, weights, held) -> losses; float64 throughout, in plain loops. `weights` are those of the layer's
# get_weights(). `held` is (embeddings, weights) as they were before a finite difference moved one of them: what the
# formula takes as a constant (a detached margin, a stopped statistic) is computed from it.
Oracle = Callable[[np.ndarray, np.ndarray, list, tuple], np.ndarray]


def call_plainly(layer: Any, embeddings: Any, labels: Any, training: bool) -> Any:
    return layer(embeddings, labels, training=training)


@dataclass(frozen=True)
class Case:
    """A loss and its oracle.

    Attributes:
        make: Makes the layer.
        oracle: The losses when not training.
        label_range: The labels it accepts, lowest to below highest; None: all.
        weights: (shapes of the weights) -> their values; None: normal numbers, which state may not be.
        training_oracle: The losses when training, where they differ: statistics move before they are used.
        state_oracle: (embeddings, labels, weights) -> all weights after one call in training; None: they stay.
        differentiable: Whether finite differences of the oracle are the gradient.
        huge: The largest component of an embedding whose loss a float32 can hold.
        call: How the layer is called.
    """

    make: Callable[[], Any]
    oracle: Oracle
    label_range: tuple[int, int] | None = (-SEQUENCES, IDENTITIES)
    weights: Callable[[list], list] | None = None
    training_oracle: Oracle | None = None
    state_oracle: Callable[[np.ndarray, np.ndarray, list], list] | None = None
    differentiable: bool = True
    huge: float = 1e30
    call: Callable[[Any, Any, Any, bool], Any] = call_plainly


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return np.sum(first * second) / np.sqrt(np.sum(first**2) * np.sum(second**2))


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt(np.sum(vector**2))
