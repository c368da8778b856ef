"""Pickles: packed test sets, InsightFace's .bin and margin-centre-face's lfw.np, and dictionaries of embeddings.

A pickle is a program: `unpickling` reads these few and runs nothing.
"""

import hashlib
import os
import reprlib
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_face.evaluation.protocols import Pairs, folds_by_polarity, folds_by_position
from keras_face.evaluation.short import Short
from keras_face.evaluation.unpickling import NUMBERS, WHOLE_NUMBERS, Array, unpickled


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
    flags = flags.values().tolist() if isinstance(flags, Array) else flags
    if not isinstance(images, list) or not isinstance(flags, list) or len(images) != 2 * len(flags):
        raise ValueError(
            f"{path}: expected a list of images and a list of half as many flags, got {_kinds(images, flags)}"
        )
    if any(flag not in (0, 1) for flag in flags):
        odd = [reprlib.repr(flag) for flag in flags if flag not in (0, 1)]
        raise ValueError(f"{path}: expected flags True or False, got {', '.join(odd[:3])}")
    # Some writers kept the encoded bytes in an array.
    encoded = [image.raw if isinstance(image, Array) else image for image in images]
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
    content = unpickled(path, "{name: vector}", NUMBERS)
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
    if isinstance(value, Array):
        return value.values()
    if not isinstance(value, (list, tuple)):
        return None
    items = [item.values() if isinstance(item, Array) else item for item in value]
    if not all(isinstance(item, (int, float, np.ndarray)) for item in items) or len(set(map(np.shape, items))) != 1:
        return None
    return np.array(items)


def _load(path: str | os.PathLike, expected: str) -> tuple[Any, Any]:
    """Returns the two members of a pickled pair."""
    content = unpickled(path, expected, WHOLE_NUMBERS)
    if not isinstance(content, (tuple, list)) or len(content) != 2:
        raise ValueError(f"{path}: expected a pickle of {expected}, got {_kinds(content)}")
    return content[0], content[1]


def _is_image_pair(pair: Any) -> bool:
    return (
        isinstance(pair, (list, tuple))
        and len(pair) == 2
        and all(isinstance(image, Array) and image.dtype == np.uint8 for image in pair)
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
