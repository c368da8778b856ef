"""Photos and their masked twins below them, for a person to look at."""

from collections.abc import Sequence
from pathlib import Path

from keras_face.photos.files import read_photo
from keras_face.photos.sheet import evenly, fitted, grid, write

_CELL, _COLUMNS, _ROWS = 160, 8, 4  # pixels, and pairs


def write_sheet(path: Path, pairs: Sequence[tuple[Path, Path]]) -> None:
    """Writes a PNG of at most 32 pairs, spread evenly over all: the original above its masked twin.

    Args:
        path: The PNG to write.
        pairs: Paths of originals and twins, at least one.
    """
    chosen = [pairs[number] for number in evenly(len(pairs), _COLUMNS * _ROWS)]
    shown = [grid([fitted(read_photo(photo), _CELL) for photo in pair], columns=1) for pair in chosen]
    write(path, grid(shown, min(_COLUMNS, len(shown)), gap=0))
