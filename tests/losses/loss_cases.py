"""What the oracles of the conformance suite share."""

import numpy as np

from keras_face.testing import IDENTITIES, LABELS, SEQUENCES, SIZE, Case

__all__ = ["HEAD", "IDENTITIES", "LABELS", "SEQUENCES", "SIZE", "Case", "cosine", "unit"]

HEAD = {"num_identities": IDENTITIES, "num_sequences": SEQUENCES}


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return np.sum(first * second) / np.sqrt(np.sum(first**2) * np.sum(second**2))


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.sqrt(np.sum(vector**2))
