"""LFW's own files: pairs of its two views, and the lists of people."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_face.evaluation.protocols.lines import Line, bad_line, read_lines, tab_fields, whole_number
from keras_face.evaluation.protocols.pairs import Pairs, folds_by_polarity

_MOST_PHOTOS = 100_000_000  # of a list of people; LFW's has 13,233
People = dict[str, tuple[str, ...]]  # identity -> keys of the photos


def photo(name: str, number: int) -> str:
    """Returns the path of a photo of LFW."""
    return f"{name}/{name}_{number:04d}.jpg"


def is_header(text: str) -> bool:
    """Returns whether a first line is `10 300` (View 2) or `500` (View 1)."""
    return 1 <= len(text.split()) <= 2 and all(whole_number(field) for field in text.split())


def view_pairs(path: Path, lines: list[Line]) -> Pairs:
    """Returns the pairs of a file of View 1 or View 2, whose first line is a header."""
    header = lines[0][1].split()
    num_sets, size = (int(field) for field in header) if len(header) == 2 else (1, int(header[0]))
    if len(lines) - 1 != 2 * num_sets * size:
        raise ValueError(f"{path}: expected {2 * num_sets * size} pairs after {lines[0][1]!r}, got {len(lines) - 1}")
    genuine = np.tile(np.repeat([True, False], size), num_sets)
    left, right = zip(
        *(_pair(path, line, same)[:2] for line, same in zip(lines[1:], genuine.tolist(), strict=True)), strict=True
    )
    if len(header) == 1:
        return Pairs(
            f"LFW View 1 ({path.name}), 10 folds by position", left, right, genuine, folds_by_polarity(genuine)
        )
    fold = np.repeat(np.arange(num_sets), 2 * size)
    return Pairs(f"LFW View 2 ({path.name}), {num_sets} folds of the file", left, right, genuine, fold)


def is_pair(text: str) -> bool:
    """Returns whether a line is `Name 1 4` or `Name 1 Other 4`."""
    return _sides(text) is not None


def unordered_pairs(path: Path, lines: list[Line]) -> Iterator[tuple[str, str, bool]]:
    """Yields (left, right, genuine) of lines without a header, of either polarity in any order."""
    return (_pair(path, line, None) for line in lines)


def _pair(path: Path, line: Line, genuine: bool | None) -> tuple[str, str, bool]:
    """Returns (left, right, genuine); of the polarity asked for, None: of either."""
    sides = _sides(line[1])
    if sides is None or genuine not in (None, sides[0] == sides[2]):
        forms = {True: "`Name 1 4` (genuine)", False: "`Name 1 Other 4` (impostor)"}
        raise bad_line(path, line, " or ".join(forms.values()) if genuine is None else forms[genuine])
    left, first, right, second = sides
    return photo(left, int(first)), photo(right, int(second)), left == right


def _sides(text: str) -> tuple[str, str, str, str] | None:
    """Returns name and number of either side; None if it is no pair of LFW, or one photo twice."""
    fields = tab_fields(text)
    if len(fields) == 3:
        fields.insert(2, fields[0])
    if len(fields) != 4 or not all(re.fullmatch(r"\d{1,9}", number) for number in fields[1::2]):
        return None
    left, first, right, second = fields
    return None if (left, int(first)) == (right, int(second)) else (left, first, right, second)


def read_people(path: str | os.PathLike) -> tuple[People, ...]:
    """Returns the people of a list of LFW, one dictionary a set, from name to the paths of the photos.

    View 2's people.txt begins with the number of sets, each of which begins with its number of people; View 1's
    peopleDevTrain.txt and peopleDevTest.txt are a single set, which begins with its number of people. The other lines
    are `Name 4`: a person and the number of photos, Name/Name_0001.jpg to Name/Name_0004.jpg.

    Raises: ValueError, with file and line, for a line that is not as expected, for too many or too few lines, and for a
        person who comes twice.
    """
    lines = read_lines(path)
    if not lines:
        raise ValueError(f"{path}: expected a list of people that begins with a number, the file is empty")
    if whole_number(lines[0][1]) is None:
        raise bad_line(path, lines[0], "a list of people that begins with a number")
    # View 2 has a second number below the first.
    num_sets = int(lines.pop(0)[1]) if len(lines) > 1 and whole_number(lines[1][1]) is not None else 1
    photos = sum(whole_number(text.split()[-1]) or 0 for _, text in lines)
    if photos > _MOST_PHOTOS:
        raise ValueError(f"{path}: expected the people of at most {_MOST_PHOTOS:,} photos, got {photos:,}")
    names: set[str] = set()
    sets = tuple(_set(path, lines, names) for _ in range(num_sets))
    if lines:
        raise bad_line(path, lines[0], f"no more after {num_sets} sets")
    return sets


def _set(path: str | os.PathLike, lines: list[Line], names: set[str]) -> People:
    """Returns the people of the set at the beginning of the lines, and takes these away."""
    if not lines:
        raise ValueError(f"{path}: expected another set of people at the end of the file")
    header = lines.pop(0)
    size = whole_number(header[1])
    if size is None:
        raise bad_line(path, header, "the number of people in a set")
    if len(lines) < size:
        raise ValueError(f"{path}: expected {size} people after line {header[0]}, got {len(lines)}")
    people: People = {}
    for line in lines[:size]:
        fields = line[1].split()
        count = whole_number(fields[1]) if len(fields) == 2 else None
        if not count:
            raise bad_line(path, line, "`Name 4`, a person and the number of photos")
        if fields[0] in names:
            raise bad_line(path, line, "each person once")
        names.add(fields[0])
        people[fields[0]] = tuple(photo(fields[0], number) for number in range(1, count + 1))
    del lines[:size]
    return people
