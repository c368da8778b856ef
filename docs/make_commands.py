"""Writes docs/commands/, a page for each command, from what its --help prints; they are not kept in the repository.

Run it as `python docs/make_commands.py` before `mkdocs build`.
"""

import contextlib
import io
import os
import runpy
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from keras_face.commands import dispatcher

FOLDER = Path(__file__).parent / "commands"
HEAD = "This is what `--help` prints."


def pages() -> dict[str, str]:
    """Returns the text of each page, by the name of its file."""
    found, listed = {}, ["# Commands"]
    for heading, commands in dispatcher.groups().items():
        listed += ["", f"## {heading}", "", "| command | what it does |", "|---|---|"]
        for name, command in commands.items():
            file = f"{command.module.rpartition('.')[2]}.md"
            listed.append(f"| [`{name}`]({file}) | {command.about()} |")
            both = f"`keras-face {name}` is `python -m {command.module}`."
            found[file] = f"# {name}\n\n{both} {HEAD}\n\n```text\n{help_of(command)}```\n"
    return {"index.md": "\n".join([*listed, ""]), **found}


def help_of(command: dispatcher.Command) -> str:
    """Returns what --help of a command prints."""
    before, argv, told = set(flags.FLAGS), sys.argv, io.StringIO()
    try:
        sys.argv = [str(command.path), "--help"]
        with contextlib.redirect_stdout(told), contextlib.suppress(SystemExit):
            runpy.run_path(str(command.path), run_name="__main__")
    finally:
        sys.argv = argv
        for name in set(flags.FLAGS) - before:
            delattr(flags.FLAGS, name)  # the next command defines its own
    return told.getvalue()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    made = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for file, text in made.items():
        (FOLDER / file).write_text(text, encoding="utf-8")
