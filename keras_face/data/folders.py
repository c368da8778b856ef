"""Folders and lists of aligned photos become records: every photo is checked, and what is left out is said."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from keras_face.data import photos, records

_REPORTS = ("aligned.jsonl", "skipped.csv")  # what `align` leaves beside the folders of crops


def write_folder(
    source: str | os.PathLike,
    output: records.Output | str | os.PathLike,
    people_file: str | os.PathLike | None = None,
    min_photos: int = 1,
    set_size: int = 1,
    image_size: tuple[int, int] | None = None,
    progress: bool = True,
    decode: bool = False,
) -> photos.Summary:
    """Returns the summary after writing a folder with one folder of aligned photos per person as records.

    What was left out, and why, is in `skipped.csv` beside the records.

    Args:
        source: The folder; the people are its folders, and get their labels in the order of their names.
        output: Folder to make, which must not exist, and how.
        people_file: The people to take (`read_people`); None: all.
        min_photos: People with fewer good photos are left out, >= 1.
        set_size: Photos in a record, at most; those of a person are dealt out evenly: 10 become 4, 3 and 3.
        image_size: (height, width) that the photos must have; None: what most have.
        progress: Whether to show progress bars.
        decode: Whether to decode every photo to see that it can be; else only those whose structure leaves a doubt.

    Raises: ValueError: see `scan` and `records.write`.
    """
    records.check_new(output)
    found = scan(source, people_file, min_photos, image_size, progress, decode)
    how = f"folder {source}, people: {people_file or 'all'}, photos of each: {min_photos} or more, in a set: {set_size}"
    return photos.write(found, output, set_size, how, progress)


def write_list(
    list_file: str | os.PathLike,
    prefix: str | os.PathLike,
    output: records.Output | str | os.PathLike,
    set_size: int = 1,
    image_size: tuple[int, int] | None = None,
    progress: bool = True,
) -> photos.Summary:
    """Returns the summary after writing the photos of a list file as records; the rest is as in `write_folder`.

    The names of the people are their labels in the file, which become 0, 1, ... in the same order.

    Args:
        list_file: Lines of `path label` or `path,label`, labels whole numbers (margin-centre-face's format).
        prefix: Folder that the paths start from.
        output: Folder to make, which must not exist, and how.
        set_size: Photos in a record, at most.
        image_size: (height, width) that the photos must have; None: what most have.
        progress: Whether to show progress bars.

    Raises: ValueError: A line of another form, a path that comes twice, no good photo; see `records.write`.
    """
    records.check_new(output)
    people: dict[int, list[photos.Photo]] = {}
    names = set()
    for number, line in enumerate(_lines(list_file), 1):
        if not line.strip():
            continue
        name, *label = line.strip().rsplit("," if "," in line else None, 1)
        if not label or not label[0].strip().isdecimal():
            raise ValueError(f"{list_file}:{number}: expected `path label` or `path,label`, got {line!r}")
        if name in names:
            raise ValueError(f"{list_file}:{number}: expected each photo once, got {name!r} again")
        names.add(name)
        people.setdefault(int(label[0]), []).append((name, os.path.join(prefix, name)))
    found = photos.check({str(label): people[label] for label in sorted(people)}, [], 1, image_size, progress)
    return photos.write(found, output, set_size, f"list {list_file}, photos in a set: {set_size}", progress)


def scan(
    source: str | os.PathLike,
    people_file: str | os.PathLike | None = None,
    min_photos: int = 1,
    image_size: tuple[int, int] | None = None,
    progress: bool = False,
    decode: bool = False,
) -> photos.People:
    """Returns the good photos of each person of a folder, and what is left out; arguments as in `write_folder`.

    Grey photos, photos with an alpha channel and PNG with 16 bits are good: decoding makes them RGB.

    Raises: ValueError if the folder does not exist, has no person's folder, or an empty one; if two folders have the
        same name but for case or Unicode form, or are links to the same one, or to one that they are in; if a listed
        person has no folder; if nobody has enough good photos.
    """
    if min_photos < 1:
        raise ValueError(f"min_photos must be >= 1, got {min_photos}")
    root = Path(source)
    if not root.is_dir():
        raise ValueError(f"expected a folder with a folder of photos per person, but {root} is none")
    folders, files = _listed(root)
    _check_folders(root, folders)
    skipped = [(name, "not in a person's folder") for name in files if name not in _REPORTS]
    if people_file is not None:
        by_key = {_key(name): name for name in folders}
        listed = read_people(people_file)
        if missing := [name for name in listed if _key(name) not in by_key]:
            raise ValueError(f"{people_file}: {len(missing)} people have no folder in {root}: {photos.some(missing)}")
        folders = sorted(by_key[_key(name)] for name in listed)
    people: dict[str, list[photos.Photo]] = {}
    for person in folders:
        folder = root / person
        inner, files = _listed(folder)
        if not inner and not files:
            raise ValueError(f"{folder} is empty; remove it, or put photos of this person into it")
        people[person] = [(f"{person}/{name}", os.path.join(folder, name)) for name in files]
        skipped += [(f"{person}/{name}", "a folder in a person's folder") for name in inner]
    return photos.check(people, skipped, min_photos, image_size, progress, decode)


def read_people(path: str | os.PathLike) -> list[str]:
    """Returns the names in a text file: one a line, or LFW's format, the number of people and lines `name<tab>photos`.

    Raises: ValueError if there are none, the number is another, or a name comes twice.
    """
    lines = [line for line in _lines(path) if line.strip()]
    if len(lines) > 1 and lines[0].strip().isdecimal() and "\t" in lines[1]:
        count, *lines = lines
        if int(count) != len(lines):
            raise ValueError(f"{path}: expected {count.strip()} people, as its first line says, got {len(lines)}")
    names = [line.split("\t")[0].strip() for line in lines]
    if not names:
        raise ValueError(f"{path}: expected names of people, got none")
    if twice := [name for name, count in Counter(map(_key, names)).items() if count > 1]:
        raise ValueError(f"{path}: expected each name once, got again: {photos.some(twice)}")
    return names


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Returns the names of the folders and of everything else in a folder, sorted."""
    folders: list[str] = []
    others: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            (folders if _is_folder(entry) else others).append(entry.name)
    return sorted(folders), sorted(others)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


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


def _lines(path: str | os.PathLike) -> list[str]:
    return Path(path).read_text(encoding="utf-8-sig", errors="surrogateescape").split("\n")
