import numpy as np
import pytest

from keras_face.evaluation import pooling
from keras_face.evaluation.pooling import WEIGHTINGS, Pooling
from keras_face.evaluation.set_scores import set_similarities


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(6)


@pytest.fixture
def photos(random):
    """Embeddings of any length, their face sets in no order, media that recur in other face sets, and qualities."""
    face_set = np.append(random.permutation(np.arange(12)), random.integers(0, 12, 88))
    return {
        "embeddings": random.normal(0.2, 1, (100, 8)) * random.uniform(1, 5, (100, 1)),
        "face_set": face_set,
        "media": random.integers(0, 3, 100),
        "quality": random.random(100),
    }


def unit(vector):
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("by_media", [False, True])
@pytest.mark.parametrize("best", [None, 3])
@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("rows", [pooling._ROWS, 10])
def test_face_sets_are_pooled_as_by_loops(photos, monkeypatch, weighting, best, by_media, rows):
    monkeypatch.setattr(pooling, "_ROWS", rows)  # several blocks, and face sets larger than one
    norms = np.linalg.norm(photos["embeddings"], axis=1)
    scored = "quality" in weighting
    asked = {"quality": photos["quality"]} if scored else {}
    asked |= {"media": photos["media"]} if by_media else {}
    pooled = Pooling(weighting, best, by_media)(photos["embeddings"], photos["face_set"], **asked)
    assert (pooled.dtype, pooled.shape) == (np.float32, (12, 8))
    for number in range(12):
        members = np.flatnonzero(photos["face_set"] == number)
        if best:
            by = photos["quality"] if scored else norms
            members = np.array(sorted(members, key=lambda index, by=by: -by[index])[:best])
        weighed = {}
        for index in members:
            value = photos["embeddings"][index] / (1 if "norm" in weighting else norms[index])
            medium = photos["media"][index] if by_media else 0
            weighed.setdefault(medium, []).append(value * (photos["quality"][index] if scored else 1))
        expected = unit(sum(sum(values) / len(values) for values in weighed.values()))
        np.testing.assert_allclose(pooled[number], expected, atol=1e-5)


def test_the_named_poolings_are_what_they_are_called():
    embeddings, face_set = np.array([[3.0, 0], [0, 4], [0, 4]]), [0, 0, 0]
    np.testing.assert_allclose(Pooling()(embeddings, face_set), [unit(np.array([1, 2]))], rtol=1e-6)
    np.testing.assert_allclose(Pooling("norm")(embeddings, face_set), [unit(np.array([3, 8]))], rtol=1e-6)
    np.testing.assert_allclose(Pooling("norm", best=1)(embeddings, face_set), [[0, 1]], atol=1e-7)
    pooled = Pooling("quality")(embeddings, face_set, quality=[1, 0.25, 0.25])
    np.testing.assert_allclose(pooled, [unit(np.array([1, 0.5]))], rtol=1e-6)
    # A video of two frames counts as much as a still.
    pooled = Pooling(by_media=True)(embeddings, face_set, media=[5, 2, 2])
    np.testing.assert_allclose(pooled, [unit(np.array([1, 1]))], rtol=1e-6)
    # Best by a quality, weighed alike.
    pooled = Pooling(best=2)(embeddings, face_set, quality=[3, 1, 2])
    np.testing.assert_allclose(pooled, [unit(np.array([1, 1]))], rtol=1e-6)
    assert (
        str(Pooling("quality", 5, True)) == "mean of unit embeddings weighed by quality, best 5 of a face set, by media"
    )


def test_the_order_of_frames_and_their_scale_have_no_effect_on_the_mean_of_units(photos, random):
    pooled = Pooling()(photos["embeddings"], photos["face_set"])
    order = random.permutation(100)
    again = Pooling()(photos["embeddings"][order] * random.uniform(1, 9, (100, 1)), photos["face_set"][order])
    np.testing.assert_allclose(again, pooled, atol=1e-6)


def test_of_equal_qualities_the_first_are_kept():
    embeddings = np.array([[0, 1.0], [1, 0], [0, 1]])
    np.testing.assert_allclose(Pooling(best=1)(embeddings, [0, 0, 0], quality=[1, 2, 2]), [[1, 0]], atol=1e-7)


def test_embeddings_may_lie_on_disk(photos, tmp_path):
    np.save(tmp_path / "embeddings.npy", photos["embeddings"])
    there = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        Pooling(best=2)(there, photos["face_set"]), Pooling(best=2)(photos["embeddings"], photos["face_set"])
    )


@pytest.mark.parametrize(
    "pooling, changes, message",
    [
        (Pooling(), {"face_set": [0, 2, 2]}, r"face sets 0 ... 2, got none for \[1\]"),
        (Pooling(), {"face_set": [0, -1, 1]}, r"1 or more embeddings, got \[-1, 0, 1\]"),
        (Pooling(), {"face_set": [0, 1]}, "face_set must be 3 integers"),
        (Pooling(), {"embeddings": np.ones(3)}, r"got shape \(3,\)"),
        (Pooling(), {"embeddings": np.zeros((0, 2)), "face_set": np.zeros(0, int)}, r"1 or more embeddings, got \[\]"),
        (Pooling(), {"embeddings": [[1, 0], [0, 1], [0, 0]]}, "first zero at 2"),
        (Pooling(), {"embeddings": [[1, 0], [np.inf, 1], [0, 1]]}, "first not finite at 1"),
        (Pooling(), {"embeddings": [[1, 0], [0, 1], [0, -1]]}, "face sets must be .* first zero at 1"),
        (Pooling(best=1), {"embeddings": [[1, 0], [0, 1], [0, 0]]}, "first zero at 2"),
        (Pooling(), {"quality": [1, 1, 1]}, "has no use for a quality"),
        (Pooling("quality"), {}, "needs a quality"),
        (Pooling("quality"), {"quality": [1, 1]}, "quality for each of 3"),
        (Pooling("quality"), {"quality": [1, np.nan, 1]}, "first nan at 1"),
        (Pooling("quality"), {"quality": [1, 1, -2]}, "got -2.0 at 2"),
        (Pooling("quality"), {"quality": [0, 1, 1]}, "face sets must be .* first zero at 0"),
        (Pooling(), {"media": [0, 0, 0]}, "only for pooling by media"),
        (Pooling(by_media=True), {}, "expected media for pooling by media"),
        (Pooling(by_media=True), {"media": [0, 1]}, "media must be 3 integers"),
    ],
)
def test_what_cannot_be_pooled_is_said(pooling, changes, message):
    given = {"embeddings": np.array([[1, 0], [0, 1], [1, 1]]), "face_set": [0, 1, 1]} | changes
    with pytest.raises(ValueError, match=message):
        pooling(given.pop("embeddings"), given.pop("face_set"), **given)


@pytest.mark.parametrize("settings, message", [(("mean",), "equal, norm, quality"), (("equal", 0), "1 or more")])
def test_unknown_poolings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Pooling(*settings)


@pytest.mark.parametrize("method", ["max", "mean", "softmax"])
def test_sets_are_compared_photo_by_photo(photos, random, method):
    left, right = random.integers(0, 12, (2, 30))
    found = set_similarities(photos["embeddings"], photos["face_set"] + 5, left + 5, right + 5, method)
    for a, b, similarity in zip(left, right, found, strict=True):
        cosine = np.array(
            [
                unit(x) @ unit(y)
                for x in photos["embeddings"][photos["face_set"] == a]
                for y in photos["embeddings"][photos["face_set"] == b]
            ]
        )
        soft = [np.sum(cosine * np.exp(beta * cosine)) / np.sum(np.exp(beta * cosine)) for beta in range(21)]
        expected = {"max": cosine.max(), "mean": cosine.mean(), "softmax": sum(soft) / 21}[method]
        assert similarity == pytest.approx(expected, abs=1e-5)
        assert cosine.mean() - 1e-9 <= sum(soft) / 21 <= cosine.max()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"method": "min"}, "method must be one of max, mean, softmax"),
        ({"right": [1, 4]}, "got none for face set 4 of pair 1"),
        ({"left": [-1, 0]}, "left face set of each pair, got none for face set -1 of pair 0"),
        ({"face_set": [0, 1]}, "face_set must be 3 integers"),
        ({"embeddings": np.eye(3) * [1, 1, 0]}, "first zero at 2"),
        ({"left": [0]}, r"right must be 1 integers, got shape \(2,\)"),
    ],
)
def test_sets_that_cannot_be_compared_are_said(changes, message):
    given = {"embeddings": np.eye(3), "face_set": [0, 1, 1], "left": [0, 1], "right": [1, 1]} | changes
    with pytest.raises(ValueError, match=message):
        set_similarities(**given)
