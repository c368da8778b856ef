"""The light on a face, as its luminance shows it, laid on the mask.

The luminance of the part of the photo that a mask covers is fitted by a plane. Its mean says how bright the photo is,
and its slope from where the light comes. `online` does the same with TensorFlow.
"""

import numpy as np

from keras_face.photos.luminance import LUMINANCE

USUAL = 140.0  # luminance of lit skin at which a mask keeps its colours
BRIGHTNESS = (0.4, 1.15)  # limits of what the mean luminance does
SLOPE, SLOPES = 0.7, (0.6, 1.3)  # how much of the relative slope goes over to the mask, and limits of what it does
COLOURFUL = 10.0  # grey levels off grey, in the mean over the channels, below which a mask loses colour


def plane_basis(image_size: tuple[int, int], covered: np.ndarray) -> np.ndarray:
    """Returns float64 [height, width, 3]: 1, x and y, of mean 0 over the covered pixels, for each pixel.

    Args:
        image_size: (height, width).
        covered: bool [height, width], with a pixel that is covered.
    """
    height, width = image_size
    y, x = np.mgrid[:height, :width]
    middle_y, middle_x = y[covered].mean(), x[covered].mean()
    side = max(np.ptp(x[covered]), np.ptp(y[covered]), 1)
    return np.stack([np.ones(image_size), (x - middle_x) / side, (y - middle_y) / side], axis=-1)


def match(photo: np.ndarray, overlay: np.ndarray) -> np.ndarray:
    """Returns an overlay as bright, as unevenly lit and as colourful as the face under it.

    Args:
        photo: uint8 RGB [height, width, 3].
        overlay: float32 [height, width, 4], RGB in [0, 255] premultiplied by alpha in [0, 1].
    """
    covered = overlay[..., 3] > 0.5
    if not covered.any():
        return overlay
    pixels = photo[covered].astype(np.float64)
    luminance = pixels @ LUMINANCE
    basis = plane_basis(overlay.shape[:2], covered)
    mean, *slopes = np.linalg.lstsq(basis[covered], luminance, rcond=1e-6)[0]
    relative = (basis[..., 1:] @ slopes) / max(mean, 1.0)
    gain = np.clip(np.sqrt(max(mean, 0.0) / USUAL), *BRIGHTNESS) * np.clip(1 + SLOPE * relative, *SLOPES)
    colourful = min(1.0, np.abs(pixels - luminance[:, np.newaxis]).mean() / COLOURFUL)
    colour, alpha = overlay[..., :3], overlay[..., 3:]
    grey = (colour @ np.array(LUMINANCE, np.float32))[..., np.newaxis]
    lit = (grey + colourful * (colour - grey)) * gain[..., np.newaxis]
    return np.concatenate([np.minimum(lit, 255 * alpha), alpha], axis=-1).astype(np.float32)
