"""The interval of a figure, from how far it spreads over resamples of the people behind it."""

import math

import numpy as np

from keras_face.evaluation.intervals import LEVEL, Interval, beta_quantile


def effective_people(counts: np.ndarray) -> float:
    """Returns how many people with as many comparisons each would be worth as much: (sum)^2 / sum of squares (Kish)."""
    counts = np.asarray(counts, np.float64)
    return float(counts.sum() ** 2 / np.square(counts).sum())


def t_quantile(probability: float, freedom: float) -> float:
    """Returns the quantile, above the median, of Student's t distribution."""
    x = beta_quantile(2 * (1 - probability), freedom / 2, 0.5)
    return math.sqrt(freedom * (1 / x - 1))


def rate_interval(rate: float, resampled: np.ndarray, people: float, level: float = LEVEL) -> Interval:
    """Returns the interval of a rate: Student's t about its logit, with the spread of the resamples.

    With few people the spread of the resamples is too small by sqrt(1 - 1 / people), and known badly: people - 1
    degrees of freedom. At 0 and 1, where nothing spreads, it is that of Clopper and Pearson of so many independent
    people, of whom none, or all, count; with fewer than two people nothing is known.

    Args:
        rate: [0, 1], as measured.
        resampled: [resamples], the rate in each.
        people: Effective number of them.
        level: Confidence, (0, 1).
    """
    tail = (1 - level) / 2
    if people < 2:
        return Interval(0.0, 1.0)
    if rate <= 0 or rate >= 1:
        end = tail ** (1 / people)
        return Interval(end, 1.0) if rate >= 1 else Interval(0.0, 1 - end)
    half = _half_width(resampled, people, tail) / (rate * (1 - rate))
    odds = rate / (1 - rate)
    low, high = (odds * math.exp(min(max(way, -600.0), 600.0)) for way in (-half, half))
    return Interval(low / (1 + low), high / (1 + high))


def number_interval(number: float, resampled: np.ndarray, people: float, level: float = LEVEL) -> Interval | None:
    """Returns the interval of a number that has no bounds: as `rate_interval`, without logits; None of one person."""
    if people < 2:
        return None
    half = _half_width(resampled, people, (1 - level) / 2)
    return Interval(number - half, number + half)


def _half_width(resampled: np.ndarray, people: float, tail: float) -> float:
    return t_quantile(1 - tail, people - 1) * math.sqrt(people / (people - 1)) * float(np.std(resampled))
