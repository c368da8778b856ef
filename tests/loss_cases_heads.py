"""Oracles of the classification heads."""

import numpy as np
from loss_cases import HEAD, Case, cosine

from keras_face import losses


def plain_softmax(embeddings, labels, weights, held):
    result = []
    for embedding, label in zip(embeddings, labels, strict=True):
        logits = [np.sum(embedding * prototype) for prototype in weights[0]]
        aim = logits[label] if label >= 0 else np.mean(logits)
        result.append(np.log(np.sum(np.exp(logits))) - aim)
    return np.array(result)


def margin_softmax(target_function):
    def oracle(embeddings, labels, weights, held):
        result = []
        for embedding, label in zip(embeddings, labels, strict=True):
            logits = [64.0 * cosine(embedding, prototype) for prototype in weights[0]]
            if label >= 0:
                logits[label] = 64.0 * target_function(cosine(embedding, weights[0][label]))
            aim = logits[label] if label >= 0 else np.mean(logits)
            result.append(np.max(logits) + np.log(np.sum(np.exp(logits - np.max(logits)))) - aim)
        return np.array(result)

    return oracle


def arc(value):
    beyond_pi = np.arccos(value) + 0.5 > np.pi
    return value - 0.5 * np.sin(0.5) if beyond_pi else np.cos(np.arccos(value) + 0.5)


CASES = {
    "softmax": Case(lambda: losses.get("softmax", **HEAD), plain_softmax),
    "norm_softmax": Case(lambda: losses.get("norm_softmax", **HEAD), margin_softmax(lambda value: value)),
    "cosface": Case(lambda: losses.get("cosface", **HEAD), margin_softmax(lambda value: value - 0.35)),
    "arcface": Case(lambda: losses.get("arcface", **HEAD), margin_softmax(arc)),
}
