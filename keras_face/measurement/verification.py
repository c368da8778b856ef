"""Verification: pairs of photos, from a source of embeddings or from similarities."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_face.evaluation.features import read_scores
from keras_face.evaluation.pickles import read_bin, read_np
from keras_face.evaluation.protocols import Pairs, read_cfp, read_pairs
from keras_face.evaluation.report.plots import save_histogram, save_roc
from keras_face.evaluation.results import Measured, Origin, verify
from keras_face.evaluation.scores import mean_subtracted
from keras_face.evaluation.similarities import pair_cosines
from keras_face.measurement.drawn import marked_pairs
from keras_face.measurement.photos import Photo
from keras_face.measurement.sources import Locate, Source
from keras_face.photos.lists import PhotoFolder

PACKED = (".bin", ".np")  # endings of packed test sets


@dataclass(frozen=True, eq=False)
class Task:
    """Pairs of photos to measure.

    Attributes:
        data: Where the photos are, for the result.
        pairs: The protocol.
        locate: From its keys to the photos.
    """

    data: str
    pairs: Pairs
    locate: Locate


def read_task(
    data: str | os.PathLike | None, pairs_file: str | os.PathLike | None = None, *, views: str = "FP"
) -> Task:
    """Returns pairs of photos, marked where the photos, or the pairs, are of drawn people.

    Args:
        data: Folder of aligned photos, an InsightFace `.bin`, or margin-centre-face's `lfw.np`; None: no photos.
        pairs_file: Pairs of the photos in a folder, a format of `read_pairs`, or CFP's folder `Protocol`; None:
            `pairs.txt` in the folder.
        views: "FF" or "FP", of CFP.

    Raises: ValueError or FileNotFoundError, as `read_pairs`, `read_cfp`, `read_bin` and `read_np`.
    """
    if data is None:
        if pairs_file is None:
            raise ValueError("expected a pairs file where there are no photos")
        return Task(os.fspath(pairs_file), marked_pairs(_read_protocol(pairs_file, views), pairs_file), _no_photo)
    root = Path(data)
    if root.is_dir():
        pairs = _read_protocol(pairs_file if pairs_file is not None else root / "pairs.txt", views)
        return Task(os.fspath(data), marked_pairs(pairs, root, pairs_file), PhotoFolder(root))
    if root.suffix not in PACKED:
        raise FileNotFoundError(f"{root}: expected a folder of photos, a .bin or a .np file")
    if pairs_file is not None:
        raise ValueError(f"{root}: expected no pairs file beside packed pairs, got {pairs_file}")
    packed = read_bin(root) if root.suffix == ".bin" else read_np(root)
    photos: Sequence[Photo] = packed.photos
    return Task(os.fspath(data), marked_pairs(packed.pairs, root), lambda key: photos[int(key)])


def named_task(task: Task) -> Task:
    """Returns the task with keys that begin with the name of its data: those of several packed sets differ."""
    start = f"{Path(task.data).stem}/"
    named = dataclasses.replace(
        task.pairs,
        left=tuple(start + key for key in task.pairs.left),
        right=tuple(start + key for key in task.pairs.right),
    )
    return Task(task.data, named, lambda key: task.locate(key.removeprefix(start)))


def measure_pairs(source: Source, task: Task, *, rule: str = "best_accuracy", subtract_mean: bool = False) -> Measured:
    """Returns the figures on pairs of photos.

    Args:
        source: Where embeddings come from.
        task: The pairs.
        rule: Threshold rule of the accuracy, of `scores.RULES`.
        subtract_mean: Take the mean embedding of the other folds off, as SphereFace does, for the accuracy alone.

    Raises: ValueError or FileNotFoundError, as the source and `verify`.
    """
    keys = task.pairs.distinct_keys()
    embedded = source(keys, task.locate)
    features, pairs = embedded.features, task.pairs
    left, right = features.rows(pairs.left), features.rows(pairs.right)
    origin = source.origin(
        task.data, "mean of the other folds taken off for the accuracy" if subtract_mean else "", embedded.data_hash
    )
    of_folds = None
    if subtract_mean:
        raw = features.embeddings * features.norms[:, np.newaxis]
        of_folds = mean_subtracted(raw[left], raw[right], pairs.fold)
    measured = verify(
        pairs, pair_cosines(features.embeddings, left, right), origin, rule=rule, fold_similarity=of_folds
    )
    if np.ptp(features.norms) <= 1e-5 * features.norms.max():
        return measured
    return dataclasses.replace(measured, quality=np.minimum(features.norms[left], features.norms[right]))


def measure_scores(
    path: str | os.PathLike,
    pairs: Pairs | None = None,
    *,
    distances: bool = False,
    columns: Mapping[str, str] | None = None,
    rule: str = "best_accuracy",
) -> Measured:
    """Returns the figures of similarities that were computed before.

    Args:
        path: File of similarities, see `features.read_scores`.
        pairs: The protocol that they are of, in its order; None: that of the file itself.
        distances: Whether its values are distances.
        columns: Names of its columns, see `features.read_scores`.
        rule: Threshold rule of the accuracy, of `scores.RULES`.

    Raises: ValueError as `read_scores` and `verify`, and for similarities that are not those of the pairs.
    """
    scores = read_scores(path, distances=distances, columns=columns)
    if pairs is None:
        pairs = scores.pairs()
    else:
        if not np.array_equal(scores.genuine, pairs.genuine):
            raise ValueError(
                f"{path}: expected the {pairs.genuine.size} pairs of {pairs.protocol} in their order, got "
                f"{scores.genuine.size}, or others of them genuine"
            )
        for given, own in ((scores.left, pairs.left), (scores.right, pairs.right)):
            wrong = [number for number, (a, b) in enumerate(zip(given, own, strict=False)) if a != b]
            if wrong:
                raise ValueError(
                    f"{path}: expected the pairs of {pairs.protocol} in their order, pair {wrong[0]} is of "
                    f"{given[wrong[0]]} instead of {own[wrong[0]]}"
                )
    how = "distances as given, the sign changed" if distances else "similarities as given"
    return verify(
        pairs, scores.similarity, Origin(os.fspath(path), os.fspath(path), how, data_hash=_hash(path)), rule=rule
    )


def save_plots(measured: Measured, folder: str | os.PathLike, name: str) -> None:
    """Writes `<name>_roc.png` and `<name>_histogram.png` into the folder, which is made."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    result, genuine = measured.result, measured.pairs.genuine
    title = f"{result.model}\n{result.protocol}"
    accuracy = result.accuracy
    threshold = float(np.mean(accuracy.thresholds)) if accuracy else result.best_threshold
    save_roc(Path(folder, f"{name}_roc.png"), measured.similarity, genuine, title=title)
    save_histogram(
        Path(folder, f"{name}_histogram.png"), measured.similarity, genuine, threshold=threshold, title=title
    )


def _read_protocol(path: str | os.PathLike, views: str) -> Pairs:
    return read_cfp(path, views) if Path(path).is_dir() else read_pairs(path)


def _no_photo(key: str) -> Photo:
    raise ValueError(f"{key}: there are no photos")


def _hash(path: str | os.PathLike) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
