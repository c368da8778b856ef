"""results.json: written and read."""

import dataclasses
import datetime
import importlib.metadata
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_face import __version__, files
from keras_face.evaluation.results import IdentificationResult, VerificationResult


def versions() -> dict[str, str]:
    """Returns the versions that the figures depend on; TensorFlow is not imported for it."""
    found = {"keras_face": __version__}
    for package in ("tensorflow", "numpy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def write_results(
    results: Iterable[VerificationResult | IdentificationResult],
    path: str | os.PathLike,
    *,
    scores: Mapping[int, str] | None = None,
    comparisons: Sequence[Any] = (),
) -> None:
    """Writes the results as JSON; the file appears whole or not at all.

    `results` has the verification, `identification` the identification results, `comparisons` those of two models;
    `versions` and `date` say with what and when.

    Args:
        results: Rows, in the order of the table.
        path: File, replaced; its folder is made.
        scores: The file of similarities beside it, of the verification results that have one, by their number.
        comparisons: Dataclasses.

    Examples:
        >>> people = np.repeat(np.arange(40), 5)
        >>> embeddings = np.random.default_rng(0).normal(size=(200, 16))
        >>> result = keras_face.evaluation.verify_people(embeddings, people, name="mine").result
        >>> keras_face.evaluation.write_results([result], "results.json")
        >>> Path("results.json").exists()
        True
    """
    results = list(results)
    rows = [result.to_json() for result in results if isinstance(result, VerificationResult)]
    for number, name in (scores or {}).items():
        rows[number]["scores"] = name
    content: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "results": rows,
    }
    identified = [result.to_json() for result in results if isinstance(result, IdentificationResult)]
    if identified:
        content["identification"] = identified
    if comparisons:
        content["comparisons"] = [dataclasses.asdict(comparison) for comparison in comparisons]
    files.write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_results(path: str | os.PathLike) -> list[dict[str, Any]]:
    """Returns the rows of verification results of a results.json, as `VerificationResult.to_json` made them.

    A row may have `scores`, a file of its similarities in the same folder.

    Raises: ValueError if it is no such file, or none of this version of keras_face (its rows lack the protocol's hash).

    Examples:
        >>> people = np.repeat(np.arange(40), 5)
        >>> embeddings = np.random.default_rng(0).normal(size=(200, 16))
        >>> result = keras_face.evaluation.verify_people(embeddings, people, name="mine").result
        >>> write_results([result], "results.json")
        >>> [row["num_genuine"] for row in read_results("results.json")]
        [400]
    """
    path = Path(path)
    rows = files.read_json(path, "a results.json", lambda content: content["results"])
    if not isinstance(rows, list) or not rows:
        raise ValueError(f"{path}: expected a results.json with verification results, found none")
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not all(
            isinstance(row.get(key), str) and row[key] for key in ("protocol", "protocol_hash", "model")
        ):
            raise ValueError(f"{path}: expected protocol, protocol_hash and model in result {number}, found none")
    return rows
