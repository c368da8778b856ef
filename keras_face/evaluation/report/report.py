"""A report of measurements: one HTML file with all pictures inside, which needs no network and runs no script."""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_face import files
from keras_face.evaluation import checks
from keras_face.evaluation.intervals import LEVEL
from keras_face.evaluation.report.canvas import Scores, png
from keras_face.evaluation.report.crops import Crops
from keras_face.evaluation.report.curves import cmc_figure, det_figure, roc_figure
from keras_face.evaluation.report.distributions import angles_figure, histogram_figure, sorted_figure
from keras_face.evaluation.report.errors import Decisions, decide, error_parts, people_parts
from keras_face.evaluation.report.figures import (
    figure_parts,
    fold_table,
    identification_table,
    origin_parts,
    short_names,
    threshold_table,
)
from keras_face.evaluation.report.html import Html, escape, heading, lines, page, paragraph, plot, section, table
from keras_face.evaluation.results import IdentificationResult, Measured

_NOTES = (
    "A pair is called genuine where its similarity is greater than the threshold; an equal one is called impostor.",
    "Accuracy is the mean over the folds, whatever their sizes; the deviation is divided by their number, the standard "
    "error is that of the mean.",
    f"Intervals hold with {LEVEL * 100:g} % confidence, over people drawn anew: those of the data are resampled, each "
    "with all its pairs. Where it is not known who is on a pair, they are as if pairs were independent, and say so.",
    "A false accept rate that allows less than one of the impostor pairs is not measurable: no figure is given for it.",
    "TAR at a FAR is the highest that keeps the FAR; nothing is interpolated. The interval beside it finds the "
    "threshold anew in each resample, the one at this threshold takes it as given. FAR on new people is what that "
    "threshold promises.",
)


def write_report(
    path: str | os.PathLike,
    measured: Sequence[Measured],
    *,
    photo_of: Callable[[str], np.ndarray | None] | None = None,
    facts: Mapping[str, str] = {},
    identification: Sequence[IdentificationResult] = (),
    num_shown: int = 20,
) -> None:
    """Writes what was measured as one HTML page; it appears whole or not at all.

    The same input gives the same file: date and versions are in it if `facts` has them.

    Args:
        path: File, replaced; its folder is made.
        measured: Verification, in the order of the tables; curves of all are in one picture.
        photo_of: From a key of the pairs to its photo, uint8 RGB [height, width, 3], a frame for a track; it gives None
            where there is none. None: names only.
        facts: What else is to be said: versions, date; by what it is about. Line feeds are kept.
        identification: Searches of galleries.
        num_shown: Wrong pairs of each polarity, and people, that are shown.

    Raises: ValueError, which says the model and the protocol, if there is nothing to report, if sizes or counts do not
        fit together, for similarities that are not finite, for one polarity only, and for a photo that is none.
    """
    if not measured and not identification:
        raise ValueError("expected something measured to report, got nothing")
    if num_shown < 1:
        raise ValueError(f"num_shown must be 1 or more, got {num_shown}")
    for one in measured:
        _check(one)
    names = short_names([(one.result.model, one.result.protocol) for one in measured])
    models = dict.fromkeys([*(one.result.model for one in measured), *(one.model for one in identification)])
    title = f"Measured: {', '.join(models)}"
    links = [("figures", "Figures")] if measured else []
    links += [(f"result-{number}", name) for number, name in enumerate(names)]
    links += [("identification", "Identification")] if identification else []
    links += [("facts", "Facts")] if facts else []
    links.append(("notes", "How to read this"))
    contents = "".join(f'<li><a href="#{anchor}">{escape(name)}</a></li>\n' for anchor, name in links)
    body = [heading(1, title), Html(f'<nav aria-label="Contents"><ul>\n{contents}</ul></nav>\n')]
    if measured:
        body.append(section("figures", "Figures", [*figure_parts(measured, names), _curves(measured, names)]))
    crops = Crops(photo_of)
    for number, (one, name) in enumerate(zip(measured, names, strict=True)):
        body.append(section(f"result-{number}", name, _result_parts(one, crops, num_shown)))
    if identification:
        body.append(section("identification", "Identification", _identification_parts(identification)))
    if facts:
        body.append(
            section(
                "facts",
                "Facts",
                [table("Facts", ("what", "value"), [(what, lines(text)) for what, text in facts.items()])],
            )
        )
    body.append(section("notes", "How to read this", [paragraph(note) for note in _NOTES]))
    files.write_text(path, page(title, body))


def _check(measured: Measured) -> None:
    """Raises: ValueError if the parts do not fit together."""
    result, pairs = measured.result, measured.pairs
    place = f"{result.model}, {result.protocol}"
    try:
        _, genuine = checks.pairs(measured.similarity, pairs.genuine)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    counts = int(np.count_nonzero(genuine)), int(np.count_nonzero(~genuine))
    if counts != (result.num_genuine, result.num_impostor) or pairs.protocol != result.protocol:
        raise ValueError(
            f"{place}: expected the pairs of the result, {result.num_genuine} genuine and {result.num_impostor} "
            f"impostor ones, got those of {pairs.protocol}, {counts[0]} and {counts[1]}"
        )
    num_folds = int(pairs.fold.max()) + 1
    if result.accuracy is not None and len(result.accuracy.thresholds) != num_folds:
        raise ValueError(
            f"{place}: expected a threshold for each of {num_folds} folds, got {len(result.accuracy.thresholds)}"
        )


def _curves(measured: Sequence[Measured], names: Sequence[str]) -> Html:
    scores = [Scores(name, one.similarity, one.pairs.genuine) for name, one in zip(names, measured, strict=True)]
    points = [one.result.tar_at_far for one in measured]
    who = ", ".join(names)
    smallest = ", ".join(dict.fromkeys(f"1 of {one.result.num_impostor:,}" for one in measured))
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
    return Html(f'<div class="plots">\n{roc}{det}</div>\n')


def _result_parts(measured: Measured, crops: Crops, num_shown: int) -> list[Html]:
    similarity = np.asarray(measured.similarity, np.float64)
    cosine = bool(np.abs(similarity).max() <= 1 + 1e-5)
    decisions = decide(measured)
    return [
        *origin_parts(measured.result),
        threshold_table(measured.result.tar_at_far, cosine),
        fold_table(measured),
        heading(3, "Distributions"),
        *_distributions(measured, decisions, cosine),
        *error_parts(measured, decisions, crops, num_shown),
        *people_parts(measured, decisions, crops, num_shown),
    ]


def _distributions(measured: Measured, decisions: Decisions, cosine: bool) -> list[Html]:
    pairs, threshold = (measured.similarity, measured.pairs.genuine), decisions.threshold
    plots = [
        plot(
            png(histogram_figure(*pairs, threshold=threshold)),
            "Histogram of the similarities of genuine and impostor pairs",
            "Similarities, and the threshold (the mean of the folds' where there are several).",
        )
    ]
    if cosine:
        plots.append(
            plot(
                png(angles_figure(*pairs, threshold=threshold)),
                "Histogram of the angles of genuine and impostor pairs in degrees, with normal fits",
                "Angles of the pairs in degrees; dashed: normal distributions of the same mean and deviation.",
            )
        )
    plots.append(
        plot(
            png(sorted_figure(*pairs, threshold=threshold)),
            "Sorted distances of genuine and of impostor pairs",
            "Distances, each polarity sorted. Genuine pairs above the threshold are rejected, impostor pairs below it "
            "accepted.",
        )
    )
    parts = [Html(f'<div class="plots">\n{"".join(plots)}</div>\n')]
    if not cosine:
        parts.append(paragraph("The similarities are no cosines, so there are no angles to show."))
    return parts


def _identification_parts(results: Sequence[IdentificationResult]) -> list[Html]:
    parts = [identification_table(one) for one in results]
    names = short_names([(one.model, one.protocol) for one in results])
    curves = [(name, np.array(one.cmc)) for name, one in zip(names, results, strict=True) if one.cmc]
    if curves:
        titles, values = zip(*curves, strict=True)
        alt = f"Cumulative match characteristics of {', '.join(titles)}"
        caption = "Share of the searches that find the person among the first k."
        parts.append(Html(f'<div class="plots">\n{plot(png(cmc_figure(titles, values)), alt, caption)}</div>\n'))
    return parts
