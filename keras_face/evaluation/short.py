"""The text of objects that hold thousands of things: how many, instead of which."""

import dataclasses
from collections.abc import Sized
from typing import Any

import numpy as np

_MOST = 60  # characters of a value that is shown as it is


class Short:
    """A base of dataclasses, made with `repr=False`, whose text has of each long value its size alone."""

    def __repr__(self) -> str:
        fields = [field.name for field in dataclasses.fields(self) if field.repr]  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{name}={_text(getattr(self, name))}' for name in fields)})"


def _text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {list(value.shape)}>"
    if isinstance(value, bytes):
        return f"<{len(value):,} bytes>"
    if isinstance(value, Sized) and not isinstance(value, str):
        few = "" if len(value) > 3 else repr(value)
        return few if few and len(few) <= _MOST else f"<{len(value):,} of them>"
    return repr(value)
