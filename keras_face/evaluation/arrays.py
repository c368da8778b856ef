"""Figures of embeddings that are in memory already: arrays in, figures out."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from keras_face.evaluation.protocols.pairs import NUM_FOLDS, Pairs
from keras_face.evaluation.protocols.people import folder_pairs
from keras_face.evaluation.results import Measured, Origin, verify
from keras_face.evaluation.similarities import pair_cosines


def verify_people(
    embeddings: ArrayLike,
    people: Sequence[str | int],
    *,
    name: str = "arrays",
    model: str = "embeddings",
    num_folds: int = NUM_FOLDS,
    num_pairs: int | None = None,
    seed: int = 0,
) -> Measured:
    """Returns the figures of embeddings of known people, on pairs that are drawn as LFW drew its own.

    Args:
        embeddings: [n, embedding_size], finite, of any length.
        people: [n], whose face each is: names or numbers.
        name: What the people are called in the protocol's name.
        model: What the model is called.
        num_folds: Folds; each person is in one only.
        num_pairs: Genuine pairs, and impostor pairs, in each fold; None: as many as every fold has, 300 at most.
        seed: Of people's folds and of the pairs.

    Raises: ValueError as `verify_pairs` and `protocols.people.folder_pairs`.

    Examples:
        >>> random = np.random.default_rng(0)
        >>> people = np.repeat(np.arange(40), 5)  # 40 people with 5 photos each
        >>> embeddings = random.normal(size=(40, 16))[people] + random.normal(size=(200, 16))
        >>> measured = keras_face.evaluation.verify_people(embeddings, people)
        >>> print(f"{measured.result.accuracy.mean:.2f} of {len(measured.similarity)} pairs")
        0.85 of 800 pairs
    """
    photos: dict[str, list[str]] = {}
    for number, person in enumerate(people):
        photos.setdefault(str(person), []).append(str(number))
    pairs = folder_pairs(photos, name, num_folds=num_folds, num_pairs=num_pairs, seed=seed)
    numbers = {person: number for number, person in enumerate(photos)}
    left, right = (np.array(side, np.int64) for side in (pairs.left, pairs.right))
    of_embedding = np.array([numbers[str(person)] for person in people])
    known = Pairs(
        pairs.protocol, pairs.left, pairs.right, pairs.genuine, pairs.fold, pairs.dropped,
        np.stack([of_embedding[left], of_embedding[right]], axis=1),
    )  # fmt: skip
    return _verify(_units(embeddings, name), left, right, known, model)


def verify_pairs(
    embeddings: ArrayLike,
    left: ArrayLike,
    right: ArrayLike,
    genuine: ArrayLike,
    fold: ArrayLike | None = None,
    *,
    people: ArrayLike | None = None,
    name: str = "pairs of arrays",
    model: str = "embeddings",
) -> Measured:
    """Returns the figures of embeddings on given pairs.

    Args:
        embeddings: [n, embedding_size], finite, of any length.
        left: int [m], row of one side of each pair.
        right: int [m], of the other.
        genuine: bool [m], whether both sides show one person.
        fold: int [m], fold of each pair, 0 to k - 1; None: one fold, and so no accuracy.
        people: int [n], number of the person of each embedding; None: not known, and intervals are as if pairs were
            independent.
        name: What the protocol is called.
        model: What the model is called.

    Raises: ValueError if a shape, a row or a number is not as said.

    Examples:
        >>> embeddings = [[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.8]]
        >>> left, right, genuine = [0, 2, 0, 1], [1, 3, 2, 3], [True, True, False, False]
        >>> measured = keras_face.evaluation.verify_pairs(embeddings, left, right, genuine)
        >>> measured.result.auc
        1.0
    """
    units = _units(embeddings, name)
    rows, count = [np.asarray(side) for side in (left, right)], len(units)
    for side in rows:
        if side.dtype.kind not in "iu" or side.ndim != 1 or (side.size and not 0 <= side.min() <= side.max() < count):
            what = f"{side.dtype} {list(side.shape)}"
            raise ValueError(f"{name}: expected rows of {count} embeddings, whole numbers [m], got {what}")
    given = np.asarray(genuine, bool)
    folds = np.zeros(given.shape, np.int64) if fold is None else np.asarray(fold, np.int64)
    of_sides = None
    if people is not None:
        numbers = np.asarray(people)
        if numbers.shape != (count,):
            raise ValueError(f"{name}: expected a person of each of {count} embeddings, got {list(numbers.shape)}")
        of_sides = np.stack([numbers[side] for side in rows], axis=1)
    first, second = (tuple(map(str, side.tolist())) for side in rows)
    return _verify(units, rows[0], rows[1], Pairs(name, first, second, given, folds, people=of_sides), model)


def _units(embeddings: ArrayLike, name: str) -> np.ndarray:
    """Returns float32 [n, embedding_size], the embeddings at unit length."""
    vectors = np.asarray(embeddings, np.float32)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise ValueError(f"{name}: expected finite embeddings [n, embedding_size], got {list(vectors.shape)}")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not lengths.all():
        none = int((lengths == 0).sum())
        raise ValueError(f"{name}: expected embeddings of a length above 0, got {none} of length 0")
    return vectors / lengths


def _verify(units: np.ndarray, left: np.ndarray, right: np.ndarray, pairs: Pairs, model: str) -> Measured:
    return verify(pairs, pair_cosines(units, left, right), Origin(model, "arrays in memory", "as given"))
