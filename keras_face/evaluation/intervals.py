"""Confidence intervals of rates: exact, and by bootstrap.

They take pairs (or probes) as drawn independently. Pairs that share photos are not: an interval is then too narrow.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks

LEVEL = 0.95
RESAMPLES = 1000


class Interval(NamedTuple):
    """Confidence interval, both ends included."""

    low: float
    high: float


def clopper_pearson(successes: int, trials: int, level: float = LEVEL) -> Interval:
    """Returns the exact interval of a rate of which `successes` of `trials` were seen.

    It covers the true rate with a chance of at least `level`, whatever that rate is. The ends are quantiles of beta
    distributions, found by bisection.

    Args:
        successes: 0 ... trials.
        trials: 1 or more.
        level: Confidence, (0, 1).

    Raises: ValueError if a number is out of range.

    Reference: Clopper and Pearson 1934, Biometrika 26.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"expected 0 <= successes <= trials and 1 or more trials, got {successes} of {trials}")
    tail = (1 - _checked_level(level)) / 2
    low = 0.0 if successes == 0 else beta_quantile(tail, successes, trials - successes + 1)
    high = 1.0 if successes == trials else beta_quantile(1 - tail, successes + 1, trials - successes)
    return Interval(low, high)


def bootstrap(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    similarity: ArrayLike,
    genuine: ArrayLike,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Returns the percentile interval of a statistic of pairs.

    Each resample has as many genuine and as many impostor pairs as there are, drawn with replacement (stratified).

    Args:
        statistic: From similarity [n] and genuine bool [n] to a number, like `curves.auc`.
        similarity: [n], higher is more alike.
        genuine: bool [n].
        level: Confidence, (0, 1).
        resamples: Number of resamples.
        seed: Of the draws: the same seed gives the same interval.

    Raises: ValueError as `folds.kfold_accuracy`.
    """
    similarity, genuine = checks.pairs(similarity, genuine)
    random = np.random.default_rng(seed)
    sides = similarity[genuine], similarity[~genuine]
    polarity = np.repeat([True, False], [side.size for side in sides])
    found = [
        statistic(np.concatenate([random.choice(side, side.size) for side in sides]), polarity)
        for _ in range(resamples)
    ]
    return percentiles(np.array(found), level)


def percentiles(values: np.ndarray, level: float = LEVEL) -> Interval:
    """Returns the interval that the middle `level` of the values span."""
    tail = (1 - _checked_level(level)) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return Interval(float(low), float(high))


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Returns the quantile of the beta distribution, to the last bits of a double."""
    low, high = 0.0, 1.0
    # Bisects until neighbouring doubles: near 0 they are much finer than 2^-53.
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return middle
        if regularised_beta(middle, a, b) < probability:
            low = middle
        else:
            high = middle
        if high - low < 1e-15 * low:
            return middle


def regularised_beta(x: float, a: float, b: float) -> float:
    """Returns the regularised incomplete beta function I_x(a, b): the beta distribution's chance of at most x.

    Reference: DLMF 8.17.22, the continued fraction, by the modified method of Lentz.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the other end converges faster
        return 1 - regularised_beta(1 - x, b, a)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    tiny = 1e-300
    c, d, fraction, step = 1.0, 0.0, 1.0, 0
    while True:
        half = step // 2
        if step == 0:
            numerator = 1.0
        elif step % 2 == 0:
            numerator = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        else:
            numerator = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        d = 1 / (1 + numerator * d or tiny)
        c = 1 + numerator / c or tiny
        fraction *= c * d
        if abs(c * d - 1) < 1e-15 and step:
            return math.exp(front) * (fraction - 1) / a
        step += 1


def _checked_level(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must be a confidence in (0, 1), got {level}")
    return level
