"""Who is on each side of a pair, by its keys."""

import os
import re
from collections.abc import Callable, Sequence

import numpy as np

_AGREEMENT = 0.95  # of genuine, and of impostor pairs: lists of corrected labels differ from the names here and there
_SAMPLE = 20_000  # pairs of a polarity
_MOST = 1_000_000  # pairs whose people are numbered


def find_people(
    left: Sequence[str], right: Sequence[str], genuine: np.ndarray
) -> tuple[Callable[[str], str], str] | None:
    """Returns the rule that tells the person from a key, and what it is in words; None if none fits the pairs.

    A rule fits if it has one person in 95 % of the genuine and two in 95 % of the impostor pairs, or of a sample of
    them where there are very many.

    Args:
        left: [n], key of one side of each pair.
        right: [n], of the other.
        genuine: bool [n], of both polarities.
    """
    sides = [np.flatnonzero(genuine == polarity) for polarity in (True, False)]
    if not all(numbers.size for numbers in sides):
        return None
    samples = [numbers[:: -(-numbers.size // _SAMPLE)].tolist() for numbers in sides]
    for person_of, words in (
        (_first_folder, "the first folder of the photo's path"),
        (_folder, "the folder of the photo"),
        (_name_without_number, "the photo's name without its number"),
    ):
        one, other = (
            sum(person_of(left[number]) == person_of(right[number]) for number in numbers) / len(numbers)
            for numbers in samples
        )
        if min(one, 1 - other) >= _AGREEMENT:
            differs = f" (as labelled in {one:.2%} of the genuine and {1 - other:.2%} of the impostor pairs)"
            return person_of, words if one == 1 and other == 0 else words + differs
    return None


def identities_of(left: Sequence[str], right: Sequence[str], genuine: np.ndarray) -> np.ndarray | None:
    """Returns int64 [n, 2], the number of the person on each side, by `find_people`; None where the keys do not say it.

    Of more than a million pairs the keys are not looked at.

    Args: as `find_people`.
    """
    found = find_people(left, right, genuine) if len(left) <= _MOST else None
    if found is None:
        return None
    number: dict[str, int] = {}
    return np.array([[number.setdefault(found[0](key), len(number)) for key in keys] for keys in (left, right)]).T


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _first_folder(key: str) -> str:
    return key.partition("/")[0] if "/" in key else ""


def _name_without_number(key: str) -> str:
    return re.sub(r"[\W_]*\d+$", "", os.path.splitext(key)[0])
