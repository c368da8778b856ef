"""Every code block of README.md and docs/ is run, or parsed by the command that it calls, or listed with a reason."""

import itertools
import os
import re
import runpy
import shlex
import shutil
from pathlib import Path

import pytest
from absl import flags
from command_runs import own_flags
from doc_blocks import PAGES, REPOSITORY, blocks
from doc_workspace import make_workspace, python_names

from keras_face import config
from keras_face.training.build_losses import build_losses

BLOCKS = [block for page in PAGES for block in blocks(page)]

# Blocks that are neither command nor Python nor configuration, by how they begin, and what they are.
NOT_COMMANDS = {
    "design.md: flowchart LR": "a picture that mermaid draws",
    "design.md: images    repeated encoded JPEG or PNG, aligned crops, RGB": "the fields of a record",
    "inspect.md: lfw: 13,233 photos 112x112 of 5,749 people": "what inspect prints",
}
# Commands that are parsed and not run, by a part that names them, and why.
PARSED = {
    "benchmarks/": "minutes to hours",
    "docs/make_commands.py": "test_docs.py runs it",
    "recipes/lfw_view1.ini --output": "writes the records of 6,671 photos first",
    "tfrecords_tools.from_tfds": "takes a dataset that is downloaded; tests/formats runs it",
    "tfrecords_tools.write_sequences": "follows faces through films; tests/sequences runs it",
    "points68": "takes 68 points of each photo; tests/alignment runs it",
}
# Names that stand for the reader's own.
STAND_FOR = {"DIR": "records/many", "MODEL": "output/mine", "NEW": "made/new", "DIR2": "made/other"}
SYNOPSIS = re.compile(r"\[-")  # as [--output_dir DIR]: what may be left out


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workspace")
    real = Path(os.environ.get("KERAS_FACE_DATA") or REPOSITORY / "../shared/data", "lfw/raw250_deepfunneled_sample")
    make_workspace(folder, real if real.is_dir() else None)
    return folder, real.is_dir()


@pytest.fixture
def workspace(made, tmp_path, monkeypatch):
    """A copy of what the commands name, which is the working folder."""
    folder = shutil.copytree(made[0], tmp_path / "workspace", symlinks=True)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(REPOSITORY)
    return folder


@pytest.fixture
def trained(monkeypatch):
    """The configurations that were trained; in place of training, losses are built of them."""
    found = []

    def train(given):
        assert given.training.steps or given.training.epochs
        build_losses(
            given.loss,
            given.losses,
            num_identities=3,
            num_sequences=0,
            has_teacher=bool(given.teacher.model_path),
        )
        found.append(given)

    monkeypatch.setattr("keras_face.training.run.train", train)
    monkeypatch.setattr("keras_face.training.log.show_log", lambda: None)
    return found


def test_each_block_is_of_a_kind_or_listed_with_a_reason():
    unknown = [block.name for block in BLOCKS if not block.kind and block.name not in NOT_COMMANDS]
    assert unknown == []
    assert set(NOT_COMMANDS) <= {block.name for block in BLOCKS}
    assert {block.kind for block in BLOCKS} == {"command", "python", "configuration", ""}
    text = "\n".join(block.text for block in BLOCKS)
    assert [part for part in PARSED if part not in text] == []


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.kind == "command"], ids=lambda block: block.name)
def test_the_commands_of_a_block_run(block, workspace, made, command, trained):
    for line in block.lines:
        for part in line.split(" && "):
            words = [STAND_FOR.get(word, word) for word in shlex.split(part, comments=True)]
            if words[0] != "python":
                check_install(words)
            elif SYNOPSIS.search(line) or any(name in line for name in PARSED):
                check_flags(words, SYNOPSIS.search(line))
            else:
                # The report takes seconds: one is enough.
                shorter = ["--noreport"] if "eval.test_" in words[2] and block.page.name != "evaluation.md" else []
                run(command, [*words, *shorter], drawn=not made[1])
                assert bool(trained) == words[2].startswith("train_")
                trained.clear()


def run(command, words, drawn):
    """Runs `python -m MODULE ARGUMENTS`; what it is to write is not there before."""
    assert words[1] == "-m", words
    module, *arguments = words[2:]
    for flag, value in itertools.pairwise(arguments):
        if flag in ("--output_dir", "--output") and not module.startswith("train_"):
            shutil.rmtree(value) if os.path.isdir(value) else Path(value).unlink(missing_ok=True)
    if drawn:  # in drawn faces the detector need not find any
        arguments = ["aligned" if word == "detect" else word for word in arguments]
        arguments += ["--landmarks", "none"] if module == "tfrecords_tools.align" else []
    ended = command(module, *arguments)
    # The status of inspect says whether the photos have faults.
    assert ended.returncode in ((0, 1) if module == "tfrecords_tools.inspect" else (0,)), ended.stderr
    assert "error:" not in ended.stderr


def check_flags(words, synopsis):
    """Parses arguments with the flags of the command that is called; of a synopsis looks for the flags alone."""
    file = words[1] if words[1] != "-m" else words[2].replace(".", "/") + ".py"
    with own_flags():
        runpy.run_path(str(REPOSITORY / file), run_name="documented")
        if synopsis:
            names = re.findall(r"--(?:no)?(\w+)", " ".join(words))
            assert [name for name in names if name not in flags.FLAGS] == []
            assert names
        else:
            flags.FLAGS.unparse_flags()
            assert flags.FLAGS([file, *words[2 if words[1] != "-m" else 3 :]]) == [file]


def check_install(words):
    """Checks the parts of the README's commands that install; .ci/run runs these."""
    if words[:2] == ["pip", "install"]:
        *options, editable, what = words[2:]
        assert editable == "-e"
        assert options in ([], ["-c", "constraints.txt"])
        extra = what.removeprefix(".").strip("[]")
        assert not extra or f'"{extra}": [' in (REPOSITORY / "setup.py").read_text()
    else:
        assert words in (
            ["python3", "-m", "venv", ".venv"],
            [".", ".venv/bin/activate"],
            ["pytest"],
            ["mkdocs", "serve"],
        )


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.kind == "configuration"], ids=lambda b: b.name)
def test_the_configuration_of_a_block_is_taken(block, tmp_path, trained):
    file = tmp_path / "block.ini"
    file.write_text(block.text)
    given = config.given(file)
    names = given.get("data", {}).get("train", ("",))[0].split(",")
    others = [name.strip() for name in names if name.strip() and name.strip() not in given]
    loaded = config.load(file, [f"{name}.records=DIR" for name in others])
    # What is written out of it says of every key of the block what the block says.
    config.write_config(loaded, tmp_path / "whole.ini")
    whole = config.given(tmp_path / "whole.ini")
    for section, keys in given.items():
        for key, (text, _) in keys.items():
            assert values_of(whole[section][key][0]) == values_of(text), f"[{section}] {key}"
    layers, _ = build_losses(
        loaded.loss,
        loaded.losses,
        num_identities=3,
        num_sequences=0,
        has_teacher=bool(loaded.teacher.model_path),
    )
    named = {name.removeprefix("loss ") for name in given if name.startswith("loss ")}
    assert {name for name in named if loaded.losses[name].get("weight") != 0} <= set(layers)


def values_of(text):
    """Returns the values of a key, numbers as such."""
    found = []
    for part in text.split(","):
        try:
            found.append(float(part))
        except ValueError:
            found.append(part.strip())
    return found


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.kind == "python"], ids=lambda block: block.name)
def test_the_python_of_a_block_runs(block, workspace):
    names = python_names(workspace)
    before = set(names)
    exec(compile(block.text, block.name, "exec"), names)
    assert set(names) - before or Path("report.html").stat().st_size > 10_000


def test_the_similarity_of_served_embeddings_is_one_cosine(workspace):
    names = python_names(workspace)
    [block] = [each for each in BLOCKS if "saved_model.load" in each.text]
    exec(compile(block.text, block.name, "exec"), names)
    first, second = names["first"].numpy(), names["second"].numpy()
    assert names["similarity"].shape == ()
    assert float(names["similarity"]) == pytest.approx(sum(a * b for a, b in zip(first, second, strict=True)), abs=1e-6)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_in_a_line_name_flags_that_are_there(page):
    for text in re.findall(r"`(python -m (?:train_|tfrecords_tools\.|eval\.)[^`]+)`", page.read_text(encoding="utf-8")):
        if "--" in text:
            check_flags(shlex.split(text), synopsis=True)


def test_readme_trains_on_ones_own_photos_what_it_says(trained, command, workspace):
    [block] = [each for each in BLOCKS if "my_photos" in each.text]
    [line] = [line for line in block.lines if "train_centre" in line]
    run(command, shlex.split(line), drawn=False)
    [given] = trained
    assert given.data.train == ("mine",)
    assert given.datasets["mine"].records == "records/mine"
    assert given.data.hold_out == 0.2
    assert not given.lfw.enable
    assert given.model.embedding_size == 512
    assert (given.training.steps, given.training.epochs) == (0, 20)
