"""The program `keras-face`: every command by its name, imported only when it is called.

    keras-face --help
    keras-face align --help
    keras-face align --source my_photos --output_dir crops/mine

`keras-face align` is `python -m tfrecords_tools.align`, and `keras-face train` is `python -m train_centre`.
"""

import ast
import importlib.util
import runpy
import sys
from pathlib import Path
from typing import NamedTuple

from keras_face import __version__
from keras_face.config.nearest import unknown


class Command(NamedTuple):
    """A command: the module that it runs, and the file of that."""

    module: str
    path: Path

    def about(self) -> str:
        """Returns the first line of the docstring, without importing the module."""
        return (ast.get_docstring(ast.parse(self.path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def groups() -> dict[str, dict[str, Command]]:
    """Returns the commands by name, under the heading that --help has them under."""
    return {
        "Training": {"train": _module("train_centre"), "triplet": _module("train_triplet")},
        "From photos to records": _modules("tfrecords_tools"),
        "Measuring": _modules("eval"),
        "Configurations": {"recipe": _module("keras_face.commands.recipe")},
    }


def main() -> int:
    """Runs the command that the command line names; returns a status, where the command does not end the process."""
    name, *arguments = sys.argv[1:] or [""]
    if name in ("-h", "--help", "help"):
        print(_help())
        return 0
    if name == "--version":
        print(f"keras-face {__version__}")
        return 0
    commands = {each: command for group in groups().values() for each, command in group.items()}
    command = commands.get(name.replace("_", "-"))
    if command is None:
        print(f"error: {unknown('command', name, commands)}" if name else _help(), file=sys.stderr)
        return 1
    sys.argv[1:] = arguments
    # As `python -m` does, so that flags, --help and worker processes are those of the module.
    runpy.run_module(command.module, run_name="__main__", alter_sys=True)
    return 0


def _help() -> str:
    lines = ["keras-face COMMAND [--FLAG=VALUE ...]"]
    for heading, commands in groups().items():
        lines += ["", f"{heading}:"]
        lines += [f"  {name:<16} {command.about()}" for name, command in commands.items()]
    return "\n".join([*lines, "", "keras-face COMMAND --help shows what a command takes."])


def _module(name: str) -> Command:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name}: expected the module beside keras_face, found none", name=name)
    return Command(name, Path(spec.origin))


def _modules(package: str) -> dict[str, Command]:
    folder = _module(package).path.parent
    paths = sorted(path for path in folder.glob("*.py") if path.stem != "__init__")
    return {path.stem.replace("_", "-"): Command(f"{package}.{path.stem}", path) for path in paths}


if __name__ == "__main__":
    sys.exit(main())
