"""A run's folder is one run's: while it trains, no other does there."""

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_face import files

_LOCK = ".lock"


@contextlib.contextmanager
def held(output_dir: Path) -> Iterator[None]:
    """Within it the folder is this process's; the system gives it back however the process ends.

    Raises: ValueError, which names the other's process and machine, if another run has it.
    """
    with open(output_dir / _LOCK, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ValueError(
                f"[run] output_dir: expected a folder in which no other run is at work, but {output_dir} is that of "
                f"{file.read().strip() or 'another process'}"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


@contextlib.contextmanager
def scratch_of_worker(output_dir: Path) -> Iterator[Path]:
    """Yields a folder for what a worker that is not the chief must write and nobody reads; in the end it is gone.

    What a killed one left is removed by the next of the same run on this machine.
    """
    task = json.loads(os.environ["TF_CONFIG"])["task"]
    text = f"{os.path.realpath(output_dir)} {task}"
    name = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    with files.scratch_folder(Path(tempfile.gettempdir(), f"keras_face_worker_{os.getuid()}_{name}")) as scratch:
        yield scratch
