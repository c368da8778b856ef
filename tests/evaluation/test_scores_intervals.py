import numpy as np
import pytest
from scipy import special, stats

from keras_face.evaluation.intervals import beta_quantile, bootstrap, clopper_pearson, regularised_beta
from keras_face.evaluation.operating_points import FARS, num_tops, operating_points_of_tops
from keras_face.evaluation.scores import auc, operating_points, tar_at_far


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("a", [0.5, 1, 3, 40, 2999, 19_000])
@pytest.mark.parametrize("b", [0.5, 1, 7, 300, 15_658_489])
def test_the_incomplete_beta_function_is_that_of_scipy(a, b):
    for x in (0.0, 1e-7, 0.01, 0.3, a / (a + b), 0.9, 0.999999, 1.0):
        assert regularised_beta(x, a, b) == pytest.approx(special.betainc(a, b, x), rel=1e-6, abs=1e-12)
    for probability in (0.005, 0.025, 0.5, 0.975):
        quantile = special.betaincinv(a, b, probability)
        assert beta_quantile(probability, a, b) == pytest.approx(quantile, rel=1e-7)


@pytest.mark.parametrize(
    "successes, trials", [(0, 1), (1, 1), (0, 3000), (3000, 3000), (2991, 3000), (7, 20), (3, 1999)]
)
@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_exact_intervals_are_those_of_scipy(successes, trials, level):
    expected = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
    result = clopper_pearson(successes, trials, level)
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-15)


def test_an_exact_interval_of_billions_of_comparisons():
    # A FAR of 1e-6 among MegaFace's 3.53e9: nearly a Poisson count, of which the interval is known in closed form.
    result = clopper_pearson(3530, 3_530_000_000)
    low, high = stats.chi2.ppf(0.025, 2 * 3530) / 2, stats.chi2.ppf(0.975, 2 * 3531) / 2
    assert (result.low, result.high) == pytest.approx((low / 3.53e9, high / 3.53e9), rel=1e-4)


@pytest.mark.parametrize(
    "successes, trials, level", [(2, 1, 0.95), (-1, 3, 0.95), (0, 0, 0.95), (1, 2, 1.0), (1, 2, 0)]
)
def test_impossible_counts_and_levels_are_refused(successes, trials, level):
    with pytest.raises(ValueError, match="got"):
        clopper_pearson(successes, trials, level)


def test_the_bootstrap_keeps_the_numbers_of_both_polarities_and_its_seed(random):
    genuine = random.random(80) < 0.3
    similarity = random.normal(np.where(genuine, 0.5, 0.2), 0.2)
    seen = []

    def spread(resampled, polarity):
        assert np.isin(resampled[polarity], similarity[genuine]).all()
        assert np.isin(resampled[~polarity], similarity[~genuine]).all()
        seen.append((polarity.sum(), (~polarity).sum()))
        return auc(resampled, polarity)

    first = bootstrap(spread, similarity, genuine, resamples=200)
    assert set(seen) == {(genuine.sum(), (~genuine).sum())}
    assert len(seen) == 200
    assert first == bootstrap(auc, similarity, genuine, resamples=200)
    assert first != bootstrap(auc, similarity, genuine, resamples=200, seed=1)
    assert first.low < auc(similarity, genuine) < first.high


def test_the_bootstrap_of_a_mean_is_about_its_normal_interval(random):
    similarity, genuine = random.normal(0, 1, 800), np.arange(800) < 400
    result = bootstrap(lambda s, g: s[g].mean(), similarity, genuine, resamples=4000)
    error = similarity[genuine].std() / 20
    assert result.low == pytest.approx(similarity[genuine].mean() - 1.96 * error, abs=0.2 * error)
    assert result.high == pytest.approx(similarity[genuine].mean() + 1.96 * error, abs=0.2 * error)


@pytest.mark.parametrize("decimals", [12, 1])
@pytest.mark.parametrize("far", [0.01, 0.1, 1.0])
def test_operating_points_are_bootstrapped_as_if_the_pairs_were_drawn(random, far, decimals):
    genuine = np.arange(600) < 200
    similarity = np.round(random.normal(np.where(genuine, 0.6, 0.2), 0.2), decimals)
    [point] = operating_points(similarity, genuine, [far], resamples=4000)
    drawn = bootstrap(lambda s, g: tar_at_far(s, g, far).tar, similarity, genuine, resamples=1500, seed=3)
    # Both are quantiles of the same distribution, from different draws.
    assert point.bootstrap_interval == pytest.approx(drawn, abs=0.03)


@pytest.mark.parametrize("decimals", [12, 1])
def test_operating_points_say_what_is_behind_them(random, decimals):
    genuine = random.random(3000) < 0.3
    similarity = np.round(random.normal(np.where(genuine, 0.6, 0.2), 0.15), decimals)
    points = operating_points(similarity, genuine, (1e-1, 1e-2, 1e-3, 1.0))
    for point, far in zip(points, (1e-1, 1e-2, 1e-3, 1.0), strict=True):
        plain = tar_at_far(similarity, genuine, far)
        accepted = [similarity > point.threshold][0]
        assert (point.far, point.tar, point.num_impostor) == (far, plain.tar, plain.num_impostor)
        assert (accepted == (similarity > plain.threshold)).all()
        assert point.num_genuine == genuine.sum()
        assert point.num_accepted_genuine == (accepted & genuine).sum()
        assert point.num_accepted_impostor == (accepted & ~genuine).sum() <= far * point.num_impostor + 1e-9
        assert point.tar_interval == clopper_pearson(point.num_accepted_genuine, point.num_genuine)
        assert point.far_interval == clopper_pearson(point.num_accepted_impostor, point.num_impostor)
        assert point.tar_interval.low <= point.tar <= point.tar_interval.high
        assert str(point).startswith(f"{point.tar:.4f} [")


def test_rates_that_need_more_impostors_say_so():
    similarity, genuine = np.linspace(0, 1, 3000), np.arange(3000) >= 2000
    points = operating_points(similarity, genuine)
    assert [point.far for point in points] == list(FARS) == [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6]
    assert [point.tar is None for point in points] == [False] * 3 + [True] * 3
    assert str(points[3]) == "not measurable with 2000 impostors"
    assert (points[3].tar_interval, points[3].far_interval, points[3].bootstrap_interval) == (None,) * 3


def test_the_highest_impostors_are_enough(random):
    genuines, impostors = random.normal(0.6, 0.2, 300), np.sort(random.normal(0.2, 0.2, 50_000))[::-1]
    fars = (1e-3, 1e-4)
    kept = num_tops(fars, impostors.size)
    assert 50 < kept < 200
    everything = operating_points_of_tops(genuines, impostors, impostors.size, fars)
    assert operating_points_of_tops(genuines, impostors[:kept], impostors.size, fars) == everything
