"""What a mask is made of: its colour, a pattern in a second colour, or a picture printed on it."""

import re
from collections.abc import Callable

import cv2
import numpy as np

from keras_face.config.nearest import unknown
from keras_face.masks.pictures import MaskPicture

_BANDS = 20  # of a pattern, over the width of a mask picture
_COLOURS = {
    "white": (244, 245, 246),
    "light_blue": (140, 190, 226),
    "blue": (58, 110, 190),
    "navy": (36, 46, 84),
    "green": (132, 190, 176),
    "black": (38, 38, 42),
    "grey": (140, 144, 150),
    "pink": (232, 172, 188),
    "red": (170, 44, 52),
    "yellow": (226, 200, 96),
}


def colours() -> tuple[str, ...]:
    """Returns the colours that have a name."""
    return tuple(_COLOURS)


def patterns() -> tuple[str, ...]:
    """Returns the patterns that have a name."""
    return tuple(_PATTERNS)


def colour(name: str) -> tuple[int, int, int]:
    """Returns the RGB of a colour by its name or as `#rrggbb`.

    Raises: ValueError if it is neither.
    """
    if name in _COLOURS:
        return _COLOURS[name]
    if not re.fullmatch("#[0-9a-fA-F]{6}", name):
        raise ValueError(f"{unknown('colour', name, _COLOURS)}, and #rrggbb")
    red, green, blue = bytes.fromhex(name[1:])
    return red, green, blue


def pattern(name: str, size: tuple[int, int]) -> np.ndarray:
    """Returns how much of the second colour a pattern has at each pixel, float32 [height, width] in [0, 1].

    Args:
        name: One of `patterns()`.
        size: (height, width).

    Raises: ValueError if there is no such pattern.
    """
    if name not in _PATTERNS:
        raise ValueError(f"{unknown('pattern', name, _PATTERNS)}, and the path of a picture")
    width = size[1]
    y, x = (np.arange(side, dtype=np.float32) - side / 2 for side in size)
    turns = 2 * np.pi * _BANDS / width
    sharp = 4 / turns  # pixels: an edge is about half a pixel wide at full size
    pattern = _PATTERNS[name](x[np.newaxis] * turns, y[:, np.newaxis] * turns)
    return np.clip(0.5 + sharp * pattern, 0, 1).astype(np.float32)


def dress(
    mask_picture: MaskPicture,
    colour: tuple[int, int, int] | None = None,
    pattern: np.ndarray | None = None,
    accent: tuple[int, int, int] | None = None,
) -> np.ndarray:
    """Returns a mask picture dyed and printed: RGB premultiplied by alpha.

    Folds and shadows stay: each colour is multiplied by the mask picture's luminance over the mean of its cloth, so a
    picture of any colour can become any other.

    Args:
        mask_picture: What is dyed where its `cloth` says so.
        colour: RGB, 0 to 255; None: the mask picture's own.
        pattern: float32 [height, width], the share of `accent` at each pixel; or uint8 RGB [rows, columns, 3], a
            picture whose middle covers the mask picture, in place of `colour`.
        accent: RGB of the pattern; needed with the former.

    Returns: float32 [height, width, 4]: RGB in [0, 255], alpha in [0, 1].
    Raises: ValueError if the pattern has another shape, or lacks its accent.
    """
    height, width = mask_picture.rgba.shape[:2]
    own = mask_picture.rgba[..., :3].astype(np.float32)
    alpha = mask_picture.rgba[..., 3:].astype(np.float32) / 255
    light = mask_picture.light
    dyed = own if colour is None else np.minimum(np.array(colour, np.float32) * light, 255)
    if pattern is not None and pattern.shape == (height, width):
        if accent is None:
            raise ValueError("expected the colour of the pattern, got None")
        dyed = dyed + pattern[..., np.newaxis] * (np.minimum(np.array(accent, np.float32) * light, 255) - dyed)
    elif pattern is not None:
        if pattern.ndim != 3 or pattern.shape[2] != 3 or pattern.dtype != np.uint8:
            raise ValueError(
                f"expected a pattern of {[height, width]} or an RGB picture, got {pattern.dtype} {list(pattern.shape)}"
            )
        dyed = np.minimum(_covering(pattern, height, width) * light, 255)
    cloth = mask_picture.cloth[..., np.newaxis]
    return np.concatenate([(own + cloth * (dyed - own)) * alpha, alpha], axis=-1)


def _covering(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns the middle of a picture scaled to cover a size."""
    scale = max(height / picture.shape[0], width / picture.shape[1])
    size = max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale))
    scaled = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    top, left = (scaled.shape[0] - height) // 2, (scaled.shape[1] - width) // 2
    return scaled[top : top + height, left : left + width].astype(np.float32)


Field = np.ndarray
# Functions of x and y in radians, above 0 where the second colour is.
_PATTERNS: dict[str, Callable[[Field, Field], Field]] = {
    "plain": lambda x, y: np.full(np.broadcast_shapes(x.shape, y.shape), -1e9),
    "stripes": lambda x, y: np.cos(x) + 0 * y,
    "bands": lambda x, y: np.cos(y) + 0 * x,
    "checks": lambda x, y: np.cos(x / 2) * np.cos(y / 2),
    "dots": lambda x, y: np.cos(x / 2) + np.cos(y / 2) - 1.1,
}
