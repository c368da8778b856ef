"""The page of the library: every name on it has an example in its docstring, and the examples run, in the page's order.

The first ones train a small model, which the others use, as a reader would who goes through the page.
"""

import doctest
import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import keras_face
from keras_face.backbones import registry as backbones
from keras_face.backend import keras, tf
from keras_face.losses import registry as losses

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def names_of_page() -> list[tuple[ModuleType, str]]:
    """Returns module and name of all that the page shows, in its order."""
    found = []
    text = PAGE.read_text(encoding="utf-8")
    for path, members in re.findall(r"^::: (\S+)(?:\n    options:\n      members: \[(.+)\])?", text, re.MULTILINE):
        if members:
            found += [(importlib.import_module(path), name) for name in members.split(", ")]
        else:
            module, _, name = path.rpartition(".")
            found.append((importlib.import_module(module), name))
    return found


NAMES = names_of_page()


def test_the_page_shows_what_the_library_offers():
    shown = [getattr(module, name) for module, name in NAMES]
    for module in (keras_face, keras_face.backbones, keras_face.evaluation, keras_face.records, keras_face.testing):
        for name in module.__all__:
            public = getattr(module, name)
            if inspect.isfunction(public) or inspect.isclass(public):
                assert public in shown, f"{module.__name__}.{name}"


@pytest.mark.parametrize("module, name", NAMES, ids=[f"{module.__name__}.{name}" for module, name in NAMES])
def test_a_public_name_has_an_example(module, name):
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(getattr(module, name)) or "")
    assert examples


def test_the_examples_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(losses, "LOSSES", dict(losses.LOSSES))
    for register in ("_BACKBONES", "_SOURCES"):
        monkeypatch.setattr(backbones, register, dict(getattr(backbones, register)))
    granted: dict[str, Any] = {"keras_face": keras_face, "np": np, "tf": tf, "keras": keras, "Path": Path}
    runner = doctest.DocTestRunner(verbose=False)
    failures: list[str] = []
    for module, name in NAMES:
        test = doctest.DocTestParser().get_doctest(
            inspect.getdoc(getattr(module, name)) or "", vars(module) | granted, f"{module.__name__}.{name}", None, None
        )
        runner.run(test, out=failures.append)
    assert not failures, "\n".join(failures)
    assert runner.tries > len(NAMES)
