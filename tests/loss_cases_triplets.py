"""Oracles of the losses between the examples of a batch."""

import numpy as np
from loss_cases import Case, unit

from keras_face import losses


def batch_hard_triplet(embeddings, labels, weights, held):
    units = [unit(embedding) for embedding in embeddings]
    result, counted = [], 0
    for i, anchor in enumerate(units):
        positives, negatives = [], []
        for j, other in enumerate(units):
            if j != i and labels[j] == labels[i]:
                positives.append(np.sqrt(np.sum((anchor - other) ** 2)))
            elif labels[j] != labels[i] and (labels[i] >= 0 or labels[j] >= 0):
                negatives.append(np.sqrt(np.sum((anchor - other) ** 2)))
        counts = bool(positives and negatives)
        counted += counts
        result.append(max(max(positives) - min(negatives) + 0.3, 0.0) if counts else 0.0)
    return np.array(result) * len(labels) / counted


CASES = {
    "batch_hard_triplet": Case(lambda: losses.get("batch_hard_triplet"), batch_hard_triplet, label_range=None),
}
