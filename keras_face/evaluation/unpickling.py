"""Pickles read without running them: a look at the opcodes first, and stand-ins for the few names that are needed.

A pickle is a program. This reader knows the few names that such files need and gives each an inert stand-in of its own,
so that nothing of NumPy or Python is called on behalf of the file; any other name is refused.
"""

import math
import os
import pickle
import pickletools
import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np


def unpickled(path: str | os.PathLike, expected: str, stand_ins: dict[str, Callable]) -> Any:
    """Returns the content of a pickle; the strings of Python 2 become bytes, and arrays `Array`.

    Args:
        path: The file.
        expected: What is to be in it, for the error.
        stand_ins: What stands for each name that it may ask for: `WHOLE_NUMBERS` or `NUMBERS`.

    Raises: ValueError, with the path, if it is damaged, asks for another name, or would take more memory than its size
        allows.
    """
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


class Array:
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


def _reconstruct(*_: Any) -> Array:
    """Stands for NumPy's function that makes the array which __setstate__ then fills."""
    return Array()


def _frombuffer(raw: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str, *_: Any) -> Array:
    array = Array()
    array._fill(raw, dtype, shape, order)
    return array


def _scalar(dtype: _Dtype, raw: bytes) -> Any:
    array = Array()
    array._fill(raw, dtype, (), "C")
    return array.values().item()


def _encode(text: str, encoding: str = "utf-8", *_: Any) -> bytes:
    """Stands for _codecs.encode, by which Python 3 writes bytes for Python 2: always as latin1."""
    if encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError(f"expected bytes encoded as latin1, got {encoding!r}")
    return text.encode("latin1")


WHOLE_NUMBERS: dict[str, Callable] = {
    "numpy.ndarray": Array,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _encode,
    # NumPy 2 moved numpy.core to numpy._core.
    **{f"numpy.{core}.multiarray._reconstruct": _reconstruct for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _frombuffer for core in ("core", "_core")},
}
NUMBERS = {**WHOLE_NUMBERS, "numpy.dtype": _NumberDtype}


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
