"""A folder with one folder of photos per person, and lists of people: the one way to list them."""

import dataclasses
import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_face.evaluation.short import Short
from keras_face.photos import checked
from keras_face.photos.files import unlike_a_photo
from keras_face.photos.lists import HIDDEN, is_folder, is_hidden
from keras_face.photos.template import RECORD

_REPORTS = (RECORD, "skipped.csv")  # what `align` leaves beside the folders of crops


@dataclasses.dataclass(frozen=True, repr=False)
class Listing(Short):
    """What a folder with one folder of photos per person holds, by name, unread.

    Args:
        photos: Names of the photos of each person, `person/file`, sorted; none: nothing in the folder is a photo.
        skipped: Name and reason of each file and folder that is none.
    """

    photos: Mapping[str, Sequence[str]]
    skipped: Sequence[tuple[str, str]]


def list_people(
    source: str | os.PathLike, people_file: str | os.PathLike | None = None, *, may_be_empty: bool = False
) -> Listing:
    """Returns the people of a folder, who are its folders, and the names of their photos: the one rule for all.

    Photos are files with the ending of a photo (`files.EXTENSIONS`), and others that begin as one does. Hidden files
    and folders (`lists.is_hidden`) are left out, as are files beside the folders of people, and folders in these.
    Links are followed.

    Args:
        source: The folder.
        people_file: The people to take (`read_people`); None: all.
        may_be_empty: Whether a person's folder with nothing in it is a person without photos, and no error.

    Raises: ValueError if the folder does not exist, has no person's folder, or an empty one; if two folders have the
        same name but for case or Unicode form, or are links to the same one, or to one that they are in; if a listed
        person has no folder. OSError if a folder cannot be listed.
    """
    root = Path(source)
    if not root.is_dir():
        raise ValueError(f"expected a folder with a folder of photos per person, but {root} is none")
    folders, files, skipped = _listed(root)
    _check_folders(root, folders)
    skipped += [(name, "not in a person's folder") for name in files if name not in _REPORTS]
    if people_file is not None:
        by_key = {_key(name): name for name in folders}
        listed = read_people(people_file)
        if missing := [name for name in listed if _key(name) not in by_key]:
            raise ValueError(f"{people_file}: {len(missing)} people have no folder in {root}: {checked.some(missing)}")
        folders = sorted(by_key[_key(name)] for name in listed)
    photos: dict[str, list[str]] = {}
    for person in folders:
        folder = root / person
        inner, files, hidden = _listed(folder)
        if not (inner or files or hidden or may_be_empty):
            raise ValueError(f"{folder} is empty; remove it, or put photos of this person into it")
        photos[person] = []
        for name in files:
            reason = unlike_a_photo(os.path.join(folder, name))
            if reason is None:
                photos[person].append(f"{person}/{name}")
            else:
                skipped.append((f"{person}/{name}", reason))
        skipped += [(f"{person}/{name}", reason) for name, reason in hidden]
        skipped += [(f"{person}/{name}", "a folder in a person's folder") for name in inner]
    return Listing(photos, skipped)


def scan(
    source: str | os.PathLike,
    people_file: str | os.PathLike | None = None,
    min_photos: int = 1,
    image_size: tuple[int, int] | None = None,
    progress: bool = False,
    decode: bool = False,
) -> checked.People:
    """Returns the good photos of each person of a folder, and what is left out; arguments as in `write_folder`.

    Photos of all kinds that `files.read_photo` reads are good.

    Raises: ValueError as `list_people`, and `checked.check`.
    """
    if min_photos < 1:
        raise ValueError(f"min_photos must be >= 1, got {min_photos}")
    listing = list_people(source, people_file)
    people = {
        person: [(name, os.path.join(source, name)) for name in names] for person, names in listing.photos.items()
    }
    return checked.check(people, listing.skipped, min_photos, image_size, progress, decode, source)


def read_people(path: str | os.PathLike) -> list[str]:
    """Returns the names in a text file: one a line, or LFW's format, the number of people and lines `name<tab>photos`.

    Raises: ValueError if there are none, the number is another, or a name comes twice.
    """
    lines = [line for line in read_lines(path) if line.strip()]
    if len(lines) > 1 and lines[0].strip().isdecimal() and "\t" in lines[1]:
        count, *lines = lines
        if int(count) != len(lines):
            raise ValueError(f"{path}: expected {count.strip()} people, as its first line says, got {len(lines)}")
    names = [line.split("\t")[0].strip() for line in lines]
    if not names:
        raise ValueError(f"{path}: expected names of people, got none")
    if twice := [name for name, count in Counter(map(_key, names)).items() if count > 1]:
        raise ValueError(f"{path}: expected each name once, got again: {checked.some(twice)}")
    return names


def _listed(folder: Path) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """Returns the names of the folders and of everything else in a folder, sorted, and what is hidden in it."""
    folders: list[str] = []
    others: list[str] = []
    hidden: list[tuple[str, str]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                hidden.append((entry.name, HIDDEN))
            else:
                (folders if is_folder(entry) else others).append(entry.name)
    return sorted(folders), sorted(others), sorted(hidden)


def _check_folders(root: Path, folders: Sequence[str]) -> None:
    """Raises ValueError at folders that are one person twice, or hold the source itself."""
    seen: dict[str, str] = {}
    top = os.path.realpath(root)
    for name in folders:
        path = os.path.join(root, name)
        real = os.path.join(top, name)
        if os.path.islink(path):
            real = os.path.realpath(path)
            if os.path.commonpath([real, top]) == real:
                raise ValueError(f"{path} links to {real}, which it is in; remove the link")
        for key in (_key(name), real):  # a name never is an absolute path
            if key in seen:
                raise ValueError(
                    f"{root}: {seen[key]!r} and {name!r} are the same name but for case or Unicode form, or links to "
                    "the same folder; merge them"
                )
            seen[key] = name
    if not folders:
        raise ValueError(f"expected a folder of photos per person in {root}, got no folder")


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def read_lines(path: str | os.PathLike) -> list[str]:
    """Returns the lines of a text file."""
    return Path(path).read_text(encoding="utf-8-sig", errors="surrogateescape").split("\n")
