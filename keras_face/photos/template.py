"""What photos are aligned to, and whether they are drawn: said by the record of their folder, or by who knows it.

`align`, and all that makes folders of aligned photos, leaves `aligned.jsonl` there, whose first line has the settings
that the crops were made with; the template is one of these. A folder of drawn people says `drawn` there. It holds for
all folders within, too. So do records that were written of them; a packed file has a record of its own beside it.
"""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from keras_face import files

RECORD = "aligned.jsonl"
UNKNOWN = "unknown"  # what a dataset says of its template where nobody said it


def first_line(settings: Mapping[str, Any]) -> str:
    """Returns the first line of a record, without its end: the settings that a folder's crops were made with."""
    return json.dumps({"settings": dict(settings)})


def settings_in(path: str | os.PathLike, line: str) -> dict[str, Any]:
    """Returns the settings in the first line of a record; `path` is for the error.

    Raises: ValueError if the line is damaged.
    """
    try:
        return dict(json.loads(line)["settings"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError(f"{path} is damaged: expected settings in its first line, got {line[:60]!r}") from None


def write_record(place: str | os.PathLike, template: str | None, *, drawn: bool = False) -> None:
    """Writes the record of a folder, or of a packed file, whose photos are all aligned to one template, by its name.

    Args:
        place: Where the photos lie.
        template: The name; None: not known.
        drawn: Whether the people are drawn, none of them real.
    """
    settings = {**({"template": template} if template else {}), **({"drawn": True} if drawn else {})}
    path = os.path.join(place, RECORD) if os.path.isdir(place) else _beside(place)
    files.write_text(path, first_line(settings) + "\n")


def is_drawn(*places: str | os.PathLike | None) -> bool:
    """Returns whether one of these files or folders is of drawn people, by its record or the nearest above it.

    Raises: ValueError if a record is damaged.
    """
    known: dict[str, dict[str, Any]] = {}
    found = [os.path.realpath(place) for place in places if place]
    settings = (_read(own) if os.path.isfile(own := _beside(place)) else _nearest(place, known) for place in found)
    return any(each.get("drawn") is True for each in settings)


def recorded(folders: Iterable[str | os.PathLike]) -> dict[str | None, str]:
    """Returns what the photos in folders are aligned to, by the record in each or in the nearest above it.

    Args:
        folders: That photos lie in.

    Returns: The first folder of each name; that of None: the first that has no record.
    Raises: ValueError if a record is damaged.
    """
    known: dict[str, dict[str, Any]] = {}
    found: dict[str | None, str] = {}
    for folder in folders:
        found.setdefault(_nearest(os.path.realpath(folder), known).get("template"), os.fspath(folder))
    return found


def agreed(folders: Iterable[str | os.PathLike], given: str | None = None) -> str | None:
    """Returns what the photos in folders are all aligned to, by their records or as given; None: nobody says it.

    Args:
        folders: That photos lie in.
        given: What somebody says that they are aligned to; it need not say it where a record does.

    Raises: ValueError that names both, if two records or a record and `given` differ; if there is a record of some
        of the folders alone, and nothing is given; if a record is damaged.
    """
    found = recorded(folders)
    names = [name for name in found if name is not None]
    if len(names) > 1 or (names and None in found and not given):
        told = [f"{folder}: {name or f'no {RECORD}'}" for name, folder in found.items()]
        raise ValueError(f"expected photos aligned to one template, got {', '.join(told[:3])}")
    if names and given not in (None, "", *names):
        raise ValueError(
            f"{found[names[0]]}: expected the template {names[0]}, which the photos' own {RECORD} says, got {given}"
        )
    return given or next(iter(names), None)


def _beside(path: str | os.PathLike) -> str:
    """Returns where the record of a packed file is."""
    return f"{os.fspath(path)}.{RECORD}"


def _nearest(folder: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns the settings in the record of a folder, or of the nearest above it that has one; none: nothing.

    Args:
        folder: Its real path.
        known: Settings of folders that were looked at; gets those of this one and of the folders above it.
    """
    climbed = []
    while folder not in known:
        climbed.append(folder)
        record = os.path.join(folder, RECORD)
        above = os.path.dirname(folder)
        if os.path.isfile(record):
            known[folder] = _read(record)
        elif above == folder:
            known[folder] = {}
        else:
            folder = above
    settings = known[folder]
    known.update(dict.fromkeys(climbed, settings))
    return settings


def _read(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8", errors="replace") as file:
        line = file.readline()
    return settings_in(path, line)
