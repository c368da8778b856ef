"""The intervals of the figures of a protocol: by resampling its people, or as if its pairs were independent."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_face.evaluation.intervals import LEVEL, RESAMPLES, Interval, clopper_pearson
from keras_face.evaluation.operating_points import OperatingPoint
from keras_face.evaluation.resampling import Resampled, resample_pairs
from keras_face.evaluation.spread import number_interval, rate_interval

SEED = 0
BY_PEOPLE = "people resampled"
AS_IF_INDEPENDENT = "as if {} were independent, as their people are not known: too narrow where they share people"


@dataclass(frozen=True)
class Certainty:
    """Intervals of the figures of pairs.

    Attributes:
        how: How they were found.
        accuracy: Of the accuracy over folds; None without folds.
        auc: None where people are not known.
        equal_error_rate: Likewise.
        d_prime: Likewise, and where there is no d-prime.
        tar_at_far: The operating points, with their intervals.
    """

    how: str
    accuracy: Interval | None
    auc: Interval | None
    equal_error_rate: Interval | None
    d_prime: Interval | None
    tar_at_far: tuple[OperatingPoint, ...]


def by_people(
    similarity: np.ndarray,
    genuine: np.ndarray,
    identities: np.ndarray,
    points: Sequence[OperatingPoint],
    *,
    auc: float,
    equal_error_rate: float,
    d_prime: float | None,
    accuracy: float | None = None,
    right: np.ndarray | None = None,
    fold: np.ndarray | None = None,
) -> Certainty:
    """Returns intervals by resampling people.

    Args:
        similarity: [n].
        genuine: bool [n].
        identities: int [n, 2], the person on each side.
        points: Operating points as measured.
        auc: As measured.
        equal_error_rate: As measured.
        d_prime: As measured; None: there is none.
        accuracy: As measured, mean of the folds; None: there are none.
        right: bool [n], with `accuracy`: which decisions are right.
        fold: int [n], with `accuracy`.
    """
    found = [point for point in points if point.tar is not None and point.threshold is not None]
    drawn = resample_pairs(
        np.asarray(similarity, np.float64),
        genuine,
        identities,
        fars=[point.far for point in found],
        thresholds=[point.threshold for point in found if point.threshold is not None],
        right=None if accuracy is None else right,
        fold=None if accuracy is None else fold,
        seed=SEED,
    )
    return Certainty(
        how=said(drawn.people, drawn.auc.size),
        accuracy=None
        if accuracy is None or drawn.accuracy is None
        else rate_interval(accuracy, drawn.accuracy, drawn.people),
        auc=rate_interval(auc, drawn.auc, drawn.people),
        equal_error_rate=rate_interval(equal_error_rate, drawn.equal_error_rate, drawn.people),
        d_prime=None if d_prime is None else number_interval(d_prime, drawn.d_prime, drawn.people),
        tar_at_far=points_by_people(points, drawn),
    )


def by_pairs(points: Sequence[OperatingPoint], right: np.ndarray | None) -> Certainty:
    """Returns the intervals of pairs whose people are not known; `right` as `by_people`, None without folds."""
    accuracy = None if right is None else clopper_pearson(int(np.count_nonzero(right)), right.size)
    return Certainty(AS_IF_INDEPENDENT.format("pairs"), accuracy, None, None, None, tuple(points))


def points_by_people(
    points: Sequence[OperatingPoint], drawn: Resampled, level: float = LEVEL
) -> tuple[OperatingPoint, ...]:
    """Returns operating points with the intervals of resamples, which have a row for each measurable one."""
    found, row = [], 0
    for point in points:
        if point.tar is not None and point.num_accepted_impostor is not None:
            far = point.num_accepted_impostor / point.num_impostor
            point = dataclasses.replace(
                point,
                tar_interval=rate_interval(point.tar, drawn.tar_at_threshold[row], drawn.people, level),
                far_interval=rate_interval(far, drawn.far_at_threshold[row], drawn.people, level),
                bootstrap_interval=rate_interval(point.tar, drawn.tar[row], drawn.people, level),
            )
            row += 1
        found.append(point)
    return tuple(found)


def said(people: float, resamples: int = RESAMPLES, seed: int = SEED) -> str:
    """Returns how intervals by people were found."""
    return f"{BY_PEOPLE}: as sure as {people:.0f} people make it, {resamples} resamples, seed {seed}"
