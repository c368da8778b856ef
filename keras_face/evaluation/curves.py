"""ROC and DET, the area under the ROC, and the equal error rate."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks


class Roc(NamedTuple):
    """Receiver operating characteristic: rates of accepted pairs at falling thresholds, from (0, 0) to (1, 1)."""

    thresholds: np.ndarray
    far: np.ndarray
    tar: np.ndarray


class Det(NamedTuple):
    """Detection error trade-off: rates of wrongly accepted and wrongly rejected pairs at falling thresholds."""

    thresholds: np.ndarray
    far: np.ndarray
    frr: np.ndarray


class EqualError(NamedTuple):
    """Equal error rate, and the threshold nearest to it."""

    rate: float
    threshold: float


def roc(similarity: ArrayLike, genuine: ArrayLike, *, corners: bool = False) -> Roc:
    """Returns the ROC at every distinct similarity, and below the lowest.

    Genuine and impostor pairs of equal similarity pass together: the curve goes straight from the one point to the
    next, so neither polarity is favoured.

    Args:
        similarity: [n], higher is more alike.
        genuine: bool [n].
        corners: Leave out the points within straight horizontal and vertical runs; the curve is the same.

    Raises: ValueError as `folds.kfold_accuracy`.
    """
    similarity, genuine = checks.pairs(similarity, genuine)
    # Sorting values alone is much faster than sorting them with their polarity.
    rising = np.sort(similarity)
    ends = np.append(np.flatnonzero(rising[1:] != rising[:-1]), rising.size - 1)  # last of each run of equal ones
    distinct = rising[ends]
    del rising
    rejected_genuine = np.cumsum(np.bincount(np.searchsorted(distinct, similarity[genuine]), minlength=ends.size))
    num_genuine = int(rejected_genuine[-1])
    thresholds = np.append(distinct[::-1], np.nextafter(distinct[0], -np.inf))
    del distinct
    tar = num_genuine - np.append(rejected_genuine[::-1], 0)
    far = genuine.size - np.append(ends[::-1] + 1, 0) - tar
    del rejected_genuine, ends
    if corners:
        flat, upright = np.diff(tar) == 0, np.diff(far) == 0
        kept = np.full(tar.size, True)
        kept[1:-1] = ~((flat[1:] & flat[:-1]) | (upright[1:] & upright[:-1]))
        thresholds, far, tar = thresholds[kept], far[kept], tar[kept]
    return Roc(thresholds, far / (genuine.size - num_genuine), tar / num_genuine)


def det(similarity: ArrayLike, genuine: ArrayLike, *, corners: bool = False) -> Det:
    """Returns the DET: the ROC with the false reject rate, 1 - TAR.

    Args and Raises: as `roc`.
    """
    curve = roc(similarity, genuine, corners=corners)
    return Det(curve.thresholds, curve.far, 1 - curve.tar)


def auc(similarity: ArrayLike, genuine: ArrayLike) -> float:
    """Returns the area under the ROC: the chance that a genuine pair is more alike than an impostor pair.

    Of equal similarities half counts.

    Args and Raises: as `roc`.
    """
    similarity, genuine = checks.pairs(similarity, genuine)
    impostors, genuines = np.sort(similarity[~genuine]), similarity[genuine]
    twice = np.searchsorted(impostors, genuines, "left").sum() + np.searchsorted(impostors, genuines, "right").sum()
    return float(twice / 2 / impostors.size / genuines.size)


def equal_error(similarity: ArrayLike, genuine: ArrayLike) -> EqualError:
    """Returns the rate at which the ROC, drawn with straight lines, has as many false rejects as false accepts.

    The threshold is that of the point of the ROC where the two rates differ least, the higher one of two.

    Args and Raises: as `roc`.
    """
    curve = roc(similarity, genuine)
    difference = curve.far - (1 - curve.tar)  # rises from -1 to 1
    after = int(np.searchsorted(difference, 0))
    before = after - 1
    share = -difference[before] / (difference[after] - difference[before])
    rate = curve.far[before] + share * (curve.far[after] - curve.far[before])
    nearest = before if -difference[before] <= difference[after] else after
    return EqualError(float(rate), float(curve.thresholds[nearest]))
