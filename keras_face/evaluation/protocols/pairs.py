"""Verification: pairs of photos or tracks, and their folds."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from keras_face.evaluation.protocols.identities import identities_of
from keras_face.evaluation.short import Short

NUM_FOLDS = 10


@dataclass(frozen=True)
class Dropped:
    """Pairs of a protocol that are left out on purpose, and why."""

    reason: str
    num_genuine: int
    num_impostor: int


@dataclass(frozen=True, eq=False, repr=False)
class Pairs(Short):
    """Comparisons of a verification protocol.

    Attributes:
        protocol: Name that says which rule was followed.
        left: Key of one side of each pair: a path relative to the data, or the index of a photo in a packed file.
        right: Key of the other side.
        genuine: bool [n], True where both sides are the same person.
        fold: int64 [n], fold of each pair, 0 ... k - 1.
        dropped: What the protocol leaves out.
        people: int64 [n, 2], number of the person on each side; None: what the keys say, see `identities`.
        drawn: Whether the people are drawn, none of them real; the name says it too.

    Raises: ValueError if the sizes differ, there is no pair, or a fold of 0 ... k - 1 has none.

    Examples:
        >>> pairs = keras_face.evaluation.Pairs(
        ...     "four pairs", ("a/1", "b/1", "a/1", "a/2"), ("a/2", "b/2", "b/1", "b/2"),
        ...     genuine=np.array([True, True, False, False]), fold=np.array([0, 1, 0, 1]),
        ... )
        >>> pairs.distinct_keys()
        ('a/1', 'a/2', 'b/1', 'b/2')
    """

    protocol: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    genuine: np.ndarray
    fold: np.ndarray
    dropped: tuple[Dropped, ...] = ()
    people: np.ndarray | None = None
    drawn: bool = False

    def __post_init__(self):
        sizes = [len(self.left), len(self.right), len(self.genuine), len(self.fold)]
        if self.people is not None and np.shape(self.people) != (len(self.left), 2):
            raise ValueError(f"{self.protocol}: expected two people a pair, got shape {np.shape(self.people)}")
        if len(set(sizes)) > 1 or not sizes[0]:
            raise ValueError(f"{self.protocol}: expected pairs with as many left, right, genuine and fold, got {sizes}")
        folds = np.unique(self.fold)
        if folds[0] != 0 or folds[-1] != folds.size - 1:
            empty = np.setdiff1d(np.arange(folds[-1] + 1), folds)
            raise ValueError(f"{self.protocol}: expected pairs in each fold 0 ... k, got none in {empty.tolist()}")

    def distinct_keys(self) -> tuple[str, ...]:
        """Returns every key once, in order of first mention."""
        return tuple(dict.fromkeys(key for pair in zip(self.left, self.right, strict=True) for key in pair))

    def identities(self) -> np.ndarray | None:
        """Returns int64 [n, 2], number of the person on each side; None where neither `people` nor the keys say it."""
        return identities_of(self.left, self.right, self.genuine) if self.people is None else self.people

    def without(self, keys: set[str], reason: str) -> "Pairs":
        """Returns the pairs that touch none of the keys, and counts the others in `dropped`.

        Raises: ValueError if a fold, or a polarity, would be left without pairs.
        """
        hit = np.array([a in keys or b in keys for a, b in zip(self.left, self.right, strict=True)], bool)
        keep = np.flatnonzero(~hit)
        empty = np.setdiff1d(self.fold, self.fold[keep])
        if empty.size:
            raise ValueError(f"{self.protocol}: leaving out {len(keys)} {reason} empties the folds {empty.tolist()}")
        if np.unique(self.genuine[keep]).size < np.unique(self.genuine).size:
            raise ValueError(f"{self.protocol}: leaving out {len(keys)} {reason} leaves pairs of one polarity only")
        num_genuine = int(np.count_nonzero(hit & self.genuine))
        return dataclasses.replace(
            self,
            left=tuple(self.left[index] for index in keep),
            right=tuple(self.right[index] for index in keep),
            genuine=self.genuine[keep],
            fold=self.fold[keep],
            people=None if self.people is None else self.people[keep],
            dropped=(*self.dropped, Dropped(reason, num_genuine, int(np.count_nonzero(hit)) - num_genuine)),
        )


def folds_by_position(num_pairs: int, num_folds: int = NUM_FOLDS) -> np.ndarray:
    """Returns int64 [num_pairs], consecutive folds of equal size; the first ones are one larger where it must be.

    The folds of scikit-learn's KFold(shuffle=False), by which InsightFace cuts its .bin files.

    Raises: ValueError if there are fewer pairs than folds.
    """
    if num_pairs < num_folds:
        raise ValueError(f"expected {num_folds} or more pairs for {num_folds} folds, got {num_pairs}")
    sizes = np.full(num_folds, num_pairs // num_folds)
    sizes[: num_pairs % num_folds] += 1
    return np.repeat(np.arange(num_folds), sizes)


def folds_by_polarity(genuine: np.ndarray, num_folds: int = NUM_FOLDS) -> np.ndarray:
    """Returns int64 [n], `folds_by_position` among the genuine and among the impostor pairs.

    Args:
        genuine: bool [n].
        num_folds: Folds.

    Raises: ValueError if there are fewer pairs of a polarity than folds.
    """
    fold = np.empty(genuine.size, np.int64)
    for polarity, name in ((True, "genuine"), (False, "impostor")):
        try:
            fold[genuine == polarity] = folds_by_position(int(np.count_nonzero(genuine == polarity)), num_folds)
        except ValueError as error:
            raise ValueError(f"{error} {name} ones") from None
    return fold
