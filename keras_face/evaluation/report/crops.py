"""Small photos inside the page."""

import io
from collections.abc import Callable

import numpy as np
from matplotlib.image import imsave

from keras_face.evaluation.report.html import Html, data_uri, escape

_LARGEST = 160  # side of a photo, pixels: the page shows it at 112, or a little larger on a fine screen
# JPEG: less than of a crop, as the page holds every photo itself; by Pillow, as evaluation imports no photos.
_QUALITY = 82


class Crops:
    """Photos by their keys, each asked for and packed once.

    Args:
        photo_of: From a key to its photo, uint8 RGB [height, width, 3], or None where there is none; None: none at all.
    """

    def __init__(self, photo_of: Callable[[str], np.ndarray | None] | None):
        self._photo_of = photo_of
        self._packed: dict[str, Html | None] = {}

    def pair(self, left: str, right: str) -> Html:
        """Returns both photos, with a gap's words for a missing one; nothing if there are no photos at all."""
        if self._photo_of is None:
            return Html("")
        shown = (self.small(key) or '<span class="crop none">no photo</span>' for key in (left, right))
        return Html(f'<div class="pair">{"".join(shown)}</div>')

    def small(self, key: str) -> Html:
        """Returns the photo as HTML; nothing if there is none.

        Raises: ValueError for a photo that is not uint8 RGB.
        """
        if self._photo_of is None:
            return Html("")
        if key not in self._packed:
            photo = self._photo_of(key)
            self._packed[key] = None if photo is None else _pack(key, photo)
        uri = self._packed[key]
        return Html("") if uri is None else Html(f'<img class="crop" src="{uri}" alt="{escape(key)}">')


def _pack(key: str, photo: np.ndarray) -> Html:
    photo = np.asarray(photo)
    if photo.ndim != 3 or photo.shape[2] != 3 or 0 in photo.shape or photo.dtype != np.uint8:
        raise ValueError(f"{key}: expected a photo uint8 [height, width, 3], got {photo.dtype} {photo.shape}")
    shrink = -(-max(photo.shape) // _LARGEST)
    if shrink > 1:
        height, width = (max(1, side // shrink) for side in photo.shape[:2])
        # A photo thinner than the step keeps its few pixels.
        step = min(shrink, photo.shape[0]), min(shrink, photo.shape[1])
        blocks = photo[: height * step[0], : width * step[1]].reshape(height, step[0], width, step[1], 3)
        photo = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
    file = io.BytesIO()
    imsave(file, photo, format="jpg", pil_kwargs={"quality": _QUALITY})
    return data_uri(file.getvalue(), "jpeg")
