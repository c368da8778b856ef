"""A mask put on a face in a photo."""

import cv2
import numpy as np

from keras_face.masks import light
from keras_face.masks.pictures import MaskPicture

_NOISE_LIMIT = 12.0  # grey levels; more is texture
_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # Immerkaer 1996: gives noise times 6


def wear(
    photo: np.ndarray,
    landmarks: np.ndarray,
    mask_picture: MaskPicture,
    picture: np.ndarray,
    match_light: bool = True,
    blur: float = 0.0,
    noise: np.random.Generator | None = None,
) -> np.ndarray:
    """Returns the photo with a mask on the face; every pixel that the mask does not reach is as it was.

    Args:
        photo: uint8 RGB [height, width, 3].
        landmarks: float64 [68, 2], x and y in pixels of the photo, made by `landmarks`.
        mask_picture: The mask.
        picture: Its picture as it is to be worn, made by `colours.dress`.
        match_light: Whether the mask takes the brightness, shading and colourfulness of the covered face.
        blur: Standard deviation of a Gaussian blur of the mask, pixels, >= 0; for photos that are not sharp.
        noise: Draws grain as strong as that of the photo onto the mask; None: no grain.

    Returns: uint8 RGB [height, width, 3].
    Raises: ValueError if the photo has another type or shape, or `blur` is negative.
    """
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        raise ValueError(f"expected a photo of uint8 [height, width, 3], got {photo.dtype} {list(photo.shape)}")
    if not blur >= 0:
        raise ValueError(f"blur must be >= 0 pixels, got {blur}")
    overlay = mask_picture.put_on(picture, landmarks, photo.shape[:2])
    if blur:
        overlay = cv2.GaussianBlur(overlay, (0, 0), blur)
        overlay[overlay[..., 3] < 1 / 512] = 0
    if match_light:
        overlay = light.match(photo, overlay)
    if noise is not None:
        grain = noise.normal(0, grain_of(photo), photo.shape[:2])[..., np.newaxis]
        overlay[..., :3] += overlay[..., 3:] * grain.astype(np.float32)
    return blend(photo, overlay)


def blend(photo: np.ndarray, overlay: np.ndarray) -> np.ndarray:
    """Returns a photo under an overlay.

    Args:
        photo: uint8 RGB [height, width, 3].
        overlay: float32 [height, width, 4], RGB premultiplied by alpha.

    Returns: uint8 RGB [height, width, 3].
    """
    blended = photo * (1 - overlay[..., 3:]) + overlay[..., :3]
    return np.rint(np.clip(blended, 0, 255)).astype(np.uint8)


def grain_of(photo: np.ndarray) -> float:
    """Returns the standard deviation of a photo's noise, grey levels, estimated by the median of a Laplacian.

    Reference: Immerkaer 1996, Fast noise variance estimation; the median in place of the mean is less moved by edges.
    """
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)
    response = np.abs(cv2.filter2D(grey, -1, _LAPLACIAN))
    return float(min(np.median(response) / (0.6745 * 6), _NOISE_LIMIT))
