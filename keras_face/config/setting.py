"""One key of a section: its default, comment, range and choices."""

import dataclasses
import math
from typing import Any

from keras_face.config.nearest import unknown


def setting(
    default: Any,
    comment: str,
    low: float = -math.inf,
    high: float = math.inf,
    choices: tuple[str, ...] = (),
) -> Any:
    """Returns a dataclass field with its comment and its range (inclusive) or its choices."""
    return dataclasses.field(default=default, metadata={"comment": comment, "range": (low, high), "choices": choices})


def check_value(field: dataclasses.Field, value: Any, where: str) -> None:
    """Raises ValueError, which begins with `where`, if a value is not in its field's range or not of its choices."""
    low, high = field.metadata["range"]
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, (int, float)) and not isinstance(number, bool) and not low <= number <= high:
            raise ValueError(f"{where}: expected a number in [{low:.4g}, {high:.4g}], got {number}")
    choices = field.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{where}: {unknown('value', value, choices)}")
