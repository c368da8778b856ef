"""From embeddings of photos or frames to the similarity of face sets."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from keras_face.evaluation.pooling import Pooling
from keras_face.evaluation.protocols.lines import bad_line, read_lines
from keras_face.evaluation.set_scores import set_similarities
from keras_face.evaluation.similarities import pair_cosines

_SET_SCORES = {
    "max": "highest cosine of two photos",
    "mean": "mean cosine of all photos",
    "softmax": "softmax of the cosines of all photos",
}


@dataclass(frozen=True)
class PoolingRule:
    """How two face sets are compared: pooled into one embedding each, or photo by photo.

    Attributes:
        pooling: How a face set's embeddings become one.
        set_score: "max", "mean" or "softmax" of `set_similarities` instead of pooling; None: pooling.

    Raises: ValueError if there is a set score, and pooling is not as by default.
    """

    pooling: Pooling = field(default_factory=Pooling)
    set_score: str | None = None

    def __post_init__(self):
        if self.set_score is not None and self.pooling != Pooling():
            raise ValueError(f"expected no pooling where photos are compared one by one, got {self.pooling}")

    def __str__(self) -> str:
        """Returns what is done, for a report."""
        if self.set_score is not None:
            return f"set to set, {_SET_SCORES[self.set_score]}"
        return f"unit({self.pooling})"

    def pool(
        self,
        embeddings: np.ndarray,
        norms: np.ndarray,
        face_set: np.ndarray,
        quality: np.ndarray | None = None,
        media: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns float32 [t, embedding_size], the unit embedding of each face set.

        Args:
            embeddings: float32 [n, embedding_size], unit length.
            norms: float32 [n], the lengths they had.
            face_set: int [n], 0 ... t - 1.
            quality: [n]; None: there is none.
            media: int [n], where pooling is by media.

        Raises: ValueError as `Pooling`, and for norms that are all the same where they are to weigh or to choose.
        """
        weighs = self.pooling.weighting.startswith("norm") or (self.pooling.best is not None and quality is None)
        if weighs and np.ptp(norms) <= 1e-5 * norms.max():
            raise ValueError(
                f"{self}: expected embeddings of different lengths, got {norms.size} of length {norms[0]:g}: the "
                "lengths are not known, or say nothing"
            )
        needs = self.pooling.weighting.endswith("quality") or self.pooling.best is not None
        raw = embeddings * norms[:, np.newaxis] if weighs else embeddings
        return self.pooling(raw, face_set, quality=quality if needs else None, media=media)

    def similarity(
        self,
        embeddings: np.ndarray,
        face_set: np.ndarray,
        pooled: np.ndarray | None,
        left: np.ndarray,
        right: np.ndarray,
    ) -> np.ndarray:
        """Returns [p], the similarity of each pair of face sets; `pooled` is what `pool` gave, None for set scores."""
        if self.set_score is not None or pooled is None:
            return set_similarities(embeddings, face_set, left, right, self.set_score or "mean")
        return pair_cosines(pooled, left, right)


def read_qualities(path: str | os.PathLike) -> dict[str, float]:
    """Returns the quality of photos in a text file, lines `path quality` or `path,quality`; higher is better.

    Raises: ValueError, with file and line, for a line that is not as expected or comes twice, and for an empty file.
    """
    found: dict[str, float] = {}
    for line in read_lines(path):
        match = re.fullmatch(r"(.+?)(?:\s*,\s*|\s+)(\S+)", line[1])
        try:
            value = float(match[2]) if match else np.nan
        except ValueError:
            value = np.nan
        if match is None or not np.isfinite(value) or match[1] in found:
            raise bad_line(path, line, "`path quality`, a finite number, each path once")
        found[match[1]] = value
    if not found:
        raise ValueError(f"{path}: expected qualities, the file is empty")
    return found


def qualities_of(keys: Sequence[str], qualities: Mapping[str, float] | None, where: str) -> np.ndarray | None:
    """Returns float64 [n], the quality of each key; None if there are none.

    Raises: ValueError if some are missing; says how many, and names the first.
    """
    if qualities is None:
        return None
    missing = [key for key in keys if key not in qualities]
    if missing:
        raise ValueError(f"{where}: {len(missing)} of {len(keys)} photos have no quality, such as {missing[0]}")
    return np.array([qualities[key] for key in keys])
