"""The program keras-face: what it lists, what it runs, and that it imports a command only when it is called."""

import subprocess
import sys
from pathlib import Path

import command_runs
import pytest

from keras_face.commands import dispatcher


@pytest.fixture
def keras_face(monkeypatch, capsys, repository):
    """Runs `keras-face ARGUMENTS` in this process; gives its status, stdout and stderr."""
    monkeypatch.syspath_prepend(repository)

    def run(*arguments):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["keras-face", *arguments])
        with command_runs.own_flags():
            try:
                status = dispatcher.main()
            except SystemExit as end:
                status = end.code or 0
        return status, *capsys.readouterr()

    return run


def entry_points(repository) -> dict[str, Path]:
    files = [*(repository / "tfrecords_tools").glob("*.py"), *(repository / "eval").glob("*.py")]
    found = {path.stem.replace("_", "-"): path for path in files if path.stem != "__init__"}
    return found | {"train": repository / "train_centre.py", "triplet": repository / "train_triplet.py"}


def test_help_lists_every_entry_point_by_the_first_line_of_its_docstring_without_importing_one(repository):
    code = (
        "import sys; sys.argv = ['keras-face', '--help']; from keras_face.commands import dispatcher;"
        "assert dispatcher.main() == 0;"
        "print(sorted({'tensorflow', 'eval', 'tfrecords_tools', 'train_centre', 'train_triplet'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False)
    *told, imported = done.stdout.splitlines()
    assert imported == "[]", done.stderr
    listed = dict(line.split(maxsplit=1) for line in told if line.startswith("  "))
    expected = entry_points(repository) | {"recipe": repository / "keras_face" / "commands" / "recipe.py"}
    assert listed == {name: path.read_text().split('"""')[1].split("\n")[0] for name, path in expected.items()}


def test_a_command_runs_as_python_m_does(keras_face):
    assert keras_face("from-list", "--prefix=photos") == (1, "", "error: --prefix is called --source now\n")
    for name in ("from-list", "from_list"):
        status, _, told = keras_face(name, "--list=/no/list.txt", "--output_dir=/no/records")
        assert (status, told.count("\n")) == (1, 1)
        assert "/no/list.txt" in told
    status, _, told = keras_face("compare", "--first=/no/a.csv", "--second=/no/b.csv")
    assert (status, told.count("\n")) == (1, 1)
    assert "/no/a.csv" in told


def test_help_of_a_command_is_its_own(repository):
    module = [sys.executable, "-m", "keras_face.commands.recipe", "--help"]
    dispatched = [sys.executable, "-m", "keras_face.commands.dispatcher", "recipe", "--help"]
    one, other = (
        subprocess.run(each, cwd=repository, capture_output=True, text=True, check=False)
        for each in (module, dispatched)
    )
    assert "--config: " in one.stdout
    assert (other.returncode, other.stdout, other.stderr) == (one.returncode, one.stdout, one.stderr)


@pytest.mark.parametrize(
    ("name", "near"), [("algin", "align"), ("train_centre", "train"), ("write-image", "write-images")]
)
def test_an_unknown_command_names_the_nearest(keras_face, name, near):
    status, told, error = keras_face(name)
    assert (status, told) == (1, "")
    assert error.startswith(f"error: unknown command {name!r}; did you mean {near!r}? known are train, ")


def test_without_a_command_the_help_is_an_error(keras_face):
    status, told, error = keras_face()
    assert (status, told) == (1, "")
    assert error == keras_face("--help")[1]


def test_the_version_is_the_packages(keras_face):
    import keras_face as package

    assert keras_face("--version") == (0, f"keras-face {package.__version__}\n", "")


def test_recipes_are_listed_and_copied(keras_face, tmp_path, repository):
    status, told, _ = keras_face("recipe")
    names = [line.split()[0] for line in told.splitlines()]
    assert (status, names) == (
        0,
        [*sorted(path.stem for path in (repository / "recipes").glob("*.ini")), "config.ini.example"],
    )
    copy = tmp_path / "config.ini"
    assert keras_face("recipe", "--config=config.ini.example", f"--output={copy}")[0] == 0
    assert copy.read_bytes() == (repository / "config.ini.example").read_bytes()
    assert (
        keras_face("recipe", "--config=vit", f"--output={copy}")[2]
        == f"error: {copy}: expected a file that does not exist\n"
    )
    printed = keras_face("recipe", "--config=vit")[1]
    assert printed == (repository / "recipes" / "vit.ini").read_text()
