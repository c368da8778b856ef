"""The package as a library: what `import keras_face` offers, and what it does not do."""

import importlib
import re
import runpy
import subprocess
import sys

import pytest

import keras_face


def test_importing_does_no_work_but_to_choose_keras_2():
    code = (
        "import os, sys; os.environ.pop('TF_USE_LEGACY_KERAS', None); before = dict(os.environ); import keras_face;"
        "assert 'tensorflow' not in sys.modules and 'numpy' not in sys.modules;"
        "print({name: value for name, value in os.environ.items() if before.get(name) != value})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "{'TF_USE_LEGACY_KERAS': '1'}\n", done.stderr


@pytest.mark.parametrize("name", [name for name in keras_face.__all__ if name != "__version__"])
def test_every_name_is_there_with_a_docstring(name):
    assert getattr(keras_face, name).__doc__
    assert name in dir(keras_face)


def test_another_name_is_an_error_that_lists_them():
    with pytest.raises(AttributeError, match=r"no attribute 'loses'; it has FaceModel, .*losses"):
        keras_face.loses  # noqa: B018


def told_to_setuptools(repository, **environment):
    import setuptools

    given = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("KERAS_FACE_URL", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY"):
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(setuptools, "setup", lambda **settings: given.update(settings))
        patch.chdir(repository)
        runpy.run_path("setup.py")
    return given


@pytest.fixture
def setup(repository):
    """What setup.py tells setuptools."""
    return told_to_setuptools(repository)


@pytest.mark.parametrize(
    "environment",
    [
        {"KERAS_FACE_URL": "https://forge.example/a/b/"},
        {"GITHUB_SERVER_URL": "https://forge.example", "GITHUB_REPOSITORY": "a/b"},
    ],
)
def test_a_package_built_where_the_address_is_known_links_to_it(repository, environment):
    given = told_to_setuptools(repository, **environment)
    assert given["url"] == "https://forge.example/a/b"
    links = re.findall(r"\]\(([^)]+)\)", given["long_description"])
    assert len(links) > 20
    start = "https://forge.example/a/b/blob/main/"
    for link in [*links, given["project_urls"]["Documentation"], given["project_urls"]["Changes"]]:
        assert link.startswith(start), link
        assert (repository / link.removeprefix(start).partition("#")[0]).exists(), link


def test_a_package_built_elsewhere_has_the_readme_as_it_is(setup, repository):
    assert setup["long_description"] == (repository / "README.md").read_text(encoding="utf-8")
    assert (setup["url"], setup["project_urls"]) == (None, {})


def test_the_version_has_one_home(setup, repository):
    assert setup["version"] == keras_face.__version__
    changes = (repository / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == keras_face.__version__


def test_the_program_is_a_function(setup):
    [program] = setup["entry_points"]["console_scripts"]
    name, module, function = re.fullmatch(r"([\w-]+) = ([\w.]+):(\w+)", program).groups()
    assert name == "keras-face"
    assert callable(getattr(importlib.import_module(module), function))


def test_the_claimed_pythons_are_those_that_ran(setup, repository):
    def text(path):
        return (repository / path).read_text(encoding="utf-8")

    tested = re.search(r'python-version: "(.+)"', text(".github/workflows/ci.yml"))[1]
    ran = re.findall(r"^    [\d-]+ Python (3\.\d+)\.\d+, .+: exit 0, ", text("CONTRIBUTING.md"), re.MULTILINE)
    claimed = [name.rpartition(" ")[2] for name in setup["classifiers"] if re.search(r":: 3\.\d+$", name)]
    assert claimed == sorted({tested, *ran})
    assert setup["python_requires"] == f">={claimed[0]}"
    assert f'target-version = "py{claimed[0].replace(".", "")}"' in text("pyproject.toml")


def test_a_commit_is_checked_as_ci_does(repository):
    hooks = (repository / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    script = (repository / ".ci" / "run").read_text(encoding="utf-8")
    lint = re.search(r'^echo "== lint and types"\n(.+?)\n\n', script, re.MULTILINE | re.DOTALL)[1]
    assert re.findall(r"entry: (.+)", hooks) == lint.splitlines()


def test_types_are_published(repository):
    assert (repository / "keras_face" / "py.typed").exists()
