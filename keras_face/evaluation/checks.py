"""What every figure asks of its input; what is wrong is said, and where."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def pairs(similarity: ArrayLike, genuine: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns float64 and bool [n] of pairs that can be measured.

    Raises: ValueError for sizes that differ, similarities that are not finite, and one polarity only.
    """
    similarity, genuine = np.asarray(similarity, np.float64), np.asarray(genuine)
    if similarity.ndim != 1 or similarity.shape != genuine.shape:
        raise ValueError(f"expected a similarity and a genuine flag a pair, got {similarity.shape} and {genuine.shape}")
    if genuine.dtype != bool:
        raise ValueError(f"genuine must be bool, got {genuine.dtype}")
    finite(similarity, "similarity")
    num_genuine = int(np.count_nonzero(genuine))
    if num_genuine in (0, genuine.size):
        raise ValueError(f"expected genuine and impostor pairs, got {num_genuine} and {genuine.size - num_genuine}")
    return similarity, genuine


def folds(fold: ArrayLike, num_pairs: int) -> tuple[np.ndarray, int]:
    """Returns int [n], the fold of each pair, and the number of folds.

    Raises: ValueError unless they are 0 ... k - 1, k >= 2, each with pairs.
    """
    fold = np.asarray(fold)
    if fold.shape != (num_pairs,) or not np.issubdtype(fold.dtype, np.integer) or fold.min(initial=0) < 0:
        raise ValueError(f"fold must be {num_pairs} integers >= 0, got shape {fold.shape} of {fold.dtype}: {fold}")
    sizes = np.bincount(fold)
    if sizes.size < 2 or not sizes.all():
        empty = np.flatnonzero(sizes == 0)
        raise ValueError(f"expected 2 or more folds, each with pairs, got {sizes.size}, of which {empty} are empty")
    return fold, sizes.size


def finite(values: np.ndarray, name: str) -> None:
    """Raises ValueError, with the number and the first place, if values are not finite."""
    bad = ~np.isfinite(values)
    if bad.any():
        first = int(np.argmax(bad))
        raise ValueError(
            f"{name} must be finite, got {np.count_nonzero(bad)} that are not, first {values[first]} at {first}"
        )


def labels(values: ArrayLike, size: int, name: str) -> np.ndarray:
    """Returns int [size].

    Raises: ValueError unless they are that many integers.
    """
    array = np.asarray(values)
    if array.shape != (size,) or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{name} must be {size} integers, got shape {array.shape} of {array.dtype}")
    return array


def rate(value: float, name: str) -> float:
    """Returns the rate.

    Raises: ValueError unless it is in (0, 1].
    """
    if not 0 < value <= 1:
        raise ValueError(f"{name} must be a rate in (0, 1], got {value}")
    return value


def allowed_errors(rate: float, count: int) -> int:
    """Returns how many of `count` comparisons a rate allows: 1e-3 of 3,000 is 3, whatever the product rounds to."""
    return int(count * rate + 1e-9)


def lengths(
    embeddings: ArrayLike, name: str = "embeddings", places: Sequence[int] | np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Returns embeddings as they are, floating, and the length of each.

    Args:
        embeddings: [n, embedding_size].
        name: What an error calls them.
        places: [n], what an error calls the place of each, where these are some of more.

    Raises: ValueError, with the first place, for embeddings that are zero or not finite, and for another shape.
    """
    array = np.asarray(embeddings)
    if array.dtype != np.float64:
        array = np.asarray(array, np.float32)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"{name} must be [number, embedding_size], got shape {array.shape}")
    length = np.sqrt(np.einsum("ij,ij->i", array, array))
    bad = ~(np.isfinite(length) & (length > 0))
    if bad.any():
        first = int(np.argmax(bad))
        what = "zero" if length[first] == 0 else "not finite"
        raise ValueError(
            f"{name} must be finite and not zero, got {np.count_nonzero(bad)} that are not, "
            f"first {what} at {first if places is None else places[first]}"
        )
    return array, length


def unit(
    embeddings: ArrayLike, name: str = "embeddings", places: Sequence[int] | np.ndarray | None = None
) -> np.ndarray:
    """Returns the embeddings at unit length, float32 (float64 if they are).

    Args and Raises: as `lengths`.
    """
    array, length = lengths(embeddings, name, places)
    return array / length[:, None]
