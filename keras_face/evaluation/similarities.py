"""Cosines of embeddings: what is equal has equal similarities, and the same photo is at exactly 1.

A matrix product rounds by the place of a row in it, so that two rows that are the same number for number can get
products that differ in their last bits, and a rule about ties would be decided by that. Here equal rows are found
first, and share one product. Rows that are nearly equal are different rows, and may be told apart by their last bits.
"""

import numpy as np

_PAIRS = 65_536  # pairs that are compared at a time
_NEAR = np.float32(1 - 1e-5)  # only above it can two unit rows be equal


def first_equal(rows: np.ndarray) -> np.ndarray:
    """Returns int64 [n], the first of the rows that equals each number for number: its own index where it is the first.

    Args:
        rows: float32 or float64 [n, embedding_size].
    """
    first = np.arange(len(rows))
    sums = row_sums(rows)
    _, place, counts = np.unique(sums, return_inverse=True, return_counts=True)
    seen: dict[bytes, int] = {}
    for number in np.flatnonzero(counts[place] > 1).tolist():
        first[number] = seen.setdefault(rows[number].tobytes(), number)
    return first


def row_sums(rows: np.ndarray) -> np.ndarray:
    """Returns uint64 [n], a checksum of the bits of each row: equal rows have equal ones."""
    return np.add.reduce(np.ascontiguousarray(rows).view(np.uint32), axis=1, dtype=np.uint64)


def pair_cosines(embeddings: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Returns float32 [n], the cosine of the unit embeddings of each pair of rows; block by block.

    It does not depend on the place of a pair nor on the order of its sides, and is exactly 1 for equal embeddings.

    Args:
        embeddings: float32 [m, embedding_size], unit length.
        left: int [n], row of one side of each pair.
        right: int [n], of the other.
    """
    found = np.empty(left.size, np.float32)
    for start in range(0, left.size, _PAIRS):
        block = slice(start, start + _PAIRS)
        one, other = embeddings[left[block]], embeddings[right[block]]
        np.einsum("nd,nd->n", one, other, out=found[block])
        near = np.flatnonzero(found[block] > _NEAR)
        found[block][near[(one[near] == other[near]).all(axis=1)]] = 1
    return found
