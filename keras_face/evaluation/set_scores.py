"""Set-to-set scores: two face sets are compared photo by photo, without being pooled first."""

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks

METHODS = ("max", "mean", "softmax")
_SHARPNESS = np.arange(21.0)  # beta of the softmax scores
_PAIRS = 16_384  # pairs at a time for the mean


def set_similarities(
    embeddings: ArrayLike, face_set: ArrayLike, left: ArrayLike, right: ArrayLike, method: str = "softmax"
) -> np.ndarray:
    """Returns float64 [p]: the similarity of each pair of face sets, from the cosines of all their photos.

    - "max": the highest cosine.
    - "mean": the mean of the cosines (pooling by "equal", without making the face sets unit length).
    - "softmax": mean over beta = 0, 1 ... 20 of sum(c exp(beta c)) / sum(exp(beta c)): between the two.

    Args:
        embeddings: [n, embedding_size].
        face_set: int [n], the face set of each, >= 0.
        left: int [p], face set on one side of each pair.
        right: int [p], on the other.
        method: Of `METHODS`.

    Raises: ValueError for embeddings that are zero or not finite, sizes that differ, a pair with a face set that has no
        embeddings, and an unknown method.

    Reference: Masi et al. 2016, "Do We Really Need to Collect Millions of Faces for Effective Face Recognition?",
        section 4.1 (softmax; there summed over beta).
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    units = checks.unit(embeddings)
    face_set = checks.labels(face_set, len(units), "face_set")
    left, right = checks.labels(left, np.size(left), "left"), checks.labels(right, np.size(left), "right")
    order = np.argsort(face_set, kind="stable")
    units, (known, starts) = units[order], np.unique(face_set[order], return_index=True)
    sides = []
    for side, name in ((left, "left"), (right, "right")):
        place = np.minimum(np.searchsorted(known, side), known.size - 1)
        missing = np.flatnonzero(known[place] != side)
        if missing.size:
            raise ValueError(
                f"expected embeddings for the {name} face set of each pair, got none for face set "
                f"{side[missing[0]]} of pair {missing[0]}"
            )
        sides.append(place)
    stops = np.append(starts[1:], len(units))
    if method == "mean":
        means = np.add.reduceat(units, starts, axis=0) / (stops - starts)[:, None].astype(units.dtype)
        blocks = (slice(start, start + _PAIRS) for start in range(0, left.size, _PAIRS))
        found = [np.einsum("ij,ij->i", means[sides[0][block]], means[sides[1][block]]) for block in blocks]
        return np.concatenate([np.zeros(0), *found])
    score = np.max if method == "max" else _softmax
    return np.array(
        [score(units[starts[a] : stops[a]] @ units[starts[b] : stops[b]].T) for a, b in zip(*sides, strict=True)],
        np.float64,
    )


def _softmax(cosines: np.ndarray) -> float:
    values = cosines.reshape(-1).astype(np.float64)
    weights = np.exp(_SHARPNESS[:, None] * (values - values.max()))  # finite whatever the cosines
    return float(np.mean(weights @ values / weights.sum(axis=1)))
