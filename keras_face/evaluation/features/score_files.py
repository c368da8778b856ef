"""Files of similarities: each comparison with its outcome, computed elsewhere."""

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_face import files
from keras_face.evaluation.features.files import array, read_arrays
from keras_face.evaluation.protocols import Pairs, folds_by_polarity
from keras_face.evaluation.protocols.lines import bad_line, read_columns, read_lines, whole_number
from keras_face.evaluation.short import Short

_GENUINE = {"1": True, "0": False, "true": True, "false": False, "yes": True, "no": False}
_COLUMNS = ("similarity", "genuine", "fold", "left", "right")  # the last three may be absent
Place = Callable[[int], str]  # from the index of a pair to its line or row


@dataclass(frozen=True, eq=False, repr=False)
class Scores(Short):
    """Similarities of a protocol's pairs.

    Attributes:
        protocol: Name that says which rule was followed.
        similarity: float64 [n], high is same; a distance with its sign changed if distances were read.
        genuine: bool [n].
        fold: int64 [n], 0 ... k - 1; None if the file has none.
        left: Keys of one side; empty if the file has none.
        right: Of the other.
    """

    protocol: str
    similarity: np.ndarray
    genuine: np.ndarray
    fold: np.ndarray | None = None
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()

    def pairs(self) -> Pairs:
        """Returns the pairs; without folds they get 10 by position of either polarity, without keys `row 0`, ....

        Raises: ValueError if there are no folds and fewer than 10 pairs of a polarity.
        """
        rows = tuple(f"row {index}" for index in range(self.genuine.size))
        name, fold = self.protocol, self.fold
        if fold is None:
            name, fold = f"{name}, 10 folds by position", folds_by_polarity(self.genuine)
        return Pairs(name, self.left or rows, self.right or rows, self.genuine, fold)


def read_scores(
    path: str | os.PathLike, *, distances: bool = False, columns: Mapping[str, str] | None = None
) -> Scores:
    """Returns the similarities in a file.

    - `.npz`: arrays `similarity` and `genuine` (booleans, or 0 and 1), perhaps `fold`, and `left` and `right`. The
      quick way for millions.
    - Other files are text: CSV with a header line and columns of the same names, `genuine` 1, true or yes, or 0, false
      or no; or lines `value flag` without header, as foamliu's angles.txt.

    Args:
        path: The file.
        distances: Whether its values are distances or angles: low is same.
        columns: What `similarity`, `genuine`, `fold`, `left` or `right` is called in the file, if otherwise.

    Raises: ValueError, with file and line or row, for what is not as expected or not finite; for pairs of one polarity
        only, and for folds without pairs.
    """
    path = Path(path)
    unknown = sorted(set(columns or ()) - set(_COLUMNS))
    if unknown:
        raise ValueError(f"columns must be among {', '.join(_COLUMNS)}, got {', '.join(unknown)}")
    named = {name: (columns or {}).get(name, name) for name in _COLUMNS}
    scores, place = (_read_npz if path.suffix == ".npz" else _read_text)(path, named)
    bad = np.flatnonzero(~np.isfinite(scores.similarity))
    if bad.size:
        value = scores.similarity[bad[0]]
        raise ValueError(f"{path}, {place(int(bad[0]))}: expected a finite {named['similarity']}, got {value}")
    if not scores.genuine.any() or scores.genuine.all():
        raise ValueError(f"{path}: expected genuine and impostor pairs, got {scores.genuine.size} of one polarity")
    if scores.fold is not None:
        present = np.unique(scores.fold)
        if not np.array_equal(present, np.arange(present.size)):
            raise ValueError(f"{path}: expected folds 0 ... k - 1, each with pairs, got {present.tolist()}")
    return dataclasses.replace(scores, similarity=-scores.similarity) if distances else scores


def write_scores(path: str | os.PathLike, pairs: Pairs, similarity: np.ndarray) -> None:
    """Writes similarities as `.csv` or `.npz`, as `read_scores` reads them; the file appears whole or not at all.

    Args:
        path: File, replaced; its folder is made.
        pairs: The protocol's pairs.
        similarity: [n], of each.

    Raises: ValueError if they are not as many as the pairs or not finite, or the path ends otherwise.
    """
    path = Path(path)
    if similarity.shape != pairs.genuine.shape or not np.isfinite(similarity).all():
        raise ValueError(f"{pairs.protocol}: expected {pairs.genuine.size} finite similarities, got {similarity.shape}")
    if path.suffix not in (".csv", ".npz"):
        raise ValueError(f"{path}: expected a file .csv or .npz to write similarities to")
    if path.suffix == ".npz":
        left, right = np.array(pairs.left, str), np.array(pairs.right, str)
        with files.opened_whole(path) as file:
            np.savez(file, similarity=similarity, genuine=pairs.genuine, fold=pairs.fold, left=left, right=right)
        return
    values = similarity.astype(np.float64).tolist()
    genuine, fold = pairs.genuine.astype(int).tolist(), pairs.fold.tolist()
    rows = zip(pairs.left, pairs.right, genuine, fold, values, strict=True)
    files.write_csv(path, ("left", "right", "genuine", "fold", "similarity"), rows)


def _scores(
    path: Path,
    similarity: np.ndarray,
    genuine: np.ndarray,
    fold: np.ndarray | None,
    left: Sequence[str] | None,
    right: Sequence[str] | None,
) -> Scores:
    if (left is None) != (right is None):
        raise ValueError(f"{path}: expected the keys of both sides, or of none")
    name = f"scores of {path.name}" if fold is None else f"scores of {path.name}, folds of the file"
    return Scores(name, similarity, genuine, fold, tuple(left or ()), tuple(right or ()))


def _read_npz(path: Path, named: dict[str, str]) -> tuple[Scores, Place]:
    arrays = read_arrays(path, tuple(named.values()))
    similarity, genuine = (array(path, arrays, named[name]) for name in _COLUMNS[:2])
    kinds = dict(zip(_COLUMNS, ("fiu", "biu", "iu", "U", "U"), strict=True))
    given = {name: arrays[named[name]] for name in _COLUMNS if named[name] in arrays}
    for name, values in given.items():
        if values.shape != (similarity.size,) or values.dtype.kind not in kinds[name]:
            expected = f"{similarity.size} values of {'text' if kinds[name] == 'U' else 'numbers'} as {named[name]!r}"
            raise ValueError(f"{path}: expected {expected}, got {values.dtype} {list(values.shape)}")
    if not np.isin(genuine, (0, 1)).all():
        raise ValueError(f"{path}: expected {named['genuine']!r} of 0 and 1, got others")
    left, right = (given[name].tolist() if name in given else None for name in ("left", "right"))
    fold = given["fold"].astype(np.int64) if "fold" in given else None
    scores = _scores(path, similarity.astype(np.float64), genuine.astype(bool), fold, left, right)
    return scores, lambda index: f"row {index}"


def _read_text(path: Path, named: dict[str, str]) -> tuple[Scores, Place]:
    rows = list(_rows(path, named))
    if not rows:
        raise ValueError(f"{path}: expected similarities, found none")
    similarity, genuine, fold = [], [], []
    for number, fields in rows:
        value, flag, part, *keys = fields
        try:
            similarity.append(float(value))
            genuine.append(_GENUINE[flag.lower()])
            fold.append(0 if part is None else _fold(part))
        except (ValueError, KeyError):
            expected = f"a number as {named['similarity']}, 1 or 0 as {named['genuine']}, a whole number as fold"
            raise bad_line(path, (number, ",".join(filter(None, fields))), expected) from None
        if "" in keys:
            raise bad_line(path, (number, ",".join(filter(None, fields))), "a key of either side")
    left, right = (None if rows[0][1][side] is None else [fields[side] for _, fields in rows] for side in (3, 4))
    folds = None if rows[0][1][2] is None else np.array(fold, np.int64)
    scores = _scores(path, np.array(similarity), np.array(genuine), folds, left, right)
    return scores, lambda index: f"line {rows[index][0]}"


def _fold(text: str) -> int:
    number = whole_number(text)
    if number is None:
        raise ValueError
    return number


def _rows(path: Path, named: dict[str, str]) -> Iterator[tuple[int, list]]:
    """Yields the number of each line and its fields in the order of `_COLUMNS`, None for a column that is not there."""
    lines = read_lines(path)
    if not lines or not re.fullmatch(r"[-+.\d]\S*\s+[01]", lines[0][1]):
        columns = {name: (named[name].lower(),) for name in _COLUMNS}
        yield from read_columns(path, columns, optional=_COLUMNS[2:])
        return
    for line in lines:
        fields = line[1].split()
        if len(fields) != 2:
            raise bad_line(path, line, "`value flag`, a number and 0 or 1")
        yield line[0], [*fields, None, None, None]
