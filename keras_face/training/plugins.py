"""Modules of the user's own, imported for the losses and networks that they register."""

import importlib
import logging
import os
import sys
from collections.abc import Sequence

logger = logging.getLogger("keras_face")


def import_plugins(names: Sequence[str]) -> None:
    """Imports modules by name, from the present folder too, and logs which files they are.

    Raises: ValueError that names a module that is not there, or the error that its import ended with.
    """
    if names and os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())  # as `python -m` has it
    for name in names:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # whatever a program of the user's raises
            raise ValueError(f"[run] plugins: {name} cannot be imported: {type(error).__name__}: {error}") from error
        logger.info("plugin %s, from %s", name, getattr(module, "__file__", None) or "no file")
