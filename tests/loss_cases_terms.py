"""Oracles of the terms that go beside a head: centres, sequences, distillation."""

import numpy as np
from loss_cases import HEAD, Case, cosine

from keras_face import losses


def angular_centre(embeddings, labels, weights, held):
    pairs = zip(embeddings, labels, strict=True)
    return np.array([64.0 * (1 - cosine(each, weights[0][label])) if label >= 0 else 0.0 for each, label in pairs])


CASES = {
    "angular_centre": Case(
        lambda: losses.get("angular_centre", head=losses.get("arcface", **HEAD)),
        angular_centre,
    ),
}
