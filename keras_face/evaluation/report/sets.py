"""What was measured, by test set: all models of the same pairs together, by names as short as tells them apart."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keras_face.evaluation.results import Measured

_NO_NAMES = ("", "export")  # last parts of a path that name no model, nor does a number


@dataclass(frozen=True, eq=False)
class MeasuredSet:
    """A test set, and what was measured on it.

    Attributes:
        title: Its protocol.
        models: Short name of each model.
        measured: Of each model, on the same pairs.
    """

    title: str
    models: tuple[str, ...]
    measured: tuple[Measured, ...]

    @property
    def drawn(self) -> bool:
        """Whether its people are drawn."""
        return any(each.result.drawn for each in self.measured)

    @property
    def best(self) -> int:
        """Number of the model with the highest accuracy, or area under the ROC where there are no folds."""
        return max(range(len(self.measured)), key=lambda number: _rank(self.measured[number]))


def by_set(measured: Sequence[Measured], names: dict[str, str]) -> list[MeasuredSet]:
    """Returns the test sets in the order of their first measurement.

    Args:
        measured: Models, each on one set or several.
        names: Short name of each model, see `short_models`.
    """
    found: dict[tuple[str, str], list[Measured]] = {}
    for each in measured:
        found.setdefault((each.result.protocol, each.result.protocol_hash), []).append(each)
    return [
        MeasuredSet(title, tuple(numbered(names[each.result.model] for each in of_set)), tuple(of_set))
        for (title, _), of_set in found.items()
    ]


def short_models(models: Iterable[str]) -> dict[str, str]:
    """Returns a name for each model: of a path as few of its last parts as name something and tell it apart."""
    distinct = list(dict.fromkeys(models))
    return {model: _short(model, distinct) for model in distinct}


def numbered(names: Iterable[str]) -> list[str]:
    """Returns the names, numbered where one comes several times."""
    names = list(names)
    seen = Counter[str]()
    for number, name in enumerate(names):
        seen[name] += 1
        if names.count(name) > 1 or seen[name] > 1:
            names[number] = f"{name} ({seen[name]})"
    return names


def _short(model: str, models: Sequence[str]) -> str:
    parts = model.split("/")
    if not model.isprintable():
        return model
    for count in range(1, len(parts)):
        tail = parts[-count:]
        name = "/".join(tail)
        named = any(part not in _NO_NAMES and not part.isdigit() for part in tail)
        if named and [other for other in models if f"/{other}".endswith(f"/{name}")] == [model]:
            return name
    return model


def _rank(measured: Measured) -> tuple[float, float]:
    accuracy = measured.result.accuracy
    return (-1.0 if accuracy is None else accuracy.mean, measured.result.auc)
