"""Where the log of a run goes."""

import logging
import os
import sys
from pathlib import Path

logger = logging.getLogger("keras_face")


def log_to(folder: str | os.PathLike) -> logging.Handler:
    """Adds `train.log` of a folder to the places that the log goes to, and returns the handler."""
    handler = logging.FileHandler(Path(folder) / "train.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler


def show_log() -> None:
    """Sends the log to standard output, plain; for entry points."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for library in (None, "absl", "tensorflow"):  # they tell of each file they write
        logging.getLogger(library).setLevel(logging.WARNING)
