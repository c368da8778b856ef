"""Photos of a folder, read in groups, the next while the last are worked on."""

import os
from collections.abc import Iterator, Sequence
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np

from keras_face.photos.files import PhotoError, photo_size, read_photo

_GROUP, _GROUP_PIXELS = 64, 48_000_000  # photos read at a time; two groups are in memory


def read_photos(root: Path, names: Sequence[str]) -> Iterator[tuple[Sequence[str], list[np.ndarray | PhotoError]]]:
    """Yields names of photos, and the photos, uint8 RGB [height, width, 3], or why they are none; groups in order.

    Args:
        root: Folder that the names start from.
        names: Relative paths.
    """
    with ThreadPool(os.cpu_count()) as pool:
        coming = None
        for group in _groups(root, names):
            before, coming = coming, (group, pool.map_async(_photo, [root / name for name in group]))
            if before:
                yield before[0], before[1].get()
        if coming:
            yield coming[0], coming[1].get()


def _groups(root: Path, names: Sequence[str]) -> Iterator[list[str]]:
    """Yields names of photos that have not too many pixels together."""
    group: list[str] = []
    pixels = 0
    for name in names:
        try:
            height, width = photo_size(root / name)
        except PhotoError:
            height, width = 0, 0  # reading it will say so again
        if group and (len(group) == _GROUP or pixels + height * width > _GROUP_PIXELS):
            yield group
            group, pixels = [], 0
        group.append(name)
        pixels += height * width
    if group:
        yield group


def _photo(path: Path) -> np.ndarray | PhotoError:
    try:
        return read_photo(path)
    except PhotoError as error:
        return error
