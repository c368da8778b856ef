"""How the similarities of genuine and impostor pairs lie: histogram, angles with normal fits, sorted distances."""

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from keras_face.evaluation import checks
from keras_face.evaluation.angles import angle_fits, angles
from keras_face.evaluation.report.canvas import GENUINE, IMPOSTOR, legend, new_figure

_POINTS = 1000  # of a sorted curve: more than the picture has pixels


def histogram_figure(
    similarity: ArrayLike, genuine: ArrayLike, *, threshold: float, title: str = "", small: bool = False
) -> Figure:
    """Returns the densities of the similarities of genuine and impostor pairs, and the threshold between them.

    Args:
        similarity: [n], higher is more alike.
        genuine: bool [n].
        threshold: Of similarity.
        title: Line above.
        small: For several side by side.

    Raises: ValueError as `folds.kfold_accuracy`.
    """
    similarity, genuine = checks.pairs(similarity, genuine)
    figure, axes = new_figure(title, small=small)
    edges = np.histogram_bin_edges(similarity, 60)
    drawn, names = [], []
    for polarity, name, colour in ((True, "genuine", GENUINE), (False, "impostor", IMPOSTOR)):
        values = similarity[genuine == polarity]
        drawn.append(_bars(axes, values, edges, colour))
        names.append(f"{name} ({values.size:,})")
    drawn.append(axes.axvline(threshold, color="black", linestyle="--"))
    names.append(f"threshold {threshold:.3f}")
    axes.set(xlabel="similarity", ylabel="density")
    legend(axes, drawn, names)
    return figure


def angles_figure(
    cosine: ArrayLike, genuine: ArrayLike, *, threshold: float, title: str = "", small: bool = False
) -> Figure:
    """Returns the densities of the angles in degrees, with their normal fits and the threshold, as foamliu draws them.

    Args:
        cosine: [n], similarity of each pair.
        genuine: bool [n].
        threshold: Cosine.
        title: Line above.
        small: For several side by side.

    Raises: ValueError as `folds.kfold_accuracy` and `angles.angles`.

    Reference: foamliu/InsightFace, lfw_eval.py: bins of one degree.
    """
    cosine, genuine = checks.pairs(cosine, genuine)
    figure, axes = new_figure(title, small=small)
    degrees, fits = np.degrees(angles(cosine)), angle_fits(cosine, genuine)
    limit = float(np.degrees(angles([threshold]))[0])
    shown = max(0.0, min(degrees.min(), limit) - 5), min(180.0, max(degrees.max(), limit) + 5)
    drawn, names, highest = [], [], 0.0
    for polarity, name, colour, fit in (
        (True, "genuine", GENUINE, fits.genuine),
        (False, "impostor", IMPOSTOR, fits.impostor),
    ):
        values, mean, std = degrees[genuine == polarity], np.degrees(fit.mean), np.degrees(fit.std)
        drawn.append(_bars(axes, values, np.arange(181.0), colour))
        names.append(f"{name}: mean {mean:.1f}°, deviation {std:.1f}°")
        highest = max(highest, np.histogram(values, np.arange(181))[0].max() / values.size)
        if std > 0:
            at = np.linspace(*shown, 500)
            normal = np.exp(-(((at - mean) / std) ** 2) / 2) / (std * np.sqrt(2 * np.pi))
            axes.plot(at, normal, color=colour, linestyle="--", linewidth=1.5)
    drawn.append(axes.axvline(limit, color="black"))
    names.append(f"threshold {limit:.2f}°")
    # The bars set the height: the fit of a few angles can be a needle.
    axes.set(xlabel="angle (degrees)", ylabel="density per degree", xlim=shown, ylim=(0, highest * 1.15))
    legend(axes, drawn, names)
    return figure


def sorted_figure(
    similarity: ArrayLike, genuine: ArrayLike, *, threshold: float, title: str = "", small: bool = False
) -> Figure:
    """Returns the distances (1 - similarity) of genuine and of impostor pairs, each sorted, and the threshold.

    Where a curve crosses the threshold, its share of errors can be read below: genuine pairs right of the crossing
    are rejected, impostor pairs left of it accepted.

    Args and Raises: as `histogram_figure`.

    Reference: margin-centre-face, plot.py, draw_chart.
    """
    similarity, genuine = checks.pairs(similarity, genuine)
    figure, axes = new_figure(title, small=small)
    lines, names = [], []
    for polarity, name, colour, style in ((True, "genuine", GENUINE, "-"), (False, "impostor", IMPOSTOR, "--")):
        distance = np.sort(1 - similarity[genuine == polarity])
        place = np.unique(np.linspace(0, distance.size - 1, _POINTS).round().astype(int))
        share = place / max(distance.size - 1, 1)
        lines += axes.plot(share, distance[place], color=colour, linestyle=style)
        names.append(f"{name} ({distance.size:,})")
    lines.append(axes.axhline(1 - threshold, color="green"))
    names.append(f"threshold {1 - threshold:.3f}")
    axes.set(xlabel="share of the pairs, sorted by distance", ylabel="distance (1 - similarity)", xlim=(0, 1))
    axes.grid(alpha=0.3)
    legend(axes, lines, names)
    return figure


def _bars(axes: Axes, values: np.ndarray, edges: np.ndarray, colour: str) -> Artist:
    """Draws a histogram of density as one filled outline; hundreds of bars take long."""
    counts = np.histogram(values, edges)[0]
    return axes.stairs(counts / counts.sum() / np.diff(edges), edges, fill=True, alpha=0.5, color=colour)
