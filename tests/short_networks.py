"""Residual networks of few units; those of any depth differ in their units only (test_backbones.py)."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import pytest

from keras_face import backbones
from keras_face.backbones.registry import _BACKBONES
from keras_face.backend import keras


@contextlib.contextmanager
def shortened(name: str, units: tuple[int, ...] = (1, 1, 1, 1)) -> Iterator[None]:
    """Within it the residual network of this name has so many units in its stages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(_BACKBONES, name, functools.partial(_BACKBONES[name], units=units))
        yield


def build(name: str, *arguments: Any, units: tuple[int, ...] = (1, 1, 1, 1), **settings: Any) -> keras.Model:
    """Returns what `backbones.build` gives, with so many units in each stage."""
    with shortened(name, units):
        return backbones.build(name, *arguments, **settings)
