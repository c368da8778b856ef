"""Commands run in the process of the tests; each of its own would import TensorFlow again, which takes seconds."""

import contextlib
import importlib.util
import runpy
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from absl import flags


class Ended(NamedTuple):
    """What a command left, by the names of `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


@contextlib.contextmanager
def own_flags() -> Iterator[None]:
    """Forgets at its end the flags defined within, so that another command can define them."""
    before = set(flags.FLAGS)
    try:
        yield
    finally:
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, module: str, *arguments: object) -> Ended:
    """Returns how `python -m MODULE ARGUMENTS` ends."""
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    capsys.readouterr()
    with monkeypatch.context() as patch, own_flags():
        patch.setattr(sys, "argv", [module, *map(str, arguments)])
        try:
            # By path: pytest's loader, which takes eval/test_*.py for tests, has no code for run_module.
            runpy.run_path(spec.origin, run_name="__main__")
            status = 0
        except SystemExit as end:
            status = end.code or 0
    ended = Ended(status, *capsys.readouterr())
    assert "Traceback" not in ended.stderr
    return ended
