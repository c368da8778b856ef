"""The losses, by name: `get("arcface", num_identities=1000, margin=0.4)`.

A loss is a Keras layer, `layer(embeddings, labels, training=False)` -> float32 [batch]: one loss per example, neither
averaged nor weighted. It gives the same numbers on one device and on several. A new loss is one line in `_LOSSES`,
or one in `_MARGINS` if it is a target function; the conformance suite then tests it.
"""

import difflib
import inspect
from typing import Any

from keras_face.backend import keras
from keras_face.losses.centre import AngularCentre
from keras_face.losses.margins import ArcMargin, CosineMargin, Margin, NoMargin
from keras_face.losses.prototypes import HeadOutput, PrototypeHead
from keras_face.losses.softmax import MarginSoftmax, Softmax
from keras_face.losses.triplet import BatchHardTriplet, TripletOutput

__all__ = [
    "AngularCentre",
    "ArcMargin",
    "BatchHardTriplet",
    "CosineMargin",
    "HeadOutput",
    "Margin",
    "MarginSoftmax",
    "NoMargin",
    "PrototypeHead",
    "Softmax",
    "TripletOutput",
    "get",
    "names",
    "settings",
]

_MARGINS: dict[str, type[Margin]] = {
    "norm_softmax": NoMargin,
    "cosface": CosineMargin,
    "arcface": ArcMargin,
}
_LOSSES: dict[str, type[keras.layers.Layer]] = {
    "softmax": Softmax,
    **dict.fromkeys(_MARGINS, MarginSoftmax),
    "angular_centre": AngularCentre,
    "batch_hard_triplet": BatchHardTriplet,
}


def names() -> list[str]:
    """Returns the names of all losses."""
    return list(_LOSSES)


def settings(name: str) -> dict[str, Any]:
    """Returns the settings of a loss with their defaults; `inspect.Parameter.empty` for one that must be given.

    Raises:
        ValueError: no loss has this name.
    """
    _check_known("loss", name, names())
    found = _parameters(_LOSSES[name])
    if name in _MARGINS:
        del found["margin"]
        found |= _parameters(_MARGINS[name])
    return found


def get(name: str, /, **values: Any) -> keras.layers.Layer:
    """Returns a new loss, whose layer name is `name` unless another is given.

    Args:
        name: One of `names()`.
        **values: Its settings, see `settings(name)`; those of the margin and those of the head alike.

    Raises:
        ValueError: the name or a setting is unknown, a setting is out of range, or one that has no default is missing.
    """
    known = settings(name)
    layer_settings = {"name": values.pop("name", name)}
    for setting in values:
        _check_known(f"setting of {name}", setting, list(known))
    missing = [key for key, default in known.items() if default is inspect.Parameter.empty and key not in values]
    if missing:
        raise ValueError(f"{name} needs the setting {missing[0]!r}; given were {sorted(values)}")
    if name in _MARGINS:
        margin_settings = {key: values.pop(key) for key in _parameters(_MARGINS[name]) if key in values}
        layer_settings["margin"] = _MARGINS[name](**margin_settings)
    return _LOSSES[name](**values, **layer_settings)


def _parameters(function: Any) -> dict[str, Any]:
    """Returns the named parameters of a class or function with their defaults."""
    parameters = inspect.signature(function).parameters.values()
    return {each.name: each.default for each in parameters if each.kind is not inspect.Parameter.VAR_KEYWORD}


def _check_known(what: str, value: str, known: list[str]) -> None:
    if value not in known:
        nearest = difflib.get_close_matches(value, known, n=1, cutoff=0.0)
        hint = f"; the nearest is {nearest[0]!r}" if nearest else ""
        raise ValueError(f"{what} must be one of {known}, got {value!r}{hint}")
