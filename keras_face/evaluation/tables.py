"""Results as short tables for a terminal; the rest is in results.json and report.html."""

from collections.abc import Iterable, Sequence

from keras_face.evaluation.identification import IdentificationRate
from keras_face.evaluation.operating_points import TarAtFar
from keras_face.evaluation.results import IdentificationResult, VerificationResult

FARS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # of which those are shown that are measurable in some row


def table(results: Iterable[VerificationResult | IdentificationResult]) -> str:
    """Returns the results as tables, one a protocol and a line a model, with notes on the how.

    Examples:
        >>> embeddings = [[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.8]]
        >>> left, right, genuine = [0, 2, 0, 1], [1, 3, 2, 3], [True, True, False, False]
        >>> measured = keras_face.evaluation.verify_pairs(embeddings, left, right, genuine)
        >>> print(keras_face.evaluation.table([measured.result]))
        pairs of arrays: 2 genuine and 2 impostor pairs
          model       AUC     EER
          embeddings  1.0000  0.0000
        TAR at FAR 0.01 and below: not measurable with 2 impostor pairs
        embedding: as given
        intervals: as if pairs were independent, as their people are not known: too narrow where they share people
    """
    results = list(results)
    verified = [result for result in results if isinstance(result, VerificationResult)]
    identified = [result for result in results if isinstance(result, IdentificationResult)]
    parts = ([_verification(verified)] if verified else []) + ([_identification(identified)] if identified else [])
    notes = [f"embedding: {photos}" for photos in dict.fromkeys(result.photos for result in results)]
    notes += [f"intervals: {how}" for how in dict.fromkeys(result.intervals for result in results) if how]
    return "\n".join([*parts, *notes, *dict.fromkeys(note for result in results for note in _left_out(result))])


def _verification(results: Sequence[VerificationResult]) -> str:
    shown = [far for far in FARS if any(_point(result, far) for result in results)]
    folds = any(result.accuracy for result in results)
    head = ["  model", *(["accuracy"] if folds else []), "AUC", "EER", *(f"TAR at FAR {far:g}" for far in shown)]
    rows = []
    for result in results:
        cells = [f"  {result.model}"]
        if folds:
            accuracy = result.accuracy
            cells.append(f"{accuracy.mean:.4f} ± {accuracy.std:.4f}" if accuracy else "no folds")
        cells += [f"{result.auc:.4f}", f"{result.equal_error_rate:.4f}"]
        for far in shown:
            point = _point(result, far)
            cells.append(f"not measurable ({result.num_impostor} impostors)" if point is None else f"{point.tar:.4f}")
        rows.append(cells)
    titles = [
        f"{result.protocol}: {result.num_genuine} genuine and {result.num_impostor} impostor pairs"
        for result in results
    ]
    notes = []
    if any(result.drawn for result in results):
        notes.append("drawn people: that the parts work together, and nothing of photos of real people")
    if folds:
        rules = ", ".join(dict.fromkeys(result.accuracy.rule for result in results if result.accuracy))
        whence = "from all pairs, the judged ones too" if rules == "best_on_test" else "from the other folds"
        notes.append(f"accuracy: mean ± standard deviation over the folds, threshold {whence} ({rules})")
    hidden = [far for far in FARS if far not in shown]
    if hidden:
        most = max(result.num_impostor for result in results)
        below = " and below" if len(hidden) > 1 else ""
        notes.append(f"TAR at FAR {hidden[0]:g}{below}: not measurable with {most} impostor pairs")
    return "\n".join([*_aligned(titles, head, rows), *notes])


def _identification(results: Sequence[IdentificationResult]) -> str:
    rates = list(dict.fromkeys(_rate_name(rate) for result in results for rate in result.rates))
    with_map = any(result.mean_average_precision is not None for result in results)
    fars = list(dict.fromkeys(point.far for result in results for point in result.tar_at_far))
    head = ["  model", *rates, *(["mAP"] if with_map else []), *(f"TAR at FAR {far:g}" for far in fars)]
    rows, titles = [], []
    for result in results:
        by_name = {_rate_name(rate): str(rate) for rate in result.rates}
        cells = [f"  {result.model}", *(by_name.get(name, "-") for name in rates)]
        if with_map:
            value = result.mean_average_precision
            cells.append("-" if value is None else f"{value:.4f}")
        by_far = {point.far: str(point) for point in result.tar_at_far}
        cells += [by_far.get(far, "-") for far in fars]
        rows.append(cells)
        among = f", {result.num_distractors} distractors" if result.num_distractors else ""
        titles.append(f"{result.protocol}: {result.num_probes} probes, gallery of {result.num_gallery}{among}")
    return "\n".join(_aligned(titles, head, rows))


def _aligned(titles: Sequence[str], head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns lines in columns, below each title its head and its rows."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in
             (head, *rows)]  # fmt: skip
    blocks: dict[str, list[str]] = {}
    for title, line in zip(titles, lines[1:], strict=True):
        blocks.setdefault(title, [lines[0]]).append(line)
    return [line for title, block in blocks.items() for line in (title, *block)]


def _point(result: VerificationResult, far: float) -> TarAtFar | None:
    """Returns the operating point at a rate; None if it is not measurable."""
    return next((point for point in result.tar_at_far if point.far == far and point.tar is not None), None)


def _rate_name(rate: IdentificationRate) -> str:
    return f"rank {rate.rank}" if rate.fpir is None else f"TPIR at FPIR {rate.fpir:g}, rank {rate.rank}"


def _left_out(result: VerificationResult | IdentificationResult) -> list[str]:
    if isinstance(result, VerificationResult):
        return [
            f"left out of {result.protocol}: {dropped.num_genuine} genuine and {dropped.num_impostor} impostor pairs "
            f"({dropped.reason})"
            for dropped in result.dropped
        ]
    return [
        f"left out of {result.protocol}: {dropped.num_probes} probes, {dropped.num_gallery} of the gallery, "
        f"{dropped.num_distractors} distractors ({dropped.reason})"
        for dropped in result.dropped
    ]
