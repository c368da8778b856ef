"""What published evaluation scripts would have printed for the same similarities, each under its own name.

For comparison with their published figures only: margin-centre-face's rule breaks where the pairs are separable, and
the other two choose the threshold on the pairs that they then count.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation import checks


@dataclass(frozen=True)
class Printed:
    """What a script would have printed.

    Attributes:
        source: Which script, and its rule.
        accuracy: Its accuracy, [0, 1].
        threshold: Its threshold, in its own unit.
        threshold_unit: That unit.
        fold_accuracy: Its folds' accuracies; empty where it has no folds.
        std: Population standard deviation over its folds; None likewise.
    """

    source: str
    accuracy: float
    threshold: float
    threshold_unit: str
    fold_accuracy: tuple[float, ...] = ()
    std: float | None = None

    def __str__(self) -> str:
        """Returns a line of a report."""
        spread = "" if self.std is None else f" ± {self.std:.4f}"
        threshold = f"{self.threshold:.4f} ({self.threshold_unit})"
        return f"{self.source}: accuracy {self.accuracy:.4f}{spread}, threshold {threshold}"


def margin_centre_face(cosine: ArrayLike, genuine: ArrayLike, num_folds: int = 10) -> Printed:
    """Returns what margin-centre-face's eval/test_lfw.py would have printed (util/verification.py, `cosine`).

    The i-th genuine and the i-th impostor pair are in fold i // (number of genuine pairs // 10); a remainder helps to
    find thresholds and is not judged, surplus impostor pairs are not used. The threshold on the other folds is the
    middle of the first genuine distance, rising, that exceeds the impostor distance of its rank, falling; 0 if none
    does. A pair at the threshold is wrong whichever it is. Its 8 repetitions of the last pair are not repeated.

    Args:
        cosine: [n], similarity of each pair, in the protocol's order.
        genuine: bool [n].
        num_folds: Number of folds.

    Raises: ValueError as `folds.kfold_accuracy`; for fewer impostor than genuine pairs, on which the script fails.
    """
    cosine, genuine = checks.pairs(cosine, genuine)
    same, other = 1 - cosine[genuine], 1 - cosine[~genuine]
    if other.size < same.size or same.size < num_folds:
        raise ValueError(
            f"margin-centre-face's script needs {num_folds} or more genuine and no fewer impostor pairs, "
            f"got {same.size} and {other.size}"
        )
    other = other[: same.size]
    fold = np.arange(same.size) // (same.size // num_folds)
    accuracies, thresholds = [], []
    for number in range(num_folds):
        rising, falling = np.sort(same[fold != number]), np.sort(other[fold != number])[::-1]
        crossed = np.flatnonzero(rising > falling)
        threshold = (rising[crossed[0]] + falling[crossed[0]]) / 2 if crossed.size else 0.0
        inside = fold == number
        right = np.count_nonzero(same[inside] < threshold) + np.count_nonzero(other[inside] > threshold)
        accuracies.append(right / (2 * np.count_nonzero(inside)))
        thresholds.append(threshold)
    return Printed(
        "margin-centre-face: equal error of the other folds",
        float(np.mean(accuracies)),
        float(np.mean(thresholds)),
        "1 - cosine",
        tuple(accuracies),
        float(np.std(accuracies)),
    )


def foamliu(cosine: ArrayLike, genuine: ArrayLike) -> Printed:
    """Returns what foamliu/InsightFace's lfw_eval.py would have printed: the threshold tuned on the test pairs.

    Every pair's angle is tried as a threshold, in the order of the pairs; the first of the fewest errors is taken. A
    pair at the threshold is called genuine.

    Args:
        cosine: [n], similarity of each pair, in the protocol's order.
        genuine: bool [n].

    Raises: ValueError as `folds.kfold_accuracy`.
    """
    cosine, genuine = checks.pairs(cosine, genuine)
    theta = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    same, other = np.sort(theta[genuine]), np.sort(theta[~genuine])
    wrong = np.searchsorted(other, theta, "right") + same.size - np.searchsorted(same, theta, "right")
    best = int(np.argmin(wrong))
    return Printed(
        "foamliu/InsightFace: threshold tuned on the test pairs",
        1 - int(wrong[best]) / theta.size,
        float(theta[best]),
        "degrees",
    )


def seqface(cosine: ArrayLike, genuine: ArrayLike) -> Printed:
    """Returns what SeqFace's evaluate.py would have printed: the best threshold of the test pairs.

    Every pair's score is tried as a threshold, rising; the first of the most right decisions is taken. A pair at the
    threshold is called genuine. The score is 1 - |a - b|^2 / 2 of the unit embeddings a and b, which is the cosine.

    Args:
        cosine: [n], similarity of each pair.
        genuine: bool [n].

    Raises: ValueError as `folds.kfold_accuracy`.
    """
    cosine, genuine = checks.pairs(cosine, genuine)
    tried, same, other = np.sort(cosine), np.sort(cosine[genuine]), np.sort(cosine[~genuine])
    right = same.size - np.searchsorted(same, tried, "left") + np.searchsorted(other, tried, "left")
    best = int(np.argmax(right))
    return Printed(
        "SeqFace: best threshold of the test pairs",
        int(right[best]) / cosine.size,
        float(tried[best]),
        "cosine",
    )


def original_figures(cosine: ArrayLike, genuine: ArrayLike) -> str:
    """Returns a line for each script: what it would have printed, or why it would have printed nothing.

    Args:
        cosine: [n], similarity of each pair, in the protocol's order.
        genuine: bool [n].
    """
    lines = []
    for script in (margin_centre_face, foamliu, seqface):
        try:
            lines.append(str(script(cosine, genuine)))
        except ValueError as error:
            lines.append(f"{script.__name__}: nothing, as {error}")
    return "\n".join(["What published scripts would have printed, for comparison with their figures only:", *lines])
