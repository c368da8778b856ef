"""Pairs made by rule: of one's own people, or of LFW's lists of people (its unrestricted configuration)."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_face.evaluation.protocols.identification import Identification
from keras_face.evaluation.protocols.pairs import NUM_FOLDS, Pairs
from keras_face.evaluation.protocols.view import People, read_people

_MOST_PAIRS = 300  # of a polarity in a fold, as in LFW's View 2


def folder_pairs(
    people: Mapping[str, Sequence[str]],
    name: str,
    *,
    num_folds: int = NUM_FOLDS,
    num_pairs: int | None = None,
    seed: int = 0,
) -> Pairs:
    """Returns pairs of one's own people, made by the rule of `pairs_by_rule` with the folds of `deal_people`.

    Args:
        people: Keys of the photos of each person, as `photos.people.list_people` lists those of a folder.
        name: Of the folder, for the protocol's name.
        num_folds: Folds; each person is in one only.
        num_pairs: Genuine pairs, and impostor pairs, in each fold; None: as many as every fold has, 300 at most.
        seed: Of people's folds and of the pairs.

    Raises: ValueError as `deal_people` and `pairs_by_rule`, and if a person has no photo.
    """
    _check_photos(people, name)
    try:
        folds = deal_people(people, num_folds, seed)
        return pairs_by_rule(folds, name=f"own people ({name})", num_pairs=num_pairs, seed=seed)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def held_out_pairs(people: Mapping[str, Sequence[str]], name: str) -> Pairs:
    """Returns pairs of people who were held out of a training: those of `folder_pairs`, seed 0.

    There are as many folds, of 2 to 10, as give the most pairs: every fold has as many as the poorest one can give.

    Args:
        people: Keys of the photos of each person, no key twice.
        name: Of the data, for the protocol's name.

    Raises: ValueError if there are too few people, or too few photos of one person, for two folds.
    """
    several = sum(len(photos) > 1 for photos in people.values())
    most = min(NUM_FOLDS, several, len(people) // 2)
    if most < 2:
        raise ValueError(
            f"expected 4 or more people, 2 or more of them with two photos, got {len(people)} and {several}"
        )
    folds = max((deal_people(people, number, 0) for number in range(2, most + 1)), key=_num_pairs_and_folds)
    pairs = pairs_by_rule(folds, name=f"held-out people ({name})")
    person_of = {photo: person for person, photos in people.items() for photo in photos}
    number: dict[str, int] = {}
    sides = [[number.setdefault(person_of[key], len(number)) for key in keys] for keys in (pairs.left, pairs.right)]
    return dataclasses.replace(pairs, people=np.array(sides).T)


def _num_pairs_and_folds(folds: Sequence[Mapping[str, Sequence[str]]]) -> tuple[int, int]:
    return len(folds) * min(_available(folds), _MOST_PAIRS), len(folds)


def folder_identification(people: Mapping[str, Sequence[str]], name: str) -> Identification:
    """Returns one's own people as probes and gallery at once: each photo is looked up among all others.

    It is open-set if some people have a single photo: these have no mate.

    Args:
        people: As `folder_pairs`.
        name: Likewise.

    Raises: ValueError if nobody has two photos, or a person has none.
    """
    _check_photos(people, name)
    photos = tuple(photo for photos in people.values() for photo in photos)
    identities = tuple(person for person, photos in people.items() for _ in photos)
    title = f"own people ({name}), each photo among all others"
    return Identification(title, photos, identities, photos, identities, np.arange(len(photos)))


def _check_photos(people: Mapping[str, Sequence[str]], name: str) -> None:
    """Raises ValueError at a person without photos."""
    if without := [person for person, photos in people.items() if not photos]:
        raise ValueError(f"{name}/{without[0]}: expected photos of a person, found none")


def people_pairs(path: str | os.PathLike, *, num_pairs: int | None = None, seed: int = 0) -> Pairs:
    """Returns pairs of a list of LFW's people, made by `pairs_by_rule`: what the unrestricted configuration allows.

    The folds are the sets of people.txt; peopleDevTrain.txt and peopleDevTest.txt have one set, which `deal_people`
    cuts into 10. LFW is tested on the pairs of pairs.txt in either configuration: these here are for training, or for a
    choice of thresholds.

    Raises: ValueError as `read_people`, `deal_people` and `pairs_by_rule`.
    """
    sets = read_people(path)
    try:
        folds = sets if len(sets) > 1 else deal_people(sets[0], NUM_FOLDS, seed)
        return pairs_by_rule(folds, name=f"LFW unrestricted ({Path(path).name})", num_pairs=num_pairs, seed=seed)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def deal_people(people: Mapping[str, Sequence[str]], num_folds: int, seed: int) -> tuple[People, ...]:
    """Returns the people of each fold: dealt out in an order drawn by the seed, first those of two and more photos.

    Raises: ValueError if a fold would have fewer than two people, or none with two photos.
    """
    if num_folds < 2:
        raise ValueError(f"num_folds must be >= 2, got {num_folds}")
    several = [name for name in sorted(people) if len(people[name]) > 1]
    single = [name for name in sorted(people) if len(people[name]) == 1]
    if len(several) < num_folds or len(several) + len(single) < 2 * num_folds:
        raise ValueError(
            f"expected {2 * num_folds} or more people, {num_folds} or more of them with two photos, for {num_folds} "
            f"folds, got {len(several) + len(single)} and {len(several)}; take fewer folds"
        )
    draw = _draw(seed)
    order = [names[index] for names in (several, single) for index in draw.permutation(len(names))]
    return tuple({name: tuple(people[name]) for name in order[fold::num_folds]} for fold in range(num_folds))


def pairs_by_rule(
    folds: Sequence[Mapping[str, Sequence[str]]], *, name: str, num_pairs: int | None = None, seed: int = 0
) -> Pairs:
    """Returns as many genuine as impostor pairs in each fold, drawn as LFW drew its own.

    A genuine pair: a person of two and more photos, each as likely as another, then two of the photos. An impostor
    pair: two people of the fold, then a photo of each. A pair that came before is drawn again.

    Args:
        folds: The people of each fold, and the keys of their photos; nobody is in two.
        name: Of the data, for the protocol's name.
        num_pairs: Genuine pairs, and impostor pairs, in each fold; None: as many as every fold has, 300 at most.
        seed: Of the draw.

    Raises: ValueError if a person is in two folds, or a fold has too few people or photos for the pairs.
    """
    named = [person for people in folds for person in people]
    if len(set(named)) < len(named):
        twice = sorted(person for person in set(named) if named.count(person) > 1)
        raise ValueError(f"expected each person in one fold, got {', '.join(twice[:3])} in several")
    available = _available(folds)
    size = min(available, _MOST_PAIRS) if num_pairs is None else num_pairs
    if not 0 < size <= available:
        raise ValueError(
            f"expected people and photos for {max(size, 1)} genuine and as many impostor pairs in each fold, got "
            f"{available} in one of {len(folds)} folds"
        )
    draw = _draw(seed)
    pairs = [pair for people in folds for pair in (*_genuine(people, size, draw), *_impostor(people, size, draw))]
    left, right = zip(*pairs, strict=True)
    rule = f"{size} genuine and {size} impostor pairs each by LFW's rule, seed {seed}"
    return Pairs(
        f"{name}, {len(folds)} folds by people, {rule}",
        left,
        right,
        np.tile(np.repeat([True, False], size), len(folds)),
        np.repeat(np.arange(len(folds)), 2 * size),
    )


def _available(folds: Sequence[Mapping[str, Sequence[str]]]) -> int:
    """Returns how many genuine, and as many impostor, pairs every fold can give."""
    return min(min(_num_genuine(people), _num_impostor(people)) for people in folds)


def _num_genuine(people: Mapping[str, Sequence[str]]) -> int:
    return sum(len(photos) * (len(photos) - 1) // 2 for photos in people.values())


def _num_impostor(people: Mapping[str, Sequence[str]]) -> int:
    sizes = [len(photos) for photos in people.values()]
    return (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2


def _genuine(people: Mapping[str, Sequence[str]], size: int, draw: np.random.RandomState) -> list[tuple[str, str]]:
    names = [name for name, photos in people.items() if len(photos) > 1]
    used = dict.fromkeys(names, 0)
    taken: set[tuple[str, str]] = set()
    while len(taken) < size:
        name = names[draw.randint(len(names))]
        photos = people[name]
        first, second = _two(len(photos), draw)
        if (photos[first], photos[second]) in taken:
            continue
        taken.add((photos[first], photos[second]))
        used[name] += 1
        if used[name] == len(photos) * (len(photos) - 1) // 2:
            names.remove(name)  # all pairs of this person are drawn
    return sorted(taken)


def _impostor(people: Mapping[str, Sequence[str]], size: int, draw: np.random.RandomState) -> list[tuple[str, str]]:
    names = list(people)
    taken: set[tuple[str, str]] = set()
    while len(taken) < size:
        first, second = (people[names[index]] for index in _two(len(names), draw))
        taken.add((first[draw.randint(len(first))], second[draw.randint(len(second))]))
    return sorted(taken)


def _two(number: int, draw: np.random.RandomState) -> tuple[int, int]:
    """Returns two different numbers below `number`, the smaller one first."""
    first, second = draw.randint(number), draw.randint(number - 1)
    second += second >= first
    return min(first, second), max(first, second)


def _draw(seed: int) -> np.random.RandomState:
    """Returns the old generator, whose numbers NumPy promises never to change: a seed names the same pairs for ever."""
    return np.random.RandomState(seed)
