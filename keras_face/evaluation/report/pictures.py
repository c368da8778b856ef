"""The pictures of a test set, of all its models together: curves, distributions."""

from collections.abc import Sequence

import numpy as np

from keras_face.evaluation.intervals import LEVEL
from keras_face.evaluation.report.canvas import Scores, png
from keras_face.evaluation.report.curves import cmc_figure, det_figure, roc_figure
from keras_face.evaluation.report.distributions import angles_figure, histogram_figure, sorted_figure
from keras_face.evaluation.report.errors import Decisions
from keras_face.evaluation.report.html import Html, details, paragraph, plot, plots
from keras_face.evaluation.report.sets import MeasuredSet


def curve_parts(of_set: MeasuredSet) -> Html:
    """Returns the ROC and the DET of all models of a set."""
    models, measured = of_set.models, of_set.measured
    scores = [Scores(model, each.similarity, each.pairs.genuine) for model, each in zip(models, measured, strict=True)]
    points, who = [each.result.tar_at_far for each in measured], ", ".join(models)
    smallest = f"1 of {measured[0].result.num_impostor:,}"
    roc = plot(
        png(roc_figure(scores, points=points)),
        f"ROC curves of {who}; the table of thresholds has the same figures",
        f"ROC. Bars: intervals ({LEVEL * 100:g} %). Smallest measurable FAR: {smallest} impostor pairs.",
    )
    det = plot(
        png(det_figure(scores)),
        f"DET curves of {who}",
        "DET: both error rates, logarithmic. Edges stand for 0. On the dotted diagonal both rates are equal.",
    )
    return plots([roc, det])


def distribution_parts(of_set: MeasuredSet, decisions: Sequence[Decisions], cosine: bool) -> list[Html]:
    """Returns the similarities of each model, its angles and its sorted distances, side by side.

    Args:
        of_set: The set.
        decisions: Of each model.
        cosine: Whether the similarities are cosines, so that there are angles.
    """
    several = len(of_set.measured) > 1
    first, further = [], []
    for model, each, decided in zip(of_set.models, of_set.measured, decisions, strict=True):
        pairs, threshold, start = (each.similarity, each.pairs.genuine), decided.threshold, f"{model}: "
        named = f"{model}. " if several else ""
        first.append(
            plot(
                png(histogram_figure(*pairs, threshold=threshold, small=True)),
                f"{start}histogram of the similarities of genuine and impostor pairs",
                f"{named}Similarities, and the threshold (the mean of the folds' where there are several).",
            )
        )
        if cosine:
            further.append(
                plot(
                    png(angles_figure(*pairs, threshold=threshold, small=True)),
                    f"{start}histogram of the angles of genuine and impostor pairs in degrees, with normal fits",
                    f"{named}Angles in degrees; dashed: normal distributions of the same mean and deviation.",
                )
            )
        further.append(
            plot(
                png(sorted_figure(*pairs, threshold=threshold, small=True)),
                f"{start}sorted distances of genuine and of impostor pairs",
                f"{named}Distances, sorted. Genuine pairs above the threshold are rejected, "
                "impostor pairs below it accepted.",
            )
        )
    what = "Angles, and sorted distances" if cosine else "Sorted distances"
    parts = [plots(first, small=True), details(what, [plots(further, small=True)])]
    if not several:
        parts = [plots([*first, *further], small=True)]
    if not cosine:
        parts.append(paragraph("The similarities are no cosines, so there are no angles to show."))
    return parts


def search_parts(names: Sequence[str], curves: Sequence[Sequence[float]]) -> Html:
    """Returns the CMC of searches of galleries; nothing where there is none."""
    found = [(name, np.array(curve)) for name, curve in zip(names, curves, strict=True) if curve]
    if not found:
        return Html("")
    titles, values = zip(*found, strict=True)
    alt = f"Cumulative match characteristics of {', '.join(titles)}"
    caption = "Share of the searches that find the person among the first k."
    return plots([plot(png(cmc_figure(titles, values)), alt, caption)])
