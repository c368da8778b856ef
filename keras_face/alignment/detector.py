"""Faces and their landmarks in photos: the networks of the `mtcnn` package, in batches, with landmarks not rounded."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from keras_face.alignment.boxes import square, suppress
from keras_face.alignment.networks import load_networks
from keras_face.backend import tf

_CELL, _STRIDE = 12, 2  # pixels that the proposal network sees of a scaled photo, and between two such places
_BATCH_PIXELS = 2_000_000  # of photos proposed for at a time
_PATCHES = {24: 1024, 48: 256}  # at a time, by their side


@dataclasses.dataclass(frozen=True)
class Face:
    """A face found in a photo.

    Args:
        box: float32 [4]: left, top, width, height; pixels of the photo.
        landmarks: float32 [5, 2]: x and y of the eye on the image's left, the eye on its right, the nose, the corners
            of the mouth on the image's left and right; pixels, not rounded.
        score: How sure the detector is, [0, 1].

    Examples:
        >>> face = Face(box=np.array([10, 12, 30, 40]), landmarks=np.zeros((5, 2)), score=0.97)
        >>> float(face.box[2] * face.box[3])  # its area in pixels
        1200.0
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float


class Detector:
    """Finds faces by MTCNN: one network proposes boxes on scaled photos, two refine them.

    Photos of the same size are batched, and the boxes are those that the `mtcnn` package gives photo by photo.

    Args:
        min_face_size: Side of the smallest face to find, pixels, >= 12; twice as much is about four times as fast.
        thresholds: Scores, [0, 1], from which on each of the three networks takes a box for a face.
        scale_factor: Of a scaled photo to the one before, (0, 1).
        max_pixels: Photos of more are shrunk to as many before detection; it bounds memory.

    Call arguments:
        photos: uint8 RGB [height, width, 3] each, of any sizes.

    Returns: For each photo its faces, the surest first.
    Raises: ValueError if an argument is out of range, or a photo has another shape or type.
    Reference: Zhang et al. 2016, MTCNN, https://arxiv.org/abs/1604.02878

    Examples:
        >>> detect = Detector(min_face_size=40)
        >>> detect([np.zeros((80, 80, 3), np.uint8)])  # for each photo its faces: here none
        [[]]
    """

    def __init__(
        self,
        min_face_size: float = 20,
        thresholds: Sequence[float] = (0.6, 0.7, 0.8),
        scale_factor: float = 0.709,
        max_pixels: int = 4_000_000,
    ):
        if not min_face_size >= _CELL:
            raise ValueError(f"min_face_size must be >= {_CELL} pixels, got {min_face_size}")
        if len(thresholds) != 3 or not all(0 <= threshold <= 1 for threshold in thresholds):
            raise ValueError(f"thresholds must be three scores in [0, 1], got {thresholds}")
        if not 0 < scale_factor < 1:
            raise ValueError(f"scale_factor must be in (0, 1), got {scale_factor}")
        if not max_pixels >= _CELL**2:
            raise ValueError(f"max_pixels must be >= {_CELL**2}, got {max_pixels}")
        self.min_face_size = min_face_size
        self.thresholds = tuple(thresholds)
        self.scale_factor = scale_factor
        self.max_pixels = max_pixels
        self._networks = load_networks()

    @property
    def settings(self) -> dict[str, Any]:
        """What the boxes depend on, as JSON values."""
        return {
            "min_face_size": self.min_face_size,
            "thresholds": list(self.thresholds),
            "scale_factor": self.scale_factor,
            "max_pixels": self.max_pixels,
        }

    def __call__(self, photos: Sequence[np.ndarray]) -> list[list[Face]]:
        for photo in photos:
            if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
                raise ValueError(
                    "expected photos uint8 [height, width, 3], got "
                    f"{getattr(photo, 'dtype', type(photo).__name__)} {list(np.shape(photo))}"
                )
        small = [self._shrunk(photo) for photo in photos]
        batches = list(_batches([photo.shape for photo in small]))
        stacks = [np.stack([small[index] for index in batch]) for batch in batches]
        found: list[list[Face]] = [[] for _ in photos]
        for index, rows in zip(itertools.chain(*batches), self._rows(stacks), strict=True):
            found[index] = [_face(row, photos[index].shape, small[index].shape) for row in rows]
        return found

    def _shrunk(self, photo: np.ndarray) -> np.ndarray:
        height, width, _ = photo.shape
        if height * width <= self.max_pixels:
            return photo
        factor = math.sqrt(self.max_pixels / (height * width))
        size = max(1, int(width * factor)), max(1, int(height * factor))
        return cv2.resize(photo, size, interpolation=cv2.INTER_AREA)

    def _rows(self, stacks: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns for each photo of the stacks float rows of a face each: left, top, right, bottom, score, x, y, ..."""
        boxes = [square(some) for stack in stacks for some in self._proposed(stack)]
        count = len(boxes)
        photo, joined = _joined(boxes)
        if not len(joined):  # TensorFlow's convolution of no patches has a wrong shape
            return [np.zeros((0, 15))] * count
        change, score = self._looked(self._networks.refine, 24, stacks, photo, joined)
        joined = _moved(joined, change)
        kept = [
            square(joined[here][suppress(joined[here], score[here], 0.7)])
            for here in _each(photo, score > self.thresholds[1], count)
        ]
        photo, joined = _joined(kept)
        if not len(joined):
            return [np.zeros((0, 15))] * count
        change, landmarks, score = self._looked(self._networks.finish, 48, stacks, photo, joined)
        sizes = np.concatenate([np.tile([stack.shape[2], stack.shape[1]], (len(stack), 1)) for stack in stacks])
        landmarks = _landmarks(landmarks, joined, sizes[photo])
        joined = _moved(joined, change)
        rows = np.concatenate([joined, score[:, np.newaxis], landmarks.reshape(-1, 10)], axis=1)
        return [
            rows[here][suppress(joined[here], score[here], 0.7, of_smaller=True)]
            for here in _each(photo, score > self.thresholds[2], count)
        ]

    def _proposed(self, photos: np.ndarray) -> list[np.ndarray]:
        """Returns for each photo of uint8 [n, height, width, 3] the boxes float [m, 4] where a face may be."""
        found: list[list[np.ndarray]] = [[np.zeros((0, 5))] for _ in photos]
        height, width = photos.shape[1:3]
        exact = photos.astype(np.float32)  # OpenCV would round scaled integers
        scale = _CELL / self.min_face_size
        while min(height, width) * scale >= _CELL:
            size = int(width * scale), int(height * scale)
            scaled = np.stack([cv2.resize(photo, size, interpolation=cv2.INTER_AREA) for photo in exact])
            change, score = (result.numpy() for result in self._networks.propose(scaled))
            photo, row, column = np.nonzero(score > self.thresholds[0])
            corner = np.stack([column, row], axis=1) * _STRIDE
            # From the cell's second pixel to beyond its last: so the package has it.
            cells = np.concatenate([corner + 1, corner + _CELL], axis=1)
            boxes = (cells + change[photo, row, column] * (_CELL - 1)) / scale
            rows = np.concatenate([boxes, score[photo, row, column, np.newaxis]], axis=1)
            for levels, here in zip(found, _each(photo, True, len(photos)), strict=True):
                levels.append(rows[here][suppress(boxes[here], rows[here, 4], 0.5)])
            scale *= self.scale_factor
        merged = [np.concatenate(levels) for levels in found]
        return [rows[suppress(rows[:, :4], rows[:, 4], 0.7), :4] for rows in merged]

    def _looked(
        self, network: Any, side: int, stacks: Sequence[np.ndarray], photo: np.ndarray, boxes: np.ndarray
    ) -> list[np.ndarray]:
        """Returns what a network says of boxes float [m, 4] of the photos int [m], counted over all stacks."""
        patches = []
        first = 0
        for stack in stacks:
            here = slice(*np.searchsorted(photo, [first, first + len(stack)]))
            height, width = stack.shape[1:3]
            # So the package has it, but TensorFlow takes shares of the height - 1: see `_landmarks`.
            shares = (boxes[here] / (width, height, width, height))[:, [1, 0, 3, 2]]
            # Beyond the photo is what becomes 0 in the network.
            patches.append(
                tf.image.crop_and_resize(stack, shares, photo[here] - first, (side, side), extrapolation_value=127.5)
            )
            first += len(stack)
        joined = tf.concat(patches, 0)
        step = _PATCHES[side]
        parts = [network(joined[start : start + step]) for start in range(0, len(boxes), step)]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]


def _batches(shapes: Sequence[tuple[int, ...]]) -> Iterator[list[int]]:
    """Yields the indices of photos of the same shape, not too many pixels at a time."""
    same: dict[tuple[int, ...], list[int]] = {}
    for index, shape in enumerate(shapes):
        same.setdefault(shape, []).append(index)
    for (height, width, _), indices in same.items():
        step = max(1, _BATCH_PIXELS // (height * width))
        for start in range(0, len(indices), step):
            yield indices[start : start + step]


def _each(photo: np.ndarray, taken: np.ndarray | bool, count: int) -> list[np.ndarray]:
    """Returns for each photo 0, 1, ... the indices of the rows that are its own, and taken."""
    return [np.flatnonzero(taken & (photo == index)) for index in range(count)]


def _joined(boxes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the photo int [m] and the boxes float [m, 4] of lists of boxes of photos."""
    return np.repeat(np.arange(len(boxes)), [len(some) for some in boxes]), np.concatenate([np.zeros((0, 4)), *boxes])


def _moved(boxes: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Returns boxes float [m, 4] moved by shares of their sizes, [m, 4]."""
    return boxes + change * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)


def _landmarks(shares: np.ndarray, boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Returns float [m, 5, 2], x and y in pixels, of shares of boxes [m, 10], x, ..., y, ...

    They are where the network saw them: the outer pixels of its patch have their middles on the box's edges, and what
    it was shown of x is at x * (width - 1) / width. The package's own formula is right in the middle of a photo, but
    half a pixel off at its edges.

    Args:
        shares: What the network says.
        boxes: float [m, 4], left, top, right, bottom.
        sizes: [m, 2], width and height of their photos.
    """
    pixels = shares.reshape(-1, 2, 5).transpose(0, 2, 1) * 48 - 0.5
    points = boxes[:, np.newaxis, :2] + pixels / 47 * (boxes[:, 2:] - boxes[:, :2])[:, np.newaxis]
    return points * ((sizes - 1) / sizes)[:, np.newaxis]


def _face(row: np.ndarray, shape: tuple[int, ...], shrunk: tuple[int, ...]) -> Face:
    """Returns a face in pixels of the photo, its box within, of a row in pixels of the shrunk photo."""
    corners = np.clip(row[:4].reshape(2, 2), 0, (shrunk[1] - 1, shrunk[0] - 1))
    points = np.concatenate([corners, row[5:].reshape(5, 2)])
    points = (points + 0.5) * (shape[1] / shrunk[1], shape[0] / shrunk[0]) - 0.5
    box = np.concatenate([points[0], points[1] - points[0]])
    return Face(box.astype(np.float32), points[2:].astype(np.float32), float(row[4]))
