"""What sub-centres are for: which photos of an identity are not of it."""

import math

import numpy as np


def dropped(
    embeddings: np.ndarray,
    labels: np.ndarray,
    prototypes: np.ndarray,
    sub_centres: int,
    max_angle: float = math.radians(75.0),
) -> np.ndarray:
    """Returns which examples the drop rule of sub-centre ArcFace leaves out, bool [n].

    The dominant sub-centre of an identity is the one that is nearest to most of its examples (of equal ones the first).
    An example is dropped if its angle to the dominant one is above the limit.

    Args:
        embeddings: float [n, size], all examples of the identities concerned; need not be of unit length.
        labels: integer [n]; examples of unknown identity (label < 0) are never dropped.
        prototypes: float [identities * sub_centres, size], of a head trained with sub-centres.
        sub_centres: Prototypes of each identity.
        max_angle: Radians; InsightFace's drop.py: 75 degrees.

    Raises:
        ValueError: the prototypes are no multiple of sub_centres, or a label is beyond them.
    Reference: Deng et al. 2020, Sub-center ArcFace, ECCV, section 3.3; InsightFace, subcenter_arcface/drop.py
    """
    if len(prototypes) % sub_centres:
        raise ValueError(f"expected a multiple of {sub_centres} prototypes, got {len(prototypes)}")
    identities = len(prototypes) // sub_centres
    if len(labels) and labels.max() >= identities:
        raise ValueError(f"expected labels below {identities}, the prototypes / sub_centres, got {labels.max()}")
    result = np.zeros(len(labels), bool)
    known = np.flatnonzero(labels >= 0)
    order = known[np.argsort(labels[known], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    for rows in np.split(order, starts[1:]):
        if not len(rows):
            continue
        first = labels[rows[0]] * sub_centres
        cosines = _unit(embeddings[rows]) @ _unit(prototypes[first : first + sub_centres]).T
        dominant = np.bincount(cosines.argmax(axis=1), minlength=sub_centres).argmax()
        result[rows] = np.arccos(np.clip(cosines[:, dominant], -1.0, 1.0)) > max_angle
    return result


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
