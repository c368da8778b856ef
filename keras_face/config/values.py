"""The text of an INI file's value and what it stands for."""

import configparser
import dataclasses
import os
import re
from typing import Any

from keras_face.config.model import NamedLossConfig
from keras_face.config.setting import check_value

_OF_EVERY_LOSS = {field.name: field for field in dataclasses.fields(NamedLossConfig)}


def value_of(field: dataclasses.Field, text: str, where: str) -> Any:
    """Returns the value of a key's text.

    Raises:
        ValueError: It is not of the field's type, range or choices; the message begins with `where`.
    """
    text = expanded(text.strip(), where)
    kind = field.type
    if kind in (tuple[int, ...], tuple[float, ...], tuple[str, ...]):
        item = kind.__args__[0]
        value: Any = tuple(_scalar(item, part.strip(), where) for part in text.strip("[]()").split(",") if part.strip())
    else:
        value = _scalar(kind, text, where)
    check_value(field, value, where)
    return value


def value_of_loss(key: str, text: str, where: str) -> Any:
    """Returns the value of a key of `[loss NAME]`.

    That is a whole number, a number, True, False, None or text, as the loss alone knows the type of its settings.
    """
    if key in _OF_EVERY_LOSS:
        return value_of(_OF_EVERY_LOSS[key], text, where)
    text = expanded(text.strip(), where)
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def text_of(value: Any) -> str:
    """Returns the text that stands for a value in an INI file."""
    return ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)


def split_override(override: str, source: str) -> tuple[str, str, str]:
    """Returns section, key and the value's text of an override, `section.key=value`.

    Raises:
        ValueError: It is none; the message begins with `source`.
    """
    match = re.fullmatch(r"([^.=]+)\.([^.=]+)=(.*)", override, re.DOTALL)
    if not match:
        raise ValueError(f"{source}: expected section.key=value, got {override!r}")
    section, key, value = (part.strip() for part in match.groups())
    return section, key, value


def _scalar(kind: Any, text: str, where: str) -> Any:
    if kind is str:
        return text
    try:
        if kind is bool:
            return configparser.ConfigParser.BOOLEAN_STATES[text.lower()]
        return kind(text)
    except (ValueError, KeyError):
        expected = {int: "a whole number", float: "a number", bool: "True or False"}[kind]
        raise ValueError(f"{where}: expected {expected}, got {text!r}") from None


def expanded(text: str, where: str) -> str:
    """Returns the text with ${NAME} and ${NAME:-default} replaced from the environment, as a shell does."""

    def value(match: re.Match) -> str:
        name, default = match.group(1), match.group(2)
        found = os.environ.get(name) or default
        if found is None:
            raise ValueError(f"{where}: expected the environment variable {name} to be set, it is not")
        return found

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, text)
