"""Reads an INI file into a `Config`, and writes it back."""

import configparser
import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_face import files
from keras_face.config.checks import check_together
from keras_face.config.data import DatasetConfig
from keras_face.config.finding import find_config
from keras_face.config.model import DEFAULT_LOSSES, LossConfig, NamedLossConfig
from keras_face.config.sections import SECTIONS, Config
from keras_face.config.unknown import unknown_key
from keras_face.config.values import split_override, text_of, value_of, value_of_loss

QUICK_START = Path(__file__).parent.with_name("quick_start.ini")

# `[loss NAME]` holds the settings of one loss.
_LOSS = "loss "
# Overrides that make of a recipe a small one of the same code, on drawn people.
_TINY = "tiny"

# By section and key: a value's text, and where it was given.
Given = dict[str, dict[str, tuple[str, str]]]


def load(path: str | os.PathLike | None = None, overrides: Iterable[str] = (), *, tiny: bool = False) -> Config:
    """Returns the configuration of a file with overrides on top.

    Args:
        path: INI file, or the name of a recipe, as `lfw_view1`; None: every key at its default.
        overrides: `section.key=value` each; a later one wins.
        tiny: Whether the file's section `[tiny]`, lines `section.key = value`, is laid over the rest of it: the same
            code on a few drawn people.

    Raises:
        FileNotFoundError: There is neither such a file nor such a recipe.
        ValueError: Unknown section or key (with the nearest known one), value of a wrong type or out of its range, or
            keys that contradict each other; the message names file, section and key.

    Examples:
        >>> config = keras_face.load_config("adaface", ["training.epochs=2", "loss adaface.margin=0.3"])
        >>> config.loss.head, config.training.epochs, config.losses["adaface"]["margin"]
        ('adaface', 2.0, 0.3)
    """
    path = None if path is None else find_config(path)
    values = given(path, overrides, tiny=tiny)
    sections, losses, datasets = {}, {}, {}
    for section, keys in values.items():
        if section in SECTIONS:
            sections[section] = _section(SECTIONS[section], section, keys, values)
        elif section.startswith(_LOSS):
            losses[section.removeprefix(_LOSS)] = {
                key: value_of_loss(key, text, f"{source}: [{section}] {key}") for key, (text, source) in keys.items()
            }
        else:
            datasets[section] = _section(DatasetConfig, section, keys, values)
    head = sections.get("loss", LossConfig()).head
    defaults = DEFAULT_LOSSES if head != "none" else {}
    losses = {name: {**settings, **losses.get(name, {})} for name, settings in defaults.items()} | {
        name: settings for name, settings in losses.items() if name not in defaults
    }
    config = Config(**sections, losses=losses, datasets=datasets)
    check_together(config, str(path or "the defaults"))
    return config


def given(path: str | os.PathLike | None = None, overrides: Iterable[str] = (), *, tiny: bool = False) -> Given:
    """Returns what a file and overrides say, and nothing of what they leave out; arguments as for `load`.

    Returns: By section and key, the value's text, and the file or flag that it is from.
    """
    values: Given = {}
    path = None if path is None else find_config(path)
    if path is not None:
        for section, keys in _read(path).items():
            own = values.setdefault(" ".join(section.split()), {})
            own.update({key: (value, str(path)) for key, value in keys.items()})
    of_tiny = values.pop(_TINY, {})
    if tiny and not of_tiny:
        raise ValueError(f"{path or 'the defaults'}: expected a section [{_TINY}], found none")
    further = [(f"{key}={value}", f"{source}: [{_TINY}]") for key, (value, source) in of_tiny.items()] if tiny else []
    for override, source in [*further, *((override, "--set") for override in overrides)]:
        section, key, value = split_override(override, source)
        values.setdefault(" ".join(section.split()), {})[key] = (value, source)
    return values


def write_config(config: Config, path: str | os.PathLike) -> None:
    """Writes a configuration as an INI file with comments, which `load` reads back to an equal one."""
    files.write_text(path, config_text(config))


def config_text(config: Config) -> str:
    """Returns what `write_config` writes."""
    comments = {field.name: field.metadata["comment"] for field in dataclasses.fields(NamedLossConfig)}
    parts = []
    for name, section in [(name, getattr(config, name)) for name in SECTIONS] + sorted(config.datasets.items()):
        parts += section_text(
            name,
            {field.name: getattr(section, field.name) for field in dataclasses.fields(section)},
            {field.name: field.metadata["comment"] for field in dataclasses.fields(section)},
        )
    for name, values in sorted(config.losses.items()):
        parts += section_text(f"{_LOSS}{name}", values, comments)
    return "\n".join(parts)


def section_text(name: str, values: Mapping[str, Any], comments: Mapping[str, str]) -> list[str]:
    """Returns the lines of a section, an empty one after them; each key after its comment, if it has one."""
    lines = [f"[{name}]"]
    for key, value in values.items():
        lines += [f"# {comments[key]}"] if key in comments else []
        lines.append(f"{key} = {text_of(value)}".rstrip())
    return [*lines, ""]


def _read(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected an INI file: {' '.join(str(error).split())}") from None
    return {section: dict(parser[section]) for section in parser.sections()}


def _section(kind: type, section: str, keys: Mapping[str, tuple[str, str]], values: Given) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    found = {}
    for key, (text, source) in keys.items():
        where = f"{source}: [{section}] {key}"
        if key not in fields:
            head, _ = values.get("loss", {}).get("head", (LossConfig().head, ""))
            raise ValueError(f"{where}: {unknown_key(kind, section, key, text, head)}")
        found[key] = value_of(fields[key], text, where)
    return kind(**found)
