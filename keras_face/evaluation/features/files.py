"""Files of embeddings: .npz, text, and pickled dictionaries."""

import math
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_face import files
from keras_face.evaluation.features.embeddings import Features
from keras_face.evaluation.pickles import read_vectors

_LARGEST_RATIO, _SMALL = 250, 1 << 20  # of an array to its compressed bytes, of which few may be anything
_TEXT = (".txt", ".list", ".csv", ".tsv")
_PICKLE = (".pkl", ".pickle")


def read_features(path: str | os.PathLike, *, prefix: str = "") -> Features:
    r"""Returns the embeddings of a file.

    - `.npz`: arrays `names` [n] and `embeddings` [n, size], and perhaps `norms` [n], which multiply the vectors' own.
    - `.txt`, `.list`, `.csv`, `.tsv`: lines of a name and its numbers, cut at tabs if the first line has one, else at
      commas, else at blanks; MagFace's and SphereFace's way.
    - `.pkl`, `.pickle`: a dictionary from names to vectors, as SeqFace and margin-centre-face write (`read_vectors`).

    Args:
        path: The file.
        prefix: What all names begin with, taken off: the folder of the photos, for names that are to be a protocol's.

    Raises: ValueError, with file and line or row, for what is no such file, and as `Features.of`.

    Examples:
        >>> count = Path("features.csv").write_text("a/1.jpg,3,4\na/2.jpg,1,0\n")
        >>> features = keras_face.evaluation.read_features("features.csv")
        >>> features.names, features.embeddings[0]
        (('a/1.jpg', 'a/2.jpg'), array([0.6, 0.8], dtype=float32))
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind == ".npz":
        names, vectors, norms = _read_npz(path)
        place = None
    elif kind in _TEXT:
        names, vectors, numbers = _read_text(path)
        norms, place = None, lambda index: f"line {numbers[index]}"
    elif kind in _PICKLE:
        names, listed = read_vectors(path)
        vectors, norms, place = _stacked(path, names, listed), None, lambda index: f"entry {index}"
    else:
        raise ValueError(
            f"{path}: expected embeddings in a file .npz, {', '.join(_TEXT + _PICKLE)}, got {kind or 'no'} suffix; a "
            "folder of MegaFace's .bin files is read by its list"
        )
    for index, name in enumerate(names):
        if not name.startswith(prefix):
            where = place(index) if place else f"row {index}"
            raise ValueError(f"{path}, {where}: expected a name that begins with {prefix!r}, got {name!r}")
    names = [name[len(prefix) :] for name in names]
    features = Features.of(names, vectors, source=str(path), place=place, in_place=True)
    if norms is None:
        return features
    return Features(features.names, features.embeddings, features.norms * norms, features.source)


def write_features(path: str | os.PathLike, features: Features) -> None:
    """Writes the embeddings as an `.npz` of names, embeddings and norms; the file appears whole or not at all.

    Raises: ValueError if the path does not end in .npz.

    Examples:
        >>> features = Features.of(["a/1.jpg", "a/2.jpg"], np.array([[3.0, 4.0], [1.0, 0.0]]))
        >>> keras_face.evaluation.write_features("features.npz", features)
        >>> keras_face.evaluation.read_features("features.npz").norms
        array([5., 1.], dtype=float32)
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"{path}: expected a file .npz to write embeddings to")
    with files.opened_whole(path) as file:
        np.savez(file, names=np.array(features.names, str), embeddings=features.embeddings, norms=features.norms)


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz that have one of these names; none of objects, which would be pickles.

    An array is read after its size, as the file states it, was compared with the bytes that are there.

    Raises: ValueError if it is no such file.
    """
    try:
        # Opened here, as np.load leaves a file that is no .npz open.
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            return {
                entry.filename.removesuffix(".npy"): _read_entry(archive, entry)
                for entry in archive.infolist()
                if entry.filename.removesuffix(".npy") in names
            }
    except OSError as error:
        if error.filename is not None:  # of the file itself
            raise
        raise ValueError(f"{path}: expected an .npz of arrays of numbers and text: {error}") from None
    except Exception as error:  # what damaged archives and headers raise is open-ended
        told = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: expected an .npz of arrays of numbers and text: {told}") from None


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """Returns an array of an .npz."""
    if entry.file_size > _LARGEST_RATIO * max(entry.compress_size, _SMALL):
        raise ValueError(
            f"{entry.filename} claims {entry.file_size:,} bytes of {entry.compress_size:,} compressed ones"
        )
    with archive.open(entry) as content:
        version = np.lib.format.read_magic(content)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(content)
    if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > entry.file_size:
        raise ValueError(f"{entry.filename} states {dtype} {list(shape)} in {entry.file_size:,} bytes")
    with archive.open(entry) as content:
        return np.lib.format.read_array(content, allow_pickle=False)


def array(path: Path, arrays: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Returns the array of that name.

    Raises: ValueError if there is none.
    """
    if name not in arrays:
        raise ValueError(f"{path}: expected an array {name!r}, got {', '.join(arrays) or 'none'}")
    return arrays[name]


def _read_npz(path: Path) -> tuple[list[str], np.ndarray, np.ndarray | None]:
    arrays = read_arrays(path, ("names", "embeddings", "norms"))
    names, vectors = array(path, arrays, "names"), array(path, arrays, "embeddings")
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise ValueError(f"{path}: expected names as text [n], got {names.dtype} {names.shape}")
    if names.dtype.kind == "S":
        names = np.char.decode(names, "utf-8")
    norms = arrays.get("norms")
    if norms is not None:
        if norms.shape != names.shape or norms.dtype.kind not in "fiu":
            raise ValueError(f"{path}: expected norms as numbers {names.shape}, got {norms.dtype} {norms.shape}")
        bad = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
        if bad.size:
            raise ValueError(f"{path}, row {bad[0]}: expected a norm > 0 and finite, got {norms[bad[0]]}")
        norms = norms.astype(np.float32)
    return names.tolist(), vectors, norms


def _read_text(path: Path) -> tuple[list[str], np.ndarray, list[int]]:
    """Returns names, vectors and the numbers of their lines."""
    names: list[str] = []
    vectors: list[np.ndarray] = []
    numbers: list[int] = []
    separator = None
    for number, line in _text_lines(path):
        if not names:
            separator = next((mark for mark in "\t," if mark in line), None)
        name, *fields = line.split(separator)
        try:
            vector = np.array(fields, np.float32)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: expected a name and numbers: {error}") from None
        if not fields or (vectors and vector.size != vectors[0].size):
            size = vectors[0].size if vectors else "some"
            raise ValueError(
                f"{path}, line {number}: expected {size} numbers after the name {name!r}, got {vector.size}"
            )
        names.append(name.strip())
        vectors.append(vector)
        numbers.append(number)
    if not names:
        raise ValueError(f"{path}: expected lines of a name and numbers, the file is empty")
    return names, np.stack(vectors), numbers


def _text_lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line.strip()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected a text file (UTF-8)") from None


def _stacked(path: Path, names: list[str], vectors: list[np.ndarray]) -> np.ndarray:
    for index, (name, vector) in enumerate(zip(names, vectors, strict=True)):
        if vector.size != vectors[0].size:
            raise ValueError(
                f"{path}, entry {index}: expected {vectors[0].size} numbers for {name!r}, got {vector.size}"
            )
    return np.stack(vectors).astype(np.float32)
