"""What to say of a name that there is not: the one way for sections, keys, losses, networks and all else."""

import difflib
from collections.abc import Iterable

_LIKE = 0.58  # of 1, the likeness from which on a name may have been meant


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """Returns the line of an error: the known name that is nearest to the one given, if one is near, and then all.

        >>> unknown("loss", "arcfce", ["cosface", "arcface"])
        "unknown loss 'arcfce'; did you mean 'arcface'? known are cosface, arcface"

    Args:
        what: What has these names.
        name: The one that is none of them.
        known: The names that there are.
    """
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=_LIKE)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {what} {name!r}; {hint}known are {', '.join(names)}"
