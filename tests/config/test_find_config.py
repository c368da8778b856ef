"""A configuration is found by its path, or among the recipes by name, in a clone and in an installed package."""

import pytest

from keras_face import config
from keras_face.config import finding


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["lfw_view1", "lfw_view1.ini", "recipes/lfw_view1.ini"])
def test_a_recipe_is_found_by_its_name_outside_the_clone(name, repository):
    assert config.find_config(name) == repository / "recipes" / "lfw_view1.ini"
    assert config.load(name).run.output_dir == "output/lfw_view1"


def test_a_file_goes_before_a_recipe_and_a_folder_does_not(elsewhere, repository):
    (elsewhere / "vit").mkdir()
    assert config.find_config("vit") == repository / "recipes" / "vit.ini"
    (elsewhere / "vit.ini").write_text("[run]\noutput_dir = own\n")
    assert config.load("vit.ini").run.output_dir == "own"


@pytest.mark.parametrize("path", ["seqface1", "seqface1.ini", "elsewhere/seqface_1.ini"])
def test_what_is_neither_names_the_nearest_recipe(path):
    with pytest.raises(FileNotFoundError, match=rf"^{path}: expected .* did you mean seqface_1\? Recipes: adaface, "):
        config.load(path)


def test_nothing_near_is_not_suggested():
    with pytest.raises(FileNotFoundError, match=r"^output/qqq: expected a .* found none; Recipes: adaface"):
        config.load("output/qqq")


def test_an_installed_package_has_its_own(elsewhere, monkeypatch):
    package = elsewhere / "site-packages" / "keras_face"
    for folder in (package / "recipes", package.parent / "recipes"):  # the second is another package's
        folder.mkdir(parents=True)
        (folder / "vit.ini").touch()
    monkeypatch.setattr(finding, "_PACKAGE", package)
    assert config.find_config("vit") == package / "recipes" / "vit.ini"
    assert config.recipes()["config.ini.example"] == package / "config.ini.example"
