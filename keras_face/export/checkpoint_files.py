"""Checkpoints as files: each has a seal, by which one that is whole is known, and what it was made with.

`ckpt-12` is `ckpt-12.index`, `ckpt-12.data-*` and, since 0.2, `ckpt-12.seal.json`: bytes and SHA-256 of the others, and
facts, JSON values, with a SHA-256 of their own. While one is being written, `ckpt-12.unfinished` is beside it.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_face import files
from keras_face.backend import tf

logger = logging.getLogger("keras_face")

_SEAL, _UNFINISHED = ".seal.json", ".unfinished"
_OWN = re.compile(r"ckpt-(\d+)\.(index|data-\d+-of-\d+|seal\.json)")
_LEFT = re.compile(r"\.?ckpt-(\d+)(\.unfinished|_temp|\.seal\.json\.incomplete)")


def prefixes(folder: str | os.PathLike) -> list[Path]:
    """Returns the checkpoints of which a folder has at least a file, whole or not, the newest first."""
    return _numbered(folder, _OWN)


def newest_whole(folder: str | os.PathLike) -> Path | None:
    """Returns the newest whole checkpoint of a folder, and logs which it passes over and why; None if there is none.

    Raises: ValueError, which says what is wrong with each, if there are checkpoints and none is whole.
    """
    passed: list[str] = []
    for prefix in prefixes(folder):
        if _is_unfinished(prefix):
            continue
        if (wrong := damage(prefix)) is None:
            for line in passed:
                logger.warning("passed over: %s", line)
            return prefix
        passed.append(wrong)
    if passed:
        raise ValueError(
            f"{folder}: expected a whole checkpoint, got {len(passed)}, none of which is: {'; '.join(passed)}; a run "
            "begins anew in another folder, or once these are moved away"
        )
    return None


def damage(prefix: Path) -> str | None:
    """Returns what is wrong with a checkpoint, its name first; None if it is whole.

    By its seal; one of an earlier version has none, and is read, which compares its tensors with their checksums.
    """
    index = _beside(prefix, ".index")
    if not index.is_file():
        return f"{index} is not there"
    seal = _beside(prefix, _SEAL)
    if not seal.is_file():
        return _unreadable(prefix)
    try:
        sealed = _read(seal)["files"]
    except ValueError as error:
        return str(error)
    for name, expected in sealed.items():
        path = prefix.parent / name
        if not path.is_file():
            return f"{path} is not there"
        if (size := path.stat().st_size) != expected["bytes"]:
            return f"{path}: expected {expected['bytes']} bytes, got {size}"
        if _sha256(path) != expected["sha256"]:
            return f"{path}: its content has changed since it was written"
    return None


def facts(prefix: str | os.PathLike) -> dict[str, Any] | None:
    """Returns the facts in a checkpoint's seal; None if it has none, as one of an earlier version.

    Raises: ValueError if the seal is damaged.
    """
    seal = _beside(Path(prefix), _SEAL)
    return _read(seal)["facts"] if seal.is_file() else None


@contextlib.contextmanager
def written(prefix: Path, facts: Mapping[str, Any], others: Sequence[Path] = ()) -> Iterator[None]:
    """Within it a checkpoint is to be written, which is sealed in the end; after an error nothing of it is left.

    Args:
        prefix: Its path without the endings.
        facts: JSON values.
        others: Further files that it is not whole without; they are there already.

    Raises: OSError, which names a file, if the seal cannot be written.
    """
    unfinished = _beside(prefix, _UNFINISHED)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    unfinished.touch()
    try:
        _beside(prefix, _SEAL).unlink(missing_ok=True)  # of a damaged one that is written over
        yield
        own = _files(prefix, _OWN)
        sums = {
            os.path.relpath(path, prefix.parent): {"bytes": path.stat().st_size, "sha256": _sha256(path)}
            for path in [*own, *others]
        }
        content = {"files": sums, "facts": dict(facts)}
        files.write_text(_beside(prefix, _SEAL), json.dumps({**content, "sha256": _sum_of(content)}, indent=1))
    except BaseException:
        remove(prefix)
        raise
    unfinished.unlink()


def remove(prefix: Path) -> None:
    """Removes all files of a checkpoint."""
    for path in [*_files(prefix, _OWN), *_files(prefix, _LEFT)]:  # the mark of an unfinished one after its files
        _remove(path)


def remove_unfinished(folder: str | os.PathLike) -> None:
    """Removes what a run that was killed while it wrote a checkpoint has left of that one."""
    for prefix in _numbered(folder, _LEFT):
        if _is_unfinished(prefix):
            logger.info("removed %s, which a run that was killed had not finished", prefix)
            remove(prefix)
        for path in _files(prefix, _LEFT):
            _remove(path)


def _names(folder: str | os.PathLike) -> list[str]:
    return os.listdir(folder) if os.path.isdir(folder) else []


def _numbered(folder: str | os.PathLike, pattern: re.Pattern[str]) -> list[Path]:
    found = {int(match[1]) for name in _names(folder) if (match := pattern.fullmatch(name))}
    return [Path(folder, f"ckpt-{number}") for number in sorted(found, reverse=True)]


def _files(prefix: Path, pattern: re.Pattern[str]) -> list[Path]:
    names = [each for each in _names(prefix.parent) if (m := pattern.fullmatch(each)) and f"ckpt-{m[1]}" == prefix.name]
    return [prefix.parent / name for name in sorted(names)]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _is_unfinished(prefix: Path) -> bool:
    """Returns whether a checkpoint was not yet whole when the run that wrote it was killed."""
    return _beside(prefix, _UNFINISHED).exists() and (not _beside(prefix, _SEAL).exists() or damage(prefix) is not None)


def _beside(prefix: Path, ending: str) -> Path:
    return prefix.with_name(prefix.name + ending)


def _read(seal: Path) -> dict[str, Any]:
    try:
        content = json.loads(seal.read_bytes())
        expected = content.pop("sha256")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ValueError(f"{seal}: expected a seal, which is JSON, got something else") from None
    if expected != _sum_of(content):
        raise ValueError(f"{seal}: its content has changed since it was written")
    return content


def _sum_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(prefix: Path) -> str | None:
    try:
        reader = tf.train.load_checkpoint(os.fspath(prefix))
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, RuntimeError, LookupError, SystemError) as error:
        return f"{prefix}: {' '.join(str(error).split())}"
    return None
