"""The flags of margin-centre-face, and what they are other names of."""

import dataclasses
import importlib
import sys

import command_runs
import pytest
from absl import flags

from keras_face import config


def test_every_familiar_flag_stands_for_a_key_that_exists():
    for flag, key in config.FAMILIAR_FLAGS.items():
        section, name = key.split(".")
        if section.startswith("loss "):
            settings = {"angular_centre": {"weight", "scale"}, "batch_hard_triplet": {"weight", "margin"}}
            assert name in settings[section.removeprefix("loss ")], flag
        else:
            assert name in {field.name for field in dataclasses.fields(config.SECTIONS[section])}, flag


def test_net_depth_names_the_network_of_margin_centre_face():
    assert config.familiar("net_depth", "50") == ["model.backbone=lresnet50e_ir"]
    assert config.familiar("net_depth", "iresnet18") == ["model.backbone=iresnet18"]


def test_epochs_that_are_asked_for_take_the_place_of_the_files_steps(repository):
    path = repository / "recipes" / "margin_centre_face.ini"
    assert config.load(path).training.steps > 0
    training = config.load(path, config.familiar("epoch", "3")).training
    assert (training.steps, training.epochs) == (0, 3)


def test_flags_of_its_losses_reach_the_sections_of_these_losses():
    overrides = [
        *config.familiar("centre_weight", "0.5"),
        *config.familiar("triplet_weight", "2"),
        *config.familiar("triplet_margin", "0.4"),
        "data.images_per_identity=4",
    ]
    assert config.load(None, overrides).losses == {
        "angular_centre": {"weight": 0.5},
        "batch_hard_triplet": {"weight": 2.0, "margin": 0.4},
    }


@pytest.mark.parametrize(
    "flag, value, override",
    [
        ("batch_size", "64", "training.batch_size=32"),
        ("centre_weight", "0.3", "loss angular_centre.weight=0"),
        ("net_depth", "50", "model.backbone=iresnet50"),
        ("epoch", "3", "training.steps=100"),
        ("image_size", "112,96", "data.image_size=112,112"),
    ],
)
def test_a_flag_and_an_override_that_differ_are_both_named(flag, value, override):
    with pytest.raises(ValueError, match="expected one value of") as raised:
        config.check_flag(f"--{flag}={value}", config.familiar(flag, value), ["run.seed=1", override])
    assert f"--{flag}={value} and --set '{override}'" in str(raised.value)


@pytest.mark.parametrize(
    "flag, value, overrides",
    [
        ("batch_size", "64", ["training.batch_size=64"]),
        ("centre_weight", "0.30", ["loss angular_centre.weight = 0.3"]),
        ("net_depth", "50", ["model.backbone=lresnet50e_ir"]),
        ("image_size", "112,96", ["data.image_size=112, 96"]),
        ("batch_size", "64", ["training.batch_size=32", "training.batch_size=64"]),
        ("batch_size", "64", ["training.steps=32"]),
    ],
)
def test_a_flag_and_an_override_may_say_the_same(flag, value, overrides):
    config.check_flag(f"--{flag}={value}", config.familiar(flag, value), overrides)


@pytest.fixture
def train_centre(monkeypatch):
    """The module, whose flags are forgotten afterwards, so that other commands can define theirs."""
    monkeypatch.delitem(sys.modules, "train_centre", raising=False)
    with command_runs.own_flags():
        module = importlib.import_module("train_centre")
        yield module
    monkeypatch.delitem(sys.modules, "train_centre", raising=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--batch_size=64", "--set=training.batch_size=32"],
        ["--output_dir=a", "--set=run.output_dir=b"],
        ["--centre_weight=0.5", "--set=loss angular_centre.weight=0"],
    ],
)
def test_the_command_names_a_flag_and_an_override_that_differ(train_centre, arguments):
    flags.FLAGS(["train_centre", *arguments])
    with pytest.raises(ValueError, match="got two") as raised:
        train_centre.read_config(lambda file: (), ())
    assert all(argument.removeprefix("--set=") in str(raised.value) for argument in arguments)


def test_the_command_takes_a_flag_over_the_file(train_centre):
    flags.FLAGS(["train_centre", "--centre_weight=0.5", "--batch_size=32", "--set=training.batch_size=32"])
    loaded = train_centre.read_config(lambda file: (), ())
    assert (loaded.losses["angular_centre"], loaded.training.batch_size) == ({"weight": 0.5, "scale": 32}, 32)
