"""Pickles: packed test sets, InsightFace's .bin and margin-centre-face's lfw.np, and dictionaries of embeddings.

A pickle is a program. This reader knows the few names such files need and gives each an inert stand-in of its own, so
that nothing of NumPy or Python is called on behalf of the file; any other name is refused.
"""

import hashlib
import math
import os
import pickle
import pickletools
import re
import reprlib
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from keras_face.evaluation.protocols import Pairs, folds_by_polarity, folds_by_position
from keras_face.evaluation.short import Short


@dataclass(frozen=True, eq=False, repr=False)
class PackedPairs(Short):
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
        odd = [reprlib.repr(flag) for flag in flags if flag not in (0, 1)]
        raise ValueError(f"{path}: expected flags True or False, got {', '.join(odd[:3])}")
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


def read_vectors(path: str | os.PathLike) -> tuple[list[str], list[np.ndarray]]:
    """Returns the names and vectors of a pickled dictionary from names to embeddings.

    SeqFace's feature files and margin-centre-face's caches are such. A value is one vector, an array or a list of
    numbers, or the vectors of a track's frames, an array [frames, size] or a list of vectors: these get the names
    `track/0`, `track/1`, ...

    Returns: Names, and a vector [size] for each, float or integer, not checked for size or content.
    Raises: ValueError if the file is not such a pickle, is cut off, or asks for a name that it does not need.
    """
    content = _unpickled(path, "{name: vector}", _NUMBERS)
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: expected a pickled dictionary from names to vectors, got {_kinds(content)}")
    names: list[str] = []
    vectors: list[np.ndarray] = []
    for key, value in content.items():
        name = key.decode("utf-8", "replace") if isinstance(key, bytes) else key
        if not isinstance(name, str):
            raise ValueError(f"{path}: expected names as text, got {reprlib.repr(key)}")
        array = _numbers(value)
        if array is None or array.ndim not in (1, 2) or not array.size:
            raise ValueError(f"{path}: expected a vector, or one for each frame, for {name!r}, got {_kinds(value)}")
        names += [name] if array.ndim == 1 else [f"{name.rstrip('/')}/{frame}" for frame in range(len(array))]
        vectors += [array] if array.ndim == 1 else list(array)
    return names, vectors


def _numbers(value: Any) -> np.ndarray | None:
    """Returns an array of what is one, or a list of numbers or of vectors of one size; None if it is something else."""
    if isinstance(value, _Array):
        return value.values()
    if not isinstance(value, (list, tuple)):
        return None
    items = [item.values() if isinstance(item, _Array) else item for item in value]
    if not all(isinstance(item, (int, float, np.ndarray)) for item in items) or len(set(map(np.shape, items))) != 1:
        return None
    return np.array(items)


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
            raise pickle.UnpicklingError("expected an array of numbers with its bytes")
        if not isinstance(shape, tuple) or not all(type(size) is int and size >= 0 for size in shape):
            raise pickle.UnpicklingError(f"expected whole numbers as shape, got {reprlib.repr(shape)}")
        if math.prod(shape) * dtype.dtype.itemsize != len(raw):
            raise pickle.UnpicklingError(f"expected the bytes of an array of shape {shape}, got {len(raw)}")
        self.raw, self.dtype, self.shape, self.order = bytes(raw), dtype.dtype, tuple(shape), order

    def values(self) -> np.ndarray:
        return np.frombuffer(self.raw, self.dtype).reshape(self.shape, order="F" if self.order in ("F", b"F") else "C")


class _Dtype:
    """Stands for numpy.dtype; knows booleans and whole numbers only."""

    names = "b1|[iu][1248]"
    kind = "whole numbers"

    def __init__(self, name: str | bytes, *_: Any):
        text = name.decode("ascii") if isinstance(name, bytes) else name
        if not re.fullmatch(self.names, text):
            raise pickle.UnpicklingError(f"expected an array of {self.kind}, got one of {text!r}")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple) -> None:
        if state[1] in (">", b">"):
            self.dtype = self.dtype.newbyteorder(">")


class _NumberDtype(_Dtype):
    """Stands for numpy.dtype; knows floating point numbers, too."""

    names = f"{_Dtype.names}|f[248]"
    kind = "numbers"


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


_WHOLE_NUMBERS: dict[str, Callable] = {
    "numpy.ndarray": _Array,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _encode,
    # NumPy 2 moved numpy.core to numpy._core.
    **{f"numpy.{core}.multiarray._reconstruct": _reconstruct for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _frombuffer for core in ("core", "_core")},
}
_NUMBERS = {**_WHOLE_NUMBERS, "numpy.dtype": _NumberDtype}


@dataclass(frozen=True)
class _StandIn:
    """What a pickle gets for a name: it can be called, and nothing of it can be set."""

    call: Callable

    def __call__(self, *arguments: Any) -> Any:
        return self.call(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it sets the attributes of a name")


class _RefusedError(Exception):
    """A name that such a file does not need."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, stand_ins: dict[str, Callable]):
        super().__init__(file, encoding="bytes")
        self._stand_ins = stand_ins

    def find_class(self, module: str, name: str) -> Callable:
        try:
            return _StandIn(self._stand_ins[f"{module}.{name}"])
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None


def _load(path: str | os.PathLike, expected: str) -> tuple[Any, Any]:
    """Returns the two members of a pickled pair."""
    content = _unpickled(path, expected, _WHOLE_NUMBERS)
    if not isinstance(content, (tuple, list)) or len(content) != 2:
        raise ValueError(f"{path}: expected a pickle of {expected}, got {_kinds(content)}")
    return content[0], content[1]


def _unpickled(path: str | os.PathLike, expected: str, stand_ins: dict[str, Callable]) -> Any:
    """Returns the content of a pickle; the strings of Python 2 become bytes."""
    with open(path, "rb") as file:
        try:
            _check_opcodes(file)
            file.seek(0)
            return _Unpickler(file, stand_ins).load()
        except _RefusedError as refused:
            raise ValueError(
                f"{path}: refused: the pickle asks for {refused}, which such a file does not need"
            ) from None
        # Whatever a damaged pickle leads the unpickler to raise: it is documented to be open-ended.
        except Exception as error:
            raise ValueError(
                f"{path}: expected a pickle of {expected}, whole: {error or type(error).__name__}"
            ) from None


def _check_opcodes(file: BinaryIO) -> None:
    """Raises UnpicklingError at a pickle that would take more memory or stack than its size allows.

    The unpickler believes sizes that are larger than the file, makes room for as many memo entries as the largest index
    says, and looks at keys that are nested without end by recursion.
    """
    content = file.read()  # from memory, no more can be read than there is
    depths: list[int] = []
    marks: list[int] = []
    memo: dict[int, int] = {}
    for opcode, argument, _ in pickletools.genops(content):
        name, before = opcode.name, opcode.stack_before
        if name == "MARK":
            marks.append(len(depths))
            continue
        if name in _PUTS:
            entry = len(memo) if argument is None else argument
            if entry > len(content):
                raise pickle.UnpicklingError(f"entry {entry} of a memo in {len(content)} bytes")
            memo[entry] = depths[-1]
            continue
        if argument is not None and name in _GETS:
            depths.append(memo[argument])
            continue
        if name == "POP" and marks and marks[-1] == len(depths):
            marks.pop()
            continue
        start = marks.pop() - before.index(_MARKED) if _MARKED in before else len(depths) - len(before)
        taken = depths[max(start, 0) :]
        if name in _FILLS:
            made = [max(taken[0], 1 + max(taken[1:], default=-1))]
        else:
            made = [1 + max(taken, default=-1)] * len(opcode.stack_after)
        if max(made, default=0) > _DEEPEST:
            raise pickle.UnpicklingError(f"objects are nested in each other more than {_DEEPEST} times")
        depths[max(start, 0) :] = made


_PUTS, _GETS = frozenset(["PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"]), frozenset(["GET", "BINGET", "LONG_BINGET"])
_FILLS = frozenset(["APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"])  # what stands below the others
_MARKED = pickletools.markobject
_DEEPEST = 100


def _is_image_pair(pair: Any) -> bool:
    return (
        isinstance(pair, (list, tuple))
        and len(pair) == 2
        and all(isinstance(image, _Array) and image.dtype == np.uint8 for image in pair)
        and all(len(image.shape) == 3 and image.shape[2] == 3 and min(image.shape) > 0 for image in pair)
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
