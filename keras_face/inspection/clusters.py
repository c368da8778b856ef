"""The photos of one name: which show the same person, and which do not belong."""

import math

import numpy as np

from keras_face.inspection.angles import angle, unit

ALONE = -1
_MOST_COMPARED = 1500  # photos of a person that are compared all with all
_ROUNDS = 5


def robust_angles(embeddings: np.ndarray) -> np.ndarray:
    """Returns the angle of each photo to the centre of the nearer half of the photos, itself left out: float [n].

    The half begins with the photo that is most like its nearest half, so that it holds as long as most photos show
    one person. Of a photo's own centre the photo is left out: with few photos it would find itself near.

    Args:
        embeddings: float32 [n, size], unit; n >= 3.
    """
    some = embeddings[_sample(len(embeddings))]
    cosine = some @ some.T
    half = math.ceil((len(some) - 1) / 2)
    likeness = np.partition(cosine, -half - 1, axis=1)[:, -half - 1 :].sum(axis=1)
    centre = some[likeness.argmax()]
    size = math.ceil((len(embeddings) + 1) / 2)
    chosen = np.zeros(len(embeddings), bool)
    for _ in range(_ROUNDS):
        before = chosen
        chosen = np.zeros(len(embeddings), bool)
        chosen[np.argsort(-(embeddings @ centre), kind="stable")[:size]] = True
        centre = unit(embeddings[chosen].sum(axis=0))
        if (chosen == before).all():
            break
    return _angles_without_own(embeddings, chosen)


def clusters(embeddings: np.ndarray, max_angle: float, min_size: int = 3) -> np.ndarray:
    """Returns which person each photo shows: int [n], 0 the one with most photos, 1, 2, ... others, ALONE nobody.

    Again and again the photo with the most near ones is taken, and all that are at most `max_angle` from the centre of
    these. Two photos at that angle from their centre, in unrelated directions, are arccos(cos^2) apart: that is near.

    Args:
        embeddings: float32 [n, size], unit.
        max_angle: Of a photo to its person's centre, radians, (0, pi / 2).
        min_size: Photos that make another person; fewer are alone. The first person may have fewer.
    """
    person = np.full(len(embeddings), ALONE)
    if len(embeddings) == 1:
        return np.zeros(1, int)
    pair_cosine = math.cos(max_angle) ** 2
    left = np.arange(len(embeddings))
    number = 0
    while len(left) >= (min_size if number else 2):
        rest = embeddings[left]
        members = _densest(rest, pair_cosine, max_angle)
        if np.count_nonzero(members) < (min_size if number else 2):
            break
        person[left[members]] = number
        left = left[~members]
        number += 1
    return person


def split(embeddings: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns which photos are in the smaller part when they are divided in two, bool [n], and the parts' angle.

    The parts are those of the two-means, begun at the two photos that are farthest apart. The angle, in radians, is
    between the centres of the parts.

    Args:
        embeddings: float32 [n, size], unit; n >= 2.
    """
    chosen = _sample(len(embeddings))
    cosine = embeddings[chosen] @ embeddings[chosen].T
    first, second = np.unravel_index(cosine.argmin(), cosine.shape)
    centres = embeddings[chosen[[first, second]]]
    part = np.zeros(len(embeddings), bool)
    for _ in range(4 * _ROUNDS):
        before = part
        part = embeddings @ centres[0] > embeddings @ centres[1]
        if (part == before).all() or part.all() or not part.any():
            break
        centres = unit(np.stack([embeddings[part].sum(axis=0), embeddings[~part].sum(axis=0)]))
    smaller = part if 2 * np.count_nonzero(part) <= len(part) else ~part
    return smaller, float(angle(centres[0] @ centres[1]))


def _densest(embeddings: np.ndarray, pair_cosine: float, max_angle: float) -> np.ndarray:
    """Returns bool [n]: the photos near the centre of the largest neighbourhood."""
    chosen = _sample(len(embeddings))
    cosine = embeddings[chosen] @ embeddings[chosen].T
    near = cosine >= pair_cosine
    neighbours = near.sum(axis=1) + 1e-3 * np.where(near, cosine, 0).mean(axis=1)  # of equal numbers, the closest
    start = int(neighbours.argmax())
    members = np.zeros(len(embeddings), bool)
    members[chosen[near[start]]] = True
    for _ in range(_ROUNDS):
        before = members
        if np.count_nonzero(members) < 2:
            break
        members = _angles_without_own(embeddings, members) <= max_angle
        if (members == before).all():
            break
    return members


def _angles_without_own(embeddings: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Returns float [n], the angles to the centre of the members, each without itself."""
    total = embeddings[members].sum(axis=0)
    others = total - np.where(members[:, np.newaxis], embeddings, 0)
    return angle(np.einsum("ns,ns->n", unit(others), embeddings))


def _sample(count: int) -> np.ndarray:
    """Returns evenly spaced indices, at most _MOST_COMPARED."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_COMPARED)).astype(int))
