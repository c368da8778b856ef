"""Two models on the same pairs: is the one better, or was it luck?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks
from keras_face.evaluation.folds import kfold_accuracy, right_decisions
from keras_face.evaluation.intervals import LEVEL, RESAMPLES, Interval, percentiles, regularised_beta
from keras_face.evaluation.operating_points import num_tops, tar_at_far
from keras_face.evaluation.resampling import resample_pairs
from keras_face.evaluation.spread import number_interval


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of paired decisions.

    Attributes:
        only_first: Pairs that only the first model decides right.
        only_second: Pairs that only the second does.
        p_value: Chance of a split at least as uneven if both were equally good; two-sided, [0, 1].
    """

    only_first: int
    only_second: int
    p_value: float


@dataclass(frozen=True)
class Difference:
    """A figure of two models.

    Attributes:
        first: Of the first model.
        second: Of the second.
        difference: First less second.
        interval: Of the difference, by paired bootstrap of people, or of pairs where people are not given; the models
            differ beyond luck where it leaves 0 out.
    """

    first: float
    second: float
    difference: float
    interval: Interval


@dataclass(frozen=True)
class AccuracyComparison:
    """Accuracies of two models over the same folds.

    Attributes:
        rule: Threshold rule, of `folds.RULES`.
        accuracy: The accuracies and their difference; in the bootstrap the thresholds stay as they are.
        mcnemar: The test of their decisions, as if pairs were independent.
    """

    rule: str
    accuracy: Difference
    mcnemar: McNemar


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> McNemar:
    """Returns McNemar's exact test, by the binomial distribution and not its approximation.

    Args:
        first_right: bool [n], whether the first model decides each pair right.
        second_right: Likewise.

    Raises: ValueError unless they are bool and as many.
    """
    first_right, second_right = np.asarray(first_right), np.asarray(second_right)
    if first_right.shape != second_right.shape or {first_right.dtype, second_right.dtype} != {np.dtype(bool)}:
        raise ValueError(
            f"expected two bool arrays of one shape, got {first_right.dtype} {first_right.shape} "
            f"and {second_right.dtype} {second_right.shape}"
        )
    only_first = int(np.count_nonzero(first_right & ~second_right))
    only_second = int(np.count_nonzero(second_right & ~first_right))
    low, high = sorted((only_first, only_second))
    # Chance of at most `low` of n even tosses, on either side.
    p_value = 1.0 if low == high else 2 * regularised_beta(0.5, high, low + 1)
    return McNemar(only_first, only_second, min(1.0, p_value))


def compare_accuracy(
    first: ArrayLike,
    second: ArrayLike,
    genuine: ArrayLike,
    fold: ArrayLike,
    rule: str = "best_accuracy",
    *,
    identities: np.ndarray | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> AccuracyComparison:
    """Returns the accuracies over folds of two models, their difference, and whether it could be luck.

    Args:
        first: [n], similarities of the first model; or [k, n], as `folds.kfold_accuracy`.
        second: Likewise, of the same pairs in the same order.
        genuine: bool [n].
        fold: int [n].
        rule: Threshold rule, of `folds.RULES`.
        identities: int [n, 2], person on each side: people are resampled; None: not known, pairs are.
        level: Confidence, (0, 1).
        resamples: Of the bootstrap, which draws pairs within each fold and polarity.
        seed: Of the bootstrap.

    Raises: ValueError as `folds.kfold_accuracy`.
    """
    results = [kfold_accuracy(similarity, genuine, fold, rule) for similarity in (first, second)]
    genuine, fold = np.asarray(genuine), np.asarray(fold)
    right = [
        right_decisions(similarity, genuine, fold, result.thresholds)
        for similarity, result in zip((first, second), results, strict=True)
    ]
    if identities is not None:
        sides = [
            resample_pairs(
                np.zeros(genuine.size), genuine, identities, right=each, fold=fold, resamples=resamples, seed=seed
            )
            for each in right
        ]
        means = results[0].mean, results[1].mean
        interval = _paired(means[0] - means[1], sides[0].accuracy, sides[1].accuracy, sides[0].people, level)
        return AccuracyComparison(rule, Difference(*means, means[0] - means[1], interval), mcnemar(*right))
    # A resample's difference depends only on how many pairs only one of the models decides right: multinomial counts.
    random = np.random.default_rng(seed)
    sizes = np.bincount(fold)
    differences = np.zeros(resamples)
    for number, size in enumerate(sizes):
        for polarity in (True, False):
            inside = (fold == number) & (genuine == polarity)
            gains = np.bincount(right[0][inside].astype(int) - right[1][inside] + 1, minlength=3)  # -1, 0, 1
            if gains.sum():
                drawn = random.multinomial(gains.sum(), gains / gains.sum(), resamples)
                differences += (drawn[:, 2] - drawn[:, 0]) / size
    difference = Difference(
        results[0].mean,
        results[1].mean,
        results[0].mean - results[1].mean,
        percentiles(differences / sizes.size, level),
    )
    return AccuracyComparison(rule, difference, mcnemar(*right))


def compare_tar(
    first: ArrayLike,
    second: ArrayLike,
    genuine: ArrayLike,
    far: float,
    *,
    identities: np.ndarray | None = None,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference | None:
    """Returns the true accept rates of two models at a false accept rate; None where it is not measurable.

    Each resample draws genuine and impostor pairs for both models alike, and finds both thresholds anew.

    Args:
        first: [n], similarities of the first model.
        second: Likewise, of the same pairs in the same order.
        genuine: bool [n].
        far: False accept rate, (0, 1].
        identities: As `compare_accuracy`.
        level: Confidence, (0, 1).
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises: ValueError as `operating_points.tar_at_far`.
    """
    rates = [tar_at_far(similarity, genuine, far).tar for similarity in (first, second)]
    if rates[0] is None or rates[1] is None:
        return None
    genuine = np.asarray(genuine)
    impostors = np.stack([np.asarray(similarity, np.float64)[~genuine] for similarity in (first, second)])
    genuines = np.stack([np.asarray(similarity, np.float64)[genuine] for similarity in (first, second)])
    num_impostor = impostors.shape[1]
    allowed = checks.allowed_errors(far, num_impostor)
    if allowed == num_impostor:
        return Difference(1.0, 1.0, 0.0, Interval(0.0, 0.0))
    if identities is not None:
        sides = [
            resample_pairs(
                np.asarray(similarity, np.float64), genuine, identities, fars=[far], resamples=resamples, seed=seed
            )
            for similarity in (first, second)
        ]
        interval = _paired(rates[0] - rates[1], sides[0].tar[0], sides[1].tar[0], sides[0].people, level)
        return Difference(rates[0], rates[1], rates[0] - rates[1], interval)
    # Only the impostors most alike can become a threshold; how often the others are drawn does not matter.
    tops = num_tops([far], num_impostor)
    near = np.unique(np.argpartition(impostors, num_impostor - tops, axis=1)[:, num_impostor - tops :])
    impostors = impostors[:, near]
    falling = np.argsort(-impostors, axis=1)
    random = np.random.default_rng(seed)
    differences = np.empty(resamples)
    for resample in range(resamples):
        num_drawn = random.binomial(num_impostor, near.size / num_impostor)
        weight = np.bincount(random.integers(0, near.size, num_drawn), minlength=near.size)
        drawn = random.integers(0, genuines.shape[1], genuines.shape[1])
        tars = []
        for side in range(2):
            passed = np.searchsorted(np.cumsum(weight[falling[side]]), allowed, "right")
            threshold = impostors[side][falling[side][min(int(passed), near.size - 1)]]
            tars.append(np.mean(genuines[side, drawn] > threshold))
        differences[resample] = tars[0] - tars[1]
    return Difference(rates[0], rates[1], rates[0] - rates[1], percentiles(differences, level))


def _paired(
    difference: float, first: np.ndarray | None, second: np.ndarray | None, people: float, level: float
) -> Interval:
    """Returns the interval of a difference of rates from both rates in each resample, which have the same weights."""
    if first is None or second is None:
        raise ValueError("expected resamples of both models")
    return number_interval(difference, first - second, people, level) or Interval(-1.0, 1.0)
