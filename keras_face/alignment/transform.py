"""A face laid onto its template: the similarity of two point sets, and the warp."""

import cv2
import numpy as np

from keras_face.alignment.templates import Template


def similarity(source: np.ndarray, destination: np.ndarray) -> np.ndarray:
    """Returns the similarity (rotation, one scale, shift; no reflection) that is nearest in least squares.

    Args:
        source: float [n, 2], n >= 2, x and y of points that are not all the same.
        destination: float [n, 2], where they should come to.

    Returns: float64 [2, 3]: destination is about matrix[:, :2] @ source + matrix[:, 2].
    Raises: ValueError if the shapes differ, a number is not finite, or all source points are the same.
    Reference: Umeyama 1991, eq. 40-42; in the plane, where rotation and scale are one complex factor.
    """
    source, destination = np.asarray(source, np.float64), np.asarray(destination, np.float64)
    if source.shape != destination.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise ValueError(f"expected two sets of points [n, 2], n >= 2, got {source.shape} and {destination.shape}")
    if not (np.isfinite(source).all() and np.isfinite(destination).all()):
        raise ValueError("expected finite points, got NaN or infinity")
    from_mean, to_mean = source.mean(axis=0), destination.mean(axis=0)
    from_points = (source - from_mean) @ (1, 1j)
    to_points = (destination - to_mean) @ (1, 1j)
    spread = np.vdot(from_points, from_points).real
    if spread <= 1e-9:  # square pixels
        raise ValueError("expected points that are not all the same")
    factor = np.vdot(from_points, to_points) / spread
    turn = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([turn, to_mean - turn @ from_mean])


def matrix(landmarks: np.ndarray, template: Template) -> np.ndarray:
    """Returns the similarity float64 [2, 3] that lays a face with these landmarks [5, 2] onto the template."""
    landmarks = np.asarray(landmarks, np.float64)
    if template.anchors == "points":
        return similarity(landmarks, template.landmarks)
    return similarity(_anchors(landmarks, template.anchors), _anchors(template.landmarks, template.anchors))


def align(photo: np.ndarray, landmarks: np.ndarray, template: Template) -> np.ndarray:
    """Returns the aligned crop of a face: bilinear, black outside the photo.

    A face that comes out at less than half its size is first shrunk by a whole number, averaging areas: bilinear
    interpolation alone would skip pixels.

    Args:
        photo: uint8 RGB [height, width, 3].
        landmarks: float [5, 2], x and y in pixels, in the order of `Template.landmarks`.
        template: Where they should lie.

    Returns: uint8 RGB [height, width, 3] of the template's size.
    Raises: ValueError if the landmarks are not finite, or all the same.
    """
    height, width = template.image_size
    warp = matrix(landmarks, template)
    factor = int(1 / np.linalg.norm(warp[:, 0]) + 1e-6)
    if factor >= 2:
        photo, warp = _shrunk(photo, warp, factor, (height, width))
    return cv2.warpAffine(photo, warp, (width, height), flags=cv2.INTER_LINEAR)


def _shrunk(
    photo: np.ndarray, warp: np.ndarray, factor: int, image_size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the part of a photo that a warp shows, `factor` times smaller, and the warp from there."""
    height, width = image_size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]]) - 0.5
    seen = (corners - warp[:, 2]) @ np.linalg.inv(warp[:, :2]).T
    size = np.array([photo.shape[1], photo.shape[0]])
    low = np.clip(np.floor(seen.min(axis=0)).astype(int) - factor, 0, size)
    high = np.clip(np.ceil(seen.max(axis=0)).astype(int) + factor, 0, size)
    part = photo[low[1] : high[1], low[0] : high[0]]
    if part.size == 0:
        return np.zeros((1, 1, 3), np.uint8), warp
    # Whole blocks: black beyond the photo's edge, as it is beyond the crop's.
    beyond = -np.array(part.shape[:2]) % factor
    part = cv2.copyMakeBorder(part, 0, int(beyond[0]), 0, int(beyond[1]), cv2.BORDER_CONSTANT)
    small = cv2.resize(part, (part.shape[1] // factor, part.shape[0] // factor), interpolation=cv2.INTER_AREA)
    # The middle of a small pixel is that of its block: large = factor * small + (factor - 1) / 2 + low.
    shift = warp[:, :2] @ (low + (factor - 1) / 2) + warp[:, 2]
    return small, np.column_stack([warp[:, :2] * factor, shift])


def _anchors(landmarks: np.ndarray, anchors: str) -> np.ndarray:
    """Returns two points that SeqFace's methods align by."""
    left, right = landmarks[:2].astype(np.float64)
    if anchors == "eyes":
        return np.array([left, right])
    middle = (left + right) / 2
    along = (right - left) / np.linalg.norm(right - left)
    down = np.array([-along[1], along[0]])
    mouth = landmarks[3:].mean(axis=0)
    return np.array([middle, middle + down * ((mouth - middle) @ down)])
