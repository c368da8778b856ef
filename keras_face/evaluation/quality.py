"""Does a quality know which comparisons go wrong? Error versus reject."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks
from keras_face.evaluation.operating_points import OperatingPoint

ERRORS = ("false_reject", "wrong_decision")
_SHARES = (0.05, 0.1, 0.2)  # of the comparisons rejected, in the text


@dataclass(frozen=True, eq=False)
class ErrorVersusReject:
    """Error rate of the comparisons that are left when those of the lowest quality are rejected.

    Attributes:
        error: Which error, of `ERRORS`.
        threshold: Similarity threshold of the decisions, the same throughout.
        rejected: [m], share of the comparisons rejected, rising from 0; below 1.
        rate: [m], error rate of the others.
        area: Mean of the rate over rejected shares from 0 to `max_rejected`: the area under the curve, a step function,
            over its width. A quality that knows nothing leaves it at about the first rate; lower is better.
        max_rejected: Right end of that area.
    """

    error: str
    threshold: float
    rejected: np.ndarray
    rate: np.ndarray
    area: float
    max_rejected: float

    def rate_without(self, share: float) -> float:
        """Returns the error rate when at most this share of the comparisons, [0, 1), is rejected."""
        return float(self.rate[np.searchsorted(self.rejected, share, "right") - 1])


def error_versus_reject(
    similarity: ArrayLike,
    genuine: ArrayLike,
    quality: ArrayLike,
    threshold: float,
    *,
    error: str = "false_reject",
    max_rejected: float = 0.5,
) -> ErrorVersusReject:
    """Returns the error versus reject curve of a quality.

    Comparisons of equal quality are rejected together.

    Args:
        similarity: [n], higher is more alike.
        genuine: bool [n].
        quality: [n], higher is better: of a pair the lower of its two photos' (`np.minimum`), as a norm before
            normalisation.
        threshold: Of similarity, kept while comparisons are rejected; as `operating_points` finds it.
        error: "false_reject" (among the genuine pairs, rejected shares too) or "wrong_decision" (among all).
        max_rejected: Right end of the area, (0, 1].

    Raises: ValueError as `folds.kfold_accuracy`, and for a quality that is not finite or of another size.

    Reference: Grother and Tabassi 2007, "Performance of Biometric Quality Measures", IEEE TPAMI 29.
    """
    similarity, genuine = checks.pairs(similarity, genuine)
    values = np.asarray(quality, np.float64)
    if values.shape != similarity.shape:
        raise ValueError(f"expected a quality for each pair, got {values.shape} and {similarity.shape}")
    checks.finite(values, "quality")
    checks.rate(max_rejected, "max_rejected")
    if error not in ERRORS:
        raise ValueError(f"error must be one of {', '.join(ERRORS)}, got {error!r}")
    if not np.isfinite(threshold):
        raise ValueError(f"threshold must be finite, got {threshold}")
    wrong = (similarity > threshold) != genuine
    if error == "false_reject":
        wrong, values = wrong[genuine], values[genuine]
    order = np.argsort(values, kind="stable")
    values, wrong = values[order], wrong[order]
    starts = np.append(0, np.flatnonzero(np.diff(values)) + 1)  # first of each run of equal quality
    errors_left = wrong.sum() - np.append(0, np.cumsum(wrong))[starts]
    rate = errors_left / (wrong.size - starts)
    rejected = starts / wrong.size
    widths = np.diff(np.append(np.minimum(rejected, max_rejected), max_rejected))
    area = float(np.dot(rate, widths) / max_rejected)
    return ErrorVersusReject(error, float(threshold), rejected, rate, area, max_rejected)


def false_rejects_by_quality(
    similarity: ArrayLike, genuine: ArrayLike, quality: ArrayLike, points: Sequence[OperatingPoint]
) -> str:
    """Returns a line for each measurable FAR: the false rejects, and what is left as low quality is rejected.

    Args:
        similarity: [n], as `error_versus_reject`.
        genuine: Likewise.
        quality: Likewise.
        points: Operating points of these similarities.

    Raises: ValueError as `error_versus_reject`.
    """
    lines = ["False rejects, and those left when the genuine pairs of the lowest quality are rejected:"]
    for point in points:
        if point.threshold is None:
            continue
        found = error_versus_reject(similarity, genuine, quality, point.threshold)
        left = ", ".join(f"{found.rate_without(share):.4f} without {100 * share:g} %" for share in _SHARES)
        lines.append(f"FAR {point.far:g}: {found.rate[0]:.4f}; {left}; mean up to 50 %: {found.area:.4f}")
    return "\n".join(lines)
