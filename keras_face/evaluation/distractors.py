"""Identification among distractors, as MegaFace does it, without its closed development kit."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks
from keras_face.evaluation.certainty import points_by_people
from keras_face.evaluation.intervals import LEVEL, RESAMPLES
from keras_face.evaluation.operating_points import OperatingPoint, num_tops, operating_points_of_tops
from keras_face.evaluation.resampling import resample_sides, side_of
from keras_face.evaluation.similarities import first_equal, row_sums


@dataclass(frozen=True, eq=False)
class DistractorResult:
    """Figures of probes among distractors.

    Attributes:
        num_identities: People among the probes.
        num_probes: Photos of them.
        num_distractors: Photos of others.
        num_searches: Searches: each probe with each other photo of its person in turn among the distractors.
        searches: int64 [people], searches of each person.
        hits: int64 [people, max_rank], those that find the photo at place 1, 2 ...
        cmc: float64 [max_rank], share of the searches that find that photo among the first 1, 2 ...; a distractor as
            alike is ahead of it.
        operating_points: TAR at FAR. Genuine are the pairs of probes of one person, each once; impostors all pairs of
            a probe and a distractor.
    """

    num_identities: int
    num_probes: int
    num_distractors: int
    num_searches: int
    searches: np.ndarray
    hits: np.ndarray
    cmc: np.ndarray
    operating_points: tuple[OperatingPoint, ...]

    @property
    def rank_1(self) -> float:
        """Share of the searches that find the person first."""
        return float(self.cmc[0])


def identify_among_distractors(
    probes: ArrayLike,
    labels: ArrayLike,
    distractors: np.ndarray,
    *,
    max_rank: int = 20,
    fars: Iterable[float] = (1e-6,),
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
    block: int = 4096,
) -> DistractorResult:
    """Returns CMC and TAR at FAR of probes among distractors, by cosine.

    Probes are compared with `block` distractors at a time; of the similarities only those are kept that can still
    matter: the `max_rank` highest of each probe, and the highest of all, a few more than the largest FAR allows.

    Args:
        probes: [n, embedding_size]; MegaFace: 3,530 photos of FaceScrub.
        labels: int [n], person of each; some must have two photos or more.
        distractors: [d, embedding_size], an array or one on disk (np.memmap); MegaFace: up to 1,000,000.
        max_rank: Length of the CMC.
        fars: False accept rates, (0, 1]; memory grows with the largest times n times d.
        level: Confidence of the intervals, (0, 1).
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        block: Distractors at a time.

    Raises: ValueError for embeddings that are zero or not finite (with the place), sizes that differ, probes of whom
        no two show one person, and settings out of range.

    Reference: Kemelmacher-Shlizerman et al. 2016, MegaFace, https://arxiv.org/abs/1512.00596
    """
    probes = checks.unit(probes, "probes").astype(np.float32)
    labels = checks.labels(labels, len(probes), "labels")
    fars = tuple(fars)
    if distractors.ndim != 2 or distractors.shape[1] != probes.shape[1] or not len(distractors):
        raise ValueError(f"expected distractors like probes {probes.shape}, got shape {distractors.shape}")
    if max_rank < 1 or block < 1:
        raise ValueError(f"max_rank and block must be 1 or more, got {max_rank} and {block}")
    same = np.equal.outer(labels, labels)
    np.fill_diagonal(same, False)
    if not same.any():
        raise ValueError(f"expected two or more probes of a person, got {len(probes)} of as many people")
    num_impostor = len(probes) * len(distractors)
    mates = _similarities(probes)
    sums = row_sums(probes)
    tops = _Tops(len(probes), max_rank, max(1, num_tops(fars, num_impostor)))
    similarity = np.empty((len(probes), block), np.float32)
    for start in range(0, len(distractors), block):
        stop = min(start + block, len(distractors))
        units = checks.unit(distractors[start:stop], "distractors", range(start, stop)).astype(np.float32, copy=False)
        if stop - start < block:
            similarity = np.empty((len(probes), stop - start), np.float32)
        np.matmul(probes, units.T, out=similarity)
        for number in np.flatnonzero(np.isin(row_sums(units), sums)).tolist():
            # A distractor that is a probe is as alike to the others as that probe is.
            twin = np.flatnonzero((probes == units[number]).all(axis=1))
            if twin.size:
                similarity[:, number] = mates[:, twin[0]]
        tops.add(similarity)

    _, owner = np.unique(labels, return_inverse=True)
    counts = np.zeros((owner.max() + 1, max_rank + 1), np.int64)
    for person, of_probe, mate, highest in zip(owner, mates, same, np.sort(tops.of_probe, axis=1), strict=True):
        ahead = max_rank - np.searchsorted(highest, of_probe[mate], "left")
        counts[person] += np.bincount(ahead, minlength=max_rank + 1)
    return DistractorResult(
        num_identities=np.unique(labels).size,
        num_probes=len(probes),
        num_distractors=len(distractors),
        num_searches=int(counts.sum()),
        searches=counts.sum(axis=1),
        hits=counts[:, :-1],
        cmc=np.cumsum(counts[:, :-1].sum(axis=0)) / counts.sum(),
        operating_points=_points(mates, same, owner, *tops.of_all(), num_impostor, fars, level, resamples, seed),
    )


def _points(
    mates: np.ndarray,
    same: np.ndarray,
    owner: np.ndarray,
    highest: np.ndarray,
    probe: np.ndarray,
    num_impostor: int,
    fars: tuple[float, ...],
    level: float,
    resamples: int,
    seed: int,
) -> tuple[OperatingPoint, ...]:
    """Returns the operating points, with intervals by resampling the probes' people.

    Args:
        mates: [n, n], similarities of probes.
        same: bool [n, n], which of them are of one person.
        owner: int [n], person of each probe.
        highest: The highest similarities of a probe and a distractor, falling.
        probe: The probe of each of them.
        num_impostor: As `operating_points_of_tops`, with the rest.
        fars: Likewise.
        level: Likewise.
        resamples: Likewise.
        seed: Likewise.
    """
    one, other = np.nonzero(np.triu(same))
    genuine, impostor = mates[one, other].astype(np.float64), highest.astype(np.float64)
    points = operating_points_of_tops(
        genuine, impostor, num_impostor, fars, level=level, resamples=resamples, seed=seed
    )
    found = [point for point in points if point.tar is not None]
    rest = np.bincount(owner) * (num_impostor / owner.size) - np.bincount(owner[probe], minlength=owner.max() + 1)
    drawn = resample_sides(
        side_of(genuine, np.stack([owner[one], owner[one]], axis=1)),
        side_of(impostor, np.stack([owner[probe], owner[probe]], axis=1)),
        num_people=rest.size,
        rest=rest,
        fars=[point.far for point in found],
        thresholds=[point.threshold for point in found if point.threshold is not None],
        resamples=resamples,
        seed=seed,
    )
    return points_by_people(points, drawn, level)


def _similarities(units: np.ndarray) -> np.ndarray:
    """Returns float32 [n, n], the cosine of each two; equal ones for equal embeddings, which are at exactly 1."""
    first = first_equal(units)
    found = (units @ units.T)[np.ix_(first, first)]
    found[np.equal.outer(first, first)] = 1
    return found


class _Tops:
    """The highest similarities so far, of each probe and of all; equal ones as often as they occur."""

    def __init__(self, num_probes: int, of_probe: int, of_all: int):
        self.of_probe = np.full((num_probes, of_probe), -np.inf, np.float32)
        self._size = of_all
        self._kept = [np.empty(0, np.complex64)]  # similarity, and the number of the probe as imaginary part
        self._num_kept = 0
        self._bound = np.float32(-np.inf)  # lower ones are not among the highest of all

    def add(self, similarity: np.ndarray) -> None:
        """Takes in float32 [num_probes, m]; it may be overwritten afterwards."""
        bounds = self.of_probe.min(axis=1)
        if np.isneginf(bounds).any() or np.isneginf(self._bound):
            # Not enough to compare with yet: the whole block is taken.
            probe = np.repeat(np.arange(len(similarity)), similarity.shape[1])
            self._keep(similarity.reshape(-1), probe)
            self.of_probe = _highest(np.hstack([self.of_probe, similarity]), self.of_probe.shape[1])
            return
        # Most rows hold nothing new, and a maximum is quick.
        least = np.minimum(bounds, self._bound)
        hit = np.flatnonzero(similarity.max(axis=1) > least)
        rows = similarity[hit]
        place = np.flatnonzero(rows > least[hit, None])
        values, probe = rows.reshape(-1)[place], hit[place // similarity.shape[1]]
        high = values > self._bound
        self._keep(values[high], probe[high])
        new = values > bounds[probe]
        self._merge(probe[new], values[new])

    def of_all(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the highest of all, falling, and the probe of each."""
        found = np.sort(_highest(np.concatenate(self._kept), self._size))[::-1]
        return found.real, found.imag.astype(np.int64)

    def _keep(self, values: np.ndarray, probe: np.ndarray) -> None:
        kept = np.empty(values.size, np.complex64)  # sorted by the real part first
        kept.real, kept.imag = values, probe
        values = _highest(kept, self._size)
        self._kept.append(values)
        self._num_kept += values.size
        if self._num_kept > 2 * self._size or not np.isfinite(self._bound):
            kept = _highest(np.concatenate(self._kept), self._size)
            self._kept, self._num_kept = [kept], kept.size
            if kept.size == self._size:
                self._bound = kept.real.min()

    def _merge(self, probe: np.ndarray, values: np.ndarray) -> None:
        """Takes values into the highest of their probes; `probe` rises."""
        if not probe.size:
            return
        hit, starts, counts = np.unique(probe, return_index=True, return_counts=True)
        table = np.full((hit.size, counts.max()), -np.inf, np.float32)
        table[np.repeat(np.arange(hit.size), counts), np.arange(probe.size) - np.repeat(starts, counts)] = values
        self.of_probe[hit] = _highest(np.hstack([self.of_probe[hit], table]), self.of_probe.shape[1])


def _highest(values: np.ndarray, count: int) -> np.ndarray:
    """Returns the `count` highest along the last axis, in any order; all if there are fewer."""
    size = values.shape[-1]
    return values if size <= count else np.partition(values, size - count, axis=-1)[..., size - count :].copy()
