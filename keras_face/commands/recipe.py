"""Lists the recipes, or copies one, or config.ini.example, to be changed.

    keras-face recipe
    keras-face recipe --config lfw_view1 --output config.ini
    keras-face recipe --config config.ini.example --output config.ini

A recipe that is not changed need not be copied: `keras-face train --config lfw_view1`.
"""

from pathlib import Path

from absl import flags

from keras_face import commands, files
from keras_face.config import find_config, recipes

CONFIG = flags.DEFINE_string("config", None, "Name of a recipe, or config.ini.example; none: list them.")
OUTPUT = flags.DEFINE_string("output", None, "File to write, which must not exist; none: print.")


def main() -> str:
    if CONFIG.value is None:
        if OUTPUT.value is not None:
            raise ValueError(f"expected --config, what to write to {OUTPUT.value}, got none")
        return "\n".join(f"{name:<28} {_about(path)}" for name, path in recipes().items())
    text = find_config(CONFIG.value).read_text(encoding="utf-8")
    if OUTPUT.value is None:
        return text.rstrip("\n")
    if Path(OUTPUT.value).exists():
        raise FileExistsError(f"{OUTPUT.value}: expected a file that does not exist")
    files.write_text(OUTPUT.value, text)
    return f"{OUTPUT.value}: {CONFIG.value}"


def _about(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


if __name__ == "__main__":
    commands.run(main)
