"""How a face looks, without a trained network: enough to tell two people in one film apart, from frame to frame."""

import dataclasses

import cv2
import numpy as np

_CELLS, _DIRECTIONS = 6, 8
_STRANGERS = 6.0  # mean difference of colour, steps of CIELAB, at which nothing is left of the similarity


@dataclasses.dataclass(frozen=True)
class Look:
    """What is kept of an aligned face to compare it with others.

    Args:
        gradients: float32 [288], unit: the edges by place and direction.
        colours: float32 [6, 6, 2]: the colours by place, a* and b* of CIELAB.
        small: float32 [28, 28]: the face in small, grey levels.
    """

    gradients: np.ndarray
    colours: np.ndarray
    small: np.ndarray


def look(crop: np.ndarray) -> Look:
    """Returns how a face looks.

    Args:
        crop: uint8 RGB [112, 112, 3], aligned to the template "arcface".
    """
    face = crop[16:, 8:104]  # 96x96: without most of what is around the head
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
    blurred = cv2.GaussianBlur(grey, (0, 0), 1.5)
    length, direction = cv2.cartToPolar(cv2.Sobel(blurred, cv2.CV_32F, 1, 0), cv2.Sobel(blurred, cv2.CV_32F, 0, 1))
    # Each edge counts for the two directions that it is between, and all of a cell together for the cell.
    turns = direction[..., np.newaxis] * (_DIRECTIONS / (2 * np.pi)) - np.arange(_DIRECTIONS)
    apart = np.abs((turns + _DIRECTIONS / 2) % _DIRECTIONS - _DIRECTIONS / 2)
    edges = np.maximum(1 - apart, 0) * length[..., np.newaxis]
    cells = edges.reshape(_CELLS, 96 // _CELLS, _CELLS, 96 // _CELLS, _DIRECTIONS).mean(axis=(1, 3))
    cells /= np.linalg.norm(cells, axis=-1, keepdims=True) + 5  # as much light on either side of the face
    cells -= cells.mean(axis=(0, 1))  # what all faces have in common
    colours = cv2.cvtColor(cv2.resize(face, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    return Look(
        gradients=(cells / max(float(np.linalg.norm(cells)), 1e-6)).ravel().astype(np.float32),
        colours=colours[..., 1:].astype(np.float32),
        small=cv2.resize(grey, (28, 28), interpolation=cv2.INTER_AREA),
    )


def similarity(first: Look, second: Look) -> float:
    """Returns how much two faces of one film look alike, at most 1: the less of their likeness in edges and in colours.

    Measured on a real clip: of 424 pairs of different people in one picture none has 0.6 or more; of the same face in
    two frames, 97 % have with a thirtieth of a second between them, 88 % with a sixth, 83 % with a third.
    """
    colours = 1 - float(np.abs(first.colours - second.colours).mean()) / _STRANGERS
    return min(float(first.gradients @ second.gradients), colours)


def difference(first: Look, second: Look) -> float:
    """Returns how much two photos of a face differ: the mean difference of the small ones, grey levels."""
    return float(np.abs(first.small - second.small).mean())
