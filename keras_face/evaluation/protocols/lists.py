"""Lists of pairs of photos; the first line says which of the known formats a file has."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_face.evaluation.protocols import view
from keras_face.evaluation.protocols.lines import Line, bad_line, read_lines
from keras_face.evaluation.protocols.pairs import Pairs, folds_by_polarity

_FORMATS = (
    "`10 300` (LFW View 2), `500` (LFW View 1), `1,path,path` (list of frames), `path path 1` (SeqFace) or "
    "`name 1` (CPLFW)"
)
_PATH = r"\S*[^\d\s]\S*"  # no number


def read_pairs(path: str | os.PathLike) -> Pairs:
    """Returns the pairs of photos in a text file; its first line says which of five formats it has.

    - `10 300`: LFW's View 2 (pairs.txt). 10 folds as the file has them, each 300 genuine, then 300 impostor pairs.
    - `500`: LFW's View 1 (pairsDevTrain.txt, pairsDevTest.txt). 500 genuine, then 500 impostor pairs in a single set;
      it is cut into 10 folds by position among the genuine and among the impostor pairs. Its names are in order, so
      few people are in two folds.
    - `1,path,path` or `0,path,path`: margin-centre-face's list of frames, 1 is genuine; folds as for View 1.
    - `path path 1` or `path path 0`: SeqFace's and foamliu's list, 1 is genuine; folds as for View 1. Theirs has LFW's
      pairs, the genuine ones first, so that its folds are those of View 2.
    - `name 1` or `name 0`, with or without a header `name same_person`: CPLFW's and CALFW's list, two lines a pair, 1
      is genuine; folds as for View 1, as each tenth of either polarity is one fold there.

    LFW's `Name 1 4` is Name/Name_0001.jpg with Name/Name_0004.jpg; `Name 1 Other 4` is an impostor pair.

    Args:
        path: The file.

    Raises: ValueError, with file and line, for a line that is not as expected, and for too many or too few lines, also
        of one polarity.
    """
    path, lines = Path(path), read_lines(path)
    if not lines:
        raise ValueError(f"{path}: expected pairs of photos, the file is empty")
    first = lines[0][1]
    if view.is_header(first):
        return _placed(path, view.view_pairs, lines)
    if re.fullmatch(r"[01]\s*,.*", first):
        return _placed(path, _flag_first, lines)
    if re.fullmatch(rf"{_PATH}\s+{_PATH}\s+[01]", first):
        return _placed(path, _flag_last, lines)
    if first.split() == ["name", "same_person"]:
        return _placed(path, _two_lines, lines[1:])
    if re.fullmatch(rf"{_PATH}\s+[01]", first):
        return _placed(path, _two_lines, lines)
    raise bad_line(path, lines[0], f"a first line like {_FORMATS}")


def _placed(path: Path, read: Callable[[Path, list[Line]], Pairs], lines: list[Line]) -> Pairs:
    """Returns what a reader makes of the lines; errors say the file."""
    try:
        return read(path, lines)
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path}: {error}") from None


def _by_position(path: Path, rows: list[tuple[str, str, str]]) -> Pairs:
    """Returns pairs of rows (flag, left, right)."""
    flags, left, right = zip(*rows, strict=True)
    genuine = np.array(flags) == "1"
    return Pairs(f"pairs of {path.name}, 10 folds by position", left, right, genuine, folds_by_polarity(genuine))


def _flag_first(path: Path, lines: list[Line]) -> Pairs:
    rows = []
    for line in lines:
        fields = [field.strip() for field in line[1].split(",")]
        if len(fields) != 3 or fields[0] not in ("0", "1") or not all(fields):
            raise bad_line(path, line, "`1,path,path` (same person) or `0,path,path`")
        rows.append((fields[0], fields[1], fields[2]))
    return _by_position(path, rows)


def _flag_last(path: Path, lines: list[Line]) -> Pairs:
    rows = []
    for line in lines:
        if not re.fullmatch(rf"{_PATH}\s+{_PATH}\s+[01]", line[1]):
            raise bad_line(path, line, "`path path 1` (same person) or `path path 0`")
        left, right, flag = line[1].split()
        rows.append((flag, left, right))
    return _by_position(path, rows)


def _two_lines(path: Path, lines: list[Line]) -> Pairs:
    entries = []
    for line in lines:
        fields = line[1].split()
        if len(fields) != 2 or fields[1] not in ("0", "1"):
            raise bad_line(path, line, "`name 1` (same person) or `name 0`, two lines a pair")
        entries.append(fields)
    if len(lines) % 2 or not lines:
        raise ValueError(f"{path}: expected two lines a pair, got {len(lines)} lines")
    rows = []
    for line, (left, flag), (right, other) in zip(lines[1::2], entries[0::2], entries[1::2], strict=True):
        if flag != other:
            raise bad_line(path, line, f"the second line of a pair, with {flag} as the first has")
        rows.append((flag, left, right))
    return _by_position(path, rows)
