"""Figures of verification from similarities. NumPy only; sees neither models nor photos.

One rule throughout: a pair is called genuine where its similarity is **greater than** the threshold; an equal one is
called impostor.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class FoldAccuracy:
    """Accuracy by cross-validation.

    Attributes:
        mean: Unweighted mean of the folds' accuracies, [0, 1].
        std: Population standard deviation over the folds (divided by k, not k - 1), as facenet and InsightFace print.
        accuracy: Accuracy of each fold.
        thresholds: Threshold each fold was judged by, found on the other folds.
    """

    mean: float
    std: float
    accuracy: tuple[float, ...]
    thresholds: tuple[float, ...]


class Roc(NamedTuple):
    """Receiver operating characteristic: rates of accepted pairs at falling thresholds, from (0, 0) to (1, 1)."""

    thresholds: np.ndarray
    far: np.ndarray
    tar: np.ndarray


@dataclass(frozen=True)
class TarAtFar:
    """True accept rate at a false accept rate.

    Attributes:
        far: The false accept rate asked for, (0, 1].
        tar: Share of the genuine pairs accepted; None where the FAR is not measurable with so few impostors.
        threshold: Lowest similarity threshold that keeps the FAR; None likewise.
        num_impostor: Number of impostor pairs behind the FAR.
    """

    far: float
    tar: float | None
    threshold: float | None
    num_impostor: int


def kfold_accuracy(similarity: ArrayLike, genuine: ArrayLike, fold: ArrayLike) -> FoldAccuracy:
    """Returns the accuracy on each fold at the threshold that is best on all the other folds.

    The threshold is `best_threshold` of the other folds, so no pair has a say in the threshold it is judged by.

    Args:
        similarity: [n], higher is more alike.
        genuine: bool [n], True where both sides are the same person.
        fold: int [n], fold of each pair, 0 ... k - 1, k >= 2. Folds may differ in size.

    Raises:
        ValueError: Similarities that are not finite, sizes that differ, one polarity only (also in all folds but one),
            or a fold without pairs.
    """
    similarity, genuine = _checked(similarity, genuine)
    fold = np.asarray(fold)
    if fold.shape != similarity.shape or not np.issubdtype(fold.dtype, np.integer) or fold.min() < 0:
        raise ValueError(
            f"fold must be {similarity.size} integers >= 0, got shape {fold.shape} of {fold.dtype}: {fold}"
        )
    sizes = np.bincount(fold)
    if sizes.size < 2 or not sizes.all():
        empty = np.flatnonzero(sizes == 0)
        raise ValueError(f"expected 2 or more folds, each with pairs, got {sizes.size}, of which {empty} are empty")
    order = np.argsort(similarity, kind="stable")
    similarity, genuine, fold = similarity[order], genuine[order], fold[order]
    thresholds, accuracy = [], []
    for number in range(sizes.size):
        inside = fold == number
        if np.unique(genuine[~inside]).size < 2:
            raise ValueError(f"expected genuine and impostor pairs outside fold {number} to find its threshold on")
        threshold = _best_cut(similarity[~inside], genuine[~inside])
        thresholds.append(threshold)
        accuracy.append(float(np.mean((similarity[inside] > threshold) == genuine[inside])))
    return FoldAccuracy(float(np.mean(accuracy)), float(np.std(accuracy)), tuple(accuracy), tuple(thresholds))


def best_threshold(similarity: ArrayLike, genuine: ArrayLike) -> tuple[float, float]:
    """Returns the threshold with the highest accuracy on these pairs, and that accuracy.

    As a result for the same pairs it flatters; `kfold_accuracy` does not. Every distinct way to cut the pairs is
    tried, halfway between neighbouring similarities and beyond both ends. Of equally accurate cuts the one in the
    widest gap wins, then the lowest: this favours neither polarity.

    Args:
        similarity: [n], higher is more alike.
        genuine: bool [n].

    Raises: ValueError as `kfold_accuracy`.
    """
    similarity, genuine = _checked(similarity, genuine)
    order = np.argsort(similarity, kind="stable")
    threshold = _best_cut(similarity[order], genuine[order])
    return threshold, float(np.mean((similarity > threshold) == genuine))


def roc(similarity: ArrayLike, genuine: ArrayLike) -> Roc:
    """Returns the ROC at every distinct similarity, and below the lowest.

    Args:
        similarity: [n], higher is more alike.
        genuine: bool [n].

    Raises: ValueError as `kfold_accuracy`.
    """
    similarity, genuine = _checked(similarity, genuine)
    distinct = np.unique(similarity)[::-1]
    thresholds = np.append(distinct, np.nextafter(distinct[-1], -np.inf))
    return Roc(thresholds, _accepted(similarity[~genuine], thresholds), _accepted(similarity[genuine], thresholds))


def tar_at_far(similarity: ArrayLike, genuine: ArrayLike, far: float) -> TarAtFar:
    """Returns the highest true accept rate whose false accept rate is at most `far`; nothing is interpolated.

    Args:
        similarity: [n], higher is more alike.
        genuine: bool [n].
        far: False accept rate, (0, 1]. Not measurable where it allows less than one of the impostor pairs.

    Raises: ValueError as `kfold_accuracy`, or if `far` is out of range.
    """
    similarity, genuine = _checked(similarity, genuine)
    if not 0 < far <= 1:
        raise ValueError(f"far must be a rate in (0, 1], got {far}")
    impostors = similarity[~genuine]
    allowed = int(impostors.size * far + 1e-9)  # 1e-3 of 3,000 is 3, whatever the rounding of the product
    if allowed < 1:
        return TarAtFar(far, None, None, impostors.size)
    # The first impostor that may not pass is the threshold itself.
    threshold = np.nextafter(similarity.min(), -np.inf)
    if allowed < impostors.size:
        threshold = np.partition(impostors, impostors.size - allowed - 1)[impostors.size - allowed - 1]
    return TarAtFar(far, float(np.mean(similarity[genuine] > threshold)), float(threshold), impostors.size)


def _best_cut(similarity: np.ndarray, genuine: np.ndarray) -> float:
    """Returns the threshold of `best_threshold`; both arrays in rising order of similarity."""
    # Cut k rejects the k lowest pairs: each rejected impostor is one more right decision, each genuine one less.
    gain = np.concatenate([[0], np.cumsum(np.where(genuine, -1, 1))])
    gap = np.concatenate([[0.0], np.diff(similarity), [0.0]])
    possible = gap > 0  # equal similarities cannot be told apart
    possible[[0, -1]] = True
    best = possible & (gain == gain[possible].max())
    cut = int(np.argmax(np.where(best, gap, -1.0)))
    if cut == 0:
        return float(np.nextafter(similarity[0], -np.inf))
    low = similarity[cut - 1]
    if cut == similarity.size:
        return float(low)
    middle = (low + similarity[cut]) / 2
    return float(middle if middle < similarity[cut] else low)  # halfway between neighbouring floats may round up


def _accepted(similarity: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns the share of similarities that is greater than each threshold."""
    return 1 - np.searchsorted(np.sort(similarity), thresholds, side="right") / similarity.size


def _checked(similarity: ArrayLike, genuine: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    similarity, genuine = np.asarray(similarity, np.float64), np.asarray(genuine)
    if similarity.ndim != 1 or similarity.shape != genuine.shape:
        raise ValueError(f"expected a similarity and a genuine flag a pair, got {similarity.shape} and {genuine.shape}")
    if genuine.dtype != bool:
        raise ValueError(f"genuine must be bool, got {genuine.dtype}")
    finite = np.isfinite(similarity)
    if not finite.all():
        first = int(np.argmin(finite))
        raise ValueError(
            f"similarity must be finite, got {np.count_nonzero(~finite)} that are not, "
            f"first {similarity[first]} at {first}"
        )
    if genuine.all() or not genuine.any():
        num_genuine = np.count_nonzero(genuine)
        raise ValueError(f"expected genuine and impostor pairs, got {num_genuine} and {genuine.size - num_genuine}")
    return similarity, genuine
