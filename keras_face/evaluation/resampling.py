"""How sure a figure is, by resampling the people behind it.

Pairs that share a person are not independent, but people are. In each resample every person gets a weight, drawn from
the exponential distribution (the Bayesian bootstrap): a genuine pair weighs as its person, an impostor pair as the
product of both, a search as its probe's person. How far a figure spreads over the resamples is its standard error.

References: Rubin 1981, "The Bayesian Bootstrap"; Owen and Eckles 2012, "Bootstrapping data arrays of arbitrary order"
(products of weights; mildly conservative where what two people have in common matters little).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_face.evaluation.intervals import RESAMPLES
from keras_face.evaluation.spread import effective_people

_FEWEST = 200  # resamples, however many the pairs
_WORK = 2**26  # weights of pairs drawn in all, from which on there are fewer resamples
_CELLS = 2**20  # weights of pairs in memory at a time
_TOPS = 2**16  # of more impostor pairs than twice this, so many most alike, and a sample of the others, are weighed


@dataclass(frozen=True, eq=False)
class Resampled:
    """Figures of pairs in each resample.

    Attributes:
        people: Effective number of people, see `spread.effective_people`; of the polarity that has fewer.
        auc: float64 [resamples].
        equal_error_rate: Likewise.
        d_prime: Likewise.
        tar: float64 [fars, resamples], TAR at each FAR, its threshold found anew.
        tar_at_threshold: float64 [thresholds, resamples], at each threshold as it is.
        far_at_threshold: Likewise.
        accuracy: float64 [resamples], the thresholds as they are; None without folds.
    """

    people: float
    auc: np.ndarray
    equal_error_rate: np.ndarray
    d_prime: np.ndarray
    tar: np.ndarray
    tar_at_threshold: np.ndarray
    far_at_threshold: np.ndarray
    accuracy: np.ndarray | None = None


def number_of_resamples(comparisons: int, resamples: int = RESAMPLES) -> int:
    """Returns how many resamples are drawn: fewer of many comparisons, as the spread is all that is asked of them."""
    return min(resamples, max(_FEWEST, _WORK // max(comparisons, 1)))


def resample_people(counts: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Returns float64 [k, resamples]: sums of counts over the people, each with the weight of a resample.

    Args:
        counts: [people, k], what each person has.
        resamples: Number of resamples.
        seed: Of the weights.
    """
    random = np.random.default_rng(seed)
    step = max(1, _CELLS // len(counts))
    sizes = [min(step, resamples - start) for start in range(0, resamples, step)]
    return np.concatenate([counts.T @ random.exponential(size=(len(counts), size)) for size in sizes], axis=1)


def resample_pairs(
    similarity: np.ndarray,
    genuine: np.ndarray,
    identities: np.ndarray,
    *,
    fars: Sequence[float] = (),
    thresholds: Sequence[float] = (),
    right: np.ndarray | None = None,
    fold: np.ndarray | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """Returns the figures of pairs in each resample of their people.

    The same pairs, people and seed get the same weights, whatever the similarities: figures of two models can be
    compared resample by resample. Of very many impostor pairs the most alike are weighed, and a sample of the others.

    Args:
        similarity: [n], finite.
        genuine: bool [n], of both polarities.
        identities: int [n, 2], number of the person on each side.
        fars: False accept rates of `tar`.
        thresholds: Of `tar_at_threshold` and `far_at_threshold`.
        right: bool [n], which decisions are right, by thresholds as they are; None: no accuracy.
        fold: int [n], with `right`: the accuracy is the mean of the folds.
        resamples: Number of resamples, see `number_of_resamples`.
        seed: Of the weights.
    """
    share = None
    if right is not None and fold is not None:
        share = 1 / np.bincount(fold)[fold] / (fold.max() + 1)  # of a pair in the mean of the folds
    sides = []
    for polarity in (True, False):
        chosen = np.flatnonzero(genuine == polarity)
        chosen, stands_for = _thinned(chosen, similarity[chosen] if not polarity else -similarity[chosen])
        falling = np.argsort(-similarity[chosen], kind="stable")
        chosen, stands_for = chosen[falling], stands_for[falling]
        sides.append(
            _Side(
                np.asarray(similarity[chosen], np.float64),
                identities[chosen],
                stands_for,
                None if share is None else share[chosen],
                None if right is None else right[chosen],
            )
        )
    return resample_sides(
        sides[0],
        sides[1],
        num_people=1 + int(identities.max()),
        fars=fars,
        thresholds=thresholds,
        resamples=resamples,
        seed=seed,
    )


@dataclass(frozen=True, eq=False)
class _Side:
    """Pairs of one polarity, in falling order of similarity; see `resample_pairs`."""

    similarity: np.ndarray
    identities: np.ndarray
    stands_for: np.ndarray
    share: np.ndarray | None = None
    right: np.ndarray | None = None

    def counts(self, num_people: int) -> np.ndarray:
        """Returns how many pairs each person is in."""
        one, other = self.identities.T
        there = one != other
        return np.bincount(one, self.stands_for, num_people) + np.bincount(
            other[there], self.stands_for[there], num_people
        )

    def weights(self, people: np.ndarray) -> np.ndarray:
        """Returns float64 [n, b] from the weights of people [num_people + 1, b], the last of which are 1."""
        one, other = self.identities.T
        found = people[one]
        if (one != other).any():
            found *= people[np.where(one == other, len(people) - 1, other)]
        if (self.stands_for != 1).any():
            found *= self.stands_for[:, None]
        return found


def side_of(similarity: np.ndarray, identities: np.ndarray) -> _Side:
    """Returns pairs of one polarity for `resample_sides`, put into order; of very many a part, the most alike first."""
    chosen, stands_for = _thinned(np.arange(similarity.size), similarity)
    falling = np.argsort(-similarity[chosen], kind="stable")
    chosen = chosen[falling]
    return _Side(np.asarray(similarity[chosen], np.float64), identities[chosen], stands_for[falling])


def resample_sides(
    genuines: _Side,
    impostors: _Side,
    *,
    num_people: int,
    rest: np.ndarray | None = None,
    fars: Sequence[float] = (),
    thresholds: Sequence[float] = (),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Resampled:
    """Returns `resample_pairs` of the two polarities.

    Args:
        genuines: Genuine pairs.
        impostors: Impostor pairs.
        num_people: Numbers of people are 0 ... num_people - 1.
        rest: float64 [people], further impostor pairs of one person each, less alike than all others: of a set of which
            the most alike alone were kept. AUC, EER and d-prime are not those of all pairs then.
        fars: As `resample_pairs`.
        thresholds: Likewise.
        resamples: Likewise.
        seed: Likewise.
    """
    all_counts = impostors.counts(num_people) + (0 if rest is None else rest)
    effective = min(effective_people(genuines.counts(num_people)), effective_people(all_counts))
    size = genuines.similarity.size + impostors.similarity.size
    places = _Places(genuines, impostors, thresholds)
    random = np.random.default_rng(seed)
    parts = []
    step = max(1, _CELLS // size)
    number = number_of_resamples(size, resamples)
    for start in range(0, number, step):
        people = np.ones((num_people + 1, min(step, number - start)))
        people[:-1] = random.exponential(size=(num_people, people.shape[1]))
        below = np.zeros(people.shape[1]) if rest is None else rest @ people[:-1]
        parts.append(_figures(genuines, impostors, people, below, places, fars))
    auc, equal, d_prime, accuracy, tar, tar_at, far_at = (
        np.concatenate(part, axis=-1) for part in zip(*parts, strict=True)
    )
    with_folds = genuines.right is not None
    return Resampled(effective, auc, equal, d_prime, tar, tar_at, far_at, accuracy if with_folds else None)


class _Places:
    """Where the pairs of one polarity stand among those of the other; the same in all resamples."""

    def __init__(self, genuines: _Side, impostors: _Side, thresholds: Sequence[float]):
        genuine, impostor = -genuines.similarity, -impostors.similarity  # rising
        # Of each genuine pair: impostors above it, and those as alike too.
        self.above, self.not_below = (np.searchsorted(impostor, genuine, side) for side in ("left", "right"))
        # Of each impostor pair, and of none: genuine pairs above it, and those as alike too.
        self.accepted = np.append(np.searchsorted(genuine, impostor, "left"), genuine.size)
        self.reached = np.append(np.searchsorted(genuine, impostor, "right"), genuine.size)
        levels = -np.asarray(thresholds, np.float64)
        self.genuine_at, self.impostor_at = (np.searchsorted(side, levels, "left") for side in (genuine, impostor))


def _figures(
    genuines: _Side,
    impostors: _Side,
    people: np.ndarray,
    below: np.ndarray,
    places: _Places,
    fars: Sequence[float],
) -> tuple[np.ndarray, ...]:
    """Returns AUC, EER, d-prime, accuracy, TAR at FARs, TAR and FAR at thresholds, each [..., b]."""
    weights = [side.weights(people) for side in (genuines, impostors)]
    tar, far = (np.zeros((len(weight) + 1, weight.shape[1])) for weight in weights)
    for rates, weight, more in ((tar, weights[0], 0), (far, weights[1], below)):
        np.cumsum(weight, axis=0, out=rates[1:])
        rates /= rates[-1] + more
    column = np.arange(people.shape[1])
    lost = far[places.above]
    lost += far[places.not_below]
    auc = 1 - np.einsum("nb,nb->b", lost, weights[0]) / 2 / weights[0].sum(axis=0)

    # The straight part of the ROC on which as many are wrongly accepted as rejected: it ends at impostor pair `first`.
    last = len(far) - 2
    first = _first(lambda k: far[k + 1, column] + tar[places.reached[k], column] >= 1, last, column.size)
    before, after = far[first, column], far[first + 1, column]
    start = before + tar[places.accepted[first], column] - 1
    end = after + tar[places.reached[first], column] - 1
    share = np.clip(-start / np.where(end > start, end - start, 1), 0, 1)
    equal = before + share * (after - before)

    moments = [_moments(side.similarity, weight) for side, weight in zip((genuines, impostors), weights, strict=True)]
    spread = np.sqrt((moments[0][1] + moments[1][1]) / 2)
    d_prime = (moments[0][0] - moments[1][0]) / np.where(spread > 0, spread, np.inf)

    accuracy = np.zeros(column.size)
    for side, weight in zip((genuines, impostors), weights, strict=True):
        if side.share is not None and side.right is not None:
            part = side.share * side.stands_for
            accuracy += part.sum() * ((side.share * side.right) @ weight) / (side.share @ weight)

    # The first impostor pair that may not pass is the threshold.
    tars = np.zeros((len(fars), column.size))
    for row, rate in enumerate(fars):
        passes = rate * (1 + 1e-12)
        place = _first(lambda k, most=passes: far[k + 1, column] > most, last + 1, column.size)  # type: ignore[misc]
        tars[row] = tar[places.accepted[place], column]
    return auc, equal, d_prime, accuracy, tars, tar[places.genuine_at], far[places.impostor_at]


def _first(holds: Callable[[np.ndarray], np.ndarray], last: int, size: int) -> np.ndarray:
    """Returns int [size], in each column the first place below `last` at which it holds from there on, or `last`."""
    low, high = np.zeros(size, np.int64), np.full(size, last)
    while (low < high).any():
        middle = (low + high) // 2
        found = holds(np.minimum(middle, max(last - 1, 0)))
        high = np.where(found & (low < high), middle, high)
        low = np.where(~found & (low < high), middle + 1, low)
    return low


def _moments(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and variance of the values in each column of weights."""
    total = weights.sum(axis=0)
    middle = values.mean()
    mean = (values - middle) @ weights / total
    return mean + middle, np.maximum(np.square(values - middle) @ weights / total - mean**2, 0)


def _thinned(chosen: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns those of the chosen that are weighed, and how many each stands for; the highest values stand alone."""
    if chosen.size <= 2 * _TOPS:
        return chosen, np.ones(chosen.size)
    order = np.argpartition(-values, _TOPS)
    others = order[_TOPS:]
    sample = others[:: -(-others.size // _TOPS)]
    stands_for = np.repeat([1.0, others.size / sample.size], [_TOPS, sample.size])
    return chosen[np.concatenate([order[:_TOPS], sample])], stands_for
