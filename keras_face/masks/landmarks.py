"""Where a face is in a photo: 68 landmarks, whatever they are known from.

Every source gives float64 [68, 2]: x and y in pixels of the photo (0 is the middle of the first pixel), in the order of
iBUG and dlib. A mask needs nothing else.
"""

from collections.abc import Sequence

import numpy as np

from keras_face.masks.mean_face import five_points, mean_face

# The five landmarks of ArcFace's 112x112 crop; keras_face.alignment.templates has them too, and a test compares.
_ARCFACE = np.array(
    [[38.29459953, 51.69630051], [73.53179932, 51.50139999], [56.02519989, 71.73660278], [41.54930115, 92.36550140],
     [70.72990036, 92.20410156]]
)  # fmt: skip
_ARCFACE_SIZE = 112

# How firmly a head is believed to look ahead: a turn of a radian costs as much as an error of this many eye distances.
# Of the values tried on LFW these are among those that gave the least error of the jaw.
_STILL_YAW, _STILL_PITCH = 0.1, 0.5
_STEPS, _LARGEST_STEP = 20, 0.4


def from_points68(points: np.ndarray) -> np.ndarray:
    """Returns the 68 landmarks as they are, checked.

    Args:
        points: float [68, 2], x and y in pixels.

    Raises: ValueError if the shape is another, a number is not finite, or the face is mirrored or has no size.
    """
    points = _checked(points, 68)
    _check_order(five_points(points))
    return points


def from_points5(points: np.ndarray) -> np.ndarray:
    """Returns the 68 landmarks of the mean face, turned in space so that its five points lie near the given ones.

    The view is scaled orthographic, and least squares find its size, place and three angles. Against dlib's landmarks
    of 125 photos of LFW, with MTCNN's five points, the jaw is off by 0.14 eye distances in the mean, and by 0.21 or
    less in nine of ten photos; the flat mean face laid on the five points is off by 0.20 (similarity) or 0.22 (affine).

    Args:
        points: float [5, 2], x and y in pixels: the eye on the image's left, the eye on its right, the tip of the nose,
            the corners of the mouth on the image's left and right.

    Raises: ValueError if the shape is another, a number is not finite, or the face is mirrored or has no size.
    """
    points = _checked(points, 5)
    _check_order(points)
    face = mean_face()
    five = five_points(face)
    centre = five.mean(axis=0)
    size = np.sqrt(((points - points.mean(axis=0)) ** 2).sum() / ((five - centre)[:, :2] ** 2).sum())
    aim = points / size
    eyes, mouth = aim[:2].mean(axis=0), aim[3:].mean(axis=0)
    # The line from eyes to mouth says the roll better than that of the eyes, which in profile is short.
    roll = np.arctan2(-(mouth - eyes)[0], (mouth - eyes)[1])
    # Scale, yaw, pitch, roll, and where the centre of the five points is seen.
    view = np.array([1.0, 0.0, 0.0, roll, *aim.mean(axis=0)])

    def errors(view: np.ndarray) -> np.ndarray:
        seen = _seen(five - centre, view) - aim
        return np.concatenate([seen.ravel(), [_STILL_YAW * view[1], _STILL_PITCH * view[2]]])

    for _ in range(_STEPS):  # Gauss-Newton
        now = errors(view)
        slopes = np.stack([errors(view + change) - now for change in 1e-6 * np.eye(6)], axis=1) / 1e-6
        step = np.linalg.lstsq(slopes, -now, rcond=None)[0]
        view = view + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        if np.abs(step).max() < 1e-9:
            break
    return _seen(face - centre, view) * size


def aligned(image_size: Sequence[int]) -> np.ndarray:
    """Returns the 68 landmarks that a face has in the mean in a crop aligned to ArcFace's template.

    112x96 is the middle of 112x112, and crops of other sizes are 112 pixels high scaled, cut or widened at the sides.

    Args:
        image_size: (height, width) of the crop, pixels.

    Raises: ValueError if it is not two positive integers.
    """
    if len(tuple(image_size)) != 2 or not all(isinstance(side, (int, np.integer)) and side >= 1 for side in image_size):
        raise ValueError(f"image_size must be (height, width) in whole pixels >= 1, got {image_size}")
    height, width = image_size
    scale = height / _ARCFACE_SIZE
    left = (width - _ARCFACE_SIZE * scale) / 2
    return from_points5((_ARCFACE + 0.5) * scale - 0.5 + (left, 0))


def _seen(shape: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Returns the points [n, 2] at which points in space [n, 3] are seen."""
    scale, place = view[0], view[4:]
    (cos_yaw, cos_pitch, cos_roll), (sin_yaw, sin_pitch, sin_roll) = np.cos(view[1:4]), np.sin(view[1:4])
    x, y, z = shape.T
    x, z = cos_yaw * x + sin_yaw * z, cos_yaw * z - sin_yaw * x
    y = cos_pitch * y - sin_pitch * z
    return scale * np.stack([cos_roll * x - sin_roll * y, sin_roll * x + cos_roll * y], axis=1) + place


def _checked(points: np.ndarray, count: int) -> np.ndarray:
    points = np.asarray(points, np.float64)
    if points.shape != (count, 2):
        raise ValueError(f"expected {count} landmarks, x and y each: [{count}, 2], got {list(points.shape)}")
    if not np.isfinite(points).all():
        raise ValueError(f"expected {count} finite landmarks, got NaN or infinity")
    return points


def _check_order(five: np.ndarray) -> None:
    """Raises ValueError unless the eyes are left and right as seen from the mouth, and the face has a size."""
    across, down = five[1] - five[0], five[3:].mean(axis=0) - five[:2].mean(axis=0)
    if across[0] * down[1] - across[1] * down[0] <= 1e-6 or np.linalg.norm(down) < 1:
        raise ValueError(
            "expected the landmarks of the eye on the image's left, then of that on its right, above those of the "
            f"mouth, got eyes at {five[0].round(1).tolist()} and {five[1].round(1).tolist()}, corners of the mouth at "
            f"{five[3].round(1).tolist()} and {five[4].round(1).tolist()}"
        )
