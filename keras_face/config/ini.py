"""Reads an INI file into a `Config`, and writes it back."""

import configparser
import dataclasses
import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_face.config.sections import SECTIONS, Config, DatasetConfig

QUICK_START = Path(__file__).parent.with_name("quick_start.ini")

# `[loss NAME]` holds the settings of one loss.
_LOSS = "loss "
# Overrides that make of a recipe a small one of the same code, on drawn people.
_TINY = "tiny"
_DRAWN = ("synthetic", "synthetic_tracks")

# Flags that users of margin-centre-face know, and the keys they stand for (--net_depth 50 is backbone lresnet50e_ir).
FAMILIAR_FLAGS = {
    "model_path": "model.model_path",
    "net_depth": "model.backbone",
    "image_size": "data.image_size",
    "batch_size": "training.batch_size",
    "epoch": "training.epochs",
    "lr_steps": "schedule.lr_steps",
    "momentum": "optimizer.momentum",
    "weight_decay": "optimizer.weight_decay",
    "centre_weight": "loss.centre_weight",
    "triplet_margin": "loss.triplet_margin",
    "triplet_weight": "loss.triplet_weight",
    "sample_per_class": "data.images_per_identity",
    "saver_maxkeep": "training.saver_maxkeep",
    "summary_interval": "training.summary_interval",
    "ckpt_interval": "training.ckpt_interval",
    "validate_interval": "training.validate_interval",
    "show_info_interval": "training.show_info_interval",
}


def load(path: str | os.PathLike | None = None, overrides: Iterable[str] = (), *, tiny: bool = False) -> Config:
    """Returns the configuration of a file with overrides on top.

    Args:
        path: INI file; None: every key at its default.
        overrides: `section.key=value` each; a later one wins.
        tiny: Whether the file's section `[tiny]`, lines `section.key = value`, is laid over the rest of it: the same
            code on a few drawn people.

    Raises:
        ValueError: Unknown section or key (with the nearest known one), value of a wrong type or out of its range, or
            keys that contradict each other; the message names file, section and key.
    """
    values: dict[str, dict[str, tuple[str, str]]] = {}
    if path is not None:
        for section, keys in _read(Path(path)).items():
            values[section] = {key: (value, str(path)) for key, value in keys.items()}
    of_tiny = values.pop(_TINY, {})
    if tiny and not of_tiny:
        raise ValueError(f"{path}: expected a section [{_TINY}], found none")
    further = [(f"{key}={value}", f"{source}: [{_TINY}]") for key, (value, source) in of_tiny.items()] if tiny else []
    for override, source in [*further, *((override, "--set") for override in overrides)]:
        match = re.fullmatch(r"([^.=]+)\.([^.=]+)=(.*)", override, re.DOTALL)
        if not match:
            raise ValueError(f"{source}: expected section.key=value, got {override!r}")
        section, key, value = (part.strip() for part in match.groups())
        values.setdefault(section, {})[key] = (value, source)
    sections, losses, datasets = {}, {}, {}
    for section, given in values.items():
        if section in SECTIONS:
            sections[section] = _section(SECTIONS[section], section, given)
        elif section.startswith(_LOSS):
            where = {key: f"{source}: [{section}] {key}" for key, (_, source) in given.items()}
            losses[section.removeprefix(_LOSS).strip()] = {
                key: _literal(_environment(text.strip(), where[key])) for key, (text, _) in given.items()
            }
        else:
            datasets[section] = _section(DatasetConfig, section, given)
    config = Config(**sections, losses=losses, datasets=datasets)
    _check(config, str(path or "the defaults"))
    return config


def write_config(config: Config, path: str | os.PathLike) -> None:
    """Writes a configuration as an INI file with comments, which `load` reads back to an equal one."""
    parts = []
    for name, section in [(name, getattr(config, name)) for name in SECTIONS] + sorted(config.datasets.items()):
        parts.append(f"[{name}]")
        for field in dataclasses.fields(section):
            parts += [
                f"# {field.metadata['comment']}",
                f"{field.name} = {_format(getattr(section, field.name))}".rstrip(),
            ]
        parts.append("")
    for name, values in sorted(config.losses.items()):
        parts += [f"[{_LOSS}{name}]", *(f"{key} = {value}" for key, value in values.items()), ""]
    Path(path).write_text("\n".join(parts), encoding="utf-8")


def familiar(flag: str, value: str) -> list[str]:
    """Returns the overrides that a flag of margin-centre-face stands for.

    Args:
        flag: A key of `FAMILIAR_FLAGS`.
        value: Its text on the command line.
    """
    if flag == "net_depth" and value.isdigit():
        value = f"lresnet{value}e_ir"
    instead = ["training.steps=0"] if flag == "epoch" else []
    return [*instead, f"{FAMILIAR_FLAGS[flag]}={value}"]


def _read(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: expected a configuration file, found none") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected an INI file: {' '.join(str(error).split())}") from None
    return {section: dict(parser[section]) for section in parser.sections()}


def _section(kind: type, section: str, keys: Mapping[str, tuple[str, str]]) -> Any:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    values = {}
    for key, (text, source) in keys.items():
        if key not in fields:
            raise ValueError(f"{source}: [{section}] {key}: {_unknown(kind, section, key)}")
        values[key] = _parse(fields[key], text, f"{source}: [{section}] {key}")
    return kind(**values)


def _unknown(kind: type, section: str, key: str) -> str:
    """Returns what is wrong with a key, with the nearest known section or key."""
    if kind is DatasetConfig:
        near = difflib.get_close_matches(section, SECTIONS, 1, 0.6)
        hint = f"did you mean [{near[0]}]? " if near else ""
        return f"unknown section: {hint}Known: {', '.join(SECTIONS)}; a dataset's section has no key {key}"
    names = [field.name for field in dataclasses.fields(kind)]
    near = difflib.get_close_matches(key, names, 1, 0.5)
    homes = [name for name, other in SECTIONS.items() if key in {field.name for field in dataclasses.fields(other)}]
    hint = (
        f"it belongs in [{homes[0]}]" if homes else f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
    )
    return f"unknown key; {hint}"


def _parse(field: dataclasses.Field, text: str, where: str) -> Any:
    """Returns the value of a key's text, checked against its type, its range and its choices."""
    text = _environment(text.strip(), where)
    kind = field.type
    if kind in (tuple[int, ...], tuple[float, ...], tuple[str, ...]):
        item = kind.__args__[0]
        value: Any = tuple(_scalar(item, part.strip(), where) for part in text.strip("[]()").split(",") if part.strip())
    else:
        value = _scalar(kind, text, where)
    low, high = field.metadata["range"]
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, (int, float)) and not isinstance(number, bool) and not low <= number <= high:
            raise ValueError(f"{where}: expected a number in [{low}, {high}], got {number}")
    choices = field.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{where}: expected one of {', '.join(choices)}, got {value!r}")
    return value


def _literal(text: str) -> Any:
    """Returns the value of a setting whose type the loss knows: a whole number, a number, True, False, None or text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


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


def _environment(text: str, where: str) -> str:
    """Returns the text with ${NAME} and ${NAME:-default} replaced from the environment, as a shell does."""

    def value(match: re.Match) -> str:
        name, default = match.group(1), match.group(2)
        found = os.environ.get(name) or default
        if found is None:
            raise ValueError(f"{where}: expected the environment variable {name} to be set, it is not")
        return found

    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", value, text)


def _format(value: Any) -> str:
    return ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)


def _check(config: Config, source: str) -> None:
    """Raises ValueError where keys contradict each other."""
    for name in config.data.train:
        if name not in (*_DRAWN, *config.datasets):
            near = difflib.get_close_matches(name, [*config.datasets, *_DRAWN], 1, 0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"{source}: [data] train: expected names of dataset sections, there is no [{name}]{hint}")
    for name, dataset in config.datasets.items():
        if dataset.mxrec:
            raise ValueError(
                f"{source}: [{name}] mxrec: .rec files are not read in training; "
                "give records (written by tfrecords_tools) or photos instead"
            )
    if len(config.data.image_size) != 2:
        raise ValueError(f"{source}: [data] image_size: expected height, width, got {config.data.image_size}")
    if (crop_from := config.data.crop_from) and (
        len(crop_from) != 2 or any(whole < part for whole, part in zip(crop_from, config.data.image_size, strict=False))
    ):
        raise ValueError(
            f"{source}: [data] crop_from: expected a height, width of at least image_size {config.data.image_size}, "
            f"got {crop_from}"
        )
    training, loss = config.training, config.loss
    if training.steps and training.epochs:
        raise ValueError(
            f"{source}: [training] expected steps or epochs, got steps {training.steps} and epochs {training.epochs}"
        )
    if loss.head == "none" and (loss.centre_weight or not (loss.triplet_weight or config.losses)):
        raise ValueError(
            f"{source}: [loss] head none: expected centre_weight 0 and triplet_weight > 0 or a section [loss NAME], "
            f"got centre_weight {loss.centre_weight} and triplet_weight {loss.triplet_weight}"
        )
    if loss.triplet_weight and config.data.images_per_identity < 2:
        raise ValueError(
            f"{source}: [data] images_per_identity: expected 2 or more for the triplet loss, "
            f"got {config.data.images_per_identity}"
        )
    schedule = config.schedule
    if schedule.kind == "piecewise" and (
        len(schedule.lr_steps) != len(schedule.lr_factors) or list(schedule.lr_steps) != sorted(schedule.lr_steps)
    ):
        raise ValueError(
            f"{source}: [schedule] expected rising lr_steps and as many lr_factors, "
            f"got {schedule.lr_steps} and {schedule.lr_factors}"
        )
    best = config.validation.best
    sets = {"last": (), "either": ("lfw", "ytf")}.get(best, (best,))
    if sets and not any(getattr(config, name).enable for name in sets):
        raise ValueError(
            f"{source}: [validation] best: expected an enabled set, [{'] or ['.join(sets)}] enable is False"
        )
    model, teacher = config.model, config.teacher
    if (model.keep_prototypes or model.frozen_stages) and not model.model_path:
        raise ValueError(f"{source}: [model] model_path: expected one for keep_prototypes or frozen_stages, got none")
    if model.keep_prototypes and loss.head == "none":
        raise ValueError(f"{source}: [model] keep_prototypes: expected a head, [loss] head is none")
    if teacher.mask != "none" and not teacher.model_path:
        raise ValueError(f"{source}: [teacher] model_path: expected one for the mask {teacher.mask}, got none")
    if config.latse.weight and config.latse.aim == "identity_mean" and config.run.strategy == "multi_worker":
        raise ValueError(
            f"{source}: [latse] aim: expected crop for multi_worker, as a mean image is on one machine's disk"
        )
