"""Pictures for the report: a contact sheet, pairs of photos, how many photos people have."""

import os
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.figure import Figure

from keras_face.inspection.facts import decode_all
from keras_face.inspection.sources import Photos

_CELL = 112  # side of a photo in a sheet, pixels
_GAP = 4
_SHEET = 10, 10  # rows, columns


def save_contact_sheet(path: str | os.PathLike, photos: Photos, good: np.ndarray, seed: int = 0) -> None:
    """Writes a PNG of up to 100 photos of a dataset, chosen at random.

    Args:
        path: PNG file, replaced.
        photos: The dataset.
        good: bool [photos], which can be shown.
        seed: Of the choice.
    """
    numbers = np.random.default_rng(seed).permutation(np.flatnonzero(good))[: _SHEET[0] * _SHEET[1]]
    _save_sheet(path, [_read(photos, int(number)) for number in numbers], _SHEET[1])


def save_groups(path: str | os.PathLike, groups: Sequence[Sequence[tuple[Photos, int]]], max_rows: int = 12) -> None:
    """Writes a PNG of groups of photos, two groups a row, two photos of each.

    Args:
        path: PNG file, replaced.
        groups: Dataset and number of each photo of each group.
        max_rows: Rows at most; the rest is not shown.
    """
    shown = [_read(photos, number) for group in groups[: 2 * max_rows] for photos, number in group[:2]]
    _save_sheet(path, shown, 4)


def save_mean_photo(path: str | os.PathLike, mean_photo: np.ndarray, landmarks: np.ndarray | None) -> None:
    """Writes a PNG of the mean of all photos, with crosses where the template has eyes, nose and mouth.

    Args:
        path: PNG file, replaced.
        mean_photo: float [112, 112, 3], RGB.
        landmarks: float [5, 2], pixels of it; None: no crosses.
    """
    scale = 4
    image = cv2.resize(np.clip(mean_photo, 0, 255).astype(np.uint8), None, fx=scale, fy=scale)
    for x, y in [] if landmarks is None else ((landmarks + 0.5) * scale - 0.5).round().astype(int).tolist():
        cv2.drawMarker(image, (x, y), (0, 255, 0), cv2.MARKER_CROSS, 16, 1)
    _write(path, image)


def save_photos_per_person(path: str | os.PathLike, counts: np.ndarray, title: str) -> None:
    """Writes a histogram of the photos of people, both axes logarithmic.

    Args:
        path: PNG file, replaced.
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
    figure.savefig(path, format="png")


def _read(photos: Photos, number: int) -> np.ndarray:
    """Returns a photo uint8 [112, 112, 3], its sides as they are to each other, on grey."""
    _, image = decode_all([photos.read(number)], photos.image_size or (_CELL, _CELL))[0]
    cell = np.full((_CELL, _CELL, 3), 128, np.uint8)
    if image is None:
        return cell
    scale = _CELL / max(image.shape[:2])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    shown = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (_CELL - height) // 2, (_CELL - width) // 2
    cell[top : top + height, left : left + width] = shown
    return cell


def _save_sheet(path: str | os.PathLike, cells: Sequence[np.ndarray], columns: int) -> None:
    rows = max(1, -(-len(cells) // columns))
    step = _CELL + _GAP
    sheet = np.full((rows * step + _GAP, columns * step + _GAP, 3), 255, np.uint8)
    for place, cell in enumerate(cells):
        top, left = place // columns * step + _GAP, place % columns * step + _GAP
        sheet[top : top + _CELL, left : left + _CELL] = cell
    _write(path, sheet)


def _write(path: str | os.PathLike, image: np.ndarray) -> None:
    written = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1]
    with open(path, "wb") as file:
        file.write(written.tobytes())
