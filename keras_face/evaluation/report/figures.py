"""The tables of a report: a set's figures, thresholds, folds, what was measured and left out; identification."""

from collections.abc import Sequence

import numpy as np

from keras_face.evaluation.intervals import LEVEL, Interval
from keras_face.evaluation.operating_points import OperatingPoint
from keras_face.evaluation.report.html import Html, escape, name, paragraph, table
from keras_face.evaluation.report.sets import MeasuredSet
from keras_face.evaluation.results import IdentificationResult, Measured, VerificationResult

_RULES = {
    "best_accuracy": "each fold is judged by the threshold with the most right decisions on the other folds",
    "equal_error": "each fold is judged by the threshold nearest to equal error rates on the other folds",
    "mean_of_maximisers": "each fold is judged by SphereFace's threshold: the mean of the best of 20,001 cosines on "
    "the other folds",
    "first_of_400": "each fold is judged by facenet's and InsightFace's threshold: the first best of 400 squared "
    "distances on the other folds",
    "best_on_test": "one threshold, chosen on the very pairs it is judged on: this flatters, and cannot be compared "
    "with figures by the protocol",
}
_LEVEL = f"{LEVEL * 100:g} %"


def figure_parts(of_set: MeasuredSet) -> list[Html]:
    """Returns the table of a set's figures, a line a model, and once how intervals and thresholds were found."""
    results = [each.result for each in of_set.measured]
    points = [{point.far: point for point in result.tar_at_far if point.tar is not None} for result in results]
    fars = [far for far in dict.fromkeys(point.far for result in results for point in result.tar_at_far)
            if any(far in of_one for of_one in points)]  # fmt: skip
    head = ("model", "accuracy ± deviation", "equal error rate", "area under ROC", "d prime",
            *(Html(f'TAR at FAR <span class="short">{_power(far)}</span>') for far in fars))  # fmt: skip
    rows = []
    for model, result, of_one in zip(of_set.models, results, points, strict=True):
        tars = (
            _figure(f"{of_one[far].tar:.4f}", of_one[far].bootstrap_interval) if far in of_one else "" for far in fars
        )
        rows.append((model, *_figures(result), *tars))
    first = results[0]
    parts = [table(f"Figures of {first.num_genuine:,} genuine and {first.num_impostor:,} impostor pairs", head, rows)]
    hows = dict.fromkeys(result.intervals for result in results if result.intervals)
    parts += [paragraph(f"Below each figure its interval of {_LEVEL} confidence: {how}.") for how in hows]
    rules = dict.fromkeys(result.accuracy.rule for result in results if result.accuracy is not None)
    parts += [
        paragraph(f"Threshold rule {rule}: {_RULES.get(rule, rule)}.", warning=rule == "best_on_test") for rule in rules
    ]
    if first.dropped:
        head = ("reason", "genuine pairs", "impostor pairs")
        out = [(out.reason, f"{out.num_genuine:,}", f"{out.num_impostor:,}") for out in first.dropped]
        parts.append(table("Left out on purpose", head, out))
    return parts


def overview_table(sets: Sequence[MeasuredSet]) -> Html:
    """Returns the accuracy of each model on each set (area under the ROC where there are no folds)."""
    models = tuple(dict.fromkeys(model for of_set in sets for model in of_set.models))
    rows = []
    for of_set in sets:
        figures = dict(zip(of_set.models, map(_main_figure, of_set.measured), strict=True))
        rows.append((name(of_set.title), *(figures.get(model, "not measured") for model in models)))
    return table("Accuracy ± deviation over the folds", ("test set", *models), rows)


def origin_table(of_set: MeasuredSet) -> Html:
    """Returns what was measured with what; what is the same for all models is said once."""
    results = [each.result for each in of_set.measured]
    columns: list[tuple[str, list[str | None]]] = [
        ("model", [result.model for result in results]),
        ("data", [result.data for result in results]),
        ("embedding", [result.photos for result in results]),
        ("content of the model (SHA-256)", [result.model_hash for result in results]),
        ("content of the data (SHA-256)", [result.data_hash for result in results]),
        ("pairs and folds (SHA-256)", [result.protocol_hash for result in results]),
    ]
    rows = []
    for what, values in columns:
        shown = [value or "not known" for value in values]
        rows.append((what, *map(name, shown[:1] if len(set(shown)) == 1 else shown)))
    return table("What was measured", ("what", *of_set.models), rows)


def threshold_parts(of_set: MeasuredSet, cosine: bool) -> list[Html]:
    """Returns the thresholds for false accept rates, those of drawn people with a warning, and what is not measurable.

    Args:
        of_set: The set.
        cosine: Whether the similarities are cosines, so that there are angles.
    """
    several = len(of_set.measured) > 1
    head = (
        *(("model",) if several else ()), "FAR", "TAR", f"{_LEVEL} interval", f"{_LEVEL} interval at this threshold",
        "threshold", "angle", "impostors accepted", f"FAR on new people, {_LEVEL} interval",
    )  # fmt: skip
    rows: list[tuple] = []
    hidden: dict[str, int] = {}
    for model, each in zip(of_set.models, of_set.measured, strict=True):
        for point in each.result.tar_at_far:
            if point.tar is None or point.threshold is None:
                hidden[_power(point.far)] = point.num_impostor
            else:
                rows.append((*((model,) if several else ()), *_operating_point(point, cosine)))
    parts = []
    if of_set.drawn:
        parts.append(paragraph("Found on drawn people: none of these thresholds is for use.", warning=True))
    caption = "True accept rates and thresholds for false accept rates"
    parts.append(table(f"{caption}, of drawn people" if of_set.drawn else caption, head, rows))
    if hidden:
        most = max(hidden.values())
        parts.append(paragraph(f"FAR {', '.join(hidden)}: not measurable with {most:,} impostor pairs."))
    return parts


def fold_table(model: str, measured: Measured) -> Html:
    """Returns the accuracies of the folds; nothing without folds."""
    accuracy, pairs = measured.result.accuracy, measured.pairs
    if accuracy is None:
        return Html("")
    genuine, impostor = (
        np.bincount(pairs.fold[pairs.genuine == polarity], minlength=len(accuracy.accuracy))
        for polarity in (True, False)
    )
    rows: list[tuple] = [
        (number, f"{genuine[number]:,}", f"{impostor[number]:,}", f"{share:.4f}", f"{threshold:.4f}")
        for number, (share, threshold) in enumerate(zip(accuracy.accuracy, accuracy.thresholds, strict=True))
    ]
    rows.append(("mean", "", "", f"{accuracy.mean:.4f}", ""))
    rows.append(("standard error", "", "", f"{accuracy.standard_error:.4f}", ""))
    head = ("fold", "genuine pairs", "impostor pairs", "accuracy", "threshold")
    return table(f"Folds of {model}, counted from 0", head, rows)


def identification_table(model: str, result: IdentificationResult) -> Html:
    """Returns the figures of an identification, and what was left out."""
    rows: list[tuple[str, object]] = [
        ("probes", f"{result.num_probes:,}"),
        ("gallery", f"{result.num_gallery:,}"),
        ("distractors", f"{result.num_distractors:,}"),
    ]
    for rate in result.rates:
        found = f"found first (rank {rate.rank})" if rate.rank == 1 else f"found among the first {rate.rank}"
        rows.append((found if rate.fpir is None else f"{found}, FPIR {_power(rate.fpir)} (TPIR)", rate))
    if result.mean_average_precision is not None:
        rows.append(("mean average precision", f"{result.mean_average_precision:.4f}"))
    rows += [(f"TAR at FAR {_power(point.far)}", point) for point in result.tar_at_far]
    rows += [
        (
            f"left out: {out.reason}",
            f"{out.num_probes:,} probes, {out.num_gallery:,} of the gallery, {out.num_distractors:,} distractors",
        )
        for out in result.dropped
    ]
    rows += [
        ("intervals", result.intervals or "not known"),
        ("model", result.model),
        ("data", result.data),
        ("embedding", result.photos),
        ("content of the model (SHA-256)", result.model_hash or "not known"),
        ("content of the data (SHA-256)", result.data_hash or "not known"),
        ("probes and gallery (SHA-256)", result.protocol_hash or "not known"),
    ]
    return table(f"{model}: {result.protocol}", ("figure", "value"), rows)


def _figures(result: VerificationResult) -> tuple[object, ...]:
    accuracy = result.accuracy
    shown = "no folds" if accuracy is None else f"{accuracy.mean:.4f} ± {accuracy.std:.4f}"
    distance = "no spread" if result.d_prime is None else f"{result.d_prime:.3f}"
    return (
        _figure(shown, result.accuracy_interval),
        _figure(f"{result.equal_error_rate:.4f}", result.equal_error_interval),
        _figure(f"{result.auc:.5f}", result.auc_interval, "{:.5f}"),
        _figure(distance, result.d_prime_interval, "{:.3f}"),
    )


def _main_figure(measured: Measured) -> str:
    accuracy, area = measured.result.accuracy, measured.result.auc
    return f"area under ROC {area:.4f}" if accuracy is None else f"{accuracy.mean:.4f} ± {accuracy.std:.4f}"


def _operating_point(point: OperatingPoint, cosine: bool) -> tuple[str, ...]:
    threshold = float(point.threshold or 0)
    return (
        _power(point.far),
        f"{point.tar:.4f}",
        _interval(point.bootstrap_interval),
        _interval(point.tar_interval),
        f"{threshold:.4f}",
        f"{np.degrees(np.arccos(np.clip(threshold, -1, 1))):.2f}°" if cosine else "no cosine",
        f"{point.num_accepted_impostor:,} of {point.num_impostor:,}",
        _interval(point.far_interval, "{:.2g}"),
    )


def _figure(shown: str, interval: Interval | None, number: str = "{:.4f}") -> Html:
    """Returns a figure with its interval below."""
    below = "" if interval is None else f'<br><span class="interval">{_interval(interval, number)}</span>'
    return Html(f'<span class="short">{escape(shown)}</span>{below}')


def _power(rate: float) -> str:
    """Returns 1e-4 for 0.0001, and other rates as they are."""
    exponent = round(np.log10(rate))
    return f"1e{exponent}" if exponent < 0 and np.isclose(rate, 10.0**exponent, rtol=1e-9, atol=0) else f"{rate:g}"


def _interval(interval: Interval | None, number: str = "{:.4f}") -> str:
    return "" if interval is None else f"{number.format(interval.low)} to {number.format(interval.high)}"
