"""The losses that a configuration asks for, and their weights."""

import inspect
from collections.abc import Mapping
from typing import Any

from keras_face import losses
from keras_face.backend import keras
from keras_face.config import LossConfig
from keras_face.config.nearest import unknown

# Of a loss's settings those that the training gives, not the configuration.
_NOT_SETTINGS = ("num_identities", "num_sequences", "accumulation_steps", "head")


def build_losses(
    config: LossConfig,
    settings: Mapping[str, Mapping[str, Any]],
    num_identities: int,
    num_sequences: int,
    accumulation_steps: int = 1,
    seed: int = 0,
    has_teacher: bool = False,
) -> tuple[dict[str, keras.layers.Layer], dict[str, Any]]:
    """Returns the configured losses, the head first, and their weights, by their names.

    Args:
        config: The section [loss].
        settings: The sections [loss NAME]: settings of the head, and of further losses, each of which is added by a
            `weight` above 0.
        num_identities: Identities of the training data.
        num_sequences: Their sequences of unknown people.
        accumulation_steps: Training calls that make one optimizer step.
        seed: Of the losses that draw random numbers and are given no other.
        has_teacher: Whether there is a teacher for those that need one.

    Raises:
        ValueError: A loss lacks its teacher, or a name, a setting or a value is not known to the losses; the message
            names section and key.
    """
    layers: dict[str, keras.layers.Layer] = {}
    weights: dict[str, Any] = {}
    given = {
        "num_identities": num_identities,
        "num_sequences": num_sequences,
        "accumulation_steps": accumulation_steps,
        "seed": seed,
    }
    remaining = {name: dict(values) for name, values in settings.items()}

    def add(name: str, weight: float, values: Mapping[str, Any]) -> None:
        try:
            values = _check_settings(name, values)
            known = losses.settings(name)
            head = {"head": layers[config.head]} if config.head in layers else {}
            facts = {key: value for key, value in (given | head).items() if key in known}
            layers[name] = losses.get(name, **(facts | values))
        except ValueError as error:
            raise ValueError(f"[loss {name}]: {error}") from None
        weights[name] = weight

    if config.head != "none":
        if config.head not in losses.names():
            raise ValueError(f"[loss] head: {unknown('loss', config.head, ['none', *losses.names()])}")
        values = remaining.pop(config.head, {})
        add(config.head, values.pop("weight", 1.0), values)
        if not isinstance(layers[config.head], losses.PrototypeHead):
            raise ValueError(f"[loss] head: expected a classification loss, got {config.head!r}")
        layers[config.head].compute = config.compute
    for name, values in remaining.items():
        weight = values.pop("weight", 0.0)
        if not weight:  # a loss that is not in use, see `unused_losses`; mistakes are mistakes there too
            try:
                _check_settings(name, values)
            except ValueError as error:
                raise ValueError(f"[loss {name}]: {error}") from None
            continue
        add(name, weight, values)
        if not has_teacher and takes_teacher(layers[name]):
            raise ValueError(f"[loss {name}]: it needs a teacher, but [teacher] model_path is not set")
    return layers, weights


def takes_teacher(layer: keras.layers.Layer) -> bool:
    """Returns whether a loss is given what the teacher makes of the photos."""
    return "teacher" in inspect.signature(layer.call).parameters


def unused_losses(config: LossConfig, settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the names of the sections [loss NAME] whose loss is not in use: neither the head, nor with a weight."""
    return [name for name, values in settings.items() if name != config.head and "weight" not in values]


def _check_settings(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a section [loss NAME], each of its kind.

    Raises: ValueError if there is no such loss, or a setting is none of a configuration's, or of another kind.
    """
    known = {key: default for key, default in losses.settings(name).items() if key not in _NOT_SETTINGS}
    for key in values:
        if key not in known:
            raise ValueError(unknown("key", key, ["weight", *known]))
    return {key: _of_kind(key, value, known[key]) for key, value in values.items()}


def _of_kind(key: str, value: Any, default: Any) -> Any:
    """Returns a setting as the kind that its default is of.

    Raises: ValueError if it is of another kind.
    """
    if key == "initializer":  # a word or a number, whatever the default
        return value
    for kind, allowed, expected in (
        (bool, (bool,), "True or False"),
        (int, (int,), "a whole number"),
        (float, (int, float), "a number"),
        (str, (str,), "a word"),
    ):
        if isinstance(default, kind):
            if kind is str and value is None:
                value = "none"  # a configuration's word
            if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
                raise ValueError(f"{key}: expected {expected}, got {value!r}")
            return kind(value)
    return value
