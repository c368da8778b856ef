"""Packed test sets that are pickles: InsightFace's .bin and margin-centre-face's lfw.np.

A pickle is a program. This reader knows the few names such files need and gives each an inert stand-in of its own, so
that nothing of NumPy or Python is called on behalf of the file; any other name is refused.
"""

import hashlib
import math
import os
import pickle
import re
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_face.evaluation.protocols import Pairs, folds_by_polarity, folds_by_position


@dataclass(frozen=True, eq=False)
class PackedPairs:
    """A packed test set.

    Attributes:
        photos: The distinct photos: encoded images (bytes), or uint8 [height, width, 3] RGB arrays.
        pairs: Their comparisons; the keys are indices of `photos`.
    """

    photos: tuple[bytes, ...] | tuple[np.ndarray, ...]
    pairs: Pairs


def read_bin(path: str | os.PathLike) -> PackedPairs:
    """Returns the photos and pairs of an InsightFace .bin file.

    It holds (images, flags): 2n encoded images, of which 2i and 2i + 1 are pair i, and n flags, true for genuine.
    The folds are 10 consecutive runs of pairs, as InsightFace cuts them.

    Raises: ValueError if the file is not such a pickle, is cut off, or asks for a name that it does not need.
    """
    images, flags = _load(path, "(images, flags)")
    flags = flags.values().tolist() if isinstance(flags, _Array) else flags
    if not isinstance(images, list) or not isinstance(flags, list) or len(images) != 2 * len(flags):
        raise ValueError(
            f"{path}: expected a list of images and a list of half as many flags, got {_kinds(images, flags)}"
        )
    if any(flag not in (0, 1) for flag in flags):
        raise ValueError(
            f"{path}: expected flags True or False, got {[flag for flag in flags if flag not in (0, 1)][:3]}"
        )
    # Some writers kept the encoded bytes in an array.
    encoded = [image.raw if isinstance(image, _Array) else image for image in images]
    if not all(isinstance(image, bytes) for image in encoded):
        raise ValueError(f"{path}: expected encoded images as bytes, got {_kinds(*encoded[:2])}")
    photos, keys = _distinct(encoded, bytes)
    genuine = np.array(flags, bool)
    fold = folds_by_position(genuine.size)
    name = f"{os.path.basename(path)}, 10 consecutive folds"
    return PackedPairs(photos, Pairs(name, keys[0::2], keys[1::2], genuine, fold))


def read_np(path: str | os.PathLike) -> PackedPairs:
    """Returns the photos and pairs of margin-centre-face's lfw.np (a pickle in spite of its name).

    It holds (genuine pairs, impostor pairs), lists of [image, image], each a uint8 RGB array [height, width, 3]. The
    folds are 10 consecutive runs of each list, as margin-centre-face cuts them (which never tested a remainder).

    Raises: ValueError as `read_bin`.
    """
    lists = _load(path, "(genuine pairs, impostor pairs)")
    if not all(isinstance(pairs, list) and all(_is_image_pair(pair) for pair in pairs) for pairs in lists):
        raise ValueError(f"{path}: expected two lists of pairs of uint8 RGB images, got {_kinds(*lists)}")
    images = [image.values() for pairs in lists for pair in pairs for image in pair]
    photos, keys = _distinct(images, lambda image: (image.shape, hashlib.sha256(image.tobytes()).digest()))
    genuine = np.repeat([True, False], [len(pairs) for pairs in lists])
    name = f"{os.path.basename(path)}, 10 consecutive folds of each polarity"
    return PackedPairs(photos, Pairs(name, keys[0::2], keys[1::2], genuine, folds_by_polarity(genuine)))


class _Array:
    """Stands for numpy.ndarray: holds what the file says of one, and trusts its size only where the bytes are there."""

    dtype = np.dtype(np.uint8)
    shape: tuple[int, ...] = ()
    order = "C"
    raw = b""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, raw = state
        self._fill(raw, dtype, shape, "F" if fortran else "C")

    def _fill(self, raw: bytes, dtype: "_Dtype", shape: tuple[int, ...], order: str) -> None:
        if not isinstance(dtype, _Dtype) or not isinstance(raw, (bytes, bytearray)):
            raise pickle.UnpicklingError("expected an array of whole numbers with its bytes")
        if math.prod(shape) * dtype.dtype.itemsize != len(raw) or min(shape, default=0) < 0:
            raise pickle.UnpicklingError(f"expected the bytes of an array of shape {shape}, got {len(raw)}")
        self.raw, self.dtype, self.shape, self.order = bytes(raw), dtype.dtype, tuple(shape), order

    def values(self) -> np.ndarray:
        return np.frombuffer(self.raw, self.dtype).reshape(self.shape, order="F" if self.order in ("F", b"F") else "C")


class _Dtype:
    """Stands for numpy.dtype; knows booleans and whole numbers only."""

    def __init__(self, name: str | bytes, *_: Any):
        text = name.decode("ascii") if isinstance(name, bytes) else name
        if not re.fullmatch("b1|[iu][1248]", text):
            raise pickle.UnpicklingError(f"expected an array of whole numbers, got one of {text!r}")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple) -> None:
        if state[1] in (">", b">"):
            self.dtype = self.dtype.newbyteorder(">")


def _reconstruct(*_: Any) -> _Array:
    """Stands for NumPy's function that makes the array which __setstate__ then fills."""
    return _Array()


def _frombuffer(raw: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str, *_: Any) -> _Array:
    array = _Array()
    array._fill(raw, dtype, shape, order)
    return array


def _scalar(dtype: _Dtype, raw: bytes) -> Any:
    array = _Array()
    array._fill(raw, dtype, (), "C")
    return array.values().item()


def _encode(text: str, encoding: str = "utf-8", *_: Any) -> bytes:
    """Stands for _codecs.encode, by which Python 3 writes bytes for Python 2: always as latin1."""
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"expected bytes encoded as latin1, got {encoding!r}")
    return text.encode("latin1")


_STAND_INS: dict[str, Callable] = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _encode,
    # NumPy 2 moved numpy.core to numpy._core.
    **{f"numpy.{core}.multiarray._reconstruct": _reconstruct for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _frombuffer for core in ("core", "_core")},
}


class _RefusedError(Exception):
    """A name that a packed test set does not need."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Callable:
        try:
            return _STAND_INS[f"{module}.{name}"]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None


def _load(path: str | os.PathLike, expected: str) -> tuple[Any, Any]:
    """Returns the two members of a pickled pair; the strings of Python 2 become bytes."""
    with open(path, "rb") as file:
        try:
            content = _Unpickler(file, encoding="bytes").load()
        except _RefusedError as refused:
            raise ValueError(
                f"{path}: refused: the pickle asks for {refused}, which a packed test set does not need"
            ) from None
        # Whatever a damaged pickle leads the unpickler to raise: it is documented to be open-ended.
        except Exception as error:
            raise ValueError(
                f"{path}: expected a pickle of {expected}, whole: {error or type(error).__name__}"
            ) from None
    if not isinstance(content, (tuple, list)) or len(content) != 2:
        raise ValueError(f"{path}: expected a pickle of {expected}, got {_kinds(content)}")
    return content[0], content[1]


def _is_image_pair(pair: Any) -> bool:
    return (
        isinstance(pair, (list, tuple))
        and len(pair) == 2
        and all(isinstance(image, _Array) and image.dtype == np.uint8 for image in pair)
        and all(len(image.shape) == 3 and image.shape[2] == 3 for image in pair)
    )


def _distinct(photos: list, content: Callable) -> tuple[tuple, tuple[str, ...]]:
    """Returns each photo once, and for each given photo its index among them: photos are in several pairs."""
    index: dict = {}
    chosen: list = []
    keys = []
    for photo in photos:
        number = index.setdefault(content(photo), len(chosen))
        if number == len(chosen):
            chosen.append(photo)
        keys.append(str(number))
    return tuple(chosen), tuple(keys)


def _kinds(*items: Any) -> str:
    return ", ".join(
        f"{type(item).__name__.strip('_').lower()}{f' of {len(item)}' if isinstance(item, Sized) else ''}"
        for item in items
    )
