"""The files of a source of photos: a folder of any depth, or one file; and a photo by its name without ending."""

import os
from collections.abc import Sequence
from pathlib import Path

from keras_face.photos.files import EXTENSIONS

HIDDEN = "hidden"  # the reason in `skipped.csv`
_HIDDEN_NAMES = frozenset(["thumbs.db", "desktop.ini", "__macosx", "@eadir"])  # of Windows, macOS and Synology


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder is not a person's: its name begins with a dot, or is one that systems make."""
    return name.startswith(".") or name.casefold() in _HIDDEN_NAMES


def list_files(source: str | os.PathLike) -> tuple[Path, list[str], list[tuple[str, str]]]:
    """Returns the folder that names start from, the names of all files below it, and what was left out.

    Links are followed; a folder that was listed already, under another name or on the way to it, is left out, and so
    is what is hidden (`is_hidden`).

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
            if is_hidden(entry.name):
                skipped.append((name, HIDDEN))
            elif is_folder(entry):
                (links if entry.is_symlink() else folders).append(name)
            else:
                names.append(name)
    if not names:
        raise ValueError(f"expected photos in {root}, got no file")
    return root, sorted(names), skipped


class PhotoFolder:
    """The photos of a folder by the names that lists give them.

    A photo that is not there under its name is the one file with the same name but for its ending: lists say .jpg
    where crops may be .png.

    Args:
        root: The folder that names start from.

    Call arguments:
        name: Relative path, with /.

    Returns: The path of the photo; under its own name where there is none, so that it is missed under that.
    Raises: ValueError if several files have the name but for the ending; it names them.
    """

    def __init__(self, root: str | os.PathLike):
        self.root = Path(root)
        self._stems: dict[Path, dict[str, list[str]]] = {}

    def __call__(self, name: str) -> Path:
        path = self.root / name
        if path.is_file():
            return path
        folder = path.parent
        if folder not in self._stems:
            self._stems[folder] = _by_stem(folder)
        found = self._stems[folder].get(_base(path.name), [])
        if len(found) > 1:
            raise ValueError(f"{path}: expected one photo of this name, got {', '.join(found)} with other endings")
        return folder / found[0] if found else path


def _by_stem(folder: Path) -> dict[str, list[str]]:
    """Returns the names of the photos in a folder, by their names without ending; empty if it cannot be listed."""
    found: dict[str, list[str]] = {}
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return found
    for name in names:
        if _base(name) != name and not is_hidden(name):
            found.setdefault(_base(name), []).append(name)
    return found


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


def is_folder(entry: os.DirEntry) -> bool:
    """Returns whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
