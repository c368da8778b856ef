"""Landmarks that others found, by the name of the photo."""

import json
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from keras_face.photos.files import EXTENSIONS, PhotoError


class ListedLandmarks:
    """The landmarks of photos in a file.

    Args:
        path: The file, in one of these forms (x and y in pixels, in the order of `Template.landmarks`):
            lines `path<tab>x<tab>y...` (LFW, original photos);
            lines `path,count,x y x y x y x y x y score size` (LFW, deep-funneled photos);
            JSON {name: [x, x, x, x, x, y, y, y, y, y]} (MegaFace's FaceScrub).

    Call arguments:
        name: Relative path of a photo, with /.

    Returns: float32 [5, 2], or None if there are none: of the entry whose path ends as the name does, in as many
        folders as both have; their extensions may differ or lack.
    Raises: ValueError that says where the file has another form; PhotoError if several entries fit a photo.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        self._by_stem: dict[str, list[tuple[tuple[str, ...], np.ndarray]]] = {}
        for name, landmarks in _read(self.path).items():
            *folders, stem = _parts(name)
            self._by_stem.setdefault(stem, []).append((tuple(folders), landmarks))
        self.num_photos = sum(map(len, self._by_stem.values()))

    def __call__(self, name: str) -> np.ndarray | None:
        *folders, stem = _parts(name)
        fits = []
        for have, landmarks in self._by_stem.get(stem, ()):
            depth = min(len(have), len(folders))
            if depth == 0 or have[-depth:] == tuple(folders[-depth:]):
                fits.append(landmarks)
        if len(fits) > 1:
            raise PhotoError(f"{len(fits)} entries in {self.path.name}")
        return fits[0] if fits else None


def _parts(name: str) -> list[str]:
    path = PurePosixPath(name)
    stem = path.stem if path.suffix.lower() in EXTENSIONS else path.name  # "Robert Downey Jr._1" has no extension
    return [*(part for part in path.parts[:-1] if part not in (".", "/")), stem]


def _read(path: Path) -> Mapping[str, np.ndarray]:
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    if text.lstrip().startswith("{"):
        return _from_json(path, text)
    found: dict[str, np.ndarray] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        name, numbers = _split(line.rstrip("\r"))
        landmarks = _landmarks(numbers)
        if landmarks is None:
            raise ValueError(
                f"{path}:{number}: expected `path<tab>x<tab>y...` or `path,count,x y ... score size` with five "
                f"landmarks, got {line[:200]!r}"
            )
        if name in found:
            raise ValueError(f"{path}:{number}: expected each photo once, got {name!r} again")
        found[name] = landmarks.reshape(5, 2)
    if not found:
        raise ValueError(f"expected landmarks in {path}, got none")
    return found


def _split(line: str) -> tuple[str, list[str]]:
    if "\t" in line:
        name, *numbers = line.split("\t")
        return name, numbers
    name, *rest = line.rsplit(",", 2)
    return name, rest[-1].split()[:10] if len(rest) == 2 else []


def _from_json(path: Path, text: str) -> Mapping[str, np.ndarray]:
    try:
        entries = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON {{name: [x, ..., y, ...]}}, got {error}") from None
    if not isinstance(entries, dict):
        raise ValueError(f"{path}: expected JSON {{name: [x, ..., y, ...]}}, got a {type(entries).__name__}")
    found = {}
    for name, numbers in entries.items():
        landmarks = _landmarks(numbers if isinstance(numbers, list) else [])
        if landmarks is None:
            raise ValueError(f"{path}: {name!r}: expected five x and five y, got {reprlib.repr(numbers)}")
        found[name] = landmarks.reshape(2, 5).T
    if not found:
        raise ValueError(f"expected landmarks in {path}, got none")
    return found


def _landmarks(numbers: list) -> np.ndarray | None:
    try:
        landmarks = np.array(numbers, np.float32)
    except (ValueError, TypeError):
        return None
    return landmarks if landmarks.shape == (10,) and np.isfinite(landmarks).all() else None
