"""Who may import whom (docs/design.md): downward only."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# Rooms from below to above: a room may import those of earlier lines, and of its own line only what BESIDE names.
LINES = (
    ("backend", "config", "files", "stateless"),
    ("evaluation",),
    ("photos", "synthetic", "backbones", "losses"),
    ("masks", "augmentation"),
    ("records",),
    ("alignment", "formats", "export"),
    ("sequences", "inspection", "measurement"),
    ("testing",),
    ("training",),
    ("recognition",),
    ("commands",),
)
BESIDE = {"augmentation": {"masks"}, "config": {"files"}, "stateless": {"backend"}, "synthetic": {"photos"}}
NEVER = {  # of the rooms below
    "evaluation": {"backend", "config"},
    "recognition": {"training"},
}


def allowed(room: str) -> set[str]:
    """Returns the rooms that one may import, beside itself."""
    line = next(number for number, rooms in enumerate(LINES) if room in rooms)
    below = {other for rooms in LINES[:line] for other in rooms}
    return (below | BESIDE.get(room, set())) - NEVER.get(room, set())


LIBRARIES_OF_ONE_MODULE = {
    "tensorflow": "backend",
    "keras": "backend",
    "tf_keras": "backend",
    "tensorflow_addons": "backend",
}


def modules() -> list[Path]:
    return sorted((REPOSITORY / "keras_face").rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(REPOSITORY / "keras_face").parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_module_imports_only_the_rooms_below_its_own(path):
    own = room(path)
    if own == "__init__":  # what it names is imported when it is used
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module != "typing"]
        return
    assert own in {name for line in LINES for name in line}, f"{path} is in no room of the design"
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("keras_face.")} - {"__version__"}
    assert rooms - {own} <= allowed(own)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_only_the_backend_imports_tensorflow_and_keras(path):
    for name in imported(path):
        home = LIBRARIES_OF_ONE_MODULE.get(name.split(".")[0])
        assert home in (None, room(path)), f"{path} imports {name}"


def test_entry_points_import_the_package_and_never_each_other():
    entry_points = {"train_centre", "train_triplet", "tfrecords_tools", "eval", "benchmarks"}
    files = [REPOSITORY / "train_centre.py", REPOSITORY / "train_triplet.py"]
    for folder in ("tfrecords_tools", "eval", "benchmarks"):
        files += (REPOSITORY / folder).glob("*.py")
    for path in files:
        assert not {name.split(".")[0] for name in imported(path)} & entry_points, path


def test_the_package_imports_no_entry_point_and_no_flags():
    # `keras-face` runs one when it is called, by its name: tests/commands/test_dispatcher.py.
    for path in modules():
        names = imported(path)
        assert not {name.split(".")[0] for name in names} & {"train_centre", "train_triplet", "tfrecords_tools", "eval"}
        # Only `commands`, which is the entry points' own, and which nothing else imports.
        assert not names & {"absl.flags", "absl.app"} or room(path) == "commands", path


def test_every_room_says_what_it_is_for():
    for folder in (REPOSITORY / "keras_face").rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(folder.read_text(encoding="utf-8"))), f"{folder} has no docstring"


def test_the_table_of_the_design_names_the_rooms_in_the_order_that_this_test_keeps():
    text = (REPOSITORY / "docs" / "design.md").read_text(encoding="utf-8")
    table = text[text.index("## Rooms") : text.index("## The stack")]
    named = re.findall(r"^\| `(\w+)/?`", table, re.MULTILINE)
    built = {path.name.removesuffix(".py") for path in (REPOSITORY / "keras_face").iterdir()}
    assert named == [room for line in LINES for room in line if room in built]


def test_evaluation_runs_without_tensorflow():
    code = (
        "import sys; sys.modules['tensorflow'] = None;"
        " import keras_face.evaluation.scores, keras_face.evaluation.protocols,"
        " keras_face.evaluation.pickles, keras_face.evaluation.results, keras_face.evaluation.features,"
        " keras_face.evaluation.report, keras_face.evaluation.distractors; print('ok')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.stdout.strip() == "ok", done.stderr
