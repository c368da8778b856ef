"""Pictures of verification results, written as PNG."""

import os

import numpy as np
from numpy.typing import ArrayLike

from keras_face import files
from keras_face.evaluation.report.canvas import Scores, png
from keras_face.evaluation.report.curves import roc_figure
from keras_face.evaluation.report.distributions import histogram_figure


def save_roc(path: str | os.PathLike, similarity: ArrayLike, genuine: ArrayLike, *, title: str) -> None:
    """Writes the ROC: true accept rate over false accept rate, the latter logarithmic.

    Args:
        path: PNG file, replaced.
        similarity: [n], higher is more alike.
        genuine: bool [n].
        title: Line above the picture.

    Raises: ValueError as `scores.roc`.
    """
    figure = roc_figure([Scores("ROC", np.asarray(similarity), np.asarray(genuine))], title=title)
    files.write_bytes(path, png(figure))


def save_histogram(
    path: str | os.PathLike, similarity: ArrayLike, genuine: ArrayLike, *, threshold: float, title: str
) -> None:
    """Writes the densities of the similarities of genuine and impostor pairs, and the threshold between them.

    Args: as `save_roc`, and the threshold.

    Raises: likewise.
    """
    files.write_bytes(path, png(histogram_figure(similarity, genuine, threshold=threshold, title=title)))
