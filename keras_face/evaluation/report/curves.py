"""ROC, DET and CMC of several models in one picture."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from keras_face.evaluation.curves import Roc, roc
from keras_face.evaluation.operating_points import OperatingPoint
from keras_face.evaluation.report.canvas import Scores, colour, legend, new_figure, style

_COLUMNS = 2000  # points of a curve: more than the picture has pixels


def roc_figure(
    scores: Sequence[Scores], *, title: str = "", points: Sequence[Sequence[OperatingPoint]] | None = None
) -> Figure:
    """Returns the ROCs: true accept rate over false accept rate, the latter logarithmic.

    The smallest measurable FAR, one impostor pair, is marked; left of it stands the rate of 0, which a logarithm cannot
    show. Nothing is interpolated: at each FAR the curve has the highest TAR that keeps it.

    Args:
        scores: What is drawn, in this order.
        title: Line above.
        points: Operating points of each, whose bootstrap intervals are drawn as bars; None: no bars.

    Raises: ValueError as `curves.roc`.
    """
    figure, axes = new_figure(title)
    curves = [roc(similarity, genuine, corners=True) for _, similarity, genuine in scores]
    left, lowest = _left(scores), 1.0
    lines = []
    for number, curve in enumerate(curves):
        far, tar = _thinned(curve, left)
        lines += axes.step(far, tar, where="post", color=colour(number), linestyle=style(number))
        lowest = min(lowest, float(tar[0]))
        for point in points[number] if points is not None else ():
            if point.tar is None or point.bootstrap_interval is None:
                continue
            low, high = point.bootstrap_interval
            bar = [[max(point.tar - low, 0)], [max(high - point.tar, 0)]]
            axes.errorbar(point.far, point.tar, bar, color=colour(number), capsize=3, linewidth=1)
            lowest = min(lowest, low)
    floor = max(0.0, np.floor(lowest * 10 - 0.2) / 10)
    axes.set(xscale="log", xlim=(left, 1), ylim=(floor, 1 + (1 - floor) * 0.02))
    axes.set(xlabel="false accept rate", ylabel="true accept rate")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(which="both", alpha=0.3)
    lines, names = _mark_smallest_far(axes, scores, lines)
    legend(axes, lines, names)
    return figure


def det_figure(scores: Sequence[Scores], *, title: str = "") -> Figure:
    """Returns the DETs: false reject rate over false accept rate, both logarithmic.

    The smallest measurable rates are one impostor and one genuine pair; beyond them stands the rate of 0. On the dotted
    diagonal both rates are equal.

    Args and Raises: as `roc_figure`.
    """
    figure, axes = new_figure(title)
    curves = [roc(similarity, genuine, corners=True) for _, similarity, genuine in scores]
    left = _left(scores)
    lowest = 0.5 / max(np.count_nonzero(genuine) for _, _, genuine in scores)
    lines = []
    for number, curve in enumerate(curves):
        far, tar = _thinned(curve, left)
        frr = np.maximum(1 - tar, lowest)
        lines += axes.step(far, frr, where="post", color=colour(number), linestyle=style(number))
    axes.plot([left, 1], [left, 1], color="grey", linestyle=":", linewidth=1)
    axes.set(xscale="log", yscale="log", xlim=(left, 1), ylim=(lowest, 1))
    axes.set(xlabel="false accept rate", ylabel="false reject rate")
    axes.grid(which="both", alpha=0.3)
    lines, names = _mark_smallest_far(axes, scores, lines)
    legend(axes, lines, names)
    return figure


def cmc_figure(names: Sequence[str], curves: Sequence[np.ndarray], *, title: str = "") -> Figure:
    """Returns the cumulative match characteristics: share of the searches that find the person among the first k.

    Args:
        names: Label of each curve.
        curves: float [max_rank], [0, 1], as `identification.cmc`.
        title: Line above.

    Raises: ValueError for a curve that is empty, leaves [0, 1] or falls.
    """
    figure, axes = new_figure(title)
    lines = []
    for number, (name, curve) in enumerate(zip(names, curves, strict=True)):
        values = np.asarray(curve, np.float64)
        if values.ndim != 1 or not values.size or not (np.diff(values, prepend=0, append=1) >= -1e-12).all():
            raise ValueError(f"{name}: expected a CMC of rates that rise within [0, 1], got {values}")
        ranks = np.arange(1, values.size + 1)
        lines += axes.plot(ranks, values, marker="o", markersize=3, color=colour(number), linestyle=style(number))
    axes.set(xlabel="rank", ylabel="found among the first")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    legend(axes, lines, names)
    return figure


def _left(scores: Sequence[Scores]) -> float:
    """Returns the left edge, which stands for a FAR of 0: half an impostor pair of the largest set."""
    return 0.5 / max(np.count_nonzero(~genuine) for _, _, genuine in scores)


def _thinned(curve: Roc, left: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns FAR, at least `left`, and TAR of the curve's points; of those in one column of the picture the last."""
    far = np.maximum(curve.far, left)
    column = np.floor(np.log(far / left) / -np.log(left) * _COLUMNS)
    last = np.append(column[1:] != column[:-1], True)
    return far[last], curve.tar[last]


def _mark_smallest_far(axes: Axes, scores: Sequence[Scores], lines: list) -> tuple[list, list[str]]:
    """Draws a line at one impostor pair of each set; returns the lines and names of the legend with these."""
    lines, names = list(lines), [name for name, _, _ in scores]
    for count in dict.fromkeys(int(np.count_nonzero(~genuine)) for _, _, genuine in scores):
        lines.append(axes.axvline(1 / count, color="grey", linewidth=1))
        names.append(f"smallest measurable FAR: 1 of {count:,} impostors")
    return lines, names
