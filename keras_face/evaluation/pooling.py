"""Pooling: the photos or frames of one medium, track or person become one embedding."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks

WEIGHTINGS = {
    "equal": "mean of unit embeddings",
    "norm": "unit of the mean of raw embeddings, which weighs each by its norm",
    "quality": "mean of unit embeddings weighed by quality",
    "norm_quality": "mean of raw embeddings weighed by quality",
}
_ROWS = 32_768  # embeddings that are weighed at a time: bounds the memory


@dataclass(frozen=True)
class Pooling:
    """How the embeddings of a face set become one; a callable.

    Attributes:
        weighting: "equal", "norm", "quality" or "norm_quality", see `WEIGHTINGS`. margin-centre-face and SeqFace pool
            tracks by "equal" (margin-centre-face also knows "norm"). InsightFace's IJB switches are N0 D0 "equal",
            N1 D0 "norm", N0 D1 "quality" and N1 D1 "norm_quality", with the detector's score as quality, by media.
        best: Keep only this many embeddings, those of the highest quality, of each face set (of the longest, where no
            quality is given; of equals the first); None: all.
        by_media: First the mean within each medium (a still, or all frames of a video), then over the media, so that a
            long video counts as one. A medium's sum is divided by its number of embeddings, not by their weights.

    Call arguments:
        embeddings: [n, embedding_size], as the network gives them; an array on disk will do.
        face_set: int [n], the face set of each, 0 ... t - 1, each at least once, in any order.
        quality: [n], >= 0, higher is better; None where neither the weighting nor `best` asks for it.
        media: int [n], medium of each, where `by_media`; numbers may recur in other face sets.

    Returns: float32 [t, embedding_size], unit length.

    Raises:
        ValueError: Settings out of range, embeddings that are zero or not finite, sizes that differ, a face set
            without embeddings or whose embeddings cancel out or have no quality, a quality or media that is missing or
            not asked for.

    Examples:
        >>> embeddings = [[3.0, 0.0], [0.0, 1.0], [0.0, 2.0]]
        >>> Pooling("norm")(embeddings, face_set=[0, 0, 1]).round(3)
        array([[0.949, 0.316],
               [0.   , 1.   ]], dtype=float32)
    """

    weighting: str = "equal"
    best: int | None = None
    by_media: bool = False

    def __post_init__(self) -> None:
        if self.weighting not in WEIGHTINGS:
            raise ValueError(f"weighting must be one of {', '.join(WEIGHTINGS)}, got {self.weighting!r}")
        if self.best is not None and self.best < 1:
            raise ValueError(f"best must be 1 or more embeddings, got {self.best}")

    def __str__(self) -> str:
        """Returns what is done, for a report."""
        kept = "" if self.best is None else f", best {self.best} of a face set"
        return WEIGHTINGS[self.weighting] + kept + (", by media" if self.by_media else "")

    def __call__(
        self,
        embeddings: ArrayLike,
        face_set: ArrayLike,
        *,
        quality: ArrayLike | None = None,
        media: ArrayLike | None = None,
    ) -> np.ndarray:
        embeddings = np.asarray(embeddings)
        if embeddings.ndim != 2:
            raise ValueError(f"embeddings must be [number, embedding_size], got shape {embeddings.shape}")
        face_set = _face_sets(face_set, len(embeddings))
        quality = self._quality(quality, len(embeddings))
        if (media is None) == self.by_media:
            raise ValueError(f"expected media {'for' if self.by_media else 'only for'} pooling by media")
        media = np.zeros(len(embeddings), np.int64) if media is None else checks.labels(media, len(embeddings), "media")
        rows = np.lexsort((media, face_set))
        if self.best is not None:
            rows = rows[_is_best(embeddings, face_set, quality, self.best)[rows]]
        ends = np.append(np.flatnonzero(np.diff(face_set[rows])) + 1, rows.size)
        pooled = np.empty((ends.size, embeddings.shape[1]), np.float32)
        done, start = 0, 0
        while done < ends.size:
            # As many whole face sets as fit, and one at least.
            stop = max(done + 1, int(np.searchsorted(ends, start + _ROWS, "right")))
            block = rows[start : ends[stop - 1]]
            pooled[done:stop] = self._sums(embeddings, block, face_set[block], media[block], quality)
            done, start = stop, int(ends[stop - 1])
        return checks.unit(pooled, "face sets")

    def _sums(
        self,
        embeddings: np.ndarray,
        rows: np.ndarray,
        face_set: np.ndarray,
        media: np.ndarray,
        quality: np.ndarray | None,
    ) -> np.ndarray:
        """Returns float32 [face sets in the block, embedding_size], along the pooled embeddings, of some length."""
        values, length = checks.lengths(embeddings[rows], places=rows)
        weight = np.ones_like(length) if self.weighting.startswith("norm") else 1 / length
        if quality is not None and self.weighting.endswith("quality"):
            weight = weight * quality[rows].astype(weight.dtype)
        values = values * weight[:, None]
        changes = np.diff(face_set) != 0
        if self.by_media:
            starts = np.append(0, np.flatnonzero(changes | (np.diff(media) != 0)) + 1)
            values = _group_sums(values, starts)
            values /= np.diff(np.append(starts, rows.size))[:, None].astype(values.dtype)
            changes = np.diff(face_set[starts]) != 0
        return _group_sums(values, np.append(0, np.flatnonzero(changes) + 1))

    def _quality(self, quality: ArrayLike | None, size: int) -> np.ndarray | None:
        weighs = self.weighting.endswith("quality")
        if quality is None:
            if weighs:
                raise ValueError(f"weighting {self.weighting} needs a quality for each embedding")
            return None
        if not weighs and self.best is None:
            raise ValueError(f"weighting {self.weighting} of all embeddings has no use for a quality")
        array = np.asarray(quality, np.float64)
        if array.shape != (size,):
            raise ValueError(f"expected a quality for each of {size} embeddings, got shape {array.shape}")
        checks.finite(array, "quality")
        if weighs and array.min() < 0:
            raise ValueError(f"quality must be >= 0 to weigh by, got {array.min()} at {int(array.argmin())}")
        return array


def _is_best(embeddings: np.ndarray, face_set: np.ndarray, quality: np.ndarray | None, count: int) -> np.ndarray:
    """Returns bool [n], whether an embedding is among the `count` best of its face set; of equals the first."""
    if quality is None:
        blocks = (range(start, min(start + _ROWS, face_set.size)) for start in range(0, face_set.size, _ROWS))
        norms = [checks.lengths(embeddings[block.start : block.stop], places=block)[1] for block in blocks]
        quality = np.concatenate(norms)
    falling = np.lexsort((-quality, face_set))
    sizes = np.bincount(face_set)
    place = np.arange(face_set.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    best = np.empty(face_set.size, bool)
    best[falling] = place < count
    return best


def _group_sums(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Returns the sum of each run of rows that begins at `starts`: np.add.reduceat, four times as fast on long rows."""
    counts = np.diff(np.append(starts, len(values)))
    sums = np.empty((starts.size, values.shape[1]), values.dtype)
    for count in np.unique(counts):
        groups = np.flatnonzero(counts == count)
        sums[groups] = values[starts[groups, None] + np.arange(count)].sum(axis=1)
    return sums


def _face_sets(face_set: ArrayLike, size: int) -> np.ndarray:
    face_set = checks.labels(face_set, size, "face_set")
    if not size or face_set.min() < 0:
        raise ValueError(
            f"expected face sets 0 ... t - 1 of 1 or more embeddings, got {np.unique(face_set)[:5].tolist()}"
        )
    counts = np.bincount(face_set)
    if not counts.all():
        empty = np.flatnonzero(counts == 0)
        raise ValueError(
            f"expected embeddings for face sets 0 ... {counts.size - 1}, got none for {empty[:5].tolist()}"
        )
    return face_set
