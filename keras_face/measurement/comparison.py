"""Two models on the same pairs: differences, and whether they could be luck."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_face.evaluation.certainty import AS_IF_INDEPENDENT, BY_PEOPLE
from keras_face.evaluation.comparison import AccuracyComparison, Difference, compare_accuracy, compare_tar
from keras_face.evaluation.features import Scores, read_scores
from keras_face.evaluation.intervals import Interval
from keras_face.evaluation.protocols import Pairs
from keras_face.evaluation.result_files import read_results
from keras_face.evaluation.results import Measured, Origin, pairs_hash, verify
from keras_face.evaluation.scores import FARS
from keras_face.measurement.verification import measure_scores


class TarComparison(NamedTuple):
    """The true accept rates of two models at a false accept rate; the difference is None where not measurable."""

    far: float
    difference: Difference | None


@dataclass(frozen=True)
class Comparison:
    """Two models on the same pairs.

    Attributes:
        protocol: Which rule was followed.
        first: Name of the first model.
        second: Of the second.
        intervals: How the intervals were found: by resampling people, or as if pairs were independent.
        accuracy: Accuracies and McNemar's test; None where the protocol has no folds.
        tar_at_far: True accept rates at `scores.FARS`.
    """

    protocol: str
    first: str
    second: str
    intervals: str
    accuracy: AccuracyComparison | None
    tar_at_far: tuple[TarComparison, ...]

    def __str__(self) -> str:
        """Returns lines for a terminal."""
        lines = [f"{self.protocol}: first {self.first}, second {self.second}"]
        if self.accuracy is not None:
            test = self.accuracy.mcnemar
            lines.append(f"  accuracy {_line(self.accuracy.accuracy)}")
            lines.append(
                f"  right in the first alone: {test.only_first} pairs, in the second alone: {test.only_second}; "
                f"McNemar's exact test, as if pairs were independent: p = {test.p_value:.4g}"
            )
        for far, difference in self.tar_at_far:
            if difference is not None:
                lines.append(f"  TAR at FAR {far:g} {_line(difference)}")
        hidden = [f"{far:g}" for far, difference in self.tar_at_far if difference is None]
        if hidden:
            lines.append(f"  TAR at FAR {', '.join(hidden)}: not measurable with so few impostors")
        lines.append(f"  intervals: {self.intervals}")
        return "\n".join(lines)


def compare(first: Sequence[Measured], second: Sequence[Measured], *, rule: str = "best_accuracy") -> list[Comparison]:
    """Returns the comparison of two models on each protocol that both were measured by.

    Raises: ValueError if their protocols, or the pairs of one, are not the same.
    """
    of_second = {each.result.protocol: each for each in second}
    names = [each.result.protocol for each in first]
    if len(names) == len(of_second) == 1 and _unnamed(first[0], second[0]):
        of_second = {names[0]: second[0]}
    if sorted(names) != sorted(of_second):
        raise ValueError(
            f"expected the same protocols of both, got {'; '.join(sorted(names))} and {'; '.join(sorted(of_second))}"
        )
    return [_compared(each, of_second[each.result.protocol], rule) for each in first]


def read_measured(path: str | Path, *, rule: str = "best_accuracy") -> list[Measured]:
    """Returns what was measured before, with its similarities.

    Args:
        path: A results.json, or its folder, beside which the files of similarities lie; or a file of similarities.
        rule: Threshold rule of the accuracy.

    Raises: ValueError for other files, results without similarities, and similarities that are not those of the result.
    """
    path = Path(path)
    path = path / "results.json" if path.is_dir() else path
    if path.suffix != ".json":
        return [measure_scores(path, rule=rule)]
    return [_read_row(path, row, rule) for row in read_results(path)]


def _read_row(path: Path, row: dict[str, Any], rule: str) -> Measured:
    if not isinstance(row.get("scores"), str):
        raise ValueError(
            f"{path}: expected the similarities of {row['protocol']} beside it (--save_scores), found none"
        )
    file = path.parent / Path(row["scores"]).name
    scores = read_scores(file)
    pairs = dataclasses.replace(_named(scores, row["protocol"]), drawn=row.get("drawn") is True)
    counts = int(np.count_nonzero(pairs.genuine)), int(np.count_nonzero(~pairs.genuine))
    # A set too large for keys has its counts alone to be known by.
    if counts != (row.get("num_genuine"), row.get("num_impostor")) or (
        scores.left and pairs_hash(pairs) != row["protocol_hash"]
    ):
        raise ValueError(f"{file}: expected the pairs of {row['protocol']} as in {path}, got others")
    known: dict[str, Any] = {field.name: row.get(field.name) for field in dataclasses.fields(Origin)}
    measured = verify(pairs, scores.similarity, Origin(**known), rule=rule)
    return dataclasses.replace(
        measured, result=dataclasses.replace(measured.result, protocol_hash=row["protocol_hash"])
    )


def _named(scores: Scores, protocol: str) -> Pairs:
    if scores.fold is None:
        scores = dataclasses.replace(scores, fold=np.zeros(scores.genuine.size, np.int64))
    return dataclasses.replace(scores.pairs(), protocol=protocol)


def _unnamed(first: Measured, second: Measured) -> bool:
    """Returns whether one of them is of bare similarities, which do not know their protocol's name."""
    return any(each.result.protocol.startswith("scores of ") for each in (first, second))


def _compared(first: Measured, second: Measured, rule: str) -> Comparison:
    protocol = first.result.protocol
    same = np.array_equal(first.pairs.genuine, second.pairs.genuine)
    if _unnamed(first, second):
        keys = [(each.pairs.left, each.pairs.right) for each in (first, second)]
        known = [not str(left[0]).startswith("row ") for left, _ in keys]
        same = same and np.array_equal(first.pairs.fold, second.pairs.fold)
        same = same and (not all(known) or keys[0] == keys[1])
    else:
        same = same and first.result.protocol_hash == second.result.protocol_hash
    if not same:
        raise ValueError(f"{protocol}: expected the same pairs and folds of both, got others")
    genuine, fold = first.pairs.genuine, first.pairs.fold
    sides = first.similarity, second.similarity
    people = first.pairs.identities()
    people = second.pairs.identities() if people is None else people
    return Comparison(
        protocol,
        first.result.model,
        second.result.model,
        AS_IF_INDEPENDENT.format("pairs") if people is None else BY_PEOPLE,
        compare_accuracy(*sides, genuine, fold, rule, identities=people) if fold.any() else None,
        tuple(TarComparison(far, compare_tar(*sides, genuine, far, identities=people)) for far in FARS),
    )


def _line(difference: Difference) -> str:
    interval: Interval = difference.interval
    verdict = "within luck" if interval.low <= 0 <= interval.high else "beyond luck"
    return (
        f"{difference.first:.4f} and {difference.second:.4f}: {difference.difference:+.4f} "
        f"[{interval.low:+.4f}, {interval.high:+.4f}], {verdict}"
    )
