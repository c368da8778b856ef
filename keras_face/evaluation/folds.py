"""Accuracy over folds, by threshold rules that have names."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks


@dataclass(frozen=True)
class FoldAccuracy:
    """Accuracy by cross-validation.

    Attributes:
        mean: Unweighted mean of the folds' accuracies, [0, 1], whatever their sizes.
        std: Population standard deviation over the folds (divided by k, not k - 1), as facenet and InsightFace print.
        accuracy: Accuracy of each fold.
        thresholds: Threshold each fold was judged by.
        rule: Name of the rule that found the thresholds, of `RULES`.
        standard_error: Sample standard deviation (divided by k - 1) over the root of k, as LFW's page publishes.

    Examples:
        >>> random = np.random.default_rng(0)
        >>> genuine, fold = np.arange(400) % 2 == 0, np.arange(400) % 10
        >>> similarity = random.normal(0.6 * genuine, 0.2)
        >>> accuracy = kfold_accuracy(similarity, genuine, fold, rule="equal_error")
        >>> len(accuracy.thresholds), accuracy.rule
        (10, 'equal_error')
    """

    mean: float
    std: float
    accuracy: tuple[float, ...]
    thresholds: tuple[float, ...]
    rule: str
    standard_error: float


def kfold_accuracy(
    similarity: ArrayLike, genuine: ArrayLike, fold: ArrayLike, rule: str = "best_accuracy"
) -> FoldAccuracy:
    """Returns the accuracy on each fold at the threshold that a rule finds on all the other folds.

    So no pair influences the threshold it is judged by, except under `best_on_test`.

    Args:
        similarity: [n], higher is more alike; or [k, n], of which row i is used throughout while fold i is judged
            (see `mean_subtracted`).
        genuine: bool [n], True where both sides are the same person.
        fold: int [n], fold of each pair, 0 ... k - 1, k >= 2. Folds may differ in size.
        rule: Name of the threshold rule, of `RULES`.

    Raises:
        ValueError: Similarities that are not finite, sizes that differ, one polarity only (also in all folds but one),
            a fold without pairs, fewer than 2 folds, or an unknown rule.

    Examples:
        >>> random = np.random.default_rng(0)
        >>> genuine, fold = np.arange(400) % 2 == 0, np.arange(400) % 10
        >>> similarity = random.normal(0.6 * genuine, 0.2)
        >>> accuracy = kfold_accuracy(similarity, genuine, fold)
        >>> print(f"{accuracy.mean:.3f} +- {accuracy.standard_error:.3f}")
        0.922 +- 0.016
    """
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, got {rule!r}")
    array = np.asarray(similarity, np.float64)
    rows = array[None] if array.ndim == 1 else array
    fold, num_folds = checks.folds(fold, np.size(genuine))
    if rows.ndim != 2 or len(rows) not in (1, num_folds):
        raise ValueError(f"similarity must be [pairs] or [{num_folds} folds, pairs], got shape {array.shape}")
    for row in rows:
        _, polarity = checks.pairs(row, genuine)
    orders = [np.argsort(row, kind="stable") for row in rows]
    thresholds = np.empty(num_folds)
    for number in range(num_folds):
        row, order = rows[number % len(rows)], orders[number % len(rows)]
        if rule != "best_on_test":
            order = order[fold[order] != number]
            num_genuine = np.count_nonzero(polarity[order])
            if num_genuine in (0, order.size):
                raise ValueError(f"expected genuine and impostor pairs outside fold {number} to find its threshold on")
        thresholds[number] = RULES[rule](row[order], polarity[order])
    right = right_decisions(similarity, genuine, fold, thresholds)
    accuracy = np.bincount(fold, right) / np.bincount(fold)
    return FoldAccuracy(
        mean=float(accuracy.mean()),
        std=float(accuracy.std()),
        accuracy=tuple(accuracy.tolist()),
        thresholds=tuple(thresholds.tolist()),
        rule=rule,
        standard_error=float(accuracy.std(ddof=1) / np.sqrt(num_folds)),
    )


def right_decisions(similarity: ArrayLike, genuine: ArrayLike, fold: ArrayLike, thresholds: ArrayLike) -> np.ndarray:
    """Returns bool [n]: whether each pair is called what it is by the threshold of its fold.

    Args:
        similarity: As `kfold_accuracy`.
        genuine: Likewise.
        fold: Likewise.
        thresholds: [k], as `FoldAccuracy.thresholds`.

    Examples:
        >>> right_decisions([0.7, 0.2, 0.6], [True, True, False], [0, 1, 1], thresholds=[0.5, 0.4])
        array([ True, False, False])
    """
    similarity, fold = np.asarray(similarity, np.float64), np.asarray(fold)
    own = similarity if similarity.ndim == 1 else similarity[fold, np.arange(fold.size)]
    return (own > np.asarray(thresholds)[fold]) == np.asarray(genuine)


def best_threshold(similarity: ArrayLike, genuine: ArrayLike) -> tuple[float, float]:
    """Returns the threshold with the highest accuracy on these pairs, and that accuracy.

    As a result for the same pairs it flatters; `kfold_accuracy` does not. Every distinct way to cut the pairs is
    tried, halfway between neighbouring similarities and beyond both ends. Of equally accurate cuts the one in the
    widest gap wins, then the lowest: this favours neither polarity.

    Args:
        similarity: [n], higher is more alike.
        genuine: bool [n].

    Raises: ValueError as `kfold_accuracy`.

    Examples:
        >>> best_threshold([0.9, 0.7, 0.3, 0.1], [True, True, False, False])
        (0.5, 1.0)
    """
    similarity, genuine = checks.pairs(similarity, genuine)
    order = np.argsort(similarity, kind="stable")
    threshold = _best_accuracy(similarity[order], genuine[order])
    return threshold, float(np.mean((similarity > threshold) == genuine))


def mean_subtracted(left: ArrayLike, right: ArrayLike, fold: ArrayLike) -> np.ndarray:
    """Returns float64 [k, n]: the cosine of each pair after SphereFace's subtraction of the mean.

    In row i the mean embedding of both sides of all pairs outside fold i is taken off every embedding, so that the
    judged fold does not influence it. For `kfold_accuracy`.

    Args:
        left: [n, embedding_size], not normalised before.
        right: Likewise, the other side.
        fold: int [n], 0 ... k - 1.

    Raises: ValueError for sizes that differ, and embeddings that are zero or not finite, before or after.

    Examples:
        >>> random = np.random.default_rng(0)
        >>> left, right = random.normal(3.0, 1.0, (2, 6, 4))  # all embeddings lie to one side
        >>> mean_subtracted(left, right, fold=[0, 0, 0, 1, 1, 1]).shape
        (2, 6)
    """
    left, right = (np.asarray(checks.lengths(side, name)[0], np.float64) for side, name in _sides(left, right))
    if left.shape != right.shape:
        raise ValueError(f"expected as many left as right embeddings of one size, got {left.shape} and {right.shape}")
    fold, num_folds = checks.folds(fold, len(left))
    similarity = np.empty((num_folds, len(left)))
    for number in range(num_folds):
        outside = fold != number
        mean = (left[outside].mean(axis=0) + right[outside].mean(axis=0)) / 2
        sides = (checks.unit(side - mean, f"{name} less the mean") for side, name in _sides(left, right))
        similarity[number] = np.einsum("ij,ij->i", *sides)
    return similarity


def _sides(left: ArrayLike, right: ArrayLike) -> tuple[tuple[ArrayLike, str], tuple[ArrayLike, str]]:
    return (left, "left embeddings"), (right, "right embeddings")


# Rules: from the pairs in rising order of similarity to a threshold.


def _best_accuracy(similarity: np.ndarray, genuine: np.ndarray) -> float:
    # Cut k rejects the k lowest pairs: each rejected genuine pair is one more wrong decision, each impostor one less.
    return _cut(similarity, np.cumsum(np.where(genuine, 1, -1)))


def _equal_error(similarity: np.ndarray, genuine: np.ndarray) -> float:
    # Rejected genuine pairs over all of them, less accepted impostor pairs over all of those; in whole numbers.
    num_genuine = int(np.count_nonzero(genuine))
    num_impostor = genuine.size - num_genuine
    difference = np.cumsum(np.where(genuine, num_impostor, num_genuine)) - num_genuine * num_impostor
    return _cut(similarity, np.abs(difference), start=num_genuine * num_impostor)


def _mean_of_maximisers(similarity: np.ndarray, genuine: np.ndarray) -> float:
    if similarity[0] < -1 - 1e-6 or similarity[-1] > 1 + 1e-6:
        raise ValueError(
            f"mean_of_maximisers looks for thresholds in [-1, 1], got similarities {similarity[0]} ... {similarity[-1]}"
        )
    grid = np.linspace(-1, 1, 20001)
    right = np.searchsorted(similarity[~genuine], grid, "left") - np.searchsorted(similarity[genuine], grid, "right")
    return float(grid[right == right.max()].mean())


def _first_of_400(similarity: np.ndarray, genuine: np.ndarray) -> float:
    grid = np.arange(0, 4, 0.01)  # squared distances of unit embeddings
    distance = (2 - 2 * similarity)[::-1]
    genuine = genuine[::-1]
    right = np.searchsorted(distance[genuine], grid, "left") - np.searchsorted(distance[~genuine], grid, "left")
    return float(1 - grid[np.argmax(right)] / 2)


def _cut(similarity: np.ndarray, cost: np.ndarray, start: int = 0) -> float:
    """Returns the threshold of the cheapest cut; of equals in the widest gap, then the lowest.

    Args:
        similarity: [n], rising.
        cost: int [n], cost of rejecting the first 1 ... n pairs.
        start: Cost of rejecting none.
    """
    cost = np.concatenate([[start], cost])
    gap = np.concatenate([[0.0], np.diff(similarity), [0.0]])
    possible = gap > 0  # equal similarities cannot be told apart
    possible[[0, -1]] = True
    best = possible & (cost == cost[possible].min())
    cut = int(np.argmax(np.where(best, gap, -1.0)))
    if cut == 0:
        return float(np.nextafter(similarity[0], -np.inf))
    low = similarity[cut - 1]
    if cut == similarity.size:
        return float(low)
    middle = (low + similarity[cut]) / 2
    return float(middle if middle < similarity[cut] else low)  # halfway between neighbouring floats may round up


RULES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "best_accuracy": _best_accuracy,  # the most right decisions on the other folds; every cut is tried
    "equal_error": _equal_error,  # the nearest to as many false rejects as false accepts on the other folds
    "mean_of_maximisers": _mean_of_maximisers,  # SphereFace: mean of the best of 20,001 cosines in [-1, 1]
    "first_of_400": _first_of_400,  # facenet, InsightFace: first best of the squared distances 0, 0.01 ... 3.99
    "best_on_test": _best_accuracy,  # the most right decisions on all folds, the judged one too: flatters
}
