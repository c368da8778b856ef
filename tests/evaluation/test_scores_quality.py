import numpy as np
import pytest

from keras_face.evaluation.angles import angle_fits, angles, angular_fisher_score, d_prime
from keras_face.evaluation.quality import error_versus_reject


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(8)


@pytest.mark.parametrize("error", ["false_reject", "wrong_decision"])
@pytest.mark.parametrize("decimals", [12, 1])
def test_errors_are_counted_among_what_is_not_rejected(random, error, decimals):
    genuine = random.random(200) < 0.5
    similarity = random.normal(np.where(genuine, 0.6, 0.2), 0.2)
    quality = np.round(random.normal(0, 1, 200), decimals)
    result = error_versus_reject(similarity, genuine, quality, 0.4, error=error, max_rejected=0.3)
    counted = genuine if error == "false_reject" else np.full(200, True)
    steps = []
    for least in np.unique(quality[counted]):
        left = counted & (quality >= least)
        rejected = 1 - left.sum() / counted.sum()
        steps.append((rejected, np.mean((similarity[left] > 0.4) != genuine[left])))
    assert result.rejected == pytest.approx([rejected for rejected, _ in steps])
    assert result.rate == pytest.approx([rate for _, rate in steps])
    # The area, by many thin strips of the step function.
    strips = (np.arange(100_000) + 0.5) / 100_000 * 0.3
    place = np.searchsorted(result.rejected, strips, "right") - 1
    assert result.area == pytest.approx(result.rate[place].mean(), abs=1e-3)


def test_a_quality_that_knows_the_errors_rejects_them_first():
    genuine = np.repeat([True, False], 50)
    similarity = np.where(genuine, 0.8, 0.2)
    similarity[:5] = 0.1  # 10 % of the genuine pairs
    knows = error_versus_reject(similarity, genuine, np.where(similarity == 0.1, 1.0, 2.0), 0.5)
    assert knows.rejected.tolist() == [0, pytest.approx(0.1)]
    assert knows.rate.tolist() == [pytest.approx(0.1), 0]
    assert knows.area == pytest.approx(0.1 * 0.1 / 0.5)
    nothing = error_versus_reject(similarity, genuine, np.ones(100), 0.5)
    assert (nothing.rate.tolist(), nothing.area) == ([pytest.approx(0.1)], pytest.approx(0.1))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"quality": [1, 2, np.nan]}, "quality must be finite, got 1 that are not, first nan at 2"),
        ({"quality": [1, 2]}, r"quality for each pair, got \(2,\) and \(3,\)"),
        ({"similarity": [0.1, np.inf, 0.2]}, "first inf at 1"),
        ({"genuine": np.zeros(3, bool)}, "got 0 and 3"),
        ({"threshold": np.nan}, "threshold must be finite"),
        ({"error": "frr"}, "error must be one of false_reject, wrong_decision"),
        ({"max_rejected": 0}, r"max_rejected must be a rate in \(0, 1\], got 0"),
    ],
)
def test_bad_qualities_are_refused(changes, message):
    given = {"similarity": [0.1, 0.5, 0.6], "genuine": np.array([False, True, True]), "quality": [1, 2, 3]}
    given |= {"threshold": 0.4} | changes
    with pytest.raises(ValueError, match=message):
        error_versus_reject(**given)


def test_the_angular_fisher_score_of_two_collapsed_identities_is_zero():
    embeddings = np.array([[2, 0], [3, 0], [0, 1], [0, 5]])
    assert angular_fisher_score(embeddings, [0, 0, 1, 1]) == pytest.approx(0, abs=1e-12)
    assert angular_fisher_score(embeddings, [0, 1, 0, 1]) > 1


@pytest.mark.parametrize("normalise_first", [False, True])
def test_the_angular_fisher_score_is_its_formula(random, normalise_first):
    labels = random.integers(3, 7, 40)
    embeddings = random.normal(0.3, 1, (40, 5))

    def cosine(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b)

    rows = [row / np.linalg.norm(row) if normalise_first else row for row in embeddings]
    mean = sum(rows) / 40
    within = between = 0
    for identity in np.unique(labels):
        own = [row for row, label in zip(rows, labels, strict=True) if label == identity]
        centre = sum(own) / len(own)
        within += sum(1 - cosine(row, centre) for row in own)
        between += len(own) * (1 - cosine(centre, mean))
    score = angular_fisher_score(embeddings, labels, normalise_first=normalise_first)
    assert score == pytest.approx(within / between)
    assert angular_fisher_score(10 * embeddings, labels, normalise_first=normalise_first) == pytest.approx(score)


@pytest.mark.parametrize(
    "embeddings, labels, message",
    [
        (np.eye(3), [0, 0, 0], "2 or more identities, got 1"),
        (np.ones((4, 3)), [0, 0, 1, 1], "got one direction"),
        (np.eye(3) * [1, 0, 1], [0, 0, 1], "embeddings must be .* first zero at 1"),
        (np.array([[1.0, 0], [-1, 0], [0, 1]]), [0, 0, 1], "identity means must be .* first zero at 0"),
        (np.array([[1.0, 0], [-1, 0]]), [0, 1], "mean of all must be"),
        (np.eye(3), [0, 1], "labels must be 3 integers"),
    ],
)
def test_an_angular_fisher_score_that_is_undefined_is_refused(embeddings, labels, message):
    with pytest.raises(ValueError, match=message):
        angular_fisher_score(embeddings, labels)


def test_d_prime_of_normal_similarities_is_the_distance_of_their_means(random):
    genuine = np.arange(200_000) < 80_000
    similarity = random.normal(np.where(genuine, 0.7, 0.1), np.where(genuine, 0.2, 0.1))
    assert d_prime(similarity, genuine) == pytest.approx(0.6 / np.sqrt((0.04 + 0.01) / 2), rel=0.01)
    assert d_prime([1.0, 3.0, 0.0, 0.0], np.array([True, True, False, False])) == pytest.approx(2 / 0.5**0.5)
    with pytest.raises(ValueError, match="single value"):
        d_prime([1.0, 1.0, 0.0, 0.0], np.array([True, True, False, False]))


def test_angles_are_fitted_in_radians():
    cosine = np.array([1.0, 0.5, 0.0, -1 - 1e-7])
    assert angles(cosine) == pytest.approx([0, np.pi / 3, np.pi / 2, np.pi])
    fits = angle_fits(cosine, np.array([True, True, False, False]))
    assert fits.genuine == pytest.approx((np.pi / 6, np.pi / 6))
    assert fits.impostor == pytest.approx((np.pi * 3 / 4, np.pi / 4))
    with pytest.raises(ValueError, match=r"cosine must be in \[-1, 1\], got 0.1 ... 1.5"):
        angles([0.1, 1.5])
