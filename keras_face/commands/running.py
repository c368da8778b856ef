"""How a command runs and ends: help, its summary, or one line for an error or a flag that has another name now."""

import io
import os
import sys
import warnings
from collections.abc import Callable, Mapping

from absl import app, flags, logging

from keras_face.commands import usage
from keras_face.commands.errors import one_line
from keras_face.files import printable
from keras_face.photos.limit import set_max_pixels

# Flags that an argument without one may be meant for, in this order.
_MAY_BE_MEANT = ("config", "records", "model_path", "source", "output_dir")


def run(work: Callable[[], object], renamed: Mapping[str, str] | None = None) -> None:
    """Runs a command and ends the process: prints what it returns, or exits with it where that is a status.

    --help prints the docstring of the command's module and its flags, and ends in status 0. What the user can mend
    becomes one line on stderr and status 1, see `errors.one_line`. Names of files, which may hold anything, are shown
    as `files.printable`.

    Args:
        work: The command; returns a summary to print, or an exit status.
        renamed: From flags that the command had to their names now: one that is still given is an error that says so.
    """

    def main(argv: list[str]) -> int:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        if len(argv) > 1:
            return refuse(argv[1])
        if flags.FLAGS["verbosity"].using_default_value:
            logging.set_verbosity(logging.WARNING)  # TensorFlow Datasets tells much between the progress bars
        warnings.filterwarnings("ignore", module=r"PIL\.")  # on odd metadata of photos that it can read
        if "max_pixels" in flags.FLAGS:
            set_max_pixels(int(flags.FLAGS["max_pixels"].value or 0))
        try:
            result = work()
        except Exception as error:
            line = one_line(error)
            if line is None:
                raise
            print(f"error: {line}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130
        if isinstance(result, int):
            return result
        show(result)
        return 0

    def refuse(argument: str) -> int:
        print(f"error: {_without_flag(argument)}", file=sys.stderr)
        return 1

    def parse(argv: list[str]) -> list[str]:
        if usage.asked(argv[1:]):
            print(usage.help_text(work.__module__))
            sys.exit(0)
        try:
            return flags.FLAGS(argv)
        except flags.IllegalFlagValueError:  # such as one that must be given
            if not argv[1:] or argv[1].startswith("-"):
                return app.parse_flags_with_usage(argv)
            sys.exit(refuse(argv[1]))
        except flags.UnrecognizedFlagError as error:
            if error.flagname not in (renamed or {}):
                return app.parse_flags_with_usage(argv)
            print(f"error: --{error.flagname} is called --{(renamed or {})[error.flagname]} now", file=sys.stderr)
            sys.exit(1)

    app.run(main, flags_parser=parse)


def show(result: object) -> None:
    """Prints what a command has to say, names of files in it as `files.printable`."""
    print("\n".join(map(printable, str(result).split("\n"))))


def _without_flag(argument: str) -> str:
    """Returns what to say of an argument that has no flag: the flag that it was likely meant for."""
    has_flags = flags.FLAGS
    for name in _MAY_BE_MEANT:
        if name in has_flags and not has_flags[name].present and not (name == "config" and os.path.isdir(argument)):
            return f"expected flags alone, got {argument!r}; did you mean --{name} {argument}?"
    return f"expected flags alone, got {argument!r}"
