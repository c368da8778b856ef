"""What was done so far, photo by photo: an interrupted run goes on where it was."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from keras_face.photos.template import RECORD, first_line, settings_in


class Journal:
    """The photos of a folder of crops that are done; made by `open_journal`.

    Args:
        folder: Of the crops.
        file: The journal, opened for appending.
        entries: What is known of each photo that is done, by name.
    """

    def __init__(self, folder: Path, file: TextIO, entries: dict[str, dict[str, Any]]):
        self.folder = folder
        self.entries = entries
        self._file = file

    def is_done(self, name: str, photo: Path) -> bool:
        """Returns whether a photo is done, has not changed since, and its crops are all there, and whole."""
        entry = self.entries.get(name)
        if entry is None or entry["photo"] != _version(photo):
            return False
        try:
            return all(os.path.getsize(self.folder / crop["name"]) == crop["bytes"] for crop in entry.get("crops", ()))
        except OSError:
            return False

    def add(self, name: str, photo: Path, **facts: Any) -> None:
        """Notes that a photo is done: `crops` that lie in the folder, or the `reason` why there are none."""
        entry = {"name": name, "photo": _version(photo), **facts}
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        self.entries[name] = entry


@contextlib.contextmanager
def open_journal(folder: Path, settings: Mapping[str, Any]) -> Iterator[Journal]:
    """Yields the journal of a folder of crops, made if it is not there, for this process alone.

    Args:
        folder: Made if it does not exist; else made before with the same settings, or empty.
        settings: What the crops depend on; JSON values.

    Raises: ValueError: The folder was made with other settings or by something else, its journal is damaged, or another
        process has it; OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RECORD
    if not path.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is neither empty nor made by this command; choose another output_dir")
    with open(path, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another process is writing {folder}") from None
        file.seek(0)
        text = file.read()
        whole = text[: text.rfind("\n") + 1]  # a killed run may have left half a line
        file.truncate(len(whole.encode()))
        first, *lines = whole.splitlines() or [""]
        settings = json.loads(json.dumps(settings))
        if not first:
            file.write(first_line(settings) + "\n")
            file.flush()
        elif (before := settings_in(path, first)) != settings:
            changed = [name for name in settings if before.get(name) != settings[name]]
            difference = ", ".join(f"{name} {before.get(name)!r}, not {settings[name]!r}" for name in changed)
            raise ValueError(f"{folder} was made with {difference}; choose another output_dir, or remove it")
        entries = dict(_entry(path, number, line) for number, line in enumerate(lines, 2))
        yield Journal(folder, file, entries)


def _entry(path: Path, number: int, line: str) -> tuple[str, dict[str, Any]]:
    """Returns name and entry of a line of the journal."""
    try:
        entry = json.loads(line)
        return entry["name"], entry
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(f"{path}:{number}: expected what became of a photo, got {line[:60]!r}") from None


def _version(photo: Path) -> list[int] | None:
    try:
        status = os.stat(photo)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
