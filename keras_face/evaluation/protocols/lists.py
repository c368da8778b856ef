"""Lists of pairs of photos; the first line says which of the known formats a file has."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_face.evaluation.protocols import view
from keras_face.evaluation.protocols.lines import Line, bad_line, read_columns, read_lines, tab_fields
from keras_face.evaluation.protocols.pairs import NUM_FOLDS, Pairs, folds_by_polarity

_FORMATS = (
    "`10 300` (LFW View 2), `500` (LFW View 1), `Ann 1 2` or `Ann 1 Bob 3` (LFW's lines alone), `1,a/1.jpg,a/2.jpg` "
    "(list of frames), `a/1.jpg a/2.jpg 1` (SeqFace), `a/1.jpg 1` (CPLFW) or a header of CSV such as "
    "`left,right,genuine`; tabs divide what has blanks"
)
_NAMES = ("path", "file", "image", "img", "photo")
_COLUMNS = {
    "left": ("left", "first", *(f"{name}{end}" for name in _NAMES for end in ("1", "_1", "a", "_a"))),
    "right": ("right", "second", *(f"{name}{end}" for name in _NAMES for end in ("2", "_2", "b", "_b"))),
    "genuine": ("genuine", "same", "is_same", "issame", "same_person", "match", "label", "target"),
}
_FLAGS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
Row = tuple[str, str, bool]  # left, right, genuine


def read_pairs(path: str | os.PathLike) -> Pairs:
    r"""Returns the pairs of photos in a text file; its first line says which of seven formats it has.

    - `10 300`: LFW's View 2 (pairs.txt). 10 folds as the file has them, each 300 genuine, then 300 impostor pairs.
    - `500`: LFW's View 1 (pairsDevTrain.txt, pairsDevTest.txt). 500 genuine, then 500 impostor pairs in a single set;
      it is cut into 10 folds by position among the genuine and among the impostor pairs. Its names are in order, so
      few people are in two folds.
    - `Name 1 4` or `Name 1 Other 4`: LFW's lines without a header, in any order; folds as for View 1.
    - `1,path,path` or `0,path,path`: margin-centre-face's list of frames, 1 is genuine; folds as for View 1.
    - `path path 1` or `path path 0`: SeqFace's and foamliu's list, 1 is genuine; folds as for View 1. Theirs has LFW's
      pairs, the genuine ones first, so that its folds are those of View 2.
    - `name 1` or `name 0`, with or without a header `name same_person`: CPLFW's and CALFW's list, two lines a pair, 1
      is genuine; folds as for View 1, as each tenth of either polarity is one fold there.
    - CSV below a header that names both sides (left and right, path1 and path2, ...) and the outcome (genuine, same,
      label, ...), which is 1, true or yes, or 0, false or no; folds as for View 1.

    LFW's `Name 1 4` is Name/Name_0001.jpg with Name/Name_0004.jpg; `Name 1 Other 4` is an impostor pair. Fields are
    divided by tabs if there are any, so that names may have blanks and commas. Lists of fewer than 10 pairs of a
    polarity have as many folds as these, two at least.

    Args:
        path: The file.

    Raises: ValueError, with file and line, for a line that is not as expected, and for too many or too few lines, also
        of one polarity.

    Examples:
        >>> lines = [f"a/{number}.jpg b/{number}.jpg {number % 2}" for number in range(20)]
        >>> count = Path("pairs.txt").write_text("\n".join(lines))
        >>> pairs = keras_face.evaluation.read_pairs("pairs.txt")
        >>> pairs.left[:2], pairs.genuine[:2]
        (('a/0.jpg', 'a/1.jpg'), array([False,  True]))
    """
    path, lines = Path(path), read_lines(path)
    if not lines:
        raise ValueError(f"{path}: expected pairs of photos, the file is empty")
    try:
        if view.is_header(lines[0][1]):
            return view.view_pairs(path, lines)
        return _by_position(path, list(_rows(path, lines)))
    except ValueError as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path}: {error}") from None


def _rows(path: Path, lines: list[Line]) -> Iterable[Row]:
    first = lines[0][1]
    if view.is_pair(first):
        return view.unordered_pairs(path, lines)
    if _with_flag_first(first):
        return _each(path, lines, _with_flag_first, "`1,path,path` (same person) or `0,path,path`")
    if _with_flag_last(first):
        return _each(path, lines, _with_flag_last, "`path path 1` (same person) or `path path 0`")
    if first.split() == ["name", "same_person"]:
        return _two_lines(path, lines[1:])
    if _with_flag(first):
        return _two_lines(path, lines)
    header = {name.strip().lower() for name in first.split(",")}
    if all(header.intersection(names) for names in _COLUMNS.values()):
        return _below_header(path)
    raise bad_line(path, lines[0], f"a first line like {_FORMATS}")


def _by_position(path: Path, rows: Sequence[Row]) -> Pairs:
    left, right, flags = zip(*rows, strict=True) if rows else ((), (), ())
    genuine = np.array(flags, bool)
    num_folds = min(NUM_FOLDS, max(2, min(int(np.count_nonzero(genuine)), int(np.count_nonzero(~genuine)))))
    fold = folds_by_polarity(genuine, num_folds)
    return Pairs(f"pairs of {path.name}, {num_folds} folds by position", left, right, genuine, fold)


def _each(path: Path, lines: list[Line], row: Callable[[str], Row | None], expected: str) -> Iterator[Row]:
    for line in lines:
        found = row(line[1])
        if found is None:
            raise bad_line(path, line, expected)
        yield found


def _with_flag_first(text: str) -> Row | None:
    fields = [field.strip() for field in text.split("\t" if "\t" in text else ",")]
    if len(fields) != 3 or fields[0] not in ("0", "1") or fields[2] in ("0", "1") or not all(fields):
        return None
    return fields[1], fields[2], fields[0] == "1"


def _with_flag_last(text: str) -> Row | None:
    fields = tab_fields(text)
    if len(fields) != 3 or fields[2] not in ("0", "1") or not all(re.search(r"[^\d\s]", side) for side in fields[:2]):
        return None
    return fields[0], fields[1], fields[2] == "1"


def _with_flag(text: str) -> tuple[str, bool] | None:
    fields = tab_fields(text)
    if len(fields) != 2 or fields[1] not in ("0", "1") or not re.search(r"[^\d\s]", fields[0]):
        return None
    return fields[0], fields[1] == "1"


def _two_lines(path: Path, lines: list[Line]) -> Iterator[Row]:
    photos = []
    for line in lines:
        found = _with_flag(line[1])
        if found is None:
            raise bad_line(path, line, "`name 1` (same person) or `name 0`, two lines a pair")
        photos.append(found)
    if len(lines) % 2 or not lines:
        raise ValueError(f"{path}: expected two lines a pair, got {len(lines)} lines")
    for line, (left, genuine), (right, other) in zip(lines[1::2], photos[0::2], photos[1::2], strict=True):
        if genuine != other:
            raise bad_line(path, line, f"the second line of a pair, with {int(genuine)} as the first has")
        yield left, right, genuine


def _below_header(path: Path) -> Iterator[Row]:
    for number, (left, right, flag) in read_columns(path, _COLUMNS):
        if flag.lower() not in _FLAGS or not (left and right):
            raise bad_line(path, (number, ",".join([left, right, flag])), "two photos, and 1 (same person) or 0")
        yield left, right, _FLAGS[flag.lower()]
