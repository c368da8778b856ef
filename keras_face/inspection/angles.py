"""How far apart two people's embeddings are, against how far apart one person's own are; angles in radians."""

import math

import numpy as np

_BLOCK = 2048  # identities compared with all others at a time
_SHORTEST = 1e-12


def unit(vectors: np.ndarray) -> np.ndarray:
    """Returns vectors of length 1, float32 [..., size]; those of length 0 stay 0."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(length, _SHORTEST)).astype(np.float32)


def angle(cosine: np.ndarray) -> np.ndarray:
    """Returns the angles of cosines, radians."""
    return np.arccos(np.clip(cosine, -1, 1))


def half_angles(sums: np.ndarray, counts: np.ndarray, fewest: int = 4) -> np.ndarray:
    """Returns float [n], the angles between the two halves of the people with this many photos.

    Args:
        sums: float [2, num_identities, size].
        counts: int [num_identities], photos of each.
        fewest: Photos; a half of one photo says more of the photo than of the person.
    """
    first, second = unit(sums[:, counts >= fewest])
    return angle(np.einsum("ns,ns->n", first, second))


def two_nearest(centres: np.ndarray) -> np.ndarray:
    """Returns the angles of each unit centre to the two nearest others, float [2, n]; pi where there are none.

    Args:
        centres: float32 [n, size].
    """
    found = np.full((2, len(centres)), math.pi)
    for start in range(0, len(centres), _BLOCK):
        cosine = centres[start : start + _BLOCK] @ centres.T
        cosine[np.arange(len(cosine)), start + np.arange(len(cosine))] = -np.inf
        most = min(2, len(centres) - 1)
        best = -np.sort(-np.partition(cosine, -most, axis=1)[:, -most:]) if most else np.zeros((len(cosine), 0))
        found[: best.shape[1], start : start + _BLOCK] = angle(best.T)
    return found


def close_pairs(first: np.ndarray, second: np.ndarray, max_angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the pairs of unit centres that are at most `max_angle` radians apart: int64 [m, 2], and their angles.

    Args:
        first: float32 [n, size].
        second: float32 [k, size].
        max_angle: Radians.
    """
    pairs, found = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.float32)]
    for start in range(0, len(first), _BLOCK):
        cosine = first[start : start + _BLOCK] @ second.T
        row, column = np.nonzero(cosine >= math.cos(max_angle))
        pairs.append(np.stack([row + start, column], axis=1))
        found.append(angle(cosine[row, column]))
    return np.concatenate(pairs), np.concatenate(found)


def same_person_angle(own: np.ndarray, others: np.ndarray, caution: float = 10.0) -> float:
    """Returns the angle within which two centres are one person: that of the fewest expected mistakes.

    The cost of an angle is the share of people whose halves are farther apart (one under two names would not be found),
    the share of people who have somebody else nearer, and `caution` times the share who have two others nearer. The
    second nearest is never that person's own other name, so it says how often two people are taken for one. Where
    several angles cost the same, as between people that are far apart, the middle of these is taken.

    Args:
        own: float [n], angles of halves of one person, radians.
        others: float [2, k], of each person to the two nearest others, radians.
        caution: How much worse it is to take two people for one.
    """
    places = np.unique(np.concatenate([own, others.ravel(), [0.0]]).round(6))

    def share_within(angles: np.ndarray) -> np.ndarray:
        return np.searchsorted(np.sort(angles.round(6)), places, side="right") / max(1, len(angles))

    cost = 1 - share_within(own) + share_within(others[0]) + caution * share_within(others[1])
    best = int(np.flatnonzero(cost <= cost.min() + 1e-9)[-1])
    following = places[best + 1] if best + 1 < len(places) else places[best]
    return float((places[best] + following) / 2)
