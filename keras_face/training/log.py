"""Where the log of a run goes."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger("keras_face")


@contextlib.contextmanager
def log_to(folder: str | os.PathLike) -> Iterator[None]:
    """Within it, the log also goes to `train.log` of a folder."""
    handler = logging.FileHandler(Path(folder) / "train.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def show_log() -> None:
    """Sends the log to standard output, plain; for entry points."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for library in (None, "absl", "tensorflow"):  # they tell of each file they write
        logging.getLogger(library).setLevel(logging.WARNING)
