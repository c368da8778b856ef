"""Lists of photos with the person of each, in the forms that lists for training have."""

import csv
import os
import re
from collections.abc import Callable

from keras_face.photos.people import read_lines

FORMS = (
    "`ann/1.jpg 0`, `ann/1.jpg,0`, `1<TAB>ann/1.jpg<TAB>0` (InsightFace), `7<TAB>0.0<TAB>ann/1.jpg` (MXNet), or CSV "
    "below a header such as `path,label`"
)
_PATHS = ("path", "file", "filename", "file_name", "image", "image_path", "image_id", "photo")
_LABELS = ("label", "identity", "identity_id", "person", "id", "class", "target", "name")


def read_labelled(path: str | os.PathLike) -> dict[str, list[str]]:
    """Returns the names of the photos of each person in a list; the people in the order of their labels.

    The first line says which of five forms the file has. Labels are whole numbers, but below a header of CSV, where
    they may be names too. Blank lines are passed over, and names may have any bytes.

    - `path label` or `path,label`: margin-centre-face's, and CelebA's; the label is what stands behind the last comma
      or blank, so that a path may have both.
    - `aligned<TAB>path<TAB>label`: InsightFace's `.lst`; all photos must be aligned, 1.
    - `index<TAB>label<TAB>path`: MXNet's `.lst`, one label a photo, which may be written as `3.000000`.
    - CSV below a header that has a path (path, file, filename, image, ...) and a label (label, identity, person, ...).

    Args:
        path: The file.

    Raises: ValueError, with file and line, for a line of another form, and for a path that comes twice.
    """
    lines = [(number, line) for number, line in enumerate(read_lines(path), 1) if line.strip()]
    if not lines:
        raise ValueError(f"{path}: expected a list of photos, the file is empty")
    entry = _form(lines[0][1])
    if isinstance(entry, _Csv):
        del lines[0]
    people: dict[str, list[str]] = {}
    seen: set[str] = set()
    for number, line in lines:
        found = entry(line)
        if found is None:
            raise ValueError(f"{path}, line {number}: expected a photo and its person as in {FORMS}, got {line!r}")
        name, label = found
        if name in seen:
            raise ValueError(f"{path}, line {number}: expected each photo once, got {name!r} again")
        seen.add(name)
        people.setdefault(label, []).append(name)
    numbers = all(label.isdecimal() for label in people)
    return {label: people[label] for label in sorted(people, key=int if numbers else None)}


Entry = Callable[[str], tuple[str, str] | None]  # from a line to path and label; None: it has another form


def _form(first: str) -> Entry:
    fields = [field.strip() for field in first.split("\t")]
    if len(fields) >= 3 and fields[0].isdecimal():
        return _mxnet if _whole(fields[1]) and not _whole(fields[-1]) else _insightface
    header = [name.strip().lower() for name in _cells(first)]
    places = [[place for place, name in enumerate(header) if name in names] for names in (_PATHS, _LABELS)]
    if all(len(found) == 1 for found in places):
        return _Csv(len(header), places[0][0], places[1][0])
    return _plain


def _plain(line: str) -> tuple[str, str] | None:
    # Lazy: the label is behind the last separator, whatever stands before it.
    found = re.fullmatch(r"(.*?\S)(?:\s*,\s*|\s+)(\d+)", line.strip())
    return (found[1], str(int(found[2]))) if found else None


def _insightface(line: str) -> tuple[str, str] | None:
    fields = [field.strip() for field in line.split("\t")]
    label = _whole(fields[2]) if len(fields) == 3 and fields[0] == "1" and fields[1] else None
    return None if label is None else (fields[1], label)


def _mxnet(line: str) -> tuple[str, str] | None:
    fields = [field.strip() for field in line.split("\t")]
    label = _whole(fields[1]) if len(fields) == 3 and fields[0].isdecimal() and fields[2] else None
    return None if label is None else (fields[2], label)


class _Csv:
    """Reads lines of CSV with so many fields, path and label at these places."""

    def __init__(self, num_fields: int, path: int, label: int):
        self.num_fields, self.path, self.label = num_fields, path, label

    def __call__(self, line: str) -> tuple[str, str] | None:
        cells = [cell.strip() for cell in _cells(line)]
        if len(cells) != self.num_fields or not (cells[self.path] and cells[self.label]):
            return None
        return cells[self.path], _whole(cells[self.label]) or cells[self.label]


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return []


def _whole(text: str) -> str | None:
    """Returns a label as a whole number is written, `3` of `3.000000` and `03`; None if it is none."""
    found = re.fullmatch(r"(\d+)(?:\.0*)?", text)
    return str(int(found[1])) if found else None
