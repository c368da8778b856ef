"""Where the log of a run goes."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger("keras_face")


class _RunLog(logging.FileHandler):
    """A file whose lines are not lost in silence."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, logging's name
        """Raises what came of a line that could not be written, with the name of the file, as of a full disk."""
        error = sys.exception()
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, self.baseFilename) from None
        super().handleError(record)


@contextlib.contextmanager
def log_to(folder: str | os.PathLike) -> Iterator[None]:
    """Within it, the log also goes to `train.log` of a folder.

    Raises: OSError, which names the file, if a line cannot be written.
    """
    handler = _RunLog(Path(folder) / "train.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        with contextlib.suppress(OSError):  # a full disk, which was said before
            handler.close()


def show_log() -> None:
    """Sends the log to standard output, plain; for entry points."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logging.raiseExceptions = False  # where standard output is closed, as by `head`
    for library in (None, "absl", "tensorflow"):  # they tell of each file they write
        logging.getLogger(library).setLevel(logging.WARNING)
