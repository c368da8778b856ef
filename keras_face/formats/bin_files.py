"""Packed test sets, InsightFace's .bin and margin-centre-face's lfw.np, to and from a folder of photos and pairs."""

import dataclasses
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from keras_face import files
from keras_face.evaluation.pickles import read_bin, read_np
from keras_face.evaluation.protocols import Pairs, folds_by_polarity, folds_by_position, read_pairs
from keras_face.photos import checked, encoding
from keras_face.photos.checked import photo_size
from keras_face.photos.lists import PhotoFolder
from keras_face.photos.summary import Summary, write_skipped
from keras_face.photos.template import is_drawn, write_record

_PNG_SIGNATURE = b"\x89PNG"


def unpack(
    source: str | os.PathLike, output_dir: str | os.PathLike, *, skip_damaged: bool = False, progress: bool = True
) -> Summary:
    """Writes a packed test set as a folder that `eval.test_lfw --source` measures, and returns the summary.

    The folder has `photos/00000.jpg` ..., each photo once, and `pairs.txt`, lines `1,path,path` (same person) or
    `0,path,path`. Photos of a .bin stay as they are, byte for byte; those of an lfw.np become PNG.

    Args:
        source: A .bin or .np file.
        output_dir: Folder to make; must not exist.
        skip_damaged: Leave out the pairs of photos that are none, and list these in `skipped.csv`, instead of raising.
        progress: Whether to show a progress bar.

    Raises: ValueError: The file is no such pickle, a photo is none, no pair is left, or the output exists.
    """
    source = Path(source)
    if source.suffix not in (".bin", ".np"):
        raise ValueError(f"expected a .bin file, or margin-centre-face's .np, got {source}")
    packed = read_bin(source) if source.suffix == ".bin" else read_np(source)
    damaged: dict[str, str] = {}
    paths: dict[str, str] = {}
    with files.new_folder(output_dir) as folder:
        (folder / "photos").mkdir()
        for number, photo in enumerate(tqdm(packed.photos, "writing", unit=" photos", disable=not progress)):
            image = photo if isinstance(photo, bytes) else encoding.png(photo)
            size = photo_size(image)
            if isinstance(size, str):
                damaged[str(number)] = size
                continue
            suffix = "png" if image.startswith(_PNG_SIGNATURE) else "jpg"
            paths[str(number)] = f"photos/{number:05d}.{suffix}"
            (folder / paths[str(number)]).write_bytes(image)
        if damaged and not skip_damaged:
            key, reason = next(iter(damaged.items()))
            raise ValueError(
                f"{source}: photo {key} is {reason}, and {len(damaged) - 1} more; --skip_damaged leaves their pairs out"
            )
        kept = [
            (int(same), paths[left], paths[right])
            for left, right, same in zip(packed.pairs.left, packed.pairs.right, packed.pairs.genuine, strict=True)
            if left in paths and right in paths
        ]
        if not kept:
            raise ValueError(f"{source}: no pair of photos is left")
        (folder / "pairs.txt").write_text("".join(f"{same},{left},{right}\n" for same, left, right in kept))
        write_skipped(folder, [(f"photo {number}", reason) for number, reason in damaged.items()])
        if is_drawn(source):
            write_record(folder, None, drawn=True)
    genuine = sum(same for same, _, _ in kept)
    left_out = len(packed.pairs.left) - len(kept)
    same_folds = not left_out and _same_folds(packed.pairs, folds_by_polarity)
    return _summary(len(paths), genuine, len(kept) - genuine, left_out, same_folds)


def pack(
    data: str | os.PathLike,
    output: str | os.PathLike,
    pairs_file: str | os.PathLike | None = None,
    *,
    progress: bool = True,
) -> Summary:
    """Writes photos and their pairs as an InsightFace .bin, pickled (images, flags), and returns the summary.

    The photos stay as they are, byte for byte. The pairs are in the order of their folds, as InsightFace cuts ten
    consecutive ones. Of drawn people a record beside the file says so (`photos.template`).

    Args:
        data: Folder of aligned photos, found under other endings, too (`photos.lists.PhotoFolder`).
        output: File to make, `*.bin`; must not exist.
        pairs_file: The pairs, a format of `read_pairs`; None: `pairs.txt` in the folder.
        progress: Whether to show a progress bar.

    Raises: ValueError: A photo is missing or none, a line of the pairs is not as expected, or the output exists.
    """
    data, output = Path(data), files.check_new(output)
    if output.suffix != ".bin":
        raise ValueError(f"output must end in .bin, by which it is known, got {output}")
    pairs = read_pairs(data / "pairs.txt" if pairs_file is None else pairs_file)
    keys = pairs.distinct_keys()
    find = PhotoFolder(data)
    paths = {key: find(key) for key in keys}
    if missing := [key for key, path in paths.items() if not path.is_file()]:
        raise ValueError(f"{data}: {len(missing)} of {len(keys)} photos are missing: {checked.some(missing)}")
    images: dict[str, bytes] = {}
    for key in tqdm(keys, "reading", unit=" photos", disable=not progress):
        images[key] = paths[key].read_bytes()
        if isinstance(size := photo_size(images[key]), str):
            raise ValueError(f"{paths[key]}: expected a JPEG or PNG photo, got {size}")
    order = np.argsort(pairs.fold, kind="stable").tolist()
    encoded = [images[side[row]] for row in order for side in (pairs.left, pairs.right)]
    flags = [bool(pairs.genuine[row]) for row in order]
    with files.opened_whole(output) as file:
        pickle.dump((encoded, flags), file, protocol=4)
    if is_drawn(data, pairs_file):
        write_record(output, None, drawn=True)
    ordered = dataclasses.replace(pairs, genuine=pairs.genuine[order], fold=pairs.fold[order])
    genuine = int(pairs.genuine.sum())
    same_folds = _same_folds(ordered, lambda flags: folds_by_position(flags.size))
    return _summary(len(keys), genuine, len(flags) - genuine, 0, same_folds)


def _summary(photos: int, genuine: int, impostor: int, left_out: int, same_folds: bool) -> Summary:
    """Returns what was written of a test set, and whether its folds stay what they were."""
    lines = [f"{photos:,} photos, {genuine:,} genuine and {impostor:,} impostor pairs"]
    if left_out:
        lines.append(f"{left_out:,} pairs left out")
    if not same_folds:
        lines.append("the 10 folds of the result are not those of the source, so its accuracy may differ a little")
    counts = {"photos": photos, "genuine": genuine, "impostor": impostor, "left_out": left_out}
    return Summary("\n".join(lines), counts)


def _same_folds(pairs: Pairs, cut: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Returns whether a rule, from the flags of pairs to folds, gives the folds that they have."""
    try:
        return bool(np.array_equal(cut(pairs.genuine), pairs.fold))
    except ValueError:  # too few pairs for it
        return False
