"""The files of a source of photos: a folder of any depth, or one file."""

import os
from collections.abc import Sequence
from pathlib import Path

from keras_face.photos.files import EXTENSIONS


def list_files(source: str | os.PathLike) -> tuple[Path, list[str], list[tuple[str, str]]]:
    """Returns the folder that names start from, the names of all files below it, and what was left out.

    Links are followed; a folder that was listed already, under another name or on the way to it, is left out.

    Args:
        source: A folder, or one file.

    Returns: the folder; relative paths with /, sorted; names and reasons.
    Raises: ValueError if it does not exist or has no file; OSError if it cannot be listed.
    """
    root = Path(source)
    if root.is_file():
        return root.parent, [root.name], []
    if not root.is_dir():
        raise ValueError(f"expected a photo or a folder of photos, but {root} is none")
    names: list[str] = []
    skipped: list[tuple[str, str]] = []
    seen: set[tuple[int, int]] = set()
    # Links come last, so that what is listed under its own name is not left out for a link to it.
    folders, links = [""], list[str]()
    while folders or links:
        folder = folders.pop() if folders else links.pop()
        status = os.stat(root / folder)
        if (status.st_dev, status.st_ino) in seen:
            skipped.append((folder, "a link to a folder that is listed already"))
            continue
        seen.add((status.st_dev, status.st_ino))
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            if not folder:
                raise
            skipped.append((folder, f"cannot be read: {error.strerror}"))
            continue
        for entry in entries:
            name = f"{folder}/{entry.name}" if folder else entry.name
            if _is_folder(entry):
                (links if entry.is_symlink() else folders).append(name)
            else:
                names.append(name)
    if not names:
        raise ValueError(f"expected photos in {root}, got no file")
    return root, sorted(names), skipped


def crop_names(names: Sequence[str]) -> dict[str, str]:
    """Returns for each name of a photo the name of its crop, without extension and number; all are different.

    It is the photo's without its extension, or with it where photos differ by nothing else.
    """
    bases = {name: _base(name) for name in names}
    times: dict[str, int] = {}
    for base in bases.values():
        times[base] = times.get(base, 0) + 1
    return {name: base if times[base] == 1 else name for name, base in bases.items()}


def _base(name: str) -> str:
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in EXTENSIONS else name


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
