"""What a measurement found: one row per model and protocol, as a table and as results.json."""

import dataclasses
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_face.evaluation.protocols import Dropped, Pairs
from keras_face.evaluation.scores import FoldAccuracy, TarAtFar, kfold_accuracy, tar_at_far

FARS = (1e-2, 1e-3)


@dataclass(frozen=True)
class VerificationResult:
    """Figures of one model on one protocol.

    Attributes:
        protocol: Which rule was followed.
        model: Name of the model.
        data: Where the photos came from.
        photos: How a photo or track became one embedding, flip averaging included.
        flip: Whether each photo was averaged with its mirror image.
        num_genuine: Genuine pairs.
        num_impostor: Impostor pairs.
        accuracy: Accuracy over the folds.
        tar_at_far: True accept rates at `FARS`.
        dropped: Pairs that the protocol leaves out.
    """

    protocol: str
    model: str
    data: str
    photos: str
    flip: bool
    num_genuine: int
    num_impostor: int
    accuracy: FoldAccuracy
    tar_at_far: tuple[TarAtFar, ...]
    dropped: tuple[Dropped, ...]

    def to_json(self) -> dict:
        """Returns the figures as plain dictionaries, lists and numbers."""
        return dataclasses.asdict(self)


def verify(
    pairs: Pairs, similarity: np.ndarray, *, model: str, data: str, photos: str, flip: bool
) -> VerificationResult:
    """Returns the figures of the similarities of a protocol's pairs.

    Args:
        pairs: The protocol.
        similarity: [n], cosine of each pair.
        model: As in `VerificationResult`.
        data: Likewise.
        photos: Likewise.
        flip: Likewise.

    Raises: ValueError as `scores.kfold_accuracy`.
    """
    return VerificationResult(
        protocol=pairs.protocol,
        model=model,
        data=data,
        photos=photos,
        flip=flip,
        num_genuine=int(np.count_nonzero(pairs.genuine)),
        num_impostor=int(np.count_nonzero(~pairs.genuine)),
        accuracy=kfold_accuracy(similarity, pairs.genuine, pairs.fold),
        tar_at_far=tuple(tar_at_far(similarity, pairs.genuine, far) for far in FARS),
        dropped=pairs.dropped,
    )


def table(results: Iterable[VerificationResult]) -> str:
    """Returns the results as short tables for a terminal, one a protocol and a line a model, with notes on the how."""
    results = list(results)
    head = ("  model", "accuracy", *(f"TAR at FAR {far:g}" for far in FARS))
    rows = [head, *(_row(result) for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    blocks: dict[str, list[str]] = {}
    for result, line in zip(results, lines[1:], strict=True):
        counts = f"{result.num_genuine} genuine and {result.num_impostor} impostor pairs"
        blocks.setdefault(f"{result.protocol}: {counts}", [lines[0]]).append(line)
    notes = ["accuracy: mean ± standard deviation over the folds, threshold from the other folds"]
    notes += [f"embedding: {photos}" for photos in dict.fromkeys(result.photos for result in results)]
    notes += dict.fromkeys(
        f"left out of {result.protocol}: {dropped.num_genuine} genuine and {dropped.num_impostor} impostor pairs "
        f"({dropped.reason})"
        for result in results
        for dropped in result.dropped
    )
    return "\n".join([*(line for title, block in blocks.items() for line in (title, *block)), *notes])


def write_results(results: Iterable[VerificationResult], path: str | os.PathLike) -> None:
    """Writes the results as JSON, `{"results": [...]}`; the file appears whole or not at all.

    Args:
        results: Rows, in the order of the table.
        path: File, replaced; its folder is made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"results": [result.to_json() for result in results]}, indent=2, allow_nan=False)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_text(f"{text}\n", encoding="utf-8")
    os.replace(unfinished, path)


def _row(result: VerificationResult) -> tuple[str, ...]:
    rates = (
        f"not measurable ({rate.num_impostor} impostors)" if rate.tar is None else f"{rate.tar:.4f}"
        for rate in result.tar_at_far
    )
    return f"  {result.model}", f"{result.accuracy.mean:.4f} ± {result.accuracy.std:.4f}", *rates
