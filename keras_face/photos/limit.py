"""How many pixels a photo may have: asked of its header, before anything is decoded."""

from PIL import Image

MAX_PIXELS = 89_478_485  # from which on Pillow warns of a bomb: 256 MiB of RGB

_limit = MAX_PIXELS


def max_pixels() -> int:
    """Returns the most pixels that a photo may have, in every decoder of this process."""
    return _limit


def set_max_pixels(pixels: int) -> None:
    """Sets the most pixels that a photo may have, for all that this process reads from here on (flag --max_pixels).

    Raises: ValueError if it is not at least 1.
    """
    global _limit
    if pixels < 1:
        raise ValueError(f"max_pixels must be >= 1, got {pixels}")
    _limit = pixels
    if Image.MAX_IMAGE_PIXELS is not None:  # Pillow's own would refuse more than twice as many
        Image.MAX_IMAGE_PIXELS = max(pixels, MAX_PIXELS)


def too_many() -> str:
    """Returns the reason why a photo of more pixels is refused, as said in `skipped.csv`."""
    return f"more than {_limit:,} pixels"
