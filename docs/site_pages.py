"""What mkdocs makes beside the files of docs/: the start page from README.md, and links that leave docs/."""

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

HOME = Path(__file__).parents[1]


def on_config(config: Any) -> Any:
    """Lists the pages of the commands, which docs/make_commands.py writes, in the navigation."""
    folder = Path(config.docs_dir, "commands")
    if not folder.is_dir():
        raise PluginError("expected docs/commands: run python docs/make_commands.py first")
    names = ["index.md", *sorted(path.name for path in folder.glob("*.md") if path.name != "index.md")]
    [entry] = [each for each in config.nav if "Commands" in each]
    entry["Commands"] = [f"commands/{name}" for name in names]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Adds README.md as the start page, and CHANGELOG.md; their links to files outside of docs/ become names."""
    for source, page in (("README.md", "index.md"), ("CHANGELOG.md", "changes.md")):
        text = (HOME / source).read_text(encoding="utf-8").replace("](docs/", "](")
        text = re.sub(r"\[([^\]]+)\]\(((?!http)[^)]+)\)", _within(files), text)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Leads links to CHANGELOG.md to its page."""
    return markdown.replace("](../CHANGELOG.md)", "](changes.md)")


def _within(files: Files) -> Any:
    def link(match: re.Match) -> str:
        text, target = match.groups()
        return match.group() if files.get_file_from_path(target.partition("#")[0]) else text

    return link
