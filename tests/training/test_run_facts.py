"""What a run is made with, against what it is started with again; see test_restart.py for real runs."""

import dataclasses
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from keras_face import config
from keras_face.records.dataset import INDEX_DTYPE
from keras_face.training.run_facts import check, does_not_fit, noted, run_facts

INDEX = np.array([(0, 2, 100), (1, 3, 150)], INDEX_DTYPE)


def dataset(index=INDEX):
    return SimpleNamespace(
        path=Path("records/mine"), num_images=int(index["images"].sum()), num_identities=2, index=index
    )


def facts(*overrides, people=("Ada", "Bo"), index=INDEX, held_out=()):
    apart = [SimpleNamespace(section="mine", names=list(held_out))]
    return run_facts(config.load(config.QUICK_START, overrides), people, [dataset(index)], apart)


@pytest.mark.parametrize(
    "old, new, key, was, now",
    [
        ("model.width=0.25", "model.width=0.5", "[model] width", "0.25", "0.5"),
        ("model.backbone=sphereface4", "model.backbone=iresnet18", "[model] backbone", "sphereface4", "iresnet18"),
        ("model.embedding_size=64", "model.embedding_size=32", "[model] embedding_size", "64", "32"),
        ("data.image_size=32,32", "data.image_size=64,48", "[data] image_size", "32, 32", "64, 48"),
        ("loss.head=arcface", "loss.head=cosface", "[loss] head", "arcface", "cosface"),
        ("run.seed=0", "latse.activation=relu", "[latse] activation", "prelu", "relu"),
        ("run.precision=float32", "run.precision=float16", "[run] precision", "float32", "float16"),
        ("optimizer.ema=0", "optimizer.ema=0.9", "[optimizer] ema", "0.0", "0.9"),
        ("optimizer.name=sgd", "optimizer.name=sgdw", "[optimizer] name", "sgd", "sgdw"),
        ("optimizer.name=sgdw", "optimizer.name=lamb", "[optimizer] name", "sgdw", "lamb"),
        ("model.dropout=0.4", "model.dropout=0", "[model] dropout", "0.4", "0.0"),
        ("loss centre.weight=0.1", "loss centre.weight=0", "[loss centre] weight", "0.1", "0.0"),
        ("run.seed=0", "loss centre.weight=0.1", "[loss centre] weight", "0.0", "0.1"),
    ],
)
def test_what_a_run_cannot_change_is_one_line_with_key_old_new_and_what_to_do(old, new, key, was, now):
    with pytest.raises(ValueError, match="set it back, or train that in a new") as raised:
        check(facts(old), facts(new), "run/ckpt-3")
    message = str(raised.value)
    assert message.startswith(f"run/ckpt-3: {key}: expected {was}, which this run began with, got {now}; ")
    assert "\n" not in message


@pytest.mark.parametrize(
    "old, new, line",
    [
        ("schedule.learning_rate=0.1", "schedule.learning_rate=0.01", "[schedule] learning_rate: 0.1 -> 0.01"),
        ("training.steps=400", "training.steps=500", "[training] steps: 400 -> 500"),
        ("run.precision=float32", "run.precision=bfloat16", "[run] precision: float32 -> bfloat16"),
        ("optimizer.ema=0.5", "optimizer.ema=0.9", "[optimizer] ema: 0.5 -> 0.9"),
        ("loss arcface.margin=0.5", "loss arcface.margin=0.4", "[loss arcface] margin: 0.5 -> 0.4"),
    ],
)
def test_what_a_run_can_change_is_logged(old, new, line, caplog):
    with caplog.at_level(logging.INFO, "keras_face"):
        check(facts(old), facts(new), "run/ckpt-3")
    assert caplog.messages == [f"changed since run/ckpt-3: {line}"]


def test_nothing_is_said_of_what_is_as_it_was(caplog):
    with caplog.at_level(logging.INFO, "keras_face"):
        check(facts(held_out=["Cy"]), facts(held_out=["Cy"]), "run/ckpt-3")
    assert caplog.messages == []


@pytest.mark.parametrize(
    "now, message",
    [
        ({"people": ("Bo", "Ada")}, "expected the 2 people that this run began with, in their order, got others"),
        ({"held_out": ["Di"]}, "expected the 1 people to be held out who were when this run began, got others"),
    ],
)
def test_other_people_are_refused(now, message):
    with pytest.raises(ValueError, match=message):
        check(facts(held_out=["Cy"]), facts(**{"held_out": ["Cy"], **now}), "run/ckpt-3")


@pytest.mark.parametrize(
    "index, told",
    [
        (np.array([(0, 2, 100), (1, 4, 190)], INDEX_DTYPE), "photos 5 -> 6, bytes 250 -> 290"),
        (np.array([(1, 2, 100), (0, 3, 150)], INDEX_DTYPE), "other labels, or another order"),
    ],
)
def test_records_that_have_changed_are_told(index, told, caplog):
    check(facts(), facts(index=index), "run/ckpt-3")
    (line,) = caplog.messages
    assert line.startswith(f"records/mine: these records have changed since run/ckpt-3: {told}; the run goes on")


def test_what_tensorflow_cannot_restore_is_told_with_all_that_has_changed():
    line = does_not_fit("ckpt-3", facts(), facts("loss arcface.margin=0.4"), "Shape mismatch")
    assert "since then [loss arcface] margin was" in line
    assert line.endswith("Shape mismatch")


def test_a_run_of_an_earlier_version_is_known_by_its_files_and_a_broken_configuration_is_no_matter(tmp_path):
    settings = config.load(config.QUICK_START, ["optimizer.name=sgd"])
    config.write_config(settings, tmp_path / "config.ini")
    with pytest.raises(ValueError, match=r"\[optimizer\] name: expected sgd"):
        check(noted(tmp_path), facts("optimizer.name=sgdw", "optimizer.momentum_form=keras"), "run/ckpt-3")
    # The form of momentum is the checkpoint's own to tell (`momentum.check_form`), whatever a file without it says.
    assert "momentum_form" not in noted(tmp_path)["config"]["optimizer"]
    check(noted(tmp_path), facts("optimizer.name=sgd", "optimizer.momentum_form=keras"), "run/ckpt-3")
    (tmp_path / "config.ini").write_text("[run\n")
    assert noted(tmp_path) == {}
    check(noted(tmp_path), facts("optimizer.name=sgdw"), "run/ckpt-3")


def test_facts_hold_the_whole_configuration():
    settings = config.load(config.QUICK_START)
    assert set(facts()["config"]) == {field.name for field in dataclasses.fields(settings)}
