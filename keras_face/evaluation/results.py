"""What a measurement found: one row per model and protocol, as results.json."""

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_face.evaluation.angles import d_prime
from keras_face.evaluation.certainty import by_pairs, by_people
from keras_face.evaluation.identification import IdentificationRate
from keras_face.evaluation.intervals import Interval
from keras_face.evaluation.protocols import Dropped, DroppedPhotos, Pairs
from keras_face.evaluation.scores import (
    FoldAccuracy,
    OperatingPoint,
    auc,
    best_threshold,
    equal_error,
    kfold_accuracy,
    operating_points,
    right_decisions,
)
from keras_face.evaluation.short import Short

_KEYS = 65_536  # that are hashed at a time


@dataclass(frozen=True)
class Origin:
    """What was measured, and with what.

    Attributes:
        model: Name of the model, or the file of embeddings or similarities that stands for it.
        data: Where the photos, embeddings or similarities came from.
        photos: How a photo or face set became one embedding, flip averaging included.
        flip: Whether each photo was averaged with its mirror image; None: not known.
        model_hash: SHA-256 of the model's content; None: not known.
        data_hash: SHA-256 of the content of all photos, embeddings or similarities in the protocol's order; None: not
            known.

    Examples:
        >>> Origin("output/run", "lfw/aligned112", "each photo with its mirror image", flip=True).model
        'output/run'
    """

    model: str
    data: str
    photos: str
    flip: bool | None = None
    model_hash: str | None = None
    data_hash: str | None = None


@dataclass(frozen=True)
class VerificationResult(Origin):
    """Figures of one model on one protocol.

    Attributes:
        protocol: Which rule was followed.
        drawn: Whether the people are drawn, so that no threshold here is for use; `protocol` says it too.
        protocol_hash: SHA-256 of the pairs and their folds.
        num_genuine: Genuine pairs.
        num_impostor: Impostor pairs.
        accuracy: Accuracy over the folds, by the threshold rule that it names; None where the protocol has no folds.
        intervals: How the intervals were found: by resampling people, or as if pairs were independent.
        accuracy_interval: Of the accuracy; None without folds.
        auc: Area under the ROC.
        auc_interval: None where people are not known.
        equal_error_rate: Where the ROC has as many false accepts as false rejects.
        equal_error_interval: None where people are not known.
        equal_error_threshold: The threshold nearest to it.
        d_prime: Distance of genuine from impostor similarities; None where neither vary.
        d_prime_interval: None likewise, and where people are not known.
        best_threshold: The one of the highest accuracy on all pairs: for use elsewhere, not behind `accuracy`.
        tar_at_far: True accept rates at `scores.FARS`, with thresholds and intervals.
        dropped: Pairs that the protocol leaves out.

    Examples:
        >>> people = np.repeat(np.arange(40), 5)
        >>> embeddings = np.random.default_rng(0).normal(size=(40, 16))[people] + 0.1
        >>> result = keras_face.evaluation.verify_people(embeddings, people).result
        >>> result.num_genuine, result.auc
        (400, 1.0)
        >>> print(result.intervals)
        people resampled: as sure as 39 people make it, 1000 resamples, seed 0
    """

    protocol: str = ""
    drawn: bool = False
    protocol_hash: str = ""
    num_genuine: int = 0
    num_impostor: int = 0
    intervals: str = ""
    accuracy: FoldAccuracy | None = None
    accuracy_interval: Interval | None = None
    auc: float = math.nan
    auc_interval: Interval | None = None
    equal_error_rate: float = math.nan
    equal_error_interval: Interval | None = None
    equal_error_threshold: float = math.nan
    d_prime: float | None = None
    d_prime_interval: Interval | None = None
    best_threshold: float = math.nan
    tar_at_far: tuple[OperatingPoint, ...] = ()
    dropped: tuple[Dropped, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as plain dictionaries, lists and numbers; an interval is [low, high]."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class IdentificationResult(Origin):
    """Figures of one model where probes are looked up in a gallery.

    Attributes:
        protocol: Which rule was followed.
        protocol_hash: SHA-256 of probes, gallery and distractors.
        num_probes: Probes, those without a mate too.
        num_gallery: Entries of the gallery.
        num_distractors: Further entries, of people who are no probe.
        cmc: Shares found among the first 1, 2 ...
        intervals: How the intervals were found: by resampling people, or as if searches were independent.
        rates: Identification rates: closed-set at some ranks, and open-set (TPIR at FPIR) where probes lack a mate.
        mean_average_precision: mAP; None where each mate is ranked alone.
        tar_at_far: TAR at FAR of probes and distractors, where there are any.
        dropped: What the protocol leaves out.

    Examples:
        >>> IdentificationResult("my model", "my photos", "as given", protocol="mine", cmc=(0.8, 0.9)).to_json()["cmc"]
        (0.8, 0.9)
    """

    protocol: str = ""
    protocol_hash: str = ""
    num_probes: int = 0
    num_gallery: int = 0
    num_distractors: int = 0
    cmc: tuple[float, ...] = ()
    intervals: str = ""
    rates: tuple[IdentificationRate, ...] = ()
    mean_average_precision: float | None = None
    tar_at_far: tuple[OperatingPoint, ...] = ()
    dropped: tuple[DroppedPhotos, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns the figures as plain dictionaries, lists and numbers; an interval is [low, high]."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, eq=False, repr=False)
class Measured(Short):
    """A result with what it was made from.

    Attributes:
        result: The figures.
        pairs: The protocol; its keys name photos, tracks or IJB templates. A single fold means: no folds.
        similarity: [n], of each pair.
        quality: [n], of each pair: the lower norm of its two photos; None: norms are not known, or all the same.

    Examples:
        >>> people = np.repeat(np.arange(40), 5)
        >>> embeddings = np.random.default_rng(0).normal(size=(40, 16))[people] + 0.1
        >>> measured = keras_face.evaluation.verify_people(embeddings, people)
        >>> measured.similarity.shape == (len(measured.pairs.left),)
        True
    """

    result: VerificationResult
    pairs: Pairs
    similarity: np.ndarray
    quality: np.ndarray | None = None


def verify(
    pairs: Pairs,
    similarity: np.ndarray,
    origin: Origin,
    *,
    rule: str = "best_accuracy",
    fold_similarity: np.ndarray | None = None,
) -> Measured:
    """Returns the figures of the similarities of a protocol's pairs.

    Args:
        pairs: The protocol; with a single fold there is no accuracy over folds.
        similarity: [n], cosine of each pair.
        origin: What was measured.
        rule: Threshold rule of the accuracy, of `scores.RULES`.
        fold_similarity: [k, n], what the accuracy alone is measured on, see `scores.mean_subtracted`; None:
            `similarity`.

    Raises: ValueError as `scores.kfold_accuracy`; says the protocol.

    Examples:
        >>> genuine, fold = np.arange(400) % 2 == 0, np.arange(400) % 10
        >>> similarity = np.random.default_rng(0).normal(0.6 * genuine, 0.2)
        >>> names = tuple(f"{number}.jpg" for number in range(400))
        >>> pairs = keras_face.evaluation.Pairs("my pairs", names, names[::-1], genuine, fold)
        >>> result = verify(pairs, similarity, Origin("my model", "my photos", "as given")).result
        >>> print(f"EER {result.equal_error_rate:.3f}, AUC {result.auc:.3f}")
        EER 0.060, AUC 0.978
    """
    similarity = np.asarray(similarity)
    try:
        accuracy, right = None, None
        if pairs.fold.any():
            judged = similarity if fold_similarity is None else fold_similarity
            accuracy = kfold_accuracy(judged, pairs.genuine, pairs.fold, rule)
            right = right_decisions(judged, pairs.genuine, pairs.fold, accuracy.thresholds)
        points = operating_points(similarity, pairs.genuine)
        equal = equal_error(similarity, pairs.genuine)
        area = auc(similarity, pairs.genuine)
    except ValueError as error:
        raise ValueError(f"{pairs.protocol}: {error}") from None
    try:
        distance = d_prime(similarity, pairs.genuine)
    except ValueError:  # the pairs are good, so it is that they do not vary
        distance = None
    identities = pairs.identities()
    if identities is None:
        sure = by_pairs(points, right)
    else:
        sure = by_people(
            similarity,
            pairs.genuine,
            identities,
            points,
            auc=area,
            equal_error_rate=equal.rate,
            d_prime=distance,
            accuracy=None if accuracy is None else accuracy.mean,
            right=right,
            fold=pairs.fold,
        )
    result = VerificationResult(
        **dataclasses.asdict(origin),
        protocol=pairs.protocol,
        drawn=pairs.drawn,
        protocol_hash=pairs_hash(pairs),
        num_genuine=int(np.count_nonzero(pairs.genuine)),
        num_impostor=int(np.count_nonzero(~pairs.genuine)),
        intervals=sure.how,
        accuracy=accuracy,
        accuracy_interval=sure.accuracy,
        auc=area,
        auc_interval=sure.auc,
        equal_error_rate=equal.rate,
        equal_error_interval=sure.equal_error_rate,
        equal_error_threshold=equal.threshold,
        d_prime=distance,
        d_prime_interval=sure.d_prime,
        best_threshold=best_threshold(similarity, pairs.genuine)[0],
        tar_at_far=sure.tar_at_far,
        dropped=pairs.dropped,
    )
    return Measured(result, pairs, similarity)


def pairs_hash(pairs: Pairs) -> str:
    """Returns the SHA-256 of the pairs, in their order, and their folds."""
    return keys_hash(pairs.left, pairs.right, pairs.genuine.astype("u1").tobytes() + pairs.fold.astype("<i4").tobytes())


def keys_hash(*parts: Sequence[str] | bytes) -> str:
    """Returns the SHA-256 of sequences of keys and of bytes."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            found.update(part)
        else:
            for start in range(0, len(part), _KEYS):
                found.update("\n".join(part[start : start + _KEYS]).encode("utf-8", "surrogateescape") + b"\n")
        found.update(b"\0")
    return found.hexdigest()
