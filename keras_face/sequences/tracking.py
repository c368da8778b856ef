"""Faces are followed from frame to frame; in doubt a track ends, and is never carried on with somebody else."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from keras_face.sequences import appearance
from keras_face.sequences.assignment import assign

_DOUBT = 0.3  # of the affinity of two faces, overlap plus similarity


@dataclasses.dataclass(frozen=True)
class Sighting:
    """A face in a frame.

    Args:
        box: float [4]: left, top, width, height; pixels of the frame.
        look: How it looks.
    """

    box: np.ndarray
    look: appearance.Look


@dataclasses.dataclass
class _Open:
    """A track that may go on: its last sighting, and the frames since in which it was not found."""

    number: int
    last: Sighting
    missed: int = 0


class Tracker:
    """Gives the faces of one frame after the other the numbers of their tracks, counted from 0.

    A face carries a track on if its box overlaps that of the track's last face and it looks like it; the pairs with the
    largest sum of both win. Where another pairing would be nearly as good, or two faces could change places and look as
    much alike, as twins who cross, all tracks concerned end, and their faces begin new ones: a track in two pieces
    is no harm, one of two people is.

    Args:
        min_overlap: Of two boxes, intersection over union, (0, 1].
        min_similarity: Of two faces; see `appearance.similarity`, (0, 1].
        max_gap: Frames, of those looked at, in which a face may not be found before its track ends, >= 0.

    Call arguments:
        sightings: The faces of the frame.
        cut: Whether a new shot begins with the frame; then all tracks end.

    Returns: The track of each face, and the numbers of the tracks that ended before this frame, sorted.
    Raises: ValueError if an argument is out of range.
    """

    def __init__(self, min_overlap: float = 0.3, min_similarity: float = 0.6, max_gap: int = 3):
        for name, value in (("min_overlap", min_overlap), ("min_similarity", min_similarity)):
            if not 0 < value <= 1:
                raise ValueError(f"{name} must be in (0, 1], got {value}")
        if max_gap < 0:
            raise ValueError(f"max_gap must be a number of frames >= 0, got {max_gap}")
        self.min_overlap, self.min_similarity, self.max_gap = min_overlap, min_similarity, max_gap
        self._open: list[_Open] = []
        self._count = itertools.count()

    def __call__(self, sightings: Sequence[Sighting], cut: bool = False) -> tuple[list[int], list[int]]:
        ended = self.end() if cut else []
        alike, affinity = np.zeros((2, len(self._open), len(sightings)))
        for (row, track), (column, sighting) in itertools.product(enumerate(self._open), enumerate(sightings)):
            alike[row, column], affinity[row, column] = self._compared(track.last, sighting)
        pairs = assign(affinity)
        doubtful = _doubtful(alike, affinity, pairs)
        track_of = {column: self._open[row] for row, column in pairs if row not in doubtful}
        for track in self._open:
            track.missed += 1
        for column, sighting in enumerate(sightings):
            if column not in track_of:
                track_of[column] = _Open(next(self._count), sighting)
                self._open.append(track_of[column])
            track_of[column].last, track_of[column].missed = sighting, 0
        ended += [
            track.number for row, track in enumerate(self._open) if row in doubtful or track.missed > self.max_gap
        ]
        self._open = [track for track in self._open if track.number not in ended]
        return [track_of[column].number for column in range(len(sightings))], sorted(ended)

    def end(self) -> list[int]:
        """Returns the numbers of all open tracks, sorted, and ends them."""
        ended, self._open = [track.number for track in self._open], []
        return sorted(ended)

    def _compared(self, last: Sighting, now: Sighting) -> tuple[float, float]:
        """Returns the similarity of two faces, and that plus their overlap; both 0 if one cannot carry the other on."""
        overlapping = overlap(last.box, now.box)
        if overlapping < self.min_overlap:
            return 0.0, 0.0
        alike = appearance.similarity(last.look, now.look)
        return (alike, overlapping + alike) if alike >= self.min_similarity else (0.0, 0.0)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the intersection over union of two boxes: left, top, width, height."""
    ends = np.minimum(first[:2] + first[2:], second[:2] + second[2:])
    width, height = np.maximum(ends - np.maximum(first[:2], second[:2]), 0)
    shared = float(width * height)
    union = float(first[2] * first[3] + second[2] * second[3]) - shared
    return shared / union if union > 0 else 0.0


def _doubtful(alike: np.ndarray, affinity: np.ndarray, pairs: Sequence[tuple[int, int]]) -> set[int]:
    """Returns the rows whose pair is hardly better than an exchange with another row or column, paired or alone."""
    alike, affinity = (np.pad(scores, ((0, 1), (0, 1))) for scores in (alike, affinity))  # row and column -1: nobody
    alone = [(row, -1) for row in range(len(affinity) - 1) if row not in {row for row, _ in pairs}]
    alone += [(-1, column) for column in range(affinity.shape[1] - 1) if column not in {column for _, column in pairs}]
    found = set()
    for (row, column), (other_row, other_column) in itertools.combinations([*pairs, *alone], 2):
        crossed, exchanged = (row, other_column), (other_row, column)
        if affinity[crossed] == affinity[exchanged] == 0:
            continue
        # Where both could change places the overlap says nothing: they may just have done so.
        scores = alike if affinity[crossed] > 0 and affinity[exchanged] > 0 else affinity
        if scores[row, column] + scores[other_row, other_column] - scores[crossed] - scores[exchanged] < _DOUBT:
            found |= {row, other_row}
    return found - {-1}
