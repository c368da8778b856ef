"""What is kept of every photo in place of its pixels: hashes of its bytes and pixels, and a perceptual descriptor."""

import functools
import hashlib
import math

import numpy as np

DESCRIPTOR_SIZE = 64
SMALL = 32  # side of the small photo that the descriptor and the colours are taken from, pixels
_STEPS_PER_UNIT = 16  # of a coefficient; one grey level of noise is far less than a step
_SHORTEST = 1e-3


def content_hash(content: bytes | memoryview) -> int:
    """Returns 63 bits of the SHA-1 hash: among 10 million photos, two different ones agree with odds of 1 to 200,000.

    SHA-1, because processors have instructions for it, and nobody forges a photo here.
    """
    return int.from_bytes(hashlib.sha1(content, usedforsecurity=False).digest()[:8], "little") >> 1


def describe(grey: np.ndarray) -> np.ndarray:
    """Returns the lowest frequencies of small grey photos, whatever their brightness and contrast.

    The 64 coefficients of the cosine transform that follow the mean, in order of frequency, over their own length.

    Args:
        grey: float [n, 32, 32].

    Returns: int8 [n, 64]; 128 steps are a coefficient that holds all of the photo.
    """
    basis, rows, columns = _transform()
    coefficients = (basis @ grey.astype(np.float32) @ basis.T)[:, rows, columns]
    length = np.linalg.norm(coefficients, axis=1, keepdims=True)
    unit = coefficients / np.maximum(length, _SHORTEST)
    return np.clip(np.round(unit * (_STEPS_PER_UNIT * math.sqrt(DESCRIPTOR_SIZE))), -127, 127).astype(np.int8)


@functools.cache
def _transform() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the cosine basis float32 [frequencies, 32], orthonormal, and the frequencies taken: rows, columns."""
    frequency, place = np.ogrid[:SMALL, :SMALL]
    basis = np.cos(math.pi * frequency * (place + 0.5) / SMALL) * math.sqrt(2 / SMALL)
    basis[0] /= math.sqrt(2)
    row, column = np.indices((SMALL, SMALL)).reshape(2, -1)
    order = np.lexsort((row, np.maximum(row, column), row + column))[1 : DESCRIPTOR_SIZE + 1]
    rows, columns = row[order], column[order]
    return basis[: max(rows.max(), columns.max()) + 1].astype(np.float32), rows, columns
