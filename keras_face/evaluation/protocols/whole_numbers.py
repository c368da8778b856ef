"""Text files of nothing but whole numbers, by the million."""

import os
from collections.abc import Iterator, Sequence

import numpy as np

from keras_face.evaluation.protocols.lines import bad_line

_BLOCK = 1 << 24  # bytes read at a time
_DIGITS = b"0123456789"
_LONGEST = 18  # digits of a number of 64 bits


def read_whole_numbers(
    path: str | os.PathLike, columns: int, expected: str
) -> Iterator[tuple[Sequence[int], np.ndarray]]:
    """Yields (numbers of the lines, int64 [lines, columns]) of a few hundred thousand lines at a time.

    The fields are cut at blanks or tabs. Blank lines are passed over.

    Args:
        path: The file.
        columns: Numbers in a line, each >= 0.
        expected: What a line is to be, for the error.

    Raises: ValueError, with file and line, for a line of another form.
    """
    first, rest = 1, b""
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            rest += block
            cut = rest.rfind(b"\n") + 1
            lines, rest = rest[:cut], rest[cut:]
            if cut:
                yield from _parse(path, lines, columns, expected, first)
                first += lines.count(b"\n")
    if rest:
        yield from _parse(path, rest + b"\n", columns, expected, first)


def _parse(
    path: str | os.PathLike, lines: bytes, columns: int, expected: str, first: int
) -> Iterator[tuple[Sequence[int], np.ndarray]]:
    numbers: Sequence[int]
    if _is_regular(lines, columns):
        numbers = range(first, first + lines.count(b"\n"))
    else:
        # Blanks of other kinds, or a bad line: slowly, line by line.
        numbers, lines = _regular(path, lines, columns, expected, first)
    if numbers:
        yield numbers, np.fromstring(lines.decode("ascii"), np.int64, sep=" ").reshape(-1, columns)


def _is_regular(lines: bytes, columns: int) -> bool:
    """Returns whether the lines are digits with one blank between and a line feed behind, the right number in each."""
    separators = lines.translate(None, _DIGITS)
    line = b" " * (columns - 1) + b"\n"
    return (
        separators == line * (len(separators) // columns)
        and lines[:1].isdigit()
        and lines[-1:] == b"\n"
        and not any(empty in lines for empty in (b"  ", b" \n", b"\n "))
        and max(map(len, lines.split())) <= _LONGEST
    )


def _regular(path: str | os.PathLike, lines: bytes, columns: int, expected: str, first: int) -> tuple[list[int], bytes]:
    """Returns the lines that are not blank, made regular, and their numbers."""
    numbers, regular = [], []
    for number, row in enumerate(lines.split(b"\n"), first):
        fields = row.split()
        if not fields:
            continue
        if len(fields) != columns or not all(field.isdigit() and len(field) <= _LONGEST for field in fields):
            raise bad_line(path, (number, row.strip().decode("utf-8", "replace")), expected)
        numbers.append(number)
        regular.append(b" ".join(fields) + b"\n")
    return numbers, b"".join(regular)
