"""Figures of arrays in memory, beside those of the same numbers by the longer road."""

import numpy as np
import pytest

from keras_face import evaluation

RANDOM = np.random.default_rng(4)
PEOPLE = np.repeat(np.arange(30), 4)
EMBEDDINGS = RANDOM.normal(size=(30, 8))[PEOPLE] * 3 + RANDOM.normal(size=(120, 8))


def test_people_are_compared_in_pairs_that_the_rule_draws_with_their_cosines():
    measured = evaluation.verify_people(EMBEDDINGS, [f"person {number}" for number in PEOPLE], num_folds=5)
    pairs = measured.pairs
    for number in range(0, len(pairs.left), 7):
        left, right = int(pairs.left[number]), int(pairs.right[number])
        assert pairs.genuine[number] == (PEOPLE[left] == PEOPLE[right])
        one, other = EMBEDDINGS[left], EMBEDDINGS[right]
        expected = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        assert measured.similarity[number] == pytest.approx(expected, abs=1e-6)
    assert measured.result.accuracy is not None
    assert "people resampled" in measured.result.intervals
    for person in range(30):
        own = np.isin(pairs.left, np.flatnonzero(person == PEOPLE).astype(str))
        assert len(set(pairs.fold[own])) <= 1


def test_the_figures_of_given_pairs_are_those_of_their_ranks():
    left, right = RANDOM.integers(0, 120, (2, 500))
    genuine = PEOPLE[left] == PEOPLE[right]
    result = evaluation.verify_pairs(EMBEDDINGS, left, right, genuine, people=PEOPLE).result
    units = EMBEDDINGS / np.linalg.norm(EMBEDDINGS, axis=1, keepdims=True)
    similarity = (units[left] * units[right]).sum(axis=1)
    above = similarity[genuine][:, np.newaxis] > similarity[~genuine]
    assert result.auc == pytest.approx(above.mean(), abs=1e-6)
    assert result.accuracy is None
    assert (result.num_genuine, result.num_impostor) == (genuine.sum(), (~genuine).sum())


def test_without_people_the_intervals_say_what_they_take_for_granted():
    left, right = RANDOM.integers(0, 120, (2, 500))
    result = evaluation.verify_pairs(EMBEDDINGS, left, right, PEOPLE[left] == PEOPLE[right]).result
    assert "as if pairs were independent" in result.intervals


@pytest.mark.parametrize(
    "change, message",
    [
        ({"embeddings": EMBEDDINGS[0]}, r"expected finite embeddings \[n, embedding_size\], got \[8\]"),
        ({"embeddings": np.where(np.arange(120)[:, None] == 3, np.nan, EMBEDDINGS)}, "expected finite embeddings"),
        ({"embeddings": EMBEDDINGS * (np.arange(120)[:, None] > 1)}, "expected embeddings of a length above 0, got 2"),
        ({"left": np.array([0, 120])}, r"expected rows of 120 embeddings, whole numbers \[m\], got int64 \[2\]"),
        ({"right": np.array([0.0, 1.0])}, r"whole numbers \[m\], got float64 \[2\]"),
        ({"people": PEOPLE[:5]}, r"expected a person of each of 120 embeddings, got \[5\]"),
    ],
)
def test_arrays_of_another_form_are_named(change, message):
    given = {"embeddings": EMBEDDINGS, "left": np.array([0, 5]), "right": np.array([1, 9])} | change
    with pytest.raises(ValueError, match=message):
        evaluation.verify_pairs(given.pop("embeddings"), given.pop("left"), given.pop("right"), [True, False], **given)
