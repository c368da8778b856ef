"""Pictures for the report: a contact sheet, pairs of photos, how many photos people have."""

import os
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from keras_face.files import opened_whole
from keras_face.inspection.facts import decode_all
from keras_face.inspection.sources import Photos
from keras_face.photos.sheet import fitted, grid, write

_CELL = 112  # side of a photo in a sheet, pixels
_SHEET = 10, 10  # rows, columns
_UNREADABLE = np.full((_CELL, _CELL, 3), 128, np.uint8)


def save_contact_sheet(path: str | os.PathLike, photos: Photos, good: np.ndarray, seed: int = 0) -> None:
    """Writes a PNG of up to 100 photos of a dataset, chosen at random.

    Args:
        path: PNG file, written whole or not at all.
        photos: The dataset.
        good: bool [photos], which can be shown.
        seed: Of the choice.
    """
    numbers = np.random.default_rng(seed).permutation(np.flatnonzero(good))[: _SHEET[0] * _SHEET[1]]
    write(path, grid([_read(photos, int(number)) for number in numbers] or [_UNREADABLE], _SHEET[1]))


def save_groups(path: str | os.PathLike, groups: Sequence[Sequence[tuple[Photos, int]]], max_rows: int = 12) -> None:
    """Writes a PNG of groups of photos, two groups a row, two photos of each.

    Args:
        path: PNG file, written whole or not at all.
        groups: Dataset and number of each photo of each group.
        max_rows: Rows at most; the rest is not shown.
    """
    write(path, grid([_read(*photo) for group in groups[: 2 * max_rows] for photo in group[:2]], columns=4))


def save_mean_photo(path: str | os.PathLike, mean_photo: np.ndarray, landmarks: np.ndarray | None) -> None:
    """Writes a PNG of the mean of all photos, with crosses where the template has eyes, nose and mouth.

    Args:
        path: PNG file, written whole or not at all.
        mean_photo: float [112, 112, 3], RGB.
        landmarks: float [5, 2], pixels of it; None: no crosses.
    """
    scale = 4
    image = cv2.resize(np.clip(mean_photo, 0, 255).astype(np.uint8), None, fx=scale, fy=scale)
    for x, y in [] if landmarks is None else ((landmarks + 0.5) * scale - 0.5).round().astype(int).tolist():
        cv2.drawMarker(image, (x, y), (0, 255, 0), cv2.MARKER_CROSS, 16, 1)
    write(path, image)


def save_photos_per_person(path: str | os.PathLike, counts: np.ndarray, title: str) -> None:
    """Writes a histogram of the photos of people, both axes logarithmic.

    Args:
        path: PNG file, written whole or not at all.
        counts: int [people], photos of each.
        title: Line above it.
    """
    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    largest = max(1, int(counts.max(initial=1)))
    edges = np.unique(np.geomspace(1, largest + 1, 40).round().astype(int)) - 0.5
    edges = np.append(edges, largest + 0.5) if edges[-1] < largest + 0.5 else edges
    axes.hist(counts[counts > 0], edges.tolist(), color="tab:blue")
    # A bar of one person must stand out from none.
    axes.set(xscale="log", yscale="log", ylim=(0.7, None), xlabel="photos of a person", ylabel="people")
    axes.set_title(title, fontsize=9)
    axes.grid(which="major", alpha=0.3)
    with opened_whole(path) as file:
        figure.savefig(file, format="png")


def _read(photos: Photos, number: int) -> np.ndarray:
    """Returns a photo uint8 [112, 112, 3], its sides as they are to each other; grey if it cannot be read."""
    _, image = decode_all([photos.read(number)], photos.image_size or (_CELL, _CELL))[0]
    return _UNREADABLE if image is None else fitted(image, _CELL)
