"""Where a configuration is: at a path, or, by its name, among the recipes that come with the package."""

import difflib
import os
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_EXAMPLE = "config.ini.example"


def recipes() -> dict[str, Path]:
    """Returns the files that come with the package, by name: the recipes, and config.ini.example with every key."""
    # An installed package has them inside; in a clone they are beside it.
    home = next((folder for folder in (_PACKAGE, _PACKAGE.parent) if (folder / "recipes").is_dir()), _PACKAGE)
    found = {path.stem: path for path in sorted((home / "recipes").glob("*.ini"))}
    return found | {_EXAMPLE: home / _EXAMPLE}


def find_config(path: str | os.PathLike) -> Path:
    """Returns the file of a configuration.

    Args:
        path: A path; or, where there is no file, the name of a recipe, as `lfw_view1` or `recipes/lfw_view1.ini`.

    Raises: FileNotFoundError, which names the nearest recipe, if it is neither.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        return path
    known, name = recipes(), path.name.removesuffix(".ini")
    if path.parent in (Path(), Path("recipes")) and name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1, 0.6)
    hint = f"did you mean {near[0]}? " if near else ""
    raise FileNotFoundError(
        f"{path}: expected a configuration file or the name of a recipe, found none; {hint}Recipes: {', '.join(known)}"
    )
