"""Pictures of verification results, written as PNG; draws without pyplot, so no global state and no display."""

import os

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_face.evaluation.scores import roc


def save_roc(path: str | os.PathLike, similarity: ArrayLike, genuine: ArrayLike, *, title: str) -> None:
    """Writes the ROC: true accept rate over false accept rate, the latter logarithmic.

    Its left edge is half an impostor pair, and stands for a rate of 0, which a logarithm cannot show.

    Args:
        path: PNG file, replaced.
        similarity: [n], higher is more alike.
        genuine: bool [n].
        title: Line above the picture.

    Raises: ValueError as `scores.roc`.
    """
    curve = roc(similarity, genuine)
    num_impostor = int(np.count_nonzero(~np.asarray(genuine)))
    figure, axes = _axes(title)
    left = 0.5 / num_impostor
    axes.step(np.maximum(curve.far, left), curve.tar, where="post", color="tab:blue")
    axes.set(xscale="log", xlim=(left, 1), ylim=(0, 1.01))
    axes.set(xlabel=f"false accept rate ({num_impostor} impostor pairs)", ylabel="true accept rate")
    axes.grid(which="both", alpha=0.3)
    figure.savefig(path, format="png")


def save_histogram(
    path: str | os.PathLike, similarity: ArrayLike, genuine: ArrayLike, *, threshold: float, title: str
) -> None:
    """Writes the densities of the similarities of genuine and impostor pairs, and the threshold between them.

    Args: as `save_roc`, and the threshold.
    """
    similarity, genuine = np.asarray(similarity), np.asarray(genuine)
    figure, axes = _axes(title)
    edges = np.histogram_bin_edges(similarity, 60).tolist()
    for polarity, name, colour in ((True, "genuine", "tab:blue"), (False, "impostor", "tab:red")):
        label = f"{name} ({np.count_nonzero(genuine == polarity)})"
        axes.hist(similarity[genuine == polarity], edges, density=True, alpha=0.5, color=colour, label=label)
    axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.3f}")
    axes.set(xlabel="similarity (cosine)", ylabel="density")
    axes.legend()
    figure.savefig(path, format="png")


def _axes(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=9)
    return figure, axes
