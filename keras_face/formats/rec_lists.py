"""What lies beside a .rec file: `property`, its number of people and image size; `.lst`, the names of its photos."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from keras_face.formats.rec_layout import Problems, RecPhotos


@dataclasses.dataclass(frozen=True)
class Property:
    """What InsightFace's file `property` says: people, and (height, width) of the photos."""

    num_identities: int
    image_size: tuple[int, int]


def read_property(path: Path) -> Property:
    """Returns what a property file says.

    Raises: ValueError if its first line is not `people,height,width`.
    """
    line = path.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0].strip()
    if not re.fullmatch(r"\d{1,9},[1-9]\d{0,4},[1-9]\d{0,4}", line):
        raise ValueError(f"{path}: expected a first line `people,height,width`, got {line[:40]!r}")
    people, height, width = map(int, line.split(","))
    return Property(people, (height, width))


def read_names(path: Path, photos: RecPhotos, notes: Problems) -> list[str] | None:
    """Returns the names of the photos from a list, or None, with a note, if the list is of other photos.

    A line is `aligned<tab>path<tab>label` for photo 1, 2, ... (InsightFace), or `key<tab>label<tab>path` (MXNet).
    """
    lines = [
        line.split("\t") for line in path.read_text(encoding="utf-8", errors="surrogateescape").split("\n") if line
    ]
    if all(len(fields) >= 3 and _is_number(fields[1]) for fields in lines):
        listed = {fields[0]: (fields[-1], fields[1]) for fields in lines}
    elif all(len(fields) >= 3 and _is_number(fields[2]) for fields in lines):
        listed = {str(key): (fields[1], fields[2]) for key, fields in enumerate(lines, 1)}
    else:
        notes.append((path.name, "not used: expected lines `aligned<tab>path<tab>label` or `key<tab>label<tab>path`"))
        return None
    found = [listed.get(str(key)) for key in photos.keys.tolist()]
    names = [entry[0] for entry in found if entry]
    agree = [entry is not None and float(entry[1]) == label for entry, label in zip(found, photos.labels, strict=True)]
    if len(lines) != len(found) or not all(agree) or len(set(names)) != len(names):
        notes.append((path.name, f"not used: {len(lines)} lines, {sum(agree)} of which fit the {len(found)} photos"))
        return None
    return names


def identity_names(names: Sequence[str] | None, labels: np.ndarray) -> dict[int, str]:
    """Returns the name of each label: the folder of its photos if each person has one alone, else the label."""
    own = {label: str(label) for label in np.unique(labels).tolist()}
    if names is None:
        return own
    folders: dict[int, str] = {}
    for name, label in zip(names, labels.tolist(), strict=True):
        folder = PurePosixPath(name).parent.name
        if not folder or folders.setdefault(label, folder) != folder:
            return own
    return folders if len(set(folders.values())) == len(folders) else own


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d*)?", text) is not None
