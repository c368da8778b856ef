"""What a run is made with, stored with each checkpoint, and whether a run that is started again fits it."""

import contextlib
import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_face.config import Config, load
from keras_face.records import held_out as apart
from keras_face.records.dataset import DatasetInfo
from keras_face.training import named_prototypes

logger = logging.getLogger("keras_face")

_ELSEWHERE = "set it back, or train that in a new [run] output_dir"
_FROM_HERE = f"{_ELSEWHERE}, which [model] model_path lets begin with this run's network"
# Keys that decide which variables there are, and what to do where they have changed. Of the second kind it only matters
# whether they are 0 (or negative), of the third whether they are float16.
_FIXED = {
    "[model] backbone": _ELSEWHERE,
    "[model] width": _ELSEWHERE,
    "[model] embedding_size": _ELSEWHERE,
    "[data] image_size": _ELSEWHERE,
    "[data] standardise": _ELSEWHERE,
    "[model] frozen_stages": _FROM_HERE,
    "[loss] head": _FROM_HERE,
    "[optimizer] name": _FROM_HERE,
    "[optimizer] momentum_form": _FROM_HERE,
    "[latse] width": _FROM_HERE,
    "[latse] activation": _FROM_HERE,
    "[latse] aim": _FROM_HERE,
}
_IN_USE = ("[model] dropout", "[optimizer] momentum", "[optimizer] ema", "[latse] weight")
_PRECISION = "[run] precision"


def run_facts(
    config: Config, identities: Sequence[str], datasets: Sequence[DatasetInfo], held_out: Sequence[apart.HeldOut]
) -> dict[str, Any]:
    """Returns what a run is made with, JSON values.

    Args:
        config: All of it.
        identities: Names of the people, in the order of their labels.
        datasets: What is trained on.
        held_out: Who is not.
    """
    records = {
        str(dataset.path): {
            "photos": dataset.num_images,
            "people": dataset.num_identities,
            "bytes": int(dataset.index["bytes"].sum(dtype="int64")),
            "index": hashlib.sha256(dataset.index.tobytes()).hexdigest(),
        }
        for dataset in datasets
    }
    others = _names([name for one in held_out for name in one.names])
    facts = {"config": dataclasses.asdict(config), "people": _names(identities), "held_out": others}
    return json.loads(json.dumps({**facts, "records": records}))


def noted(output_dir: Path) -> dict[str, Any]:
    """Returns the facts of a run of an earlier version, whose checkpoints have none, as far as its files tell."""
    facts: dict[str, Any] = {}
    with contextlib.suppress(ValueError, OSError):
        facts["config"] = json.loads(json.dumps(dataclasses.asdict(load(output_dir / "config.ini"))))
        # An earlier version's file does not say the form of momentum, and a checkpoint's own slots do: `check_form`.
        del facts["config"]["optimizer"]["momentum_form"]
        facts["held_out"] = _names(apart.read_names(output_dir))
    names = named_prototypes.read_names(output_dir / "checkpoints")
    return facts if names is None else {**facts, "people": _names(names)}


def check(before: Mapping[str, Any], now: Mapping[str, Any], source: str) -> None:
    """Logs what has changed since a checkpoint was made.

    Args:
        before: The facts that were stored with it.
        now: Those of the run that is to go on from it.
        source: The checkpoint.

    Raises: ValueError if it cannot go on: what decides which variables there are has changed, or the people have.
    """
    changed = list(_changes(before.get("config", {}), now.get("config", {})))
    for key, old, new in changed:
        if advice := _advice(key, old, new):
            raise ValueError(
                f"{source}: {key}: expected {_text(old)}, which this run began with, got {_text(new)}; {advice}"
            )
    for kind, text in (("held_out", _others_held_out), ("people", _other_people)):
        if kind in before and kind in now and before[kind] != now[kind]:
            raise ValueError(text(source, before[kind]["number"], now[kind]["number"]))
    for key, old, new in changed:
        logger.info("changed since %s: %s: %s -> %s", source, key, _text(old), _text(new))
    _warn_of_records(before.get("records", {}), now.get("records", {}), source)


def does_not_fit(source: str, before: Mapping[str, Any], now: Mapping[str, Any], reason: str) -> str:
    """Returns the line for a checkpoint that cannot be read into what is trained now.

    Args:
        source: The checkpoint.
        before: The facts that were stored with it.
        now: Those of the run.
        reason: What TensorFlow says.
    """
    changes = _changes(before.get("config", {}), now.get("config", {}))
    told = "; ".join(f"{key} was {_text(old)} and is {_text(new)}" for key, old, new in changes)
    changed = f"since then {told}; " if told else ""
    return f"{source}: expected a checkpoint of what is trained now, but it does not fit: {changed}{reason}"


def _other_people(source: str, before: int, now: int) -> str:
    return (
        f"{source}: expected the {before} people that this run began with, in their order, got others ({now}); for "
        "these start a new run with [model] model_path and keep_prototypes"
    )


def _others_held_out(source: str, before: int, now: int) -> str:
    return (
        f"{source}: expected the {before} people to be held out who were when this run began, got others ({now}): "
        "[data] hold_out, hold_out_seed or the people have changed; start a new run"
    )


def _names(names: Sequence[str]) -> dict[str, Any]:
    return {
        "number": len(names),
        "sha256": hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest(),
    }


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yields `[section] key` with the old and the new value of all keys that both have and that differ."""
    if not before:  # not known
        return
    old, new = dict(_flat(before)), dict(_flat(now))
    for key, value in new.items():
        if key in old and old[key] != value:
            yield key, old[key], value
    # Sections [loss NAME] and those of datasets come and go as a whole.
    for key in [*new.keys() - old.keys(), *old.keys() - new.keys()]:
        if key.startswith("[loss ") and key.endswith("] weight"):
            yield key, old.get(key, 0.0), new.get(key, 0.0)


def _flat(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, keys in config.items():
        if section in ("losses", "datasets"):
            for name, values in keys.items():
                shown = f"loss {name}" if section == "losses" else name
                yield from ((f"[{shown}] {key}", value) for key, value in values.items())
        else:
            yield from ((f"[{section}] {key}", value) for key, value in keys.items())


def _advice(key: str, old: Any, new: Any) -> str | None:
    """Returns what to do about a key that has changed; None if a run goes on with it."""
    if key in _FIXED:
        return _FIXED[key]
    if key in _IN_USE or (key.startswith("[loss ") and key.endswith("] weight")):
        return _FROM_HERE if bool(old) != bool(new) else None
    if key == _PRECISION and "float16" in (old, new):
        return _FROM_HERE
    return None


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _warn_of_records(before: Mapping[str, Any], now: Mapping[str, Any], source: str) -> None:
    for path, facts in now.items():
        old = before.get(path, facts)
        if old != facts:
            keys = [key for key in ("photos", "people", "bytes") if old.get(key) != facts[key]]
            told = ", ".join(f"{key} {old.get(key)} -> {facts[key]}" for key in keys)
            logger.warning(
                "%s: these records have changed since %s: %s; the run goes on with other batches than it had",
                *(path, source, told or "other labels, or another order"),
            )
