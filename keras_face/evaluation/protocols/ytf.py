"""YTF: pairs of tracks."""

import dataclasses
import os
import re
from pathlib import Path

import numpy as np

from keras_face.evaluation.protocols.lines import bad_line, read_lines, split_fields
from keras_face.evaluation.protocols.pairs import Pairs

_TRACK = r"[^/\s]+/\d+"  # Name/number


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

    Raises: ValueError, with file and line, for a line that is not as expected, for splits that are not 1 ... k, for
        pairs of one polarity, and for six columns whose order cannot be told.
    """
    if label not in ("corrected", "original"):
        raise ValueError(f"label must be corrected or original, got {label!r}")
    path, lines = Path(path), read_lines(path)
    header = split_fields(lines.pop(0)[1]) if lines and not lines[0][1][0].isdigit() else []
    if not lines:
        raise ValueError(f"{path}: expected pairs of tracks, found none")
    rows = [split_fields(line) for _, line in lines]
    columns = len(rows[0])
    patterns = (r"[1-9]\d{0,8}", r"\d+", _TRACK, _TRACK, "[01]", "[01]")[:columns]
    for line, fields in zip(lines, rows, strict=True):
        if columns not in (5, 6) or len(fields) != columns or not all(map(re.fullmatch, patterns, fields)):
            last = "original label, corrected label" if columns == 6 else "label"
            raise bad_line(path, line, f"`split, pair, Name/number, Name/number, {last}` with labels 0 or 1")
    fold = np.array([int(fields[0]) for fields in rows]) - 1
    if np.unique(fold).size != fold.max() + 1 or fold.max() < 1:
        raise ValueError(f"{path}: expected split numbers 1 ... k, k >= 2, got {(np.unique(fold) + 1).tolist()}")
    labels = np.array([[field == "1" for field in fields[4:]] for fields in rows])
    if columns == 6:
        _check_label_order(path, header, labels, fold)
    name = "labels as given" if columns == 5 else f"{label} labels"
    genuine = labels[:, -1 if label == "corrected" else 0]
    left, right = (tuple(fields[column] for fields in rows) for column in (2, 3))
    if np.unique(genuine).size < 2:
        raise ValueError(f"{path}: expected genuine and impostor pairs, got {genuine.size} of one polarity")
    pairs = Pairs(f"YTF ({path.name}, {name}), {fold.max() + 1} folds by split number", left, right, genuine, fold)
    if error_file is None:
        return pairs
    wrong = read_lines(error_file)
    for line in wrong:
        if not re.fullmatch(_TRACK, line[1]):
            raise bad_line(error_file, line, "`Name/number`")
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
