"""Intervals by resampling people, beside loops over people, closed forms and small simulations."""

import numpy as np
import pytest
from scipy import stats

from keras_face.evaluation.angles import d_prime
from keras_face.evaluation.certainty import AS_IF_INDEPENDENT
from keras_face.evaluation.comparison import compare_accuracy, compare_tar
from keras_face.evaluation.identification import Search, identification_rate, tpir_at_fpir
from keras_face.evaluation.protocols import Pairs, deal_people, pairs_by_rule
from keras_face.evaluation.protocols.identities import identities_of
from keras_face.evaluation.resampling import resample_pairs, resample_people
from keras_face.evaluation.results import Origin, verify
from keras_face.evaluation.scores import auc, clopper_pearson, equal_error, kfold_accuracy, right_decisions, tar_at_far
from keras_face.evaluation.spread import effective_people, number_interval, rate_interval, t_quantile


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(8)


def drawn(random, *, people=14, decimals=12):
    """Similarities of all pairs of three photos each of so many people, and who is on them."""
    owner = np.repeat(np.arange(people), 3)
    one, other = np.triu_indices(owner.size, 1)
    identities = np.stack([owner[one], owner[other]], axis=1)
    genuine = identities[:, 0] == identities[:, 1]
    own = random.normal(size=people)
    similarity = (
        0.1 * random.normal(size=genuine.size) + np.where(genuine, 0.5, 0.3) + 0.07 * own[identities].sum(axis=1)
    )
    return np.round(similarity, decimals), genuine, identities


@pytest.mark.parametrize("freedom", [0.4, 1, 3.7, 19, 4000])
@pytest.mark.parametrize("probability", [0.9, 0.975, 0.9995])
def test_quantiles_of_students_t_are_those_of_scipy(freedom, probability):
    assert t_quantile(probability, freedom) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-6)


def test_people_with_as_many_comparisons_each_are_as_many_as_they_are():
    assert effective_people([7] * 12) == pytest.approx(12)
    assert effective_people([7] * 12 + [0] * 5) == pytest.approx(12)
    assert effective_people([1000, 1, 1]) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("decimals", [12, 2])
def test_each_resample_is_the_figure_of_the_weighted_pairs(random, decimals):
    similarity, genuine, identities = drawn(random, decimals=decimals)
    found = resample_pairs(similarity, genuine, identities, fars=[0.1, 0.02], thresholds=[0.4], resamples=5, seed=3)
    weights = np.random.default_rng(3).exponential(size=(14, 5))
    for number in range(5):
        weight = np.array([weights[a, number] * (1 if a == b else weights[b, number]) for a, b in identities.tolist()])
        of_genuine, of_impostor = weight[genuine], weight[~genuine]
        same, other = similarity[genuine], similarity[~genuine]
        wins = (same[:, None] > other) + (same[:, None] == other) / 2
        expected = of_genuine @ wins @ of_impostor / of_genuine.sum() / of_impostor.sum()
        assert found.auc[number] == pytest.approx(expected, abs=1e-9)
        for row, far in enumerate((0.1, 0.02)):
            allowed = [t for t in [*other, -9] if of_impostor[other > t].sum() <= far * of_impostor.sum() * (1 + 1e-9)]
            expected = of_genuine[same > min(allowed)].sum() / of_genuine.sum()
            assert found.tar[row, number] == pytest.approx(expected, abs=1e-9)
        assert found.tar_at_threshold[0, number] == pytest.approx(of_genuine[same > 0.4].sum() / of_genuine.sum())
        assert found.far_at_threshold[0, number] == pytest.approx(of_impostor[other > 0.4].sum() / of_impostor.sum())
        # The equal error rate lies between the rates on both sides of the point where they cross.
        cuts = np.sort(similarity)
        far = np.array([of_impostor[other > t].sum() / of_impostor.sum() for t in cuts])
        frr = np.array([of_genuine[same <= t].sum() / of_genuine.sum() for t in cuts])
        after = np.argmax(frr >= far)
        low, high = sorted([max(far[after], frr[after - 1]), min(far[after - 1], frr[after])])
        assert low - 1e-9 <= found.equal_error_rate[number] <= high + 1e-9
        mean = [np.average(side, weights=w) for side, w in ((same, of_genuine), (other, of_impostor))]
        var = [np.average((side - m) ** 2, weights=w) for side, m, w in
               zip((same, other), mean, (of_genuine, of_impostor), strict=True)]  # fmt: skip
        assert found.d_prime[number] == pytest.approx((mean[0] - mean[1]) / np.sqrt(sum(var) / 2))


def test_the_accuracy_weighs_folds_alike_whatever_their_sizes(random):
    similarity, genuine, identities = drawn(random)
    fold = (np.arange(genuine.size) >= 200).astype(int)
    thresholds = kfold_accuracy(similarity, genuine, fold).thresholds
    right = right_decisions(similarity, genuine, fold, thresholds)
    found = resample_pairs(similarity, genuine, identities, right=right, fold=fold, resamples=4000)
    assert found.accuracy.mean() == pytest.approx(kfold_accuracy(similarity, genuine, fold).mean, abs=0.02)


def test_a_share_of_people_spreads_as_its_closed_form():
    # 30 people with one pair each, 24 of them accepted: the weighted share is Beta(24, 6).
    found = resample_people(np.stack([np.arange(30) < 24, np.ones(30)], axis=1), resamples=20_000)
    share = found[0] / found[1]
    assert share.mean() == pytest.approx(0.8, abs=0.003)
    assert share.std() == pytest.approx(stats.beta(24, 6).std(), rel=0.02)
    interval = rate_interval(0.8, share, 30)
    wide = stats.t.ppf(0.975, 29) * np.sqrt(30 / 29) * share.std() / 0.16
    assert interval == pytest.approx(1 / (1 + np.exp(-np.log(4) + np.array([wide, -wide]))))
    assert number_interval(0.8, share, 30) == pytest.approx(0.8 + 0.16 * np.array([-wide, wide]))


@pytest.mark.parametrize("people", [5, 40])
def test_at_the_ends_it_is_the_exact_interval_of_as_many_people(people):
    assert rate_interval(1.0, np.ones(9), people) == pytest.approx(tuple(clopper_pearson(people, people)))
    assert rate_interval(0.0, np.zeros(9), people) == pytest.approx(tuple(clopper_pearson(0, people)))


def test_one_person_says_nothing():
    assert rate_interval(0.5, np.array([0.4, 0.6]), 1.0) == (0, 1)
    assert number_interval(0.5, np.array([0.4, 0.6]), 1.0) is None


def test_of_many_impostor_pairs_a_sample_stands_for_all(random, monkeypatch):
    similarity, genuine, identities = drawn(random, people=40)
    whole = resample_pairs(similarity, genuine, identities, fars=[0.01], thresholds=[0.3])
    monkeypatch.setattr("keras_face.evaluation.resampling._TOPS", 1500)  # of 7,020
    part = resample_pairs(similarity, genuine, identities, fars=[0.01], thresholds=[0.3])
    for name in ("auc", "d_prime", "tar", "far_at_threshold", "equal_error_rate"):
        assert getattr(part, name).std() == pytest.approx(getattr(whole, name).std(), rel=0.1)
        assert getattr(part, name).mean() == pytest.approx(getattr(whole, name).mean(), rel=0.05)


def test_intervals_by_people_hold_the_truth_where_those_by_pairs_do_not():
    # Similarities of people's own level and no other noise that is worth the name: 20 people are 20 observations.
    people = {f"p{one}": tuple(f"p{one}/{photo}" for photo in range(6)) for one in range(20)}
    pairs = pairs_by_rule(deal_people(people, 10, 0), name="drawn")
    identities = pairs.identities()
    truth = stats.norm.sf((0.45 - 0.55) / np.hypot(0.12, 0.02))
    by_people = by_pairs = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        own = random.normal(size=20)
        noise = 0.02 * random.normal(size=len(identities))
        similarity = np.where(pairs.genuine, 0.55 + 0.12 * own[identities[:, 0]], 0.1) + noise
        accepted = similarity > 0.45
        rate = accepted[pairs.genuine].mean()
        found = resample_pairs(similarity, pairs.genuine, identities, thresholds=[0.45], resamples=200)
        low, high = rate_interval(rate, found.tar_at_threshold[0], found.people)
        by_people += low <= truth <= high
        low, high = clopper_pearson(int(accepted[pairs.genuine].sum()), int(pairs.genuine.sum()))
        by_pairs += low <= truth <= high
    assert 0.91 < by_people / 150 <= 1
    assert by_pairs / 150 < 0.6


def test_two_models_are_compared_with_the_same_weights(random):
    first, genuine, identities = drawn(random)
    fold = identities[:, 0] % 2
    for second in (first, first + 1e-9):  # shifted by nothing that matters
        same = compare_tar(first, second, genuine, 0.1, identities=identities)
        assert same.interval == pytest.approx((0, 0), abs=1e-12)
    result = compare_accuracy(first, first, genuine, fold, identities=identities)
    assert result.accuracy.interval == (0, 0)
    other = first + 0.2 * random.normal(size=first.size)
    worse = compare_tar(first, other, genuine, 0.1, identities=identities)
    sides = [resample_pairs(each, genuine, identities, fars=[0.1]) for each in (first, other)]
    differences = sides[0].tar[0] - sides[1].tar[0]
    wide = stats.t.ppf(0.975, 13) * np.sqrt(14 / 13) * differences.std()
    assert worse.interval == pytest.approx((worse.difference - wide, worse.difference + wide))


def test_searches_of_one_person_are_one(random):
    owner = np.repeat(np.arange(12), 5)
    rank = np.where(owner < 8, 1, 3)
    found = Search(rank, np.full(60, 0.5, np.float32), np.full(60, 0.2, np.float32), np.ones(60))
    rate = identification_rate(found, 1, people=owner)
    spread = stats.beta(8, 4).std()  # of 12 people, 8 are found, always
    half = stats.t.ppf(0.975, 11) * np.sqrt(12 / 11) * spread / (2 / 9)
    low, high = (np.log(end / (1 - end)) - np.log(2) for end in rate.interval)
    assert (low, high) == pytest.approx((-half, half), rel=0.06)
    assert identification_rate(found, 1).interval == clopper_pearson(40, 60)


def test_an_open_set_rate_is_resampled_by_people(random):
    owner = np.repeat(np.arange(40), 3)
    mated = owner < 20
    mate = np.where(mated, random.normal(0.5, 0.2, 120), -np.inf).astype(np.float32)
    other = random.normal(0.2, 0.1, 120).astype(np.float32)
    found = Search(np.where(mated, 1, 0), mate, other, np.ones(120))
    rate = tpir_at_fpir(found, 0.1, people=owner)
    assert rate.rate == tpir_at_fpir(found, 0.1).rate
    rates = []
    for _ in range(2000):
        weight = random.exponential(size=40)[owner]
        falling = np.argsort(-other[~mated])
        passed = np.cumsum(weight[~mated][falling]) / weight[~mated].sum()
        threshold = other[~mated][falling[np.argmax(passed > 0.1)]]
        rates.append(weight[mated & (mate > threshold)].sum() / weight[mated].sum())
    half = stats.t.ppf(0.975, 19) * np.sqrt(20 / 19) * np.std(rates) / (rate.rate * (1 - rate.rate))
    low, high = (np.log(end / (1 - end)) for end in rate.interval)
    assert high - low == pytest.approx(2 * half, rel=0.08)


# Who is on a pair


@pytest.mark.parametrize(
    "left, right",
    [
        (("Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0002.jpg"), ("Ann_Lee/Ann_Lee_0003.jpg", "Bo/Bo_0001.jpg")),
        (("faces/ann/1.jpg", "faces/ann/2.jpg"), ("faces/ann/3.jpg", "faces/bo/1.jpg")),
        (("001/frontal/01.jpg", "001/frontal/01.jpg"), ("001/profile/02.jpg", "002/profile/01.jpg")),
        (("Ann_Lee_1.jpg", "Ann_Lee_2.jpg"), ("Ann_Lee_3.jpg", "Bo_1.jpg")),
        (("Ann/1", "Ann/0"), ("Ann/4", "Bo/0")),
    ],
)
def test_keys_say_who_is_on_a_pair(left, right):
    assert identities_of(left, right, np.array([True, False])).tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize("left, right", [(("0", "1"), ("2", "3")), (("x/a", "x/b"), ("x/c", "x/d")), ((), ())])
def test_keys_that_do_not_say_it_say_nothing(left, right):
    assert identities_of(left, right, np.array([True, False])[: len(left)]) is None


def test_a_few_wrong_labels_do_not_hide_who_is_on_a_pair():
    left = tuple(f"p{number // 2}/0" for number in range(200))
    right = tuple(f"p{number // 2 + number % 2}/1" for number in range(200))
    genuine = np.arange(200) % 2 == 0
    genuine[:8] = ~genuine[:8]
    assert identities_of(left, right, genuine)[6:8].tolist() == [[3, 3], [3, 4]]
    genuine[:60] = ~genuine[:60]
    assert identities_of(left, right, genuine) is None


def test_a_result_says_how_its_intervals_were_found(random):
    similarity, genuine, identities = drawn(random, people=20)
    fold = identities[:, 0] % 2
    named, nameless = (
        Pairs("all pairs", *(tuple(f"{start}{person}" for person in side) for side in identities.T), genuine, fold)
        for start in ("p/", "")
    )
    known = Pairs(named.protocol, nameless.left, nameless.right, genuine, fold, people=identities)
    by_people = verify(known, similarity, Origin("net", "data", "alone")).result
    by_pairs = verify(nameless, similarity, Origin("net", "data", "alone")).result
    assert by_people.intervals.startswith("people resampled: as sure as 20 people make it, 1000 resamples, seed 0")
    assert by_pairs.intervals == AS_IF_INDEPENDENT.format("pairs")
    assert (by_pairs.auc_interval, by_pairs.equal_error_interval, by_pairs.d_prime_interval) == (None,) * 3
    assert by_people.accuracy == by_pairs.accuracy
    for name, value in (
        ("auc", auc(similarity, genuine)),
        ("equal_error", equal_error(similarity, genuine).rate),
        ("d_prime", d_prime(similarity, genuine)),
        ("accuracy", kfold_accuracy(similarity, genuine, fold).mean),
    ):
        low, high = getattr(by_people, f"{name}_interval")
        assert low < value < high
    point, alone = by_people.tar_at_far[1], by_pairs.tar_at_far[1]
    assert (point.tar, point.threshold) == (alone.tar, alone.threshold)
    assert point.tar == tar_at_far(similarity, genuine, 0.01).tar
    # A threshold promises less of its FAR than the pairs alone would have it.
    assert np.ptp(point.far_interval) > np.ptp(alone.far_interval)
