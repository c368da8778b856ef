"""Files and folders that appear whole or not at all.

What is written has another name until it is whole: a file `.NAME.incomplete` beside it, a folder a part of
`NAME.incomplete`. The writer holds a lock on it, so that two writers never write the same one, and what a killed run
left there is written over, or removed, by the next.
"""

import contextlib
import csv
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what the system then says does not name the file
_LONGEST_NAME = 200  # bytes; file systems allow 255


def check_new(path: str | os.PathLike) -> Path:
    """Returns the path of what is to be made; ValueError if it exists."""
    path = Path(path)
    if os.path.lexists(path):
        raise ValueError(f"output_dir must not exist yet, but {path} does")
    return path


@contextlib.contextmanager
def whole_file(path: str | os.PathLike, beside: str | os.PathLike | None = None) -> Iterator[Path]:
    """Yields a path to write to, an empty file, which takes the place of `path` in the end; after an error it is gone.

    A second writer of the same file waits for the first one; the file of the last one stays.

    Args:
        path: File, made or replaced. The folders it is in are made.
        beside: Where the file is until it is whole: beside this file or folder, on the same file system; None: beside
            `path`.

    Raises: OSError, which names `path`, if it cannot be written.
    """
    path = Path(path)
    folder = path.parent if beside is None else Path(beside).parent
    name = os.fsencode(path.name)
    shown = path.name if len(name) <= _LONGEST_NAME else hashlib.sha256(name).hexdigest()
    part = folder / f".{shown}.incomplete"
    path.parent.mkdir(parents=True, exist_ok=True)
    with _naming(path, part), _locked(part, wait=True):
        try:
            os.truncate(part, 0)
            yield part
            os.replace(part, path)
        except BaseException:  # and only then: after the renaming, the part is the next writer's
            part.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def opened_whole(path: str | os.PathLike, mode: str = "wb", **options: Any) -> Iterator[IO[Any]]:
    """Yields an opened file, which takes the place of `path` in the end; see `whole_file`.

    Args:
        path: File, made or replaced.
        mode: To write bytes, "wb", or text, "w".
        options: Of `open`; text is UTF-8, and line feeds stay as they are.
    """
    if "b" not in mode:
        options = {"encoding": "utf-8", "newline": "", **options}
    with whole_file(path) as part, open(part, mode, **options) as file:
        yield file


def read_json(path: str | os.PathLike, what: str, take: Callable[[Any], Any]) -> Any:
    """Returns what `take` makes of the content of a JSON file.

    Args:
        path: The file.
        what: Is expected in it, for the error.
        take: Raises ValueError, TypeError, KeyError, IndexError or AttributeError at other content than it expects.

    Raises: ValueError, which names the file, for other content; OSError if it cannot be read.
    """
    try:
        return take(json.loads(Path(path).read_bytes()))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path}: expected {what}, got something else ({type(error).__name__}: {error})") from None


def write_bytes(path: str | os.PathLike, content: bytes | memoryview) -> None:
    """Writes a file; see `whole_file`."""
    with opened_whole(path) as file:
        file.write(content)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a file of UTF-8; see `whole_file`."""
    with opened_whole(path, "w") as file:
        file.write(text)


def write_csv(path: str | os.PathLike, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table with a line of column names; see `whole_file`.

    Text is `escaped`, and so is the first sign of what a spreadsheet would take for a formula; `unescaped` undoes both.
    """
    with opened_whole(path, "w") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([_cell(value) if isinstance(value, str) else value for value in row] for row in rows)


def printable(text: str) -> str:
    r"""Returns text that a terminal, a file of UTF-8 and a table can show on one line, the rest as `\x1b` or `\u202e`.

    That is line feeds, control characters and whatever else does not print, and bytes of a file's name that are no
    UTF-8 (surrogates, as `os.fsdecode` makes them: `\xe9`).
    """
    return text if text.isprintable() else "".join(map(_escape, text))


def escaped(text: str) -> str:
    r"""Returns `printable` text from which `unescaped` gets the text back: a backslash may be `\x5c` in it."""
    return printable(_ESCAPES.sub(lambda found: f"\\x5c{found[0][1:]}", text))


def unescaped(text: str) -> str:
    """Returns the text that `escaped` was given."""
    return _ESCAPES.sub(lambda found: _character(int(found[0][2:], 16), found[0][1]), text)


_ESCAPES = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})")


def _escape(sign: str) -> str:
    code = ord(sign)
    if sign.isprintable():
        return sign
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:  # ASCII, or a byte that is no UTF-8
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _character(code: int, form: str) -> str:
    return chr(code + 0xDC00 if form == "x" and code >= 0x80 else code)


def _cell(text: str) -> str:
    """Returns the text as a cell of a table: escaped, blanks at its ends too, and never a spreadsheet's formula."""
    if re.fullmatch(r"[+-]?\d+(\.\d*)?", text):
        return text
    return re.sub(r"^[=+@ -]| $", lambda found: f"\\x{ord(found[0]):02x}", escaped(text))


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yields an empty folder to write to, which becomes `path` in the end; after an error it is gone.

    Args:
        path: Folder to make; must not exist. The folders it is in are made.

    Raises: ValueError if it exists or another process is writing it; OSError if it cannot be written.
    """
    path = check_new(path)
    with scratch_folder(path) as scratch:
        folder = scratch / path.name
        with _naming(path, folder):
            folder.mkdir()
            yield folder
            check_new(path)
            folder.rename(path)


@contextlib.contextmanager
def scratch_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Yields an empty folder `<path>.incomplete`, for this process alone, and removes it in the end.

    It has a file `lock`. What a killed run left in it is removed.

    Raises: ValueError if another process has it; OSError if it cannot be written.
    """
    path = Path(path)
    scratch = path.with_name(f"{path.name}.incomplete")
    lock = scratch / "lock"
    with _naming(path, scratch), _locked(lock, wait=False, what=path):
        try:
            _empty(scratch, lock)
            yield scratch
        finally:
            with contextlib.suppress(OSError):  # such as a lock that the next writer has just made there
                _empty(scratch, lock)
                lock.unlink()
                scratch.rmdir()


@contextlib.contextmanager
def _locked(path: Path, wait: bool, what: Path | None = None) -> Iterator[None]:
    """Holds the lock of a file, made with its folder if it is not there.

    Raises: ValueError, which names `what`, if another process has it and `wait` is not set.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = open(path, "ab")  # noqa: SIM115, closed below
        except FileNotFoundError:
            if path.parent.is_dir():
                raise
            continue  # another process has just removed the folder
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise ValueError(f"another process is writing {what}") from None
            if _is(file, path):
                yield
                return
        # The one that had the lock has renamed or removed the file meanwhile.


def _empty(folder: Path, kept: Path) -> None:
    """Removes all of a folder but one file."""
    for left in folder.iterdir():
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        elif left != kept:
            left.unlink()


def _is(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _naming(path: Path, part: Path) -> Iterator[None]:
    """Lets errors of the system name what was to be made, not the part that it is until then."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in _FULL:
            error.filename = os.fspath(path)
        elif isinstance(error.filename, str) and Path(error.filename).is_relative_to(part):
            error.filename = os.fspath(path / Path(error.filename).relative_to(part))
            if error.filename2 is not None:  # of a renaming
                del error.filename2
        raise
