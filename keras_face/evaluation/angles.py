"""How far apart the two distributions are: angular Fisher score, d-prime, and normal fits of the angles."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks


class NormalFit(NamedTuple):
    """Mean and standard deviation (divided by n) of values."""

    mean: float
    std: float


class AngleFits(NamedTuple):
    """Normal fits of the angles, in radians, of genuine and of impostor pairs."""

    genuine: NormalFit
    impostor: NormalFit


def angles(cosine: ArrayLike) -> np.ndarray:
    """Returns the angle of each cosine, in radians; rounding beyond -1 and 1 is cut off.

    Raises: ValueError for a value that is no cosine.
    """
    cosine = np.asarray(cosine, np.float64)
    checks.finite(cosine, "cosine")
    if cosine.size and np.abs(cosine).max() > 1 + 1e-5:
        raise ValueError(f"cosine must be in [-1, 1], got {cosine.min()} ... {cosine.max()}")
    return np.arccos(np.clip(cosine, -1, 1))


def angle_fits(cosine: ArrayLike, genuine: ArrayLike) -> AngleFits:
    """Returns normal fits of the angles of genuine and impostor pairs, as foamliu's InsightFace draws them.

    Args:
        cosine: [n], similarity of each pair.
        genuine: bool [n].

    Raises: ValueError as `folds.kfold_accuracy` and `angles`.
    """
    cosine, genuine = checks.pairs(cosine, genuine)
    theta = angles(cosine)
    return AngleFits(_fit(theta[genuine]), _fit(theta[~genuine]))


def d_prime(similarity: ArrayLike, genuine: ArrayLike) -> float:
    """Returns the distance of the means in units of the root mean square of the standard deviations.

    Args:
        similarity: [n], higher is more alike.
        genuine: bool [n].

    Raises: ValueError as `folds.kfold_accuracy`, and where neither polarity varies.
    """
    similarity, genuine = checks.pairs(similarity, genuine)
    same, other = _fit(similarity[genuine]), _fit(similarity[~genuine])
    spread = np.sqrt((same.std**2 + other.std**2) / 2)
    if spread == 0:
        raise ValueError("d-prime needs similarities that vary, got a single value for each polarity")
    return float((same.mean - other.mean) / spread)


def angular_fisher_score(embeddings: ArrayLike, labels: ArrayLike, *, normalise_first: bool = False) -> float:
    """Returns the scatter of directions within identities over that between them; lower is better.

    S_w / S_b, with S_w the sum over embeddings of 1 - cos(embedding, mean of its identity) and S_b the sum over
    identities of their number times 1 - cos(mean of the identity, mean of all).

    Args:
        embeddings: [n, embedding_size], as the network gives them.
        labels: int [n], identity of each; 2 identities or more.
        normalise_first: Take the means of unit embeddings. The paper does not say; its "mean" is read as of raw ones.

    Raises: ValueError for embeddings or means that are zero or not finite, fewer than 2 identities, and S_b = 0.

    Reference: Liu et al. 2017, SphereFace, https://arxiv.org/abs/1704.08063, appendix E.
    """
    array = np.asarray(checks.lengths(embeddings)[0], np.float64)
    directions = checks.unit(array)
    labels = checks.labels(labels, len(array), "labels")
    identities, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if identities.size < 2:
        raise ValueError(f"the angular Fisher score needs 2 or more identities, got {identities.size}")
    summed = directions if normalise_first else array
    sums = np.zeros((identities.size, array.shape[1]))
    np.add.at(sums, index, summed)
    means = checks.unit(sums, "identity means")
    mean = checks.unit(summed.sum(axis=0, keepdims=True), "mean of all")[0]
    within = float(np.sum(1 - np.einsum("ij,ij->i", directions, means[index])))
    between = float(np.dot(counts, 1 - means @ mean))
    if between <= 1e-12 * counts.sum():
        raise ValueError("the angular Fisher score needs identities of different directions, got one direction")
    return max(within, 0.0) / between


def _fit(values: np.ndarray) -> NormalFit:
    return NormalFit(float(values.mean()), float(values.std()))
