"""Identification: each probe is searched for in a gallery."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks
from keras_face.evaluation.intervals import LEVEL, Interval, clopper_pearson
from keras_face.evaluation.resampling import resample_pairs, resample_people
from keras_face.evaluation.short import Short
from keras_face.evaluation.similarities import first_equal, pair_cosines
from keras_face.evaluation.spread import effective_people, rate_interval

_CELLS = 2**24  # similarities in memory at a time


@dataclass(frozen=True, eq=False, repr=False)
class Search(Short):
    """What a search of every probe found; a mate is an entry of the gallery that shows the probe's person.

    Attributes:
        rank: int64 [n], place of the best mate, from 1; 0 where the probe has no mate. Others as alike as the mate are
            ahead of it.
        mate_similarity: float32 [n], similarity of the best mate; -inf where there is none.
        other_similarity: float32 [n], highest similarity of an entry that is no mate; -inf where there is none.
        average_precision: float64 [n], mean over the mates of the share of mates among the entries up to them; 0 where
            there are no mates.

    Examples:
        >>> gallery, gallery_labels = [[1, 0], [0, 1]], [7, 8]
        >>> probes, probe_labels = [[0.9, 0.1], [0.6, 0.5], [0.1, 0.9]], [7, 8, 9]
        >>> found = search(probes, probe_labels, gallery, gallery_labels)
        >>> found.mated, found.mate_similarity.round(2)
        (array([ True,  True, False]), array([0.99, 0.64, -inf], dtype=float32))
    """

    rank: np.ndarray
    mate_similarity: np.ndarray
    other_similarity: np.ndarray
    average_precision: np.ndarray

    @property
    def mated(self) -> np.ndarray:
        """Bool [n], whether the probe has a mate."""
        return self.rank > 0


@dataclass(frozen=True)
class IdentificationRate:
    """Share of the mated probes that were found.

    Attributes:
        rank: The mate must be among this many.
        rate: Share of the mated probes; None where the FPIR is not measurable with so few probes without mates.
        interval: Interval of the rate: by resampling people, its threshold found anew; or where these are not given
            exact (Clopper-Pearson), at this threshold, as if searches were independent. None likewise.
        num_mated: Probes with a mate.
        fpir: False positive identification rate asked for; None: every probe counts (closed set).
        threshold: Lowest similarity threshold that keeps the FPIR; None without, or where it is not measurable.
        num_unmated: Probes without a mate, behind the FPIR.

    Examples:
        >>> gallery, gallery_labels = [[1, 0], [0, 1]], [7, 8]
        >>> probes, probe_labels = [[0.9, 0.1], [0.6, 0.5], [0.1, 0.9]], [7, 8, 9]
        >>> found = search(probes, probe_labels, gallery, gallery_labels)
        >>> print(identification_rate(found))
        0.5000 [0.0126, 0.9874]
    """

    rank: int
    rate: float | None
    interval: Interval | None
    num_mated: int
    fpir: float | None = None
    threshold: float | None = None
    num_unmated: int = 0

    def __str__(self) -> str:
        """Returns the rate with its interval, or that it is not measurable."""
        if self.rate is None or self.interval is None:
            return f"not measurable with {self.num_unmated} probes without a mate"
        return f"{self.rate:.4f} [{self.interval.low:.4f}, {self.interval.high:.4f}]"


def search(
    probes: ArrayLike,
    probe_labels: ArrayLike,
    gallery: ArrayLike,
    gallery_labels: ArrayLike,
    *,
    itself: ArrayLike | None = None,
) -> Search:
    """Returns what a search of the gallery for each probe finds, by cosine. Similarities are made block by block.

    Entries with the same embedding are as alike to a probe, and one with the probe's own is at exactly 1.

    Args:
        probes: [n, embedding_size].
        probe_labels: int [n], identity of each.
        gallery: [g, embedding_size].
        gallery_labels: int [g]; an identity may have several entries.
        itself: int [n], entry of the gallery that is the probe itself and is left out of its search; -1: none is.

    Raises: ValueError for embeddings that are zero or not finite, sizes that differ, and an empty gallery.

    Examples:
        >>> gallery, gallery_labels = [[1, 0], [0, 1]], [7, 8]
        >>> probes, probe_labels = [[0.9, 0.1], [0.6, 0.5], [0.1, 0.9]], [7, 8, 9]
        >>> found = search(probes, probe_labels, gallery, gallery_labels)
        >>> found.rank  # of the mate; 0: there is none
        array([1, 2, 0])
    """
    probes, gallery = checks.unit(probes, "probes"), checks.unit(gallery, "gallery")
    if not len(gallery) or probes.shape[1] != gallery.shape[1]:
        raise ValueError(f"expected a gallery with embeddings like the probes', got {gallery.shape} and {probes.shape}")
    probe_labels = checks.labels(probe_labels, len(probes), "probe_labels")
    gallery_labels = checks.labels(gallery_labels, len(gallery), "gallery_labels")
    itself = np.full(len(probes), -1) if itself is None else checks.labels(itself, len(probes), "itself")
    if itself.size and not -1 <= itself.min() <= itself.max() < len(gallery):
        raise ValueError(f"itself must be -1 ... {len(gallery) - 1}, got {itself.min()} ... {itself.max()}")
    found = Search(
        np.zeros(len(probes), np.int64),
        np.full(len(probes), -np.inf, np.float32),
        np.full(len(probes), -np.inf, np.float32),
        np.zeros(len(probes)),
    )
    rows = np.concatenate([gallery, probes]).astype(np.float32, copy=False)
    first = first_equal(rows)
    same, own = first[: len(gallery)], first[len(gallery) :]
    copies = not np.array_equal(same, np.arange(same.size))
    best = np.full((2, len(probes)), -1)  # entries: the best mate, the best other
    step = max(1, _CELLS // len(gallery))
    for start in range(0, len(probes), step):
        for number, row in enumerate(probes[start : start + step] @ gallery.T, start):
            if copies:
                row = row[same]
            if own[number] < len(gallery):
                row[same == own[number]] = 1
            mate = gallery_labels == probe_labels[number]
            other = ~mate
            if itself[number] >= 0:
                mate[itself[number]] = other[itself[number]] = False
            mates, others = np.sort(row[mate])[::-1], row[other]
            if others.size:
                best[1, number] = np.flatnonzero(other)[np.argmax(others)]
            if mates.size:
                best[0, number] = np.flatnonzero(mate)[np.argmax(row[mate])]
                near = np.sort(others[others >= mates[-1]])
                order = np.arange(1, mates.size + 1)
                place = order + near.size - np.searchsorted(near, mates, "left")
                found.rank[number] = place[0]
                found.average_precision[number] = np.mean(order / place)
    # Made again pair by pair: those of different probes are compared, too, where a rate has a threshold.
    for entry, into in zip(best, (found.mate_similarity, found.other_similarity), strict=True):
        there = np.flatnonzero(entry >= 0)
        into[there] = pair_cosines(rows, len(gallery) + there, entry[there])
    return found


def cmc(found: Search, max_rank: int = 20) -> np.ndarray:
    """Returns float64 [max_rank], the cumulative match characteristic: `identification_rate` at ranks 1, 2 ...

    Raises: ValueError as `identification_rate`.

    Examples:
        >>> gallery, gallery_labels = [[1, 0], [0, 1]], [7, 8]
        >>> probes, probe_labels = [[0.9, 0.1], [0.6, 0.5], [0.1, 0.9]], [7, 8, 9]
        >>> found = search(probes, probe_labels, gallery, gallery_labels)
        >>> cmc(found, max_rank=2)
        array([0.5, 1. ])
    """
    ranks = _mated_ranks(found, max_rank)
    return np.cumsum(np.bincount(ranks[ranks <= max_rank], minlength=max_rank + 1)[1:]) / ranks.size


def identification_rate(
    found: Search, rank: int = 1, *, people: ArrayLike | None = None, level: float = LEVEL
) -> IdentificationRate:
    """Returns the share of the mated probes whose best mate is among the first `rank` (rank-k, closed set).

    Args:
        found: The search.
        rank: 1 or more.
        people: int [n], >= 0, person of each probe, for the interval; None: not known.
        level: Confidence of the interval, (0, 1).

    Raises: ValueError if no probe has a mate, or the rank is below 1.

    Examples:
        >>> gallery, gallery_labels = [[1, 0], [0, 1]], [7, 8]
        >>> probes, probe_labels = [[0.9, 0.1], [0.6, 0.5], [0.1, 0.9]], [7, 8, 9]
        >>> found = search(probes, probe_labels, gallery, gallery_labels)
        >>> identification_rate(found, rank=1).rate
        0.5
    """
    ranks = _mated_ranks(found, rank)
    hits = int(np.count_nonzero(ranks <= rank))
    interval = clopper_pearson(hits, ranks.size, level)
    if people is not None:
        owner = checks.labels(people, found.rank.size, "people")[found.mated]
        interval = hits_interval(np.bincount(owner, ranks <= rank), np.bincount(owner), level)
    return IdentificationRate(rank, hits / ranks.size, interval, ranks.size)


def hits_interval(hits: np.ndarray, searches: np.ndarray, level: float = LEVEL) -> Interval:
    """Returns the interval of the share of searches that are hits, by resampling people.

    Args:
        hits: [people], of the searches of each person.
        searches: [people], how many they are; people without any do not count.
        level: Confidence, (0, 1).
    """
    there = searches > 0
    counts = np.stack([hits[there], searches[there]], axis=1).astype(np.float64)
    drawn = resample_people(counts)
    return rate_interval(float(hits.sum() / searches.sum()), drawn[0] / drawn[1], effective_people(counts[:, 1]), level)


def mean_average_precision(found: Search) -> float:
    """Returns the mean over the mated probes of the average precision (mAP).

    Raises: ValueError if no probe has a mate.

    Examples:
        >>> gallery, gallery_labels = [[1, 0], [0, 1]], [7, 8]
        >>> probes, probe_labels = [[0.9, 0.1], [0.6, 0.5], [0.1, 0.9]], [7, 8, 9]
        >>> found = search(probes, probe_labels, gallery, gallery_labels)
        >>> mean_average_precision(found)
        0.75
    """
    _mated_ranks(found, 1)
    return float(found.average_precision[found.mated].mean())


def tpir_at_fpir(
    found: Search, fpir: float, rank: int = 1, *, people: ArrayLike | None = None, level: float = LEVEL
) -> IdentificationRate:
    """Returns the true positive identification rate at a false positive identification rate (open set).

    A probe without a mate is a false positive if any entry is more alike than the threshold; a mated probe is a true
    positive if its best mate is, and is among the first `rank`. The threshold is the lowest that keeps the FPIR.

    Args:
        found: The search, of probes with and without mates.
        fpir: (0, 1]. Not measurable where it allows less than one of the probes without mates.
        rank: 1 or more.
        people: As `identification_rate`.
        level: Confidence of the interval, (0, 1).

    Raises: ValueError if `fpir` or `rank` is out of range, or no probe has a mate.

    Examples:
        >>> gallery, gallery_labels = [[1, 0], [0, 1]], [7, 8]
        >>> probes, probe_labels = [[0.9, 0.1], [0.6, 0.5], [0.1, 0.9]], [7, 8, 9]
        >>> found = search(probes, probe_labels, gallery, gallery_labels)
        >>> print(tpir_at_fpir(found, fpir=0.1))
        not measurable with 1 probes without a mate
    """
    ranks = _mated_ranks(found, rank)
    falling = np.sort(found.other_similarity[~found.mated])[::-1]
    allowed = checks.allowed_errors(checks.rate(fpir, "fpir"), falling.size)
    if allowed < 1:
        return IdentificationRate(rank, None, None, ranks.size, fpir, None, falling.size)
    mates = found.mate_similarity[found.mated]
    lowest = np.nextafter(min(falling[-1], mates.min()), np.float32(-np.inf))
    threshold = falling[allowed] if allowed < falling.size else lowest
    hits = int(np.count_nonzero((mates > threshold) & (ranks <= rank)))
    interval = clopper_pearson(hits, ranks.size, level)
    if people is not None:
        # A pair of one's own is what a search is here: accepted where it is a hit.
        owner = checks.labels(people, found.rank.size, "people")
        nearest = np.where(found.rank <= rank, found.mate_similarity, lowest)
        similarity = np.where(found.mated, nearest, found.other_similarity).astype(np.float64)
        drawn = resample_pairs(similarity, found.mated, np.stack([owner, owner], axis=1), fars=[fpir])
        interval = rate_interval(hits / ranks.size, drawn.tar[0], drawn.people, level)
    return IdentificationRate(rank, hits / ranks.size, interval, ranks.size, fpir, float(threshold), falling.size)


def _mated_ranks(found: Search, rank: int) -> np.ndarray:
    ranks = found.rank[found.mated]
    if rank < 1 or not ranks.size:
        raise ValueError(f"expected probes with mates and a rank of 1 or more, got {ranks.size} and rank {rank}")
    return ranks
