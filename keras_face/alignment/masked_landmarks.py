"""Where the faces to mask are: in aligned crops, found by a detector, or known from a file of 5 or 68 points each."""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from keras_face.alignment.aligner import choose
from keras_face.alignment.detector import Detector
from keras_face.alignment.landmark_files import ListedLandmarks
from keras_face.masks import landmarks
from keras_face.photos.files import PhotoError

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_LINE68 = re.compile(rf"(.+?)[\t, ]\s*({_NUMBER}(?:[\t, ]+{_NUMBER}){{135}})\s*")

# From names and photos to the 68 landmarks of each photo's face, or why there are none.
Landmarks = Callable[[Sequence[str], Sequence[np.ndarray]], list["np.ndarray | PhotoError"]]


def aligned(names: Sequence[str], crops: Sequence[np.ndarray]) -> list["np.ndarray | PhotoError"]:
    """Returns where the landmarks lie in the mean in crops aligned to ArcFace's template; a `Landmarks`."""
    by_size = {size: landmarks.aligned(size) for size in {crop.shape[:2] for crop in crops}}
    return [by_size[crop.shape[:2]] for crop in crops]


class Detected:
    """Finds the largest face of each photo by its five points; a `Landmarks`."""

    def __init__(self, detector: Detector):
        self._detector = detector

    def __call__(self, names: Sequence[str], photos: Sequence[np.ndarray]) -> list["np.ndarray | PhotoError"]:
        chosen = [
            choose(faces, "largest", photo.shape[:2])
            for faces, photo in zip(self._detector(photos), photos, strict=True)
        ]
        return [
            _attempt(landmarks.from_points5, faces[0].landmarks if faces else None, "no face found") for faces in chosen
        ]


class Listed5:
    """Knows the five points of each photo from a file (`landmark_files.ListedLandmarks`); a `Landmarks`."""

    def __init__(self, path: str | os.PathLike):
        self._listed = ListedLandmarks(path)

    def __call__(self, names: Sequence[str], photos: Sequence[np.ndarray]) -> list["np.ndarray | PhotoError"]:
        def known(name: str) -> "np.ndarray | PhotoError":
            try:
                return _attempt(landmarks.from_points5, self._listed(name), "no landmarks listed")
            except PhotoError as error:
                return error

        return [known(name) for name in names]


class Listed68:
    """Knows the 68 landmarks of each photo from a file; a `Landmarks`.

    Args:
        path: Lines of the photo's path from the source and 136 numbers x y x y ..., in pixels, in the order of iBUG and
            dlib, separated by tabs, commas or spaces.

    Raises: ValueError that says which line has another form, or comes again; OSError if it cannot be read.
    """

    def __init__(self, path: str | os.PathLike):
        self._points: dict[str, np.ndarray] = {}
        text = Path(path).read_text(encoding="utf-8-sig", errors="surrogateescape")
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            match = _LINE68.fullmatch(line)
            if match is None:
                raise ValueError(f"{path}:{number}: expected a path and 136 numbers x y x y ..., got {line[:200]!r}")
            name = match[1].strip()
            if name in self._points:
                raise ValueError(f"{path}:{number}: expected each photo once, got {name!r} again")
            self._points[name] = np.array(re.split(r"[\t, ]+", match[2]), np.float64).reshape(68, 2)
        if not self._points:
            raise ValueError(f"expected landmarks in {path}, got none")

    def __call__(self, names: Sequence[str], photos: Sequence[np.ndarray]) -> list["np.ndarray | PhotoError"]:
        return [_attempt(landmarks.from_points68, self._points.get(name), "no landmarks listed") for name in names]


def _attempt(
    make: Callable[[np.ndarray], np.ndarray], points: np.ndarray | None, absent: str
) -> "np.ndarray | PhotoError":
    if points is None:
        return PhotoError(absent)
    try:
        return make(points)
    except ValueError:
        return PhotoError("landmarks that are no face: mirrored, upside down, or all at one place")
