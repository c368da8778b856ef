"""Imports TensorFlow for a command without what its libraries say of themselves."""

import contextlib
import glob
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence

# Said while the libraries are loaded, whatever TF_CPP_MIN_LOG_LEVEL is, as they read it later: that there is no GPU.
_ALWAYS_SAID = ("All log messages before absl::InitializeLog", "Could not find cuda drivers on your machine")


def import_tensorflow() -> None:
    """Imports TensorFlow, if nobody did; it then tells errors alone, unless TF_CPP_MIN_LOG_LEVEL says otherwise.

    Without a GPU in the machine (by its device files) it does not tell either that there is none, which is an error to
    it. What it says while it is imported is told, but for that.
    """
    if "tensorflow" in sys.modules or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    has_gpu = bool(glob.glob("/dev/nvidia[0-9]*") or os.path.exists("/dev/dxg"))  # the second: on Windows, under Linux
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2" if has_gpu else "3"
    with contextlib.nullcontext() if has_gpu else _without(_ALWAYS_SAID):
        importlib.import_module("tensorflow")


@contextlib.contextmanager
def _without(said: Sequence[str]) -> Iterator[None]:
    """Within it, lines on stderr that have one of the texts are left out, those of C++ too."""
    # Another process leaves them out, so that nothing is lost where this one is ended by what it imports.
    try:
        told = os.dup(2)
        read, write = os.pipe()
        sieve = subprocess.Popen(["sed", *(f"-e/{text}/d" for text in said)], stdin=read, stdout=told)
    except OSError:  # no stderr, or no sed
        yield
        return
    os.close(read)
    os.dup2(write, 2)
    os.close(write)
    try:
        yield
    finally:
        os.dup2(told, 2)
        os.close(told)
        sieve.wait()
