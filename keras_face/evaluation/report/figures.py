"""The tables of a report: figures with intervals, thresholds, folds, what was left out, identification."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from keras_face.evaluation.intervals import LEVEL, Interval
from keras_face.evaluation.operating_points import OperatingPoint
from keras_face.evaluation.report.html import Html, paragraph, table
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


def short_names(results: Sequence[tuple[str, str]]) -> list[str]:
    """Returns a name for each model and protocol: as short as tells them apart, numbered where nothing does."""
    models, protocols = zip(*results, strict=True) if results else ((), ())
    if len(set(protocols)) == 1:
        names = list(models)
    elif len(set(models)) == 1:
        names = list(protocols)
    else:
        names = [f"{model}, {protocol}" for model, protocol in results]
    seen = Counter[str]()
    for number, name in enumerate(names):
        seen[name] += 1
        if names.count(name) > 1 or seen[name] > 1:
            names[number] = f"{name} ({seen[name]})"
    return names


def figure_parts(measured: Sequence[Measured], names: Sequence[str]) -> list[Html]:
    """Returns a table of figures for each protocol, and how their thresholds were chosen."""
    head = (
        "model", "accuracy ± deviation", f"{_LEVEL} interval", "standard error", "equal error rate",
        f"{_LEVEL} interval", "area under ROC", f"{_LEVEL} interval", "d prime", f"{_LEVEL} interval", "threshold rule",
    )  # fmt: skip
    blocks: dict[str, list[tuple]] = {}
    for one, name in zip(measured, names, strict=True):
        result = one.result
        counts = f"{result.num_genuine:,} genuine and {result.num_impostor:,} impostor pairs"
        blocks.setdefault(f"{result.protocol}: {counts}", []).append(_figures(result, name))
    parts = [table(caption, head, rows) for caption, rows in blocks.items()]
    parts += [paragraph(f"Intervals: {how}.") for how in dict.fromkeys(one.result.intervals for one in measured) if how]
    rules = dict.fromkeys(one.result.accuracy.rule for one in measured if one.result.accuracy is not None)
    parts += [
        paragraph(f"Threshold rule {rule}: {_RULES.get(rule, rule)}.", warning=rule == "best_on_test") for rule in rules
    ]
    return parts


def origin_parts(result: VerificationResult) -> list[Html]:
    """Returns what was measured, and what was left out of it."""
    rows = [
        ("model", result.model),
        ("data", result.data),
        ("embedding", result.photos),
        ("protocol", result.protocol),
        ("content of the model (SHA-256)", result.model_hash),
        ("content of the data (SHA-256)", result.data_hash),
        ("pairs and folds (SHA-256)", result.protocol_hash),
    ]
    parts = [table("What was measured", ("what", "value"), [(name, value or "not known") for name, value in rows])]
    if result.dropped:
        head = ("reason", "genuine pairs", "impostor pairs")
        rows_out = [(out.reason, f"{out.num_genuine:,}", f"{out.num_impostor:,}") for out in result.dropped]
        parts.append(table("Left out on purpose", head, rows_out))
    else:
        parts.append(paragraph("Nothing was left out: every pair of the protocol was measured."))
    return parts


def threshold_table(points: Iterable[OperatingPoint], cosine: bool) -> Html:
    """Returns the table of thresholds for false accept rates.

    Args:
        points: The rates.
        cosine: Whether the similarities are cosines, so that there are angles.
    """
    head = (
        "FAR", "TAR", f"{_LEVEL} interval", f"{_LEVEL} interval at this threshold", "threshold",
        "angle", "impostors accepted", f"FAR on new people, {_LEVEL} interval",
    )  # fmt: skip
    rows: list[tuple] = []
    for point in points:
        if point.tar is None or point.threshold is None:
            rows.append((_power(point.far), f"not measurable with {point.num_impostor:,} impostors"))
            continue
        angle = f"{np.degrees(np.arccos(np.clip(point.threshold, -1, 1))):.2f}°" if cosine else "no cosine"
        rows.append(
            (
                _power(point.far),
                f"{point.tar:.4f}",
                _interval(point.bootstrap_interval),
                _interval(point.tar_interval),
                f"{point.threshold:.4f}",
                angle,
                f"{point.num_accepted_impostor:,} of {point.num_impostor:,}",
                _interval(point.far_interval, "{:.2g}"),
            )
        )
    return table("True accept rates and thresholds for false accept rates", head, rows)


def fold_table(measured: Measured) -> Html:
    """Returns the accuracies of the folds; nothing without folds."""
    accuracy, pairs = measured.result.accuracy, measured.pairs
    if accuracy is None:
        return Html("")
    genuine, impostor = (
        np.bincount(pairs.fold[pairs.genuine == polarity], minlength=len(accuracy.accuracy))
        for polarity in (True, False)
    )
    rows = [
        (number, f"{genuine[number]:,}", f"{impostor[number]:,}", f"{share:.4f}", f"{threshold:.4f}")
        for number, (share, threshold) in enumerate(zip(accuracy.accuracy, accuracy.thresholds, strict=True))
    ]
    return table("Folds, counted from 0", ("fold", "genuine pairs", "impostor pairs", "accuracy", "threshold"), rows)


def identification_table(result: IdentificationResult) -> Html:
    """Returns the figures of an identification, and what was left out."""
    rows: list[tuple[str, object]] = [
        ("probes", f"{result.num_probes:,}"),
        ("gallery", f"{result.num_gallery:,}"),
        ("distractors", f"{result.num_distractors:,}"),
    ]
    for rate in result.rates:
        name = f"found first (rank {rate.rank})" if rate.rank == 1 else f"found among the first {rate.rank}"
        rows.append((name if rate.fpir is None else f"{name}, FPIR {_power(rate.fpir)} (TPIR)", rate))
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
        ("data", result.data),
        ("embedding", result.photos),
        ("content of the model (SHA-256)", result.model_hash or "not known"),
        ("content of the data (SHA-256)", result.data_hash or "not known"),
        ("probes and gallery (SHA-256)", result.protocol_hash or "not known"),
    ]
    return table(f"{result.model}: {result.protocol}", ("figure", "value"), rows)


def _figures(result: VerificationResult, name: str) -> tuple:
    folds, rule = ("no folds", "", ""), "none"
    if result.accuracy is not None:
        accuracy, rule = result.accuracy, result.accuracy.rule
        folds = (
            f"{accuracy.mean:.4f} ± {accuracy.std:.4f}",
            _interval(result.accuracy_interval),
            f"{accuracy.standard_error:.4f}",
        )
    distance = "no spread" if result.d_prime is None else f"{result.d_prime:.3f}"
    return (
        name,
        *folds,
        f"{result.equal_error_rate:.4f}",
        _interval(result.equal_error_interval),
        f"{result.auc:.5f}",
        _interval(result.auc_interval, "{:.5f}"),
        distance,
        _interval(result.d_prime_interval, "{:.3f}"),
        rule,
    )


def _power(rate: float) -> str:
    """Returns 1e-4 for 0.0001, and other rates as they are."""
    exponent = round(np.log10(rate))
    return f"1e{exponent}" if exponent < 0 and np.isclose(rate, 10.0**exponent, rtol=1e-9, atol=0) else f"{rate:g}"


def _interval(interval: Interval | None, number: str = "{:.4f}") -> str:
    return "" if interval is None else f"{number.format(interval.low)} to {number.format(interval.high)}"
