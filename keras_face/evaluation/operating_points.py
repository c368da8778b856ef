"""True accept rates at false accept rates, with their thresholds and confidence intervals."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks
from keras_face.evaluation.intervals import LEVEL, RESAMPLES, Interval, clopper_pearson, percentiles

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


@dataclass(frozen=True)
class TarAtFar:
    """True accept rate at a false accept rate.

    Attributes:
        far: The false accept rate asked for, (0, 1].
        tar: Share of the genuine pairs accepted; None where the FAR is not measurable with so few impostors.
        threshold: Lowest similarity threshold that keeps the FAR; None likewise.
        num_impostor: Number of impostor pairs behind the FAR.

    Examples:
        >>> tar_at_far([0.9, 0.7, 0.3, 0.1], [True, False, True, False], far=0.5)
        TarAtFar(far=0.5, tar=1.0, threshold=0.1, num_impostor=2)
    """

    far: float
    tar: float | None
    threshold: float | None
    num_impostor: int


@dataclass(frozen=True)
class OperatingPoint(TarAtFar):
    """`TarAtFar` with what is behind it and how sure it is; the intervals are None where it is not measurable.

    Attributes:
        num_genuine: Number of genuine pairs behind the TAR.
        num_accepted_genuine: How many of them are accepted.
        num_accepted_impostor: How many of the impostor pairs are accepted: as many as the FAR allows, or fewer where
            several of them are equal.
        tar_interval: Interval of the TAR at this threshold, as if the threshold were given: by resampling people, or
            where these are not known exact (Clopper-Pearson), as if pairs were independent.
        far_interval: Likewise of the FAR at this threshold: what the threshold promises on new people.
        bootstrap_interval: Interval of the TAR at this FAR; that the threshold is found on these impostors is in it.
            By resampling people, or else pairs.

    Examples:
        >>> random = np.random.default_rng(0)
        >>> genuine, fold = np.arange(400) % 2 == 0, np.arange(400) % 10
        >>> similarity = random.normal(0.6 * genuine, 0.2)
        >>> [point] = operating_points(similarity, genuine, fars=[0.1])
        >>> point.num_accepted_impostor, point.num_impostor
        (20, 200)
        >>> print(f"{point.far_interval.low:.3f} to {point.far_interval.high:.3f}")
        0.062 to 0.150
    """

    num_genuine: int
    num_accepted_genuine: int | None = None
    num_accepted_impostor: int | None = None
    tar_interval: Interval | None = None
    far_interval: Interval | None = None
    bootstrap_interval: Interval | None = None

    def __str__(self) -> str:
        """Returns the TAR with its bootstrap interval, or that it is not measurable."""
        if self.tar is None or self.bootstrap_interval is None:
            return f"not measurable with {self.num_impostor} impostors"
        return f"{self.tar:.4f} [{self.bootstrap_interval.low:.4f}, {self.bootstrap_interval.high:.4f}]"


def tar_at_far(similarity: ArrayLike, genuine: ArrayLike, far: float) -> TarAtFar:
    """Returns the highest true accept rate whose false accept rate is at most `far`; nothing is interpolated.

    Args:
        similarity: [n], higher is more alike.
        genuine: bool [n].
        far: False accept rate, (0, 1]. Not measurable where it allows less than one of the impostor pairs.

    Raises: ValueError as `folds.kfold_accuracy`, or if `far` is out of range.

    Examples:
        >>> random = np.random.default_rng(0)
        >>> genuine, fold = np.arange(400) % 2 == 0, np.arange(400) % 10
        >>> similarity = random.normal(0.6 * genuine, 0.2)
        >>> point = tar_at_far(similarity, genuine, far=0.01)
        >>> print(f"{point.tar:.3f} of the genuine pairs at a threshold of {point.threshold:.3f}")
        0.695 of the genuine pairs at a threshold of 0.469
    """
    similarity, genuine = checks.pairs(similarity, genuine)
    impostors = similarity[~genuine]
    allowed = checks.allowed_errors(checks.rate(far, "far"), impostors.size)
    if allowed < 1:
        return TarAtFar(far, None, None, impostors.size)
    # The first impostor that may not pass is the threshold itself.
    threshold = np.nextafter(similarity.min(), -np.inf)
    if allowed < impostors.size:
        threshold = np.partition(impostors, impostors.size - allowed - 1)[impostors.size - allowed - 1]
    return TarAtFar(far, float(np.mean(similarity[genuine] > threshold)), float(threshold), impostors.size)


def operating_points(
    similarity: ArrayLike,
    genuine: ArrayLike,
    fars: Iterable[float] = FARS,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[OperatingPoint, ...]:
    """Returns `tar_at_far` at each rate, with confidence intervals as if pairs were independent.

    `certainty.by_people` gives them those of pairs whose people are known.

    Args:
        similarity: [n], higher is more alike.
        genuine: bool [n].
        fars: False accept rates, each (0, 1].
        level: Confidence of the intervals, (0, 1).
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Raises: ValueError as `tar_at_far`.

    Examples:
        >>> random = np.random.default_rng(0)
        >>> genuine, fold = np.arange(400) % 2 == 0, np.arange(400) % 10
        >>> similarity = random.normal(0.6 * genuine, 0.2)
        >>> for point in operating_points(similarity, genuine, fars=[0.1, 0.001]):
        ...     print(point.far, point)
        ...
        0.1 0.9550 [0.9250, 0.9850]
        0.001 not measurable with 200 impostors
    """
    similarity, genuine = checks.pairs(similarity, genuine)
    return operating_points_of_tops(
        similarity[genuine],
        np.sort(similarity[~genuine])[::-1],
        int(np.count_nonzero(~genuine)),
        fars,
        level=level,
        resamples=resamples,
        seed=seed,
    )


def operating_points_of_tops(
    genuines: np.ndarray,
    top_impostors: np.ndarray,
    num_impostor: int,
    fars: Iterable[float],
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[OperatingPoint, ...]:
    """Returns `operating_points` where only the highest impostor similarities were kept.

    Args:
        genuines: [g], similarities of the genuine pairs.
        top_impostors: The highest similarities of impostor pairs, falling; all, or at least `num_tops` of them for
            each rate. A resample that reaches below them takes the lowest.
        num_impostor: Number of all impostor pairs.
        fars: As `operating_points`.
        level: Likewise.
        resamples: Likewise.
        seed: Likewise.
    """
    genuines = np.sort(genuines)
    below_all = np.nextafter(min(genuines[0], top_impostors[-1]), -np.inf)
    found = []
    for far in fars:
        allowed = checks.allowed_errors(checks.rate(far, "far"), num_impostor)
        if allowed < 1:
            found.append(OperatingPoint(far, None, None, num_impostor, genuines.size))
            continue
        threshold = float(below_all if allowed >= num_impostor else top_impostors[allowed])
        accepted = genuines.size - int(np.searchsorted(genuines, threshold, "right"))
        false_accepts = int(np.searchsorted(-top_impostors, -threshold, "left"))
        tars = _resampled_tars(genuines, top_impostors, num_impostor, allowed, resamples, seed)
        found.append(
            OperatingPoint(
                far=far,
                tar=accepted / genuines.size,
                threshold=threshold,
                num_impostor=num_impostor,
                num_genuine=genuines.size,
                num_accepted_genuine=accepted,
                num_accepted_impostor=false_accepts,
                tar_interval=clopper_pearson(accepted, genuines.size, level),
                far_interval=clopper_pearson(false_accepts, num_impostor, level),
                bootstrap_interval=percentiles(tars, level),
            )
        )
    return tuple(found)


def num_tops(fars: Iterable[float], num_impostor: int) -> int:
    """Returns how many of the highest impostor similarities `operating_points_of_tops` needs.

    Those that a rate allows, the threshold, and for the resamples as many again and ten standard deviations.
    """
    allowed = max((checks.allowed_errors(checks.rate(far, "far"), num_impostor) for far in fars), default=0)
    return min(num_impostor, 2 * allowed + 1 + int(10 * (allowed + 1) ** 0.5))


def _resampled_tars(
    genuines: np.ndarray, top_impostors: np.ndarray, num_impostor: int, allowed: int, resamples: int, seed: int
) -> np.ndarray:
    """Returns the TAR of each resample of the stratified bootstrap, without drawing the pairs.

    Of `num_impostor` draws with replacement, the place of the threshold, which is the (allowed + 1)-th best, is that
    order statistic of uniform draws: a beta variable. Of the genuine draws, those above it are binomial.
    """
    random = np.random.default_rng(seed)
    if allowed >= num_impostor:
        return np.ones(resamples)
    place = (random.beta(allowed + 1, num_impostor - allowed, resamples) * num_impostor).astype(np.int64)
    thresholds = top_impostors[np.minimum(place, top_impostors.size - 1)]
    accepted = genuines.size - np.searchsorted(genuines, thresholds, "right")
    return random.binomial(genuines.size, accepted / genuines.size) / genuines.size
