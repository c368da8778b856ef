"""Angles from which on a photo is a stranger's, taken from the data; radians."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from keras_face.inspection.angles import angle, unit
from keras_face.inspection.clusters import robust_angles

_FEWEST_PHOTOS = 3  # of a person that is judged
_FEWEST_ANGLES = 50  # that a threshold can be taken from
_CHANCE, _CHANCE_PHOTOS = 0.002, 3  # share of photos, and photos, that decide nothing
_BY_CHANCE, _SAMPLE = 0.05, 2000  # share of photos that may be near somebody else; photos that say how near
_STRANGERS = 16  # other people that each photo is compared with, to know how far strangers are


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Angles that the list is made by, radians.

    Args:
        photo: From a photo to its person's centre, at most.
        person: Between the centres of one person under two names, at most.
        alike: Between the centres of people that are worth a look, at most.
        move: From a photo to another person's centre, at most, to be moved there.
        wrong_share: Estimated share of photos that show somebody else; NaN: not estimated.
    """

    photo: float
    person: float
    alike: float
    move: float
    wrong_share: float = math.nan


def photo_angle(own: np.ndarray, strangers: np.ndarray) -> tuple[float, float]:
    """Returns the angle from which on a photo is more likely a stranger's, and the estimated share of such photos.

    Own angles are a mixture of right photos' and of wrong ones', which are as far as strangers. The share p of wrong
    ones is twice the share of own angles beyond the strangers' median. With F and H, the shares of own and of
    strangers' angles within an angle t, there are p H(t) wrong photos within t, and 1 - F(t) - p (1 - H(t)) right ones
    beyond: their sum is least at the result. A clean dataset has p = 0, and loses nothing. One photo more or less is
    chance: of the angles that cost about as little, that before the widest gap is taken.

    Args:
        own: float [n], of photos to their own centre, radians.
        strangers: float [m], of photos to other people's centres, radians.

    Raises: ValueError if there are fewer than 50 of either.
    """
    if min(len(own), len(strangers)) < _FEWEST_ANGLES:
        raise ValueError(
            f"expected {_FEWEST_ANGLES} photos of people with {_FEWEST_PHOTOS} or more, to take the largest angle "
            f"from, got {len(own)}; give it: --max_angle_degrees 75 is sub-centre ArcFace's"
        )
    own, strangers = np.sort(own), np.sort(strangers)
    wrong = min(1.0, 2 * float(np.mean(own > np.median(strangers))))
    within = np.arange(1, len(own) + 1) / len(own)
    strangers_within = np.searchsorted(strangers, own, side="right") / len(strangers)
    cost = wrong * strangers_within + (1 - within) - wrong * (1 - strangers_within)
    chance = max(_CHANCE, _CHANCE_PHOTOS / len(own)) if wrong else 1e-9
    cheap = np.flatnonzero(cost <= cost.min() + chance)
    following = np.append(own[1:], max(own[-1], np.quantile(strangers, 0.001)))
    best = cheap[(following - own)[cheap].argmax()] if wrong else cheap[-1]
    # Between the last photo that is kept and the first that is not, or the nearest strangers.
    return float(min((own[best] + following[best]) / 2, math.pi / 2 - 1e-3)), wrong


def own_and_strangers(
    embeddings: np.ndarray, people: Mapping[int, np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the angles of photos to their own person's centre, and to other people's: float [n], float [m], radians.

    Args:
        embeddings: float32 [photos, size], unit.
        people: Numbers of each person's photos, by label; people with fewer than three are left out.
        seed: Of the choice of other people.

    Raises: ValueError if there are fewer than two people with three photos.
    """
    judged = [label for label, group in people.items() if len(group) >= _FEWEST_PHOTOS]
    if len(judged) < 2:
        raise ValueError(
            f"expected two people with {_FEWEST_PHOTOS} photos or more, to take the largest angle from, got "
            f"{len(judged)}; give it: --max_angle_degrees 75 is sub-centre ArcFace's"
        )
    own = [robust_angles(embeddings[people[label]]) for label in judged]
    near = [embeddings[people[label]][angles <= np.median(angles)] for label, angles in zip(judged, own, strict=True)]
    centres = unit(np.stack([photos.sum(axis=0) for photos in near]))
    random = np.random.default_rng(seed)
    strangers = []
    for number, label in enumerate(judged):
        group = people[label]
        others = (number + random.integers(1, len(judged), (len(group), _STRANGERS))) % len(judged)
        strangers.append(angle(np.einsum("ns,nks->nk", embeddings[group], centres[others])).ravel())
    return np.concatenate(own), np.concatenate(strangers)


def move_angle(embeddings: np.ndarray, owners: Mapping[int, np.ndarray], centres: np.ndarray, seed: int) -> float:
    """Returns the angle within which only one right photo in twenty is to the nearest of all other people.

    A stranger whom nobody here knows is no nearer to any of them, so would seldom be moved.

    Args:
        embeddings: float32 [photos, size], unit.
        owners: Numbers of the right photos of each person, by the row of its centre.
        centres: float32 [people, size], unit.
        seed: Of the choice of photos.
    """
    if len(centres) < 2:
        return 0.0
    rows = np.repeat(list(owners), [len(photos) for photos in owners.values()])
    chosen = np.random.default_rng(seed).permutation(len(rows))[:_SAMPLE]
    cosine = embeddings[np.concatenate(list(owners.values()))[chosen]] @ centres.T
    cosine[np.arange(len(chosen)), rows[chosen]] = -1
    return float(np.quantile(angle(cosine.max(axis=1)), _BY_CHANCE))
