import numpy as np
import pytest
from scipy import stats

from keras_face.evaluation.comparison import compare_accuracy, compare_tar, mcnemar
from keras_face.evaluation.scores import kfold_accuracy, right_decisions, tar_at_far


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(2)


def two_models(random, num_pairs, *, decimals=12):
    """Similarities of two models that make partly the same errors, the first fewer."""
    genuine = np.arange(num_pairs) % 3 == 0
    common = random.normal(np.where(genuine, 0.6, 0.2), 0.12)
    first, second = common + random.normal(0, 0.05, num_pairs), common + random.normal(0, 0.15, num_pairs)
    return np.round(first, decimals), np.round(second, decimals), genuine


@pytest.mark.parametrize("only_first, only_second", [(0, 0), (1, 0), (5, 5), (9, 2), (2, 30), (400, 351)])
def test_mcnemar_is_the_exact_binomial_test(only_first, only_second):
    first = np.repeat([True, False, True, False], [only_first, only_second, 50, 7])
    second = np.repeat([False, True, True, False], [only_first, only_second, 50, 7])
    result = mcnemar(first, second)
    assert (result.only_first, result.only_second) == (only_first, only_second)
    discordant = only_first + only_second
    expected = stats.binomtest(only_first, discordant).pvalue if discordant else 1.0
    assert result.p_value == pytest.approx(expected, rel=1e-9)


def test_a_model_beside_itself_differs_by_nothing(random):
    first, _, genuine = two_models(random, 90)
    result = compare_accuracy(first, first, genuine, np.arange(90) % 5)
    assert (result.accuracy.difference, result.accuracy.interval) == (0, (0, 0))
    assert (result.mcnemar.only_first, result.mcnemar.only_second, result.mcnemar.p_value) == (0, 0, 1)
    tar = compare_tar(first, first, genuine, 0.1)
    assert (tar.difference, tar.interval) == (0, (0, 0))


@pytest.mark.parametrize("rule", ["best_accuracy", "equal_error"])
def test_accuracies_are_compared_as_if_the_pairs_were_drawn_in_each_fold(random, rule):
    first, second, genuine = two_models(random, 150)
    fold = np.repeat([0, 1, 2], [30, 50, 70])  # unequal
    result = compare_accuracy(first, second, genuine, fold, rule, resamples=4000)
    folds = [kfold_accuracy(similarity, genuine, fold, rule) for similarity in (first, second)]
    assert (result.accuracy.first, result.accuracy.second) == (folds[0].mean, folds[1].mean)
    assert result.accuracy.difference == folds[0].mean - folds[1].mean
    right = [
        right_decisions(similarity, genuine, fold, each.thresholds)
        for similarity, each in zip((first, second), folds, strict=True)
    ]
    assert result.mcnemar == mcnemar(*right)
    differences = []
    for _ in range(2000):
        of_folds = []
        for number in range(3):
            drawn = np.concatenate(
                [
                    random.choice(np.flatnonzero((fold == number) & (genuine == side)), size)
                    for side, size in (
                        (side, np.count_nonzero((fold == number) & (genuine == side))) for side in (True, False)
                    )
                ]
            )
            of_folds.append(right[0][drawn].mean() - right[1][drawn].mean())
        differences.append(np.mean(of_folds))
    assert result.accuracy.interval == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.015)


@pytest.mark.parametrize("decimals", [12, 1])
@pytest.mark.parametrize("far", [0.02, 0.2])
def test_tars_are_compared_with_thresholds_of_each_resample(random, far, decimals):
    first, second, genuine = two_models(random, 450, decimals=decimals)
    result = compare_tar(first, second, genuine, far, resamples=2000)
    assert result.first == tar_at_far(first, genuine, far).tar
    assert result.second == tar_at_far(second, genuine, far).tar
    sides = np.flatnonzero(genuine), np.flatnonzero(~genuine)
    differences = []
    for _ in range(1500):
        drawn = np.concatenate([random.choice(side, side.size) for side in sides])
        tars = [tar_at_far(similarity[drawn], genuine[drawn], far).tar for similarity in (first, second)]
        differences.append(tars[0] - tars[1])
    assert result.interval == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.03)


def test_only_the_impostors_most_alike_are_drawn_and_nothing_changes(random, monkeypatch):
    first, second, genuine = two_models(random, 30_000)
    few = compare_tar(first, second, genuine, 1e-3, resamples=300)
    monkeypatch.setattr("keras_face.evaluation.comparison.num_tops", lambda fars, count: count)
    everything = compare_tar(first, second, genuine, 1e-3, resamples=300)
    assert few.interval == pytest.approx(everything.interval, abs=0.02)


def test_tars_at_the_ends_of_what_is_measurable(random):
    first, second, genuine = two_models(random, 90)
    assert compare_tar(first, second, genuine, 1e-3) is None
    assert compare_tar(first, second, genuine, 1.0).interval == (0, 0)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: mcnemar([True, False], [True]), r"bool \(2,\) and bool \(1,\)"),
        (lambda: mcnemar([1, 0], [True, False]), "int64"),
        (lambda: compare_accuracy([0.1, 0.2], [0.1], np.array([True, False]), [0, 1]), "outside fold 0|got"),
        (lambda: compare_tar([0.1, 0.2], [0.1, np.nan], np.array([True, False]), 0.5), "first nan at 1"),
        (lambda: compare_tar([0.1, 0.2], [0.1, 0.3], np.array([True, False]), 0), r"\(0, 1\], got 0"),
    ],
)
def test_what_cannot_be_compared_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()
