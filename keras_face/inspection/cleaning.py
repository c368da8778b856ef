"""What a trained model says about labels: photos of strangers, two people under one name, one person under two.

Angles are between unit embeddings, or their centres, in radians. Nothing is changed here: the result is a list.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_face.inspection.angles import angle, close_pairs, half_angles, same_person_angle, two_nearest, unit
from keras_face.inspection.clusters import ALONE, clusters, split
from keras_face.inspection.duplicates import groups_of
from keras_face.inspection.findings import DROP, LOOK, MOVE, Entry
from keras_face.inspection.thresholds import Thresholds, move_angle, own_and_strangers, photo_angle
from keras_face.records.photos import RecordPhotos

OUTLIER, MERGED, SPLIT, DISAGREE = "outlier", "another person", "same person", "two photos disagree"
ALIKE = "much alike"
# Drawn people with 12 or 20 photos, by a model of 400 steps: one person's even parts were 0.40 and 0.33 radians apart
# in the median, 0.67 and 0.70 at most; of two people under one name 0.76 and 0.73 or more in nine of ten cases.
_EVEN, _APART, _FEWEST_DIVIDED = 0.25, 2.0, 10


@dataclasses.dataclass(frozen=True)
class Cleaning:
    """The list, and what it was made by.

    Args:
        entries: By identity.
        thresholds: What they were made by.
        num_photos: Looked at.
        num_people: Looked at.
    """

    entries: Sequence[Entry]
    thresholds: Thresholds
    num_photos: int
    num_people: int

    def __str__(self) -> str:
        limits = self.thresholds
        share = (
            "" if math.isnan(limits.wrong_share) else f"; about {limits.wrong_share:.1%} of the photos show a stranger"
        )
        kinds = Counter((entry.finding, entry.suggestion.split(" ")[0]) for entry in self.entries)
        return "\n".join(
            [
                f"{self.num_people:,} people, {self.num_photos:,} photos{share}",
                f"within {_both(limits.photo)} of its person's centre a photo is right",
                f"within {_both(limits.person)} two centres are one person, within {_both(limits.alike)} worth a look",
                f"within {_both(limits.move)} of another person's centre an outlier is moved there",
                *(f"{count:>9,}  {finding}: {what}" for (finding, what), count in sorted(kinds.items())),
            ]
            + ([] if kinds else ["nothing found"])
        )


def clean_photos(
    photos: RecordPhotos, good: np.ndarray, embeddings: np.ndarray, max_angle: float | None = None, min_cluster: int = 3
) -> Cleaning:
    """Returns the list of what is wrong with the labels of a dataset.

    Args:
        photos: The dataset.
        good: bool [photos], which are looked at.
        embeddings: float32 [photos, size], unit.
        max_angle: Of a photo to its person's centre, radians; None: from the data.
        min_cluster: See `find_wrong_labels`.

    Raises: ValueError: see `find_wrong_labels`.
    """
    labels = np.where(good, photos.labels, -1)
    return find_wrong_labels(embeddings, labels, photos.photo_name, photos.identities, max_angle, min_cluster)


def find_wrong_labels(
    embeddings: np.ndarray,
    labels: np.ndarray,
    name_of: Callable[[int], str],
    identities: Sequence[str],
    max_angle: float | None = None,
    min_cluster: int = 3,
    seed: int = 0,
) -> Cleaning:
    """Returns the list of what is wrong with the labels.

    Args:
        embeddings: float32 [n, size], unit; may be mapped from disk.
        labels: int [n]; photos of negative labels are not looked at.
        name_of: Gives the name of a photo by its number.
        identities: Names of the identities.
        max_angle: Of a photo to its person's centre, radians; None: from the data (`photo_angle`).
        min_cluster: Photos of a second person under a name that make it a person; fewer are outliers.
        seed: Of the choice of strangers.

    Raises: ValueError if a number is out of range, or there are too few photos to take a threshold from.
    """
    if max_angle is not None and not 0 < max_angle < math.pi / 2:
        raise ValueError(f"max_angle must be in (0, pi / 2) radians, got {max_angle}")
    if min_cluster < 2:
        raise ValueError(f"min_cluster must be >= 2, got {min_cluster}")
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    groups = dict(zip(present.tolist(), np.split(order, starts[1:]), strict=True))
    people = {label: group for label, group in groups.items() if label >= 0}
    wrong_share = math.nan
    if max_angle is None:
        own, strangers = own_and_strangers(embeddings, people, seed)
        max_angle, wrong_share = photo_angle(own, strangers)
    persons = {label: clusters(embeddings[group], max_angle, min_cluster) for label, group in people.items()}
    _divide(embeddings, people, persons, min_cluster)
    main = {label: people[label][persons[label] == 0] for label in people}
    main = {label: group for label, group in main.items() if len(group)}
    if not main:
        raise ValueError(
            f"no two photos of a person are within {max_angle:.3f} radians of their centre; take a larger angle"
        )
    known = np.array(sorted(main))
    halves = np.stack([[embeddings[main[label]][half::2].sum(axis=0) for label in known.tolist()] for half in range(2)])
    centres = unit(halves.sum(axis=0))
    counts = np.array([len(main[label]) for label in known.tolist()])
    own_halves, others = half_angles(halves, counts), two_nearest(centres)
    person = same_person_angle(own_halves, others)
    limits = Thresholds(
        photo=max_angle,
        person=person,
        alike=max(person, same_person_angle(own_halves, others, 0.0)),
        move=min(max_angle, move_angle(embeddings, dict(enumerate(main[x] for x in known.tolist())), centres, seed)),
        wrong_share=wrong_share,
    )
    place = {label: number for number, label in enumerate(known.tolist())}
    found = []
    for label, group in people.items():
        found += _of_person(
            label, group, persons[label], embeddings, centres, known, place, name_of, identities, limits
        )
    found += _of_pairs(centres, known, main, identities, limits)
    return Cleaning(found, limits, sum(map(len, people.values())), len(people))


def _divide(embeddings: np.ndarray, people: dict, persons: dict, min_cluster: int) -> None:
    """Divides in `persons` those whose photos fall into two even parts that are twice as far apart as usual."""
    parts = {}
    for label, group in people.items():
        photos = np.flatnonzero(persons[label] == 0)
        if len(photos) >= 2 * min_cluster:
            smaller, apart = split(embeddings[group[photos]])
            if np.count_nonzero(smaller) >= max(min_cluster, _EVEN * len(photos)):
                parts[label] = photos[smaller], apart
    if len(parts) < _FEWEST_DIVIDED:
        return
    usual = float(np.median([apart for _, apart in parts.values()]))
    for label, (photos, apart) in parts.items():
        if apart > _APART * usual:
            persons[label][photos] = persons[label].max() + 1


def _of_person(
    label: int,
    group: np.ndarray,
    person: np.ndarray,
    embeddings: np.ndarray,
    centres: np.ndarray,
    known: np.ndarray,
    place: Mapping[int, int],
    name_of: Callable[[int], str],
    identities: Sequence[str],
    limits: Thresholds,
) -> list[Entry]:
    """Returns the entries of one person's photos."""
    name = identities[label]
    if (person == 0).all():
        return []
    if label not in place:  # no two photos agree
        if len(group) == 2:
            apart = float(angle(embeddings[group[0]] @ embeddings[group[1]]))
            return [Entry(name_of(number), name, DISAGREE, apart, LOOK) for number in group.tolist()]
        return [Entry(name_of(number), name, OUTLIER, None, LOOK) for number in group.tolist()]
    found = []
    own = centres[place[label]]
    for number in group[person == ALONE].tolist():
        away = float(angle(embeddings[number] @ own))
        angles = angle(centres @ embeddings[number])
        angles[place[label]] = math.inf
        nearest = int(angles.argmin())
        near = angles[nearest] <= min(limits.move, away)
        suggestion = f"{MOVE}{identities[known[nearest]]}" if near else DROP
        found.append(Entry(name_of(number), name, OUTLIER, away, suggestion))
    for other in range(1, person.max() + 1):
        members = group[person == other]
        centre = unit(embeddings[members].sum(axis=0))
        angles = angle(centres @ centre)
        angles[place[label]] = math.inf
        nearest = int(angles.argmin())
        target = identities[known[nearest]] if angles[nearest] <= limits.person else f"{name}#{other + 1}"
        away = float(angle(own @ centre))
        found += [Entry(name_of(number), name, MERGED, away, f"{MOVE}{target}") for number in members.tolist()]
    return found


def _of_pairs(
    centres: np.ndarray,
    known: np.ndarray,
    main: Mapping[int, np.ndarray],
    identities: Sequence[str],
    limits: Thresholds,
) -> list[Entry]:
    """Returns the entries of people whose centres are close: the one with fewer photos moves to the other."""
    pairs, angles = close_pairs(centres, centres, limits.alike)
    upper = pairs[:, 0] < pairs[:, 1]
    pairs, angles = pairs[upper], angles[upper]
    same = angles <= limits.person
    found = []
    for group in groups_of(pairs[same]):
        labels = known[group].tolist()
        target = max(labels, key=lambda label: (len(main[label]), -label))
        centre = centres[group[labels.index(target)]]
        for label, place in zip(labels, group.tolist(), strict=True):
            if label != target:
                away = float(angle(centres[place] @ centre))
                found.append(Entry("", identities[label], SPLIT, away, f"{MOVE}{identities[target]}"))
    for (first, second), away in zip(known[pairs[~same]].tolist(), angles[~same].tolist(), strict=True):
        found.append(Entry("", identities[first], f"{ALIKE} as {identities[second]}", away, LOOK))
    return found


def _both(radians: float) -> str:
    return f"{radians:.3f} radians ({math.degrees(radians):.0f} degrees)"
