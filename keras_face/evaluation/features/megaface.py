"""MegaFace's feature files: one matrix in a file, as the devkit's `matio` writes OpenCV's Mat."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from keras_face import files
from keras_face.evaluation.features.embeddings import Features

_TYPES: dict[int, np.dtype] = {5: np.dtype("<f4"), 6: np.dtype("<f8")}  # OpenCV's CV_32F and CV_64F, one channel
_HEADER = np.dtype("<i4")
_HEADER_BYTES = 16


def read_matrix(path: str | os.PathLike) -> np.ndarray:
    """Returns the matrix of a file, float32 or float64 [rows, columns].

    The file is four int32, rows, columns, bytes of a row and OpenCV's type (5 is float32, 6 float64), then the rows,
    all little-endian. Known writers put 4 * columns as the bytes of a row whatever the type; either is accepted.

    Raises: ValueError if the header is another, or the file is shorter or longer than it says.
    """
    content = Path(path).read_bytes()
    header = np.frombuffer(content[:_HEADER_BYTES], _HEADER) if len(content) >= _HEADER_BYTES else np.empty(0, _HEADER)
    rows, columns, stride, kind = header.tolist() if header.size else (0, 0, 0, 0)
    if rows < 1 or columns < 1 or kind not in _TYPES or stride not in (columns * 4, columns * _TYPES[kind].itemsize):
        expected = "rows, columns, bytes of a row and type (5 or 6)"
        raise ValueError(f"{path}: expected a header of {expected} in 16 bytes, got {header.tolist()}")
    size = _HEADER_BYTES + rows * columns * _TYPES[kind].itemsize
    if len(content) != size:
        raise ValueError(f"{path}: expected {size} bytes for {rows} x {columns} of type {kind}, got {len(content)}")
    values = np.frombuffer(content, _TYPES[kind], rows * columns, _HEADER_BYTES).reshape(rows, columns)
    return values.astype(values.dtype.newbyteorder("="))


def write_matrix(path: str | os.PathLike, values: np.ndarray) -> None:
    """Writes a matrix, or a vector as a matrix of one column, as `read_matrix` reads it.

    Args:
        path: File, replaced.
        values: float32 or float64, [rows] or [rows, columns].

    Raises: ValueError if it is another array.
    """
    kinds = {np.dtype(np.float32): 5, np.dtype(np.float64): 6}
    if values.dtype not in kinds or values.ndim not in (1, 2) or not values.size:
        raise ValueError(f"{path}: expected float32 or float64, [n] or [n, m], got {values.dtype} {list(values.shape)}")
    kind = kinds[values.dtype]
    rows, columns = values.shape if values.ndim == 2 else (values.size, 1)
    header = np.array([rows, columns, columns * values.dtype.itemsize, kind], _HEADER)
    files.write_bytes(path, header.tobytes() + np.ascontiguousarray(values, _TYPES[kind]).tobytes())


def read_megaface_features(folder: str | os.PathLike, names: Sequence[str], ending: str) -> Features:
    """Returns the embeddings of the photos of a list, a file each: `folder/name` + `ending`.

    Args:
        folder: `facescrub` or `megaface` of the features.
        names: Photos, as the devkit's lists have them.
        ending: What follows the photo's name, such as `_insightface.bin`.

    Raises: ValueError as `read_matrix` and `Features.of`, or if a file has another number of values than the first;
        FileNotFoundError if files are missing: says how many, and names the first.
    """
    blocks = megaface_blocks(folder, names, ending, block_size=max(len(names), 1))
    return next(blocks, None) or Features.of(names, np.empty((0, 0)), source=str(folder))


def megaface_blocks(
    folder: str | os.PathLike, names: Sequence[str], ending: str, *, block_size: int = 65536
) -> Iterator[Features]:
    """Yields the embeddings of `read_megaface_features`, `block_size` at a time: a million of 512 are 2 GB.

    Raises: As `read_megaface_features`; missing files before the first block.
    """
    paths = [Path(folder, f"{name}{ending}") for name in names]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        some = ", ".join(map(str, missing[:3]))
        raise FileNotFoundError(f"{folder}: {len(missing)} of {len(paths)} feature files are missing, such as {some}")
    size = None
    for start in range(0, len(paths), block_size):
        block = paths[start : start + block_size]
        size = size or read_matrix(block[0]).size
        vectors = np.empty((len(block), size), np.float32)
        for row, path in enumerate(block):
            values = read_matrix(path)
            if 1 not in values.shape or values.size != size:
                raise ValueError(f"{path}: expected a vector of {size} values, got {list(values.shape)}")
            vectors[row] = values.reshape(-1)
        yield Features.of(
            names[start : start + block_size], vectors, source=str(folder), place=_file_of(block), in_place=True
        )


def write_megaface_features(
    folder: str | os.PathLike, features: Features, ending: str, *, normalised: bool = True
) -> None:
    """Writes a file for each embedding, `folder/name` + `ending`, for the devkit or `read_megaface_features`.

    The devkit compares by Euclidean distance and normalises nothing.

    Args:
        folder: Made if it is not there.
        features: The embeddings.
        ending: As in `read_megaface_features`.
        normalised: Write unit vectors; else with the lengths they had.

    Raises: ValueError if a name would lead out of the folder.
    """
    for row, name in enumerate(features.names):
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{features.source}: expected names inside of {folder}, got {name!r}")
        write_matrix(
            Path(folder, f"{name}{ending}"), features.embeddings[row] * (1 if normalised else features.norms[row])
        )


def _file_of(paths: Sequence[Path]) -> Callable[[int], str]:
    return lambda index: str(paths[index])
