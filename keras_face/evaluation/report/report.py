"""A report of measurements: one HTML file with all pictures inside, which needs no network and runs no script."""

import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_face import files
from keras_face.evaluation import checks
from keras_face.evaluation.intervals import LEVEL
from keras_face.evaluation.report.crops import Crops
from keras_face.evaluation.report.errors import count_errors, decide, error_parts
from keras_face.evaluation.report.figures import (
    figure_parts,
    fold_table,
    identification_table,
    origin_table,
    overview_table,
    threshold_parts,
)
from keras_face.evaluation.report.html import Html, details, escape, heading, lines, page, paragraph, section, table
from keras_face.evaluation.report.pictures import curve_parts, distribution_parts, search_parts
from keras_face.evaluation.report.sets import MeasuredSet, by_set, numbered, short_models
from keras_face.evaluation.results import IdentificationResult, Measured

_DRAWN = (
    "Drawn people, none of them real: the figures show that the parts work together. They say nothing of photos of "
    "real people, and no threshold here is for use."
)
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
        measured: Verification; models of one test set come side by side, in this order.
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
    names = short_models([*(one.result.model for one in measured), *(one.model for one in identification)])
    sets = by_set(measured, names)
    title = f"Measured: {', '.join(names.values())}"
    links = [("overview", "Overview")] if len(sets) > 1 else []
    links += [(f"set-{number}", of_set.title) for number, of_set in enumerate(sets)]
    links += [("identification", "Identification")] if identification else []
    links += [("facts", "Facts")] if facts else []
    links.append(("notes", "How to read this"))
    contents = "".join(f'<li><a href="#{anchor}">{escape(text)}</a></li>\n' for anchor, text in links)
    body = [heading(1, title), Html(f'<nav aria-label="Contents"><ul>\n{contents}</ul></nav>\n')]
    if len(sets) > 1:
        body.append(section("overview", "Overview", [overview_table(sets)]))
    crops = Crops(photo_of)
    for number, of_set in enumerate(sets):
        body.append(section(f"set-{number}", of_set.title, _set_parts(of_set, crops, num_shown)))
    if identification:
        body.append(section("identification", "Identification", _identification_parts(identification, names)))
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


def _set_parts(of_set: MeasuredSet, crops: Crops, num_shown: int) -> list[Html]:
    models, measured, best = of_set.models, of_set.measured, of_set.best
    cosine = all(np.abs(np.asarray(each.similarity)).max() <= 1 + 1e-5 for each in measured)
    decisions = [decide(each) for each in measured]
    parts = [paragraph(_DRAWN, warning=True)] if of_set.drawn else []
    parts += [*figure_parts(of_set), curve_parts(of_set)]
    parts += [heading(3, "Thresholds"), *threshold_parts(of_set, cosine)]
    parts += [heading(3, "Distributions"), *distribution_parts(of_set, decisions, cosine)]
    order = [best, *(number for number in range(len(models)) if number != best)]
    for number in order:
        each, decided = measured[number], decisions[number]
        wrong = error_parts(each, decided, crops, num_shown)
        title = f"Wrong decisions of {models[number]}: {count_errors(each, decided)}"
        parts += [heading(3, title), *wrong] if number == best else [details(title, wrong)]
    folds = [fold_table(model, each) for model, each in zip(models, measured, strict=True)]
    parts.append(details("Folds, and what was measured", [*folds, origin_table(of_set), *_complete(of_set)]))
    return parts


def _complete(of_set: MeasuredSet) -> list[Html]:
    if of_set.measured[0].result.dropped:
        return []
    return [paragraph("Nothing was left out: every pair of the protocol was measured.")]


def _identification_parts(results: Sequence[IdentificationResult], names: Mapping[str, str]) -> list[Html]:
    parts = [identification_table(names[one.model], one) for one in results]
    titles = [names[one.model] for one in results]
    if len({one.protocol for one in results}) > 1:
        titles = [f"{title}, {one.protocol}" for title, one in zip(titles, results, strict=True)]
    return [*parts, search_parts(numbered(titles), [one.cmc for one in results])]
