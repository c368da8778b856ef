"""CFP's own split files: frontal photos with frontal ones, or with profiles."""

import os
import re
from pathlib import Path

import numpy as np

from keras_face.evaluation.protocols.lines import bad_line, read_lines
from keras_face.evaluation.protocols.pairs import Pairs

_IMAGES = "../Data/Images/"  # what the paths of the photo lists begin with


def read_cfp(folder: str | os.PathLike, views: str = "FP") -> Pairs:
    """Returns the pairs of CFP's `Protocol` folder, of which each numbered folder of `Split` is a fold.

    `Split/FP/01/same.txt` and `diff.txt` have lines `5,1`: numbers of photos in `Pair_list_F.txt` (frontal) and
    `Pair_list_P.txt` (profile). The keys are paths from CFP's `Data/Images`, like 001/frontal/01.jpg.

    Args:
        folder: The folder that has `Pair_list_F.txt`, `Pair_list_P.txt` and `Split`.
        views: "FF", frontal with frontal, or "FP", frontal with profile.

    Raises: ValueError, with file and line, for a line that is not as expected, a photo that is in no list, and a pair
        whose photos are not of the same person where they should be, or are where they should not be.
    """
    if views not in ("FF", "FP"):
        raise ValueError(f"views must be FF or FP, got {views!r}")
    folder = Path(folder)
    left_photos, right_photos = (_photos(folder / f"Pair_list_{view}.txt") for view in views)
    splits = sorted(path for path in (folder / "Split" / views).glob("*") if path.is_dir())
    if not splits:
        raise ValueError(f"{folder / 'Split' / views}: expected folders 01, 02, ..., found none")
    left: list[str] = []
    right: list[str] = []
    genuine: list[bool] = []
    fold: list[int] = []
    for number, split in enumerate(splits):
        for same, name in ((True, "same.txt"), (False, "diff.txt")):
            pairs = _pairs(split / name, left_photos, right_photos, same)
            left += [first for first, _ in pairs]
            right += [second for _, second in pairs]
            genuine += [same] * len(pairs)
            fold += [number] * len(pairs)
    name = f"CFP-{views}, {len(splits)} folds of the split files"
    return Pairs(name, tuple(left), tuple(right), np.array(genuine), np.array(fold, np.int64))


def _photos(path: Path) -> dict[str, str]:
    """Returns the photos of a list by their numbers."""
    photos: dict[str, str] = {}
    for line in read_lines(path):
        fields = line[1].split()
        if len(fields) != 2 or not re.fullmatch(r"[1-9]\d*", fields[0]) or fields[0] in photos:
            raise bad_line(path, line, f"`1 {_IMAGES}001/frontal/01.jpg`, each number once")
        photos[fields[0]] = fields[1].removeprefix(_IMAGES)
    return photos


def _pairs(path: Path, left: dict[str, str], right: dict[str, str], genuine: bool) -> list[tuple[str, str]]:
    pairs = []
    for line in read_lines(path):
        fields = [field.strip() for field in line[1].split(",")]
        if len(fields) != 2 or fields[0] not in left or fields[1] not in right:
            raise bad_line(path, line, "`5,1`, numbers of the photo lists")
        first, second = left[fields[0]], right[fields[1]]
        if (_person(first) == _person(second)) != genuine:
            kind = "one person" if genuine else "two people"
            raise bad_line(path, line, f"photos of {kind} ({first}, {second})")
        pairs.append((first, second))
    if not pairs:
        raise ValueError(f"{path}: expected pairs, found none")
    return pairs


def _person(photo: str) -> str:
    return photo.rsplit("/", 2)[0]  # 001/frontal/01.jpg
