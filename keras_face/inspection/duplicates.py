"""Photos that come twice: the same hash, or nearly the same descriptor, without comparing all with all."""

from collections.abc import Iterator

import numpy as np

_BANDS = 4
_BITS = 64 // _BANDS
_LARGEST_BUCKET = 2000  # photos; of more, each is compared with that many that follow it in the order of the whole hash
_BLOCK = 1 << 20  # pairs compared at a time


def same(hashes: np.ndarray) -> list[np.ndarray]:
    """Returns the groups of indices that share a hash; each ascending, in the order of their first.

    Args:
        hashes: int64 [n]; negative ones (photos that have none) are in no group.
    """
    order = np.argsort(hashes, kind="stable")
    order = order[hashes[order] >= 0]
    starts = np.flatnonzero(np.diff(hashes[order], prepend=-1))
    groups = [group for group in np.split(order, starts[1:]) if len(group) > 1]
    return sorted(groups, key=lambda group: int(group[0]))


def perceptual_bits(descriptors: np.ndarray) -> np.ndarray:
    """Returns bool [n, 64]: whether each coefficient is above its median over the photos.

    Around the median, not around 0, because aligned faces all look alike: most signs would be the same for everybody.

    Args:
        descriptors: int8 [n, 64].
    """
    return descriptors > np.median(descriptors, axis=0)


def near(descriptors: np.ndarray, max_distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns pairs of photos whose descriptors are close, and how far apart they are.

    Compared are photos that agree in one of four bands of 16 bits of their perceptual hash, so certainly those whose
    hashes differ in three bits or fewer.

    Args:
        descriptors: int8 [n, 64].
        max_distance: Of a pair's descriptors, see `distance`.

    Returns: int64 [m, 2], first < second, sorted; float32 [m].
    """
    bits = perceptual_bits(descriptors)
    # Neighbouring coefficients go to different bands, so that each has low frequencies and high ones.
    bands = np.einsum("nkb,k->nb", bits.reshape(-1, _BITS, _BANDS).astype(np.int64), 1 << np.arange(_BITS))
    found: list[np.ndarray] = []
    for band in range(_BANDS):
        for first, second in _candidates(np.roll(bands, -band, axis=1)):
            close = distance(descriptors[first], descriptors[second]) <= max_distance
            found.append(np.sort(np.stack([first[close], second[close]], axis=1), axis=1))
    pairs = np.unique(np.concatenate([np.zeros((0, 2), np.int64), *found]), axis=0)
    return pairs, distance(descriptors[pairs[:, 0]], descriptors[pairs[:, 1]])


def distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns float32 [n], the distance of unit descriptors: 0 the same, sqrt(2) unrelated."""
    difference = first.astype(np.float32) - second
    return np.sqrt(np.einsum("nk,nk->n", difference, difference)) / np.float32(128)


def groups_of(pairs: np.ndarray) -> list[np.ndarray]:
    """Returns the groups that pairs join: ascending indices each, in the order of their first.

    Args:
        pairs: int [m, 2].
    """
    parent: dict[int, int] = {}

    def root(member: int) -> int:
        while parent.setdefault(member, member) != member:
            parent[member] = member = parent[parent[member]]
        return member

    for first, second in pairs.tolist():
        low, high = sorted((root(first), root(second)))
        parent[high] = low
    members: dict[int, list[int]] = {}
    for member in sorted(parent):
        members.setdefault(root(member), []).append(member)
    return [np.array(members[first]) for first in sorted(members)]


def _candidates(bands: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pairs of indices that agree in the first band, in blocks."""
    order = np.lexsort(bands.T[::-1])
    keys = bands[order, 0]
    ends = np.searchsorted(keys, keys, side="right")
    place = np.arange(len(order))
    for step in range(1, _LARGEST_BUCKET):
        place = place[place + step < ends[place]]
        if not len(place):
            return
        for start in range(0, len(place), _BLOCK):
            part = place[start : start + _BLOCK]
            yield order[part], order[part + step]
