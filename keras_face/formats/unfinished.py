"""Files and folders that are there whole or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from keras_face.records.writing import check_new


@contextlib.contextmanager
def unfinished(path: str | os.PathLike, folder: bool = True) -> Iterator[Path]:
    """Yields a path beside `path` to write to, which gets its name in the end; what is there after an error is removed.

    Args:
        path: What is to be made; must not exist. The folders it is in are made.
        folder: Whether it is a folder, which then is there already, empty.

    Raises: ValueError if it exists.
    """
    path = Path(path)
    check_new(path)
    scratch = path.with_name(f"{path.name}.{os.getpid()}.incomplete")
    scratch.parent.mkdir(parents=True, exist_ok=True)
    try:
        if folder:
            scratch.mkdir()
        yield scratch
        check_new(path)
        scratch.rename(path)
    finally:
        if folder:
            shutil.rmtree(scratch, ignore_errors=True)
        else:
            scratch.unlink(missing_ok=True)
