"""The code blocks of README.md and docs/, and what each is."""

from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


class Block(NamedTuple):
    """A code block, fenced or indented.

    Attributes:
        page: Its file.
        language: Of its fence; empty where it has none.
        text: Without indentation.
    """

    page: Path
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.name}: {self.text.splitlines()[0]}"

    @property
    def kind(self) -> str:
        """Returns command, configuration or python by what the block looks like; else an empty string."""
        first = self.text.split()[0]
        if self.language == "sh" or first in ("python", "python3", "pip", "pytest", "keras-face"):
            return "command"
        if first.startswith("["):
            return "configuration"
        try:
            compile(self.text, self.page.name, "exec")
        except SyntaxError:
            return "python" if self.language == "python" else ""
        return "python"

    @property
    def lines(self) -> list[str]:
        """Returns the commands of the block; a backslash, or an indented next line, goes on with one."""
        joined: list[str] = []
        for line in self.text.splitlines():
            if joined and (joined[-1].endswith("\\") or line.startswith(" ")):
                joined[-1] = f"{joined[-1].removesuffix(chr(92))} {line.strip()}"
            elif line.strip():
                joined.append(line)
        return joined


def blocks(page: Path) -> list[Block]:
    """Returns the code blocks of a page in their order."""
    found: list[Block] = []
    language, lines = None, []
    before = ""  # the line before, as only an empty one may stand above an indented block
    for line in [*page.read_text(encoding="utf-8").splitlines(), "", "end"]:
        if language is None and line.startswith("```"):
            language, lines = line.removeprefix("```").strip(), []
        elif language is not None and line.startswith("```") and language != "indented":
            found.append(Block(page, language, "\n".join(lines)))
            language = None
        elif language is None and line.startswith("    ") and not before.strip():
            language, lines = "indented", [line[4:]]
        elif language == "indented" and line.strip() and not line.startswith("    "):
            found.append(Block(page, "", "\n".join(lines).rstrip()))
            language = None
        elif language is not None:
            lines.append(line[4:] if language == "indented" else line)
        before = line
    return found
