"""Which mask a photo gets: drawn by the seed and the photo's name, so the order of the photos does not matter."""

import dataclasses
import functools
import hashlib
import os
from collections.abc import Sequence

import numpy as np

from keras_face.config.nearest import unknown
from keras_face.masks import colours, drawing
from keras_face.masks.pictures import MaskPicture, read_mask_picture
from keras_face.photos.files import PhotoError, read_photo

OWN = "own"  # the colour of a mask picture that is not dyed
# What is drawn from if nothing else is asked for; what stands twice comes twice as often.
COLOURS = ("white", "white", "light_blue", "light_blue", "black", "green", "grey", "navy", "pink")
PATTERNS = ("plain", "plain", "plain", "plain", "plain", "stripes", "checks", "dots")
_KEPT = 64  # dressed pictures, of about 3 MB each if the package drew them


@dataclasses.dataclass(frozen=True)
class Mask:
    """Which mask is worn: names, as `Wardrobe` has them; `accent` is the second colour of the pattern, or empty."""

    picture: str
    colour: str
    pattern: str
    accent: str


class Wardrobe:
    """Masks to choose from.

    Args:
        pictures: Names that `drawing.names` has, or files: `mask.png`, with anchors in `mask.csv` beside it if there
            are any, or `mask.png,anchors.csv`; see `pictures.read_mask_picture`.
        colours: Names that `colours.colours` has, `#rrggbb`, or `own`.
        patterns: Names that `colours.patterns` has, or files of pictures that are printed on the mask.

    Attributes:
        names: What was given: pictures, colours, patterns.
        digest: Says whether two wardrobes are the same, files' content and all.

    Raises: ValueError if there is nothing to choose from, a name is not known, or a file is not as it should be;
        OSError if one cannot be read.
    """

    def __init__(
        self,
        pictures: Sequence[str] = drawing.names(),
        colours: Sequence[str] = COLOURS,
        patterns: Sequence[str] = PATTERNS,
    ):
        for what, given in (("mask picture", pictures), ("colour", colours), ("pattern", patterns)):
            if not given:
                raise ValueError(f"expected at least one {what}, got none")
        self._pictures = {name: _picture(name) for name in pictures}
        self._colours = {name: None if name == OWN else _colour(name) for name in colours}
        self._prints = {name: _print(name) for name in patterns}
        self.names = tuple(pictures), tuple(colours), tuple(patterns)
        self.digest = self._digest()
        self._dressed = functools.lru_cache(_KEPT)(self._dress)

    def choose(self, seed: int, name: str) -> Mask:
        """Returns the mask that a photo gets; the same for the same seed, name and wardrobe.

        Args:
            seed: Any whole number.
            name: The photo's.
        """
        draw = generator(seed, name, "mask")
        picture, colour, pattern = (given[draw.integers(len(given))] for given in self.names)
        if pattern == "plain" or self._prints[pattern] is not None:
            return Mask(picture, colour, pattern, "")
        others = sorted(set(COLOURS) - {colour})
        return Mask(picture, colour, pattern, others[draw.integers(len(others))])

    def picture(self, mask: Mask) -> tuple[MaskPicture, np.ndarray]:
        """Returns a mask's picture, and its pixels dyed and printed (`colours.dress`), not to be written to."""
        return self._pictures[mask.picture], self._dressed(mask)

    def _digest(self) -> str:
        """Returns 16 hexadecimal digits that change if a mask would look different."""
        content = hashlib.sha256(repr((self.names, list(self._colours.values()))).encode(errors="surrogateescape"))
        for mask_picture in self._pictures.values():
            for part in (mask_picture.rgba, mask_picture.cloth, mask_picture.anchors, mask_picture.weights):
                content.update(part.tobytes())
        for printed in self._prints.values():
            content.update(b"" if printed is None else printed.tobytes())
        return content.hexdigest()[:16]

    def _dress(self, mask: Mask) -> np.ndarray:
        mask_picture = self._pictures[mask.picture]
        printed = self._prints[mask.pattern]
        if mask.accent:
            printed = colours.pattern(mask.pattern, mask_picture.rgba.shape[:2])
        accent = colours.colour(mask.accent) if mask.accent else None
        return colours.dress(mask_picture, self._colours[mask.colour], printed, accent)


def generator(seed: int, *names: str) -> np.random.Generator:
    """Returns random numbers that depend on a seed and names alone, and are the same on every machine."""
    text = "\0".join([str(int(seed)), *names]).encode(errors="surrogateescape")
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest(), "big"))


def _picture(name: str) -> MaskPicture:
    if name in drawing.names():
        return drawing.draw(name)
    path, comma, anchors = name.rpartition(",")
    if comma and anchors.lower().endswith(".csv"):
        return read_mask_picture(path, anchors)
    if not os.path.exists(name):
        raise ValueError(f"{unknown('mask picture', name, drawing.names())}, and the path of a PNG file")
    return read_mask_picture(name)


def _colour(name: str) -> tuple[int, int, int]:
    try:
        return colours.colour(name)
    except ValueError as error:
        raise ValueError(f"{error}; `{OWN}` leaves the mask picture's colours") from None


def _print(name: str) -> np.ndarray | None:
    """Returns the picture to print, uint8 RGB, or None for a pattern that has a name."""
    if name in colours.patterns():
        return None
    if not os.path.exists(name):
        raise ValueError(f"{unknown('pattern', name, colours.patterns())}, and the path of a picture")
    try:
        return read_photo(name)
    except PhotoError as error:
        raise ValueError(f"{name}: expected a picture to print on masks, got a file that is {error}") from None
