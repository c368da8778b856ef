"""The register of the losses: the layers made from their names, and names of one's own."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from keras_face.backend import keras
from keras_face.config.nearest import unknown
from keras_face.losses.entries import LOSSES, Entry, parameters_of
from keras_face.losses.margins import Margin
from keras_face.losses.softmax import MarginSoftmax

_Kind = TypeVar("_Kind")


def register(
    name: str, *, formula: str = "", use: str = "", source: str = "", **defaults: Any
) -> Callable[[type[_Kind]], type[_Kind]]:
    """Returns a decorator that makes a class of one's own a loss by name, for `get` and in a configuration.

    The class is a `Margin`, which makes a margin softmax, or a Keras layer called as `layer(embeddings, labels,
    training=False)` that returns one loss per example; one with a parameter `num_identities` is told their number.
    Both come back from `.keras` files too. `keras_face.testing.check_loss` tells whether it keeps what the others do.

    Args:
        name: What it is called: letters, digits and underscores, none of `names()`.
        formula: See `Entry`.
        use: See `Entry`.
        source: See `Entry`.
        **defaults: Settings with other defaults than the class has.

    Raises: ValueError if the name is taken or no name, or the class is of another kind or lacks these arguments.

    Examples:
        >>> @keras_face.losses.register("half_cosine")
        ... class HalfCosine(keras_face.losses.Margin):
        ...     def target(self, cosine):
        ...         return 0.5 * cosine - 0.5
        ...
        >>> head = keras_face.losses.get("half_cosine", num_identities=10)
        >>> head(tf.random.normal((4, 8)), tf.constant([0, 3, 3, 9])).shape
        TensorShape([4])
    """
    if not name.isidentifier():
        raise ValueError(f"a loss's name must be letters, digits and underscores, got {name!r}")
    if name in LOSSES:
        raise ValueError(f"there is a loss {name!r} already; choose another name")

    def add(kind: type[_Kind]) -> type[_Kind]:
        if issubclass(kind, Margin):
            entry = Entry(MarginSoftmax, formula, use, kind, defaults, source)
        elif issubclass(kind, keras.layers.Layer):
            layer: type[keras.layers.Layer] = kind
            taken = parameters_of(layer.call)
            if missing := [each for each in ("embeddings", "labels", "training") if each not in taken]:
                raise ValueError(f"call must take embeddings, labels and training; {kind.__name__} lacks {missing[0]}")
            entry = Entry(kind, formula, use, None, defaults, source)
        else:
            raise ValueError(f"a loss must be a Margin or a Keras layer, got {kind.__name__}")
        if unknown := sorted(set(defaults) - set(dataclasses.replace(entry, defaults={}).parameters())):
            raise ValueError(f"{kind.__name__} has no setting {unknown[0]!r}, got a default for it")
        if keras.utils.get_registered_name(kind) == kind.__name__:  # not registered
            keras.utils.register_keras_serializable(package=kind.__module__)(kind)
        LOSSES[name] = entry
        return kind

    return add


def names() -> list[str]:
    """Returns the names of all losses, those of one's own last.

    Examples:
        >>> keras_face.losses.names()[:4]
        ['softmax', 'norm_softmax', 'cosface', 'arcface']
    """
    return list(LOSSES)


def settings(name: str) -> dict[str, Any]:
    """Returns the settings of a loss with their defaults; `inspect.Parameter.empty` for one that must be given.

    Raises:
        ValueError: no loss has this name.

    Examples:
        >>> keras_face.losses.settings("cosface")["margin"]
        0.35
    """
    _check_known("loss", name, names())
    return LOSSES[name].parameters()


def check(name: str, given: Iterable[str]) -> None:
    """Raises ValueError, which names the nearest known one, if there is no such loss or it has no such setting.

    Examples:
        >>> keras_face.losses.check("arcface", ["margin", "scale"])  # no error: it has these settings
    """
    known = settings(name)
    for setting in given:
        _check_known(f"setting of {name}", setting, list(known))


def get(name: str, /, **values: Any) -> keras.layers.Layer:
    """Returns a new loss, whose layer name is `name` unless another is given.

    Args:
        name: One of `names()`.
        **values: Its settings, see `settings(name)`; those of the margin and those of the head alike.

    Raises:
        ValueError: the name or a setting is unknown, a setting is out of range, or one that has no default is missing.

    Examples:
        >>> head = keras_face.losses.get("arcface", num_identities=10, margin=0.4)
        >>> head(tf.random.normal((4, 8)), tf.constant([0, 3, 3, 9]), training=True).shape  # a loss for each
        TensorShape([4])
    """
    layer_name = values.pop("name", name)
    check(name, values)
    missing = [
        key for key, default in settings(name).items() if default is inspect.Parameter.empty and key not in values
    ]
    if missing:
        raise ValueError(f"{name} needs the setting {missing[0]!r}; given were {sorted(values)}")
    entry = LOSSES[name]
    values = entry.defaults | values
    if entry.margin:
        margin_settings = entry.margin_settings(values)
        values = {key: value for key, value in values.items() if key not in margin_settings}
        values["margin"] = entry.margin(**margin_settings)
    return entry.layer(**values, name=layer_name)


def _check_known(what: str, value: str, known: list[str]) -> None:
    if value not in known:
        raise ValueError(unknown(what, value, known))
