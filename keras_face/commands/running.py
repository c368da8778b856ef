"""How a command runs and ends: help, its summary, or one line for an error or a flag that has another name now."""

import sys
import warnings
from collections.abc import Callable, Mapping

from absl import app, flags, logging

from keras_face.commands import usage
from keras_face.photos.limit import set_max_pixels


def run(work: Callable[[], object], renamed: Mapping[str, str] | None = None) -> None:
    """Runs a command and ends the process: prints what it returns, or exits with it where that is a status.

    --help prints the docstring of the command's module and its flags, and ends in status 0. A ValueError, OSError,
    ImportError or FloatingPointError becomes one line on stderr and status 1.

    Args:
        work: The command; returns a summary to print, or an exit status.
        renamed: From flags that the command had to their names now: one that is still given is an error that says so.
    """

    def main(argv: list[str]) -> int:
        if len(argv) > 1:
            raise app.UsageError(f"Unexpected arguments: {argv[1:]}")
        if flags.FLAGS["verbosity"].using_default_value:
            logging.set_verbosity(logging.WARNING)  # TensorFlow Datasets tells much between the progress bars
        warnings.filterwarnings("ignore", module=r"PIL\.")  # on odd metadata of photos that it can read
        if "max_pixels" in flags.FLAGS:
            set_max_pixels(int(flags.FLAGS["max_pixels"].value or 0))
        try:
            result = work()
        except (ValueError, OSError, ImportError, FloatingPointError) as error:
            print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        if isinstance(result, int):
            return result
        print(result)
        return 0

    def parse(argv: list[str]) -> list[str]:
        if usage.asked(argv[1:]):
            print(usage.help_text(work.__module__))
            sys.exit(0)
        try:
            return flags.FLAGS(argv)
        except flags.UnrecognizedFlagError as error:
            if error.flagname not in (renamed or {}):
                return app.parse_flags_with_usage(argv)
            print(f"error: --{error.flagname} is called --{(renamed or {})[error.flagname]} now", file=sys.stderr)
            sys.exit(1)

    app.run(main, flags_parser=parse)
