"""Protocols as data: who is compared with whom, and in which fold. Files are read strictly; a bad line is an error."""

import dataclasses
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NUM_FOLDS = 10
_TRACK = r"[^/\s]+/\d+"  # Name/number


@dataclass(frozen=True)
class Dropped:
    """Pairs of a protocol that are left out on purpose, and why."""

    reason: str
    num_genuine: int
    num_impostor: int


@dataclass(frozen=True, eq=False)
class Pairs:
    """Comparisons of a verification protocol.

    Attributes:
        protocol: Name that says which rule was followed.
        left: Key of one side of each pair: a path relative to the data, or the index of a photo in a packed file.
        right: Key of the other side.
        genuine: bool [n], True where both sides are the same person.
        fold: int64 [n], fold of each pair, 0 ... k - 1.
        dropped: What the protocol leaves out.
    """

    protocol: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    genuine: np.ndarray
    fold: np.ndarray
    dropped: tuple[Dropped, ...] = ()

    def distinct_keys(self) -> tuple[str, ...]:
        """Returns every key once, in order of first mention."""
        return tuple(dict.fromkeys(key for pair in zip(self.left, self.right, strict=True) for key in pair))

    def without(self, keys: set[str], reason: str) -> "Pairs":
        """Returns the pairs that touch none of the keys, and counts the others in `dropped`.

        Raises: ValueError if a fold would be left without pairs.
        """
        hit = np.array([a in keys or b in keys for a, b in zip(self.left, self.right, strict=True)], bool)
        keep = np.flatnonzero(~hit)
        empty = np.setdiff1d(self.fold, self.fold[keep])
        if empty.size:
            raise ValueError(f"{self.protocol}: leaving out {len(keys)} {reason} empties the folds {empty.tolist()}")
        num_genuine = int(np.count_nonzero(hit & self.genuine))
        return dataclasses.replace(
            self,
            left=tuple(self.left[index] for index in keep),
            right=tuple(self.right[index] for index in keep),
            genuine=self.genuine[keep],
            fold=self.fold[keep],
            dropped=(*self.dropped, Dropped(reason, num_genuine, int(np.count_nonzero(hit)) - num_genuine)),
        )


def folds_by_position(num_pairs: int, num_folds: int = NUM_FOLDS) -> np.ndarray:
    """Returns int64 [num_pairs], consecutive folds of equal size; the first ones are one larger where it must be.

    The folds of scikit-learn's KFold(shuffle=False), by which InsightFace cuts its .bin files.

    Raises: ValueError if there are fewer pairs than folds.
    """
    if num_pairs < num_folds:
        raise ValueError(f"expected {num_folds} or more pairs for {num_folds} folds, got {num_pairs}")
    sizes = np.full(num_folds, num_pairs // num_folds)
    sizes[: num_pairs % num_folds] += 1
    return np.repeat(np.arange(num_folds), sizes)


def folds_by_polarity(genuine: np.ndarray) -> np.ndarray:
    """Returns int64 [n], `folds_by_position` among the genuine and among the impostor pairs.

    Args:
        genuine: bool [n].

    Raises: ValueError if there are fewer pairs of a polarity than folds.
    """
    fold = np.empty(genuine.size, np.int64)
    for polarity in (True, False):
        fold[genuine == polarity] = folds_by_position(int(np.count_nonzero(genuine == polarity)))
    return fold


def read_pairs(path: str | os.PathLike) -> Pairs:
    """Returns the pairs of photos in a text file; its first line says which of three formats it has.

    - `10 300`: LFW's View 2 (pairs.txt). 10 folds as the file has them, each 300 genuine, then 300 impostor pairs.
    - `500`: LFW's View 1 (pairsDevTrain.txt, pairsDevTest.txt). 500 genuine, then 500 impostor pairs in a single set;
      it is cut into 10 folds by position among the genuine and among the impostor pairs. Its names are in order, so
      few people are in two folds.
    - `1,path,path` or `0,path,path`: margin-centre-face's list of frames, 1 is genuine; folds as for View 1.

    LFW's `Name 1 4` is Name/Name_0001.jpg with Name/Name_0004.jpg; `Name 1 Other 4` is an impostor pair.

    Args:
        path: The file.

    Raises: ValueError, with file and line, for a line that is not as expected, and for too many or too few lines.
    """
    path, lines = Path(path), _lines(path)
    if not lines:
        raise ValueError(f"{path}: expected pairs of photos, the file is empty")
    header = lines[0][1].split()
    if re.fullmatch(r"[01]\s*,.*", lines[0][1]):
        return _read_flagged(path, lines)
    if len(header) not in (1, 2) or not all(field.isdigit() and int(field) for field in header):
        expected = "`10 300` (LFW View 2), `500` (LFW View 1) or `1,path,path` (list of frames)"
        raise _bad_line(path, lines[0], f"a first line like {expected}")
    num_sets, size = (int(field) for field in header) if len(header) == 2 else (1, int(header[0]))
    genuine = np.tile(np.repeat([True, False], size), num_sets)
    if len(lines) - 1 != genuine.size:
        raise ValueError(f"{path}: expected {genuine.size} pairs after {lines[0][1]!r}, got {len(lines) - 1}")
    left, right = zip(
        *(_lfw_pair(path, line, same) for line, same in zip(lines[1:], genuine, strict=True)), strict=True
    )
    if len(header) == 1:
        return Pairs(
            f"LFW View 1 ({path.name}), 10 folds by position", left, right, genuine, folds_by_polarity(genuine)
        )
    fold = np.repeat(np.arange(num_sets), 2 * size)
    return Pairs(f"LFW View 2 ({path.name}), {num_sets} folds of the file", left, right, genuine, fold)


def read_ytf_splits(
    path: str | os.PathLike, *, label: str = "corrected", error_file: str | os.PathLike | None = None
) -> Pairs:
    """Returns the pairs of tracks in a YTF splits file.

    Each line is `split, pair, Name/number, Name/number, label`, with commas or spaces, with or without a header line;
    label 1 is genuine. `splits_corrected.txt` has a sixth column: its fifth is the original, its sixth the corrected
    label. That order is checked: by the header, if it has the word `correct`, or else by the original labels being as
    many 0 as 1 in every split. The fold is the split number, whatever the order of the lines.

    Args:
        path: The splits file.
        label: "corrected" or "original"; where there is a single label column it is taken for both.
        error_file: List of tracks that show the wrong person, `Name/number` a line. Genuine and impostor pairs with
            exactly such a track are left out and counted.

    Raises: ValueError, with file and line, for a line that is not as expected, for splits that are not 1 ... k, and
        for six columns whose order cannot be told.
    """
    if label not in ("corrected", "original"):
        raise ValueError(f"label must be corrected or original, got {label!r}")
    path, lines = Path(path), _lines(path)
    header = _fields(lines.pop(0)[1]) if lines and not lines[0][1][0].isdigit() else []
    if not lines:
        raise ValueError(f"{path}: expected pairs of tracks, found none")
    rows = [_fields(line) for _, line in lines]
    columns = len(rows[0])
    patterns = (r"[1-9]\d*", r"\d+", _TRACK, _TRACK, "[01]", "[01]")[:columns]
    for line, fields in zip(lines, rows, strict=True):
        if columns not in (5, 6) or len(fields) != columns or not all(map(re.fullmatch, patterns, fields)):
            last = "original label, corrected label" if columns == 6 else "label"
            raise _bad_line(path, line, f"`split, pair, Name/number, Name/number, {last}` with labels 0 or 1")
    fold = np.array([int(fields[0]) for fields in rows]) - 1
    if np.unique(fold).size != fold.max() + 1 or fold.max() < 1:
        raise ValueError(f"{path}: expected split numbers 1 ... k, k >= 2, got {(np.unique(fold) + 1).tolist()}")
    labels = np.array([[field == "1" for field in fields[4:]] for fields in rows])
    if columns == 6:
        _check_label_order(path, header, labels, fold)
    name = "labels as given" if columns == 5 else f"{label} labels"
    genuine = labels[:, -1 if label == "corrected" else 0]
    left, right = (tuple(fields[column] for fields in rows) for column in (2, 3))
    pairs = Pairs(f"YTF ({path.name}, {name}), {fold.max() + 1} folds by split number", left, right, genuine, fold)
    if error_file is None:
        return pairs
    wrong = _lines(error_file)
    for line in wrong:
        if not re.fullmatch(_TRACK, line[1]):
            raise _bad_line(Path(error_file), line, "`Name/number`")
    pairs = pairs.without({track for _, track in wrong}, "wrong tracks")
    return dataclasses.replace(pairs, protocol=f"{pairs.protocol}, without wrong tracks")


def _check_label_order(path: Path, header: list[str], labels: np.ndarray, fold: np.ndarray) -> None:
    """Raises ValueError unless the fifth column is shown to be the original and the sixth the corrected label."""
    if "correct" in " ".join(header).lower():
        known = ["correct" in column.lower() for column in header] == [False] * 5 + [True]
    else:
        # The official pairs are 250 and 250 in every split; the corrections are not.
        balance = [np.bincount(fold, np.where(column, 1, -1)) for column in labels.T]
        known = np.array_equal(*labels.T) or (not balance[0].any() and bool(balance[1].any()))
    if not known:
        raise ValueError(
            f"{path}: expected six columns that end in the original and the corrected label; neither the header "
            f"{header} nor the number of genuine pairs in each split shows that they do. Give it a header line of six "
            "names, with `corrected` in the last alone"
        )


def _read_flagged(path: Path, lines: list[tuple[int, str]]) -> Pairs:
    rows = []
    for line in lines:
        fields = [field.strip() for field in line[1].split(",")]
        if len(fields) != 3 or fields[0] not in ("0", "1") or not all(fields):
            raise _bad_line(path, line, "`1,path,path` (same person) or `0,path,path`")
        rows.append(fields)
    flags, left, right = zip(*rows, strict=True)
    genuine = np.array(flags) == "1"
    return Pairs(f"pairs of {path.name}, 10 folds by position", left, right, genuine, folds_by_polarity(genuine))


def _lfw_pair(path: Path, line: tuple[int, str], genuine: bool) -> tuple[str, str]:
    fields = line[1].split()
    if genuine and len(fields) == 3:
        fields.insert(2, fields[0])
    if len(fields) != 4 or not (fields[1].isdigit() and fields[3].isdigit()) or (fields[0] == fields[2]) != genuine:
        raise _bad_line(path, line, "`Name 1 4` (genuine)" if genuine else "`Name 1 Other 4` (impostor)")
    first, second = (f"{name}/{name}_{int(number):04d}.jpg" for name, number in (fields[:2], fields[2:]))
    return first, second


def _fields(line: str) -> list[str]:
    return re.split(r"\s*,\s*" if "," in line else r"\s+", line)


def _lines(path: str | os.PathLike) -> list[tuple[int, str]]:
    """Returns the lines that are not blank, stripped, each with its number from 1."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected a text file (UTF-8)") from None
    return [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def _bad_line(path: Path, line: tuple[int, str], expected: str) -> ValueError:
    return ValueError(f"{path}, line {line[0]}: expected {expected}, got {line[1]!r}")
