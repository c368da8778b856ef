"""The flags of all commands: old names are told, shared ones are shown, and none is overruled in silence."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from keras_face import commands

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"


def renamed() -> list[tuple[str, str, str]]:
    """Command, old flag and new flag of each row of CHANGELOG.md's table."""
    rows = re.findall(r"^\| `([\w.]+)` \| (`--.+?) \| (`--.+?) \|$", CHANGELOG.read_text(), re.MULTILINE)
    pairs = [(command, *(re.findall(r"`--(\w+)`", cell) for cell in cells)) for command, *cells in rows]
    return [(command, *pair) for command, old, new in pairs for pair in zip(old, new, strict=True)]


@pytest.fixture
def run(monkeypatch, capsys, repository):
    """Runs a command in this process; gives its status, stdout, stderr and the flags that it has."""
    monkeypatch.syspath_prepend(repository)

    def run(command, *arguments):
        before = set(flags.FLAGS)
        monkeypatch.setattr(sys, "argv", [command, *arguments])
        capsys.readouterr()
        try:
            runpy.run_path(str(Path(repository, *command.split(".")).with_suffix(".py")), run_name="__main__")
        except SystemExit as end:
            status = end.code
        finally:
            own = set(flags.FLAGS) - before
            for name in own:
                delattr(flags.FLAGS, name)
        return status, *capsys.readouterr(), own

    return run


@pytest.mark.parametrize(("command", "old", "new"), renamed())
def test_an_old_flag_ends_in_one_line_that_names_the_new_one(run, command, old, new):
    if (command, old) == ("eval.test_ijb", "template"):  # it is there, with another meaning
        status, _, told, own = run(command, "--template=norm_quality", "--scores=none.csv")
        assert told.startswith("error: expected --pooling norm_quality: ")
    else:
        status, _, told, own = run(command, f"--{old}=something")
        assert told == f"error: --{old} is called --{new} now\n"
    assert status == 1
    assert new in own


def test_the_table_of_renamed_flags_is_read():
    assert ("eval.test_megaface", "distractors", "distractor_source") in renamed()
    assert len(renamed()) > 15


def test_help_shows_the_flags_that_commands_share(repository):
    # In a process of its own, as absl defines --help once in a process.
    command = [sys.executable, "-m", "tfrecords_tools.write_images", "--help"]
    told = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False).stdout
    for name in ("source", "set_size", "min_photos", "output_dir", "num_shards", "beam_runner"):
        assert re.search(rf"^  --{name}:", told, re.MULTILINE), name


def test_data_is_another_name_of_source(run):
    for flag in ("--source", "--data"):
        status, _, told, _ = run("eval.test_lfw", "--model_path=/no/model", f"{flag}=/no/photos")
        assert (status, told) == (1, "error: /no/photos: expected a folder of photos, a .bin or a .np file\n")


@pytest.fixture
def training():
    """The configuration that a training's flags give."""
    before = set(flags.FLAGS)
    read = commands.training_flags("the quick start.")

    def load(*arguments):
        flags.FLAGS.unparse_flags()
        flags.FLAGS(["train", *arguments])
        return read(lambda file: (), ())

    yield load
    for name in set(flags.FLAGS) - before:
        delattr(flags.FLAGS, name)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--batch_size=32", "--set=training.batch_size=64"], ["--batch_size=32", "training.batch_size=64"]),
        (["--output_dir=a", "--set=run.output_dir=b"], ["--output_dir=a", "run.output_dir=b"]),
    ],
)
def test_a_flag_and_a_setting_that_differ_are_both_named(training, arguments, named):
    with pytest.raises(ValueError, match="one value") as raised:
        training(*arguments)
    assert all(each in str(raised.value) for each in named)


def test_a_flag_and_a_setting_that_agree_are_taken(training):
    assert training("--batch_size=32", "--set=training.batch_size = 32").training.batch_size == 32
