"""What --help prints of a command: its docstring, and its own flags with their defaults."""

import sys
import textwrap

from absl import flags

_WIDTH = 110
_OF_ABSL = (
    ";\n    repeat this option to specify a list of values"  # what absl adds to the help of a flag with several values
)


def asked(arguments: list[str]) -> bool:
    """Returns whether the arguments of a command line ask for help."""
    names = {"help", "helpshort", "h", "?"}
    return any(each.startswith("-") and each.lstrip("-") in names for each in arguments)


def help_text(module: str) -> str:
    """Returns the docstring of a command's module, and a paragraph for each flag that it defines or shares.

    Args:
        module: Its name in `sys.modules`, `__main__` where it is run.
    """
    own = sorted(flags.FLAGS.get_key_flags_for_module(module), key=lambda flag: flag.name)
    return "\n".join([(sys.modules[module].__doc__ or "").strip(), "", "Flags:", *map(_paragraph, own)])


def _paragraph(flag: flags.Flag) -> str:
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    facts = [_kind(flag), "required" if _required(flag) else "", _default(flag)]
    told = ", ".join(filter(None, facts))
    about = (flag.help or "").removesuffix(_OF_ABSL)
    text = f"{name}: {about}" + (f" ({told})" if told else "")
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)


def _kind(flag: flags.Flag) -> str:
    """Returns what values there are, where the help does not begin with their list."""
    return "" if flag.boolean or isinstance(flag.parser, flags.EnumParser) else flag.parser.syntactic_help


def _default(flag: flags.Flag) -> str:
    default = flag.default
    if default is None or default == "" or default == []:
        return ""
    return f"default: {', '.join(map(str, default)) if isinstance(default, list) else str(default)}"


def _required(flag: flags.Flag) -> bool:
    """Returns whether a flag has to be given: whether what checks it refuses its default."""
    try:
        for validator in flag.validators:
            validator.verify(flags.FLAGS)
    except flags.ValidationError:
        return True
    return False
