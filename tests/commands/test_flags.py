"""The flags of all commands: old names are told, shared ones are shown, and none is overruled in silence."""

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags

from keras_face import commands, config

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


REPOSITORY = Path(__file__).parents[2]
ALL = [
    f"{folder}.{path.stem}"
    for folder in ("tfrecords_tools", "eval")
    for path in (REPOSITORY / folder).glob("[a-z]*.py")
]
ALL = sorted([*ALL, "train_centre", "train_triplet"])


@pytest.mark.parametrize("command", ALL)
def test_help_shows_the_docstring_and_each_flag_of_the_command_and_no_more(run, command):
    status, told, errors, own = run(command, "--help")
    assert (status, errors) == (0, "")
    source = (REPOSITORY / Path(*command.split("."))).with_suffix(".py").read_text()
    assert told.startswith(f"{ast.get_docstring(ast.parse(source))}\n\nFlags:\n  --")
    shown = re.findall(r"^  --(?:\[no\])?(\w+): \S", told, re.MULTILINE)
    assert len(shown) > 3
    assert sorted(shown) == sorted(own)


def test_help_tells_kinds_defaults_and_what_is_required(run):
    _, told, _, _ = run("tfrecords_tools.align", "--help")
    told = " ".join(told.split())
    assert "--source: Folder of photos, of any depth, or one photo. (required)" in told
    assert "--faces: <largest|central|best|all>: Which of the faces found in a photo. (default: largest)" in told
    assert (
        "--thresholds: Detector: least scores of its three networks. (a comma separated list, default: 0.6, 0.7, 0.8)"
        in told
    )
    assert (
        "--[no]write_records: Write records, not crops; the source has a folder of photos per person. (default: False)"
        in told
    )


def test_help_of_a_process_is_help_alone():
    command = [sys.executable, "-m", "tfrecords_tools.write_images", "--help"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("A folder per person of aligned photos becomes records.")
    assert "--source" in ended.stdout
    assert "helpfull" not in ended.stdout


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
        return read(lambda file: (), ("optimizer.ema=0.5",))

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


def test_without_a_file_the_quick_start_is_trained_and_with_ones_own_data_the_defaults(training):
    quick, own = training(), training("--set=data.train=mine", "--set=mine.records=records", "--set=training.epochs=20")
    assert (quick.training.steps, quick.model.width, quick.lfw.enable, quick.optimizer.ema) == (400, 0.25, True, 0.5)
    defaults = config.load(None, ["data.train=mine", "mine.records=records", "training.epochs=20"])
    assert own == defaults
    assert (own.model.width, own.model.embedding_size, own.lfw.enable) == (1.0, 512, False)


@pytest.fixture
def earlier(tmp_path):
    """The folder of a run of another network than the defaults', with a checkpoint and an export."""
    for part in ("checkpoints", "export/100"):
        (tmp_path / "run" / part).mkdir(parents=True)
    overrides = ["model.backbone=sphereface4", "model.width=0.5", "model.embedding_size=64", "data.image_size=48,40"]
    config.write_config(config.load(None, overrides), tmp_path / "run" / "config.ini")
    return tmp_path / "run"


def network(found):
    return found.model.backbone, found.model.width, found.model.embedding_size, found.data.image_size


OWN = ("--set=data.train=mine", "--set=mine.records=records")


@pytest.mark.parametrize("data", [OWN, ()])
@pytest.mark.parametrize("part", ["", "checkpoints", "checkpoints/ckpt-100", "export/100"])
def test_a_network_that_starts_from_a_run_is_that_of_the_run(training, earlier, data, part):
    assert network(training(f"--model_path={earlier / part}", *data)) == ("sphereface4", 0.5, 64, (48, 40))


def test_what_flags_and_file_say_of_the_network_goes_over_that_of_the_run(training, earlier, tmp_path):
    found = training(f"--set=model.model_path={earlier}", *OWN, "--set=model.width=0.25", "--image_size=56,56")
    assert network(found) == ("sphereface4", 0.25, 64, (56, 56))
    (tmp_path / "own.ini").write_text(f"[model]\nmodel_path = {earlier}\nembedding_size = 512\n")
    assert network(training(f"--config={tmp_path / 'own.ini'}")) == ("sphereface4", 0.5, 512, (48, 40))


def test_pixels_are_divided_as_in_the_run_that_a_network_starts_from(training, earlier):
    config.write_config(config.load(earlier / "config.ini", ["data.standardise=127.5"]), earlier / "config.ini")
    assert training(f"--model_path={earlier}", *OWN).data.standardise == 127.5


def test_people_held_out_of_a_run_are_held_out_of_what_starts_from_it(training, earlier):
    overrides = ["data.hold_out=0.2", "data.hold_out_seed=7"]
    config.write_config(config.load(earlier / "config.ini", overrides), earlier / "config.ini")
    found = training(f"--model_path={earlier}", *OWN)
    assert (found.data.hold_out, found.data.hold_out_seed) == (0.2, 7)
    assert training(f"--model_path={earlier}", *OWN, "--set=data.hold_out=0").data.hold_out == 0


def test_a_folder_with_a_configuration_that_is_no_run_says_nothing_of_the_network(training, tmp_path):
    (tmp_path / "config.ini").write_text("[model]\nbackbone = sphereface4\n")
    assert training(f"--model_path={tmp_path / 'export'}", *OWN).model.backbone == "iresnet50"


def test_tiny_needs_a_file(training):
    with pytest.raises(ValueError, match=r"^the defaults: expected a section \[tiny\], found none$"):
        training("--tiny", *OWN)
