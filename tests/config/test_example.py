"""config.ini.example: every key, its comment, its default."""

import configparser
import dataclasses
import runpy

import pytest

from keras_face import config
from keras_face.training import building

# What is not a default: the names and files of somebody's photos.
OF_PHOTOS = {"lfw", "ytf", "vgg", "ms1m", "WebFace"}


@pytest.fixture(scope="module")
def example(repository):
    return repository / "config.ini.example"


def parsed(path):
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(path)
    return parser


def meaning(path):
    """Returns what a file configures: its sections, and its losses with all of their settings and their weights."""
    loaded = config.load(path)
    layers, weights = building.build_losses(loaded.loss, loaded.losses, num_identities=5, num_sequences=2)
    settings = {name: layer.get_config() for name, layer in layers.items()}
    for values in settings.values():
        values.get("head", {}).pop("build_config", None)
    return dataclasses.replace(loaded, losses={}), settings, weights


def test_it_is_what_the_sections_give(example):
    made = runpy.run_path(str(example.parent / "docs" / "make_example.py"))["text"]()
    assert example.read_text(encoding="utf-8") == made, "run python docs/make_example.py"


def test_it_covers_every_key_with_its_comment(example):
    parser, text = parsed(example), example.read_text(encoding="utf-8")
    for section, kind in config.SECTIONS.items():
        assert set(parser[section]) == {field.name for field in dataclasses.fields(kind)}, section
        for field in dataclasses.fields(kind):
            assert f"# {field.metadata['comment']}\n{field.name} =" in text, f"[{section}] {field.name}"
    assert set(parser["vgg"]) == {field.name for field in dataclasses.fields(config.DatasetConfig)}


def test_each_line_can_be_left_out_without_a_change(example, tmp_path):
    lines = example.read_text(encoding="utf-8").splitlines()
    whole, section, tried, path = meaning(example), "", 0, tmp_path / "shorter.ini"
    for number, line in enumerate(lines):
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#") and section not in OF_PHOTOS and not line.startswith("train ="):
            path.write_text("\n".join(lines[:number] + lines[number + 1 :]), encoding="utf-8")
            assert meaning(path) == whole, f"[{section}] {line}"
            tried += 1
    assert tried > 90


def test_it_keeps_the_sections_and_keys_of_margin_centre_face(example):
    published = {
        "lfw": {"enable", "npdata", "pairs", "prefix"},
        "ytf": {"enable", "pairs", "prefix", "splits", "ytf_error"},
        "WebFace": {"train_list", "prefix"},
        "ms1m": {"mxrec"},
        "vgg": {"mxrec"},
    }
    parser = parsed(example)
    for section, keys in published.items():
        assert keys <= set(parser[section])
