"""Text files, line by line, each line with its number for the error that may be due."""

import csv
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from keras_face.files import unescaped

_SHOWN = 200  # characters of a bad line
Line = tuple[int, str]  # number from 1, text without the blanks around it


def read_lines(path: str | os.PathLike) -> list[Line]:
    """Returns the lines that are not blank.

    Names may have any bytes: what is no UTF-8 comes back as surrogates, as `os.fsdecode` makes them.

    Raises: ValueError if the file is no text.
    """
    text = Path(path).read_text(encoding="utf-8-sig", errors="surrogateescape")
    if "\0" in text:
        raise ValueError(f"{path}: expected a text file (UTF-8)")
    return [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def read_columns(
    path: str | os.PathLike, columns: Mapping[str, tuple[str, ...]], optional: tuple[str, ...] = ()
) -> Iterator[tuple[int, list]]:
    """Yields (line number, fields of the columns) for each row of a CSV file with a header line, as `files.unescaped`.

    Args:
        path: The file.
        columns: Each column asked for, and the names it may have in the header, in lower case; that of the header is
            ignored.
        optional: Columns that may be absent; their fields are None.

    Raises: ValueError if a column is not in the header, or a row has another number of fields than the header.
    """
    lines = read_lines(path)
    if not lines:
        raise ValueError(f"{path}: expected a header line with {', '.join(columns)}, the file is empty")
    header = [name.strip().lower() for name in _cells(path, lines[0])]
    places = []
    for column, names in columns.items():
        found = [place for place, name in enumerate(header) if name in names]
        if len(found) > 1 or not (found or column in optional):
            raise bad_line(path, lines[0], f"a header line with one column `{column}`")
        places.append(found[0] if found else None)
    for number, text in lines[1:]:
        fields = [field.strip() for field in _cells(path, (number, text))]
        if len(fields) != len(header):
            raise bad_line(path, (number, text), f"{len(header)} fields as in the header")
        yield number, [None if place is None else unescaped(fields[place]) for place in places]


def _cells(path: str | os.PathLike, line: Line) -> list[str]:
    try:
        return next(csv.reader([line[1]]))
    except csv.Error as error:
        raise bad_line(path, line, f"a line of CSV ({error})") from None


def whole_number(text: str) -> int | None:
    """Returns the number that ASCII digits write, < 10^18; None if it is none, or a larger one."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def tab_fields(text: str) -> list[str]:
    """Returns the fields of a line: cut at tabs if there are any, so that they may have blanks, or else at blanks."""
    return [field.strip() for field in text.split("\t")] if "\t" in text else text.split()


def split_fields(text: str) -> list[str]:
    """Returns the fields of a line: cut at commas if there are any, or else at blanks."""
    return re.split(r"\s*,\s*" if "," in text else r"\s+", text)


def bad_line(path: str | os.PathLike, line: Line, expected: str) -> ValueError:
    """Returns the error that says where a line is not as expected."""
    got = line[1] if len(line[1]) <= _SHOWN else f"{line[1][:_SHOWN]}..."
    return ValueError(f"{path}, line {line[0]}: expected {expected}, got {got!r}")
