import numpy as np
import pytest
from sklearn import metrics

from keras_face.evaluation.report.plots import save_histogram, save_roc
from keras_face.evaluation.scores import (
    RULES,
    best_threshold,
    kfold_accuracy,
    mean_subtracted,
    right_decisions,
    roc,
    tar_at_far,
)


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(7)


def overlapping(random, num_pairs, *, decimals=12):
    """Similarities of genuine and impostor pairs that overlap; few decimals make many of them equal."""
    genuine = random.random(num_pairs) < 0.4
    similarity = np.round(random.normal(np.where(genuine, 0.5, 0.2), 0.2), decimals)
    return similarity, genuine, random.integers(0, 5, num_pairs)


def right(similarity, genuine, threshold):
    return sum((s > threshold) == g for s, g in zip(similarity, genuine, strict=True))


@pytest.mark.parametrize("decimals", [12, 1])
def test_fold_accuracy_is_that_of_the_best_of_all_cuts_of_the_other_folds(random, decimals):
    similarity, genuine, fold = overlapping(random, 120, decimals=decimals)
    result = kfold_accuracy(similarity, genuine, fold)
    for number in range(5):
        outside, inside = fold != number, fold == number
        threshold = result.thresholds[number]
        # Between and beyond the values there are no other decisions than these.
        values = np.unique(similarity[outside])
        cuts = [values[0] - 1, *((values[:-1] + values[1:]) / 2), values[-1] + 1]
        most = max(right(similarity[outside], genuine[outside], cut) for cut in cuts)
        assert right(similarity[outside], genuine[outside], threshold) == most
        assert result.accuracy[number] == right(similarity[inside], genuine[inside], threshold) / inside.sum()
    assert result.mean == pytest.approx(sum(result.accuracy) / 5)
    assert result.std == pytest.approx(np.sqrt(sum((a - result.mean) ** 2 for a in result.accuracy) / 5))


def test_separable_pairs_score_one():
    # margin-centre-face's equal-error rule gave 0.5 here.
    genuine = np.tile([True, False], 50)
    similarity = np.where(genuine, 0.7, 0.1) + np.linspace(0, 0.05, 100)
    result = kfold_accuracy(similarity, genuine, np.arange(100) // 10)
    assert (result.mean, result.std) == (1.0, 0.0)


def test_identical_similarities_score_a_half():
    result = kfold_accuracy(np.full(60, 0.3), np.tile([True, False], 30), np.arange(60) // 6)
    assert (result.mean, result.std) == (0.5, 0.0)


def test_one_outlier_costs_one_decision():
    # margin-centre-face's equal-error rule let it move the threshold of every fold.
    genuine = np.tile([True, False], 50)
    similarity = np.where(genuine, 0.7, 0.1)
    similarity[0] = -0.9
    assert kfold_accuracy(similarity, genuine, np.arange(100) // 10).mean == pytest.approx(0.99)


def test_negated_similarities_of_swapped_polarities_score_the_same(random):
    similarity, genuine, fold = overlapping(random, 200)
    forward = kfold_accuracy(similarity, genuine, fold)
    backward = kfold_accuracy(-similarity, ~genuine, fold)
    assert backward.accuracy == forward.accuracy
    np.testing.assert_allclose(backward.thresholds, -np.array(forward.thresholds), atol=1e-12)


def test_unequal_folds_weigh_the_same():
    # Fold 1 puts the threshold of fold 0 at 0.5, which accepts its impostor; fold 0 puts that of fold 1 at 0.575.
    similarity = [0.6, 0.55, 0.8, 0.9, 0.1, 0.2]
    genuine = np.array([True, False, True, True, False, False])
    result = kfold_accuracy(similarity, genuine, [0, 0, 1, 1, 1, 1])
    assert result.thresholds == pytest.approx((0.5, 0.575))
    assert result.accuracy == (0.5, 1.0)
    assert result.mean == 0.75


def test_the_widest_gap_is_taken_among_equally_good_cuts():
    similarity = [0.0, 0.1, 0.4, 0.5, 0.6]
    genuine = np.array([False, False, True, False, True])
    # One error at best: between 0.1 and 0.4 (wide), or between 0.5 and 0.6 (narrow).
    threshold, accuracy = best_threshold(similarity, genuine)
    assert threshold == pytest.approx(0.25)
    assert accuracy == pytest.approx(0.8)


def test_neighbouring_floats_are_told_apart():
    low = 0.5
    high = np.nextafter(low, 1)
    threshold, accuracy = best_threshold([low, high], np.array([False, True]))
    assert low <= threshold < high
    assert accuracy == 1.0


def test_accuracy_agrees_with_facenets_400_thresholds(random):
    genuine = np.tile(np.repeat([True, False], 300), 10)
    similarity = np.clip(random.normal(np.where(genuine, 0.6, 0.05), 0.17), -1, 1)
    fold = np.repeat(np.arange(10), 600)
    distance, accuracy = 2 - 2 * similarity, []
    for number in range(10):
        outside = fold != number
        shares = [np.mean((distance[outside] < t) == genuine[outside]) for t in np.arange(0, 4, 0.01)]
        threshold = np.arange(0, 4, 0.01)[np.argmax(shares)]
        accuracy.append(np.mean((distance[~outside] < threshold) == genuine[~outside]))
    result = kfold_accuracy(similarity, genuine, fold)
    # Their grid is coarse and takes the first of equals: a decision or two in 600.
    assert result.mean == pytest.approx(np.mean(accuracy), abs=2 / 600)
    assert result.std == pytest.approx(np.std(accuracy), abs=2 / 600)


@pytest.mark.parametrize("decimals", [12, 1])
def test_roc_is_that_of_scikit_learn(random, decimals):
    similarity, genuine, _ = overlapping(random, 300, decimals=decimals)
    far, tar, _ = metrics.roc_curve(genuine, similarity, drop_intermediate=False)
    curve = roc(similarity, genuine)
    np.testing.assert_allclose(curve.far, far, atol=1e-12)
    np.testing.assert_allclose(curve.tar, tar, atol=1e-12)
    for threshold, a, b in zip(*curve, strict=True):
        assert a == pytest.approx(np.mean(similarity[~genuine] > threshold))
        assert b == pytest.approx(np.mean(similarity[genuine] > threshold))


@pytest.mark.parametrize("decimals", [12, 1])
@pytest.mark.parametrize("far", [0.01, 0.1, 0.5, 1.0])
def test_tar_at_far_is_the_highest_point_of_the_roc_left_of_it(random, far, decimals):
    similarity, genuine, _ = overlapping(random, 300, decimals=decimals)
    fars, tars, _ = metrics.roc_curve(genuine, similarity, drop_intermediate=False)
    result = tar_at_far(similarity, genuine, far)
    assert result.tar == pytest.approx(tars[fars <= far + 1e-12].max())
    assert np.mean(similarity[~genuine] > result.threshold) <= far
    assert np.mean(similarity[genuine] > result.threshold) == result.tar


def test_a_far_of_less_than_one_impostor_is_not_measurable():
    similarity, genuine = np.linspace(0, 1, 1999), np.arange(1999) >= 999
    few = tar_at_far(similarity, genuine, 1e-3)
    assert (few.tar, few.threshold, few.num_impostor) == (None, None, 999)
    enough = tar_at_far(similarity, np.arange(1999) >= 1000, 1e-3)
    assert (enough.tar, enough.num_impostor) == (1.0, 1000)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"similarity": [0.1, np.nan, 0.3, 0.4]}, "finite, got 1 that are not, first nan at 1"),
        ({"similarity": [0.1, 0.2, 0.3, np.inf]}, "finite, got 1 that are not, first inf at 3"),
        ({"similarity": [0.1, 0.2, 0.3]}, r"got \(3,\) and \(4,\)"),
        ({"genuine": np.ones(4, bool)}, "genuine and impostor pairs, got 4 and 0"),
        ({"genuine": np.zeros(4, bool)}, "genuine and impostor pairs, got 0 and 4"),
        ({"genuine": [1, 0, 1, 0]}, "must be bool, got int"),
        ({"fold": [0, 0, 2, 2]}, r"each with pairs, got 3, of which \[1\] are empty"),
        ({"fold": [0, 0, 0, 0]}, "2 or more folds"),
        ({"fold": [0, 0, 1]}, "fold must be 4 integers"),
        ({"similarity": [], "genuine": np.zeros(0, bool), "fold": np.zeros(0, int)}, "2 or more folds, .* got 0"),
        ({"fold": [0.0, 0.0, 1.0, 1.0]}, "fold must be 4 integers"),
        ({"genuine": np.array([True, True, False, False])}, "outside fold 0"),
    ],
)
def test_bad_pairs_are_refused_by_what_is_wrong(changes, message):
    pairs = {"similarity": [0.1, 0.2, 0.3, 0.4], "genuine": np.array([True, False] * 2), "fold": [0, 0, 1, 1]} | changes
    with pytest.raises(ValueError, match=message):
        kfold_accuracy(**pairs)


def test_a_far_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"\(0, 1\], got 0"):
        tar_at_far([0.1, 0.2], np.array([True, False]), 0)


def test_a_fold_says_how_sure_its_mean_is(random):
    similarity, genuine, fold = overlapping(random, 200)
    result = kfold_accuracy(similarity, genuine, fold)
    # The standard error of LFW's page: sample standard deviation over the root of the number of folds.
    spread = sum((accuracy - result.mean) ** 2 for accuracy in result.accuracy) / (5 - 1)
    assert result.standard_error == pytest.approx((spread / 5) ** 0.5)
    assert result.rule == "best_accuracy"


@pytest.mark.parametrize("decimals", [12, 1])
def test_equal_error_takes_the_cut_with_the_most_equal_errors_of_the_other_folds(random, decimals):
    similarity, genuine, fold = overlapping(random, 120, decimals=decimals)
    result = kfold_accuracy(similarity, genuine, fold, "equal_error")
    for number in range(5):
        outside = fold != number
        values = np.unique(similarity[outside])
        cuts = [values[0] - 1, *((values[:-1] + values[1:]) / 2), values[-1] + 1]

        def unequal(cut, s=similarity[outside], g=genuine[outside]):
            return abs(np.mean(s[~g] > cut) - np.mean(s[g] <= cut))

        assert unequal(result.thresholds[number]) == pytest.approx(min(map(unequal, cuts)))


def test_equal_error_stands_a_gap_and_unequal_polarities(random):
    genuine = np.tile([True, False, False, False], 25)
    similarity = np.where(genuine, 0.7, 0.1) + random.uniform(0, 0.05, 100)
    result = kfold_accuracy(similarity, genuine, np.arange(100) // 10, "equal_error")
    assert (result.mean, result.std) == (1.0, 0.0)
    similarity[0] = -0.9
    # One false reject of 25 is as much as three false accepts of 75.
    assert 0.92 <= kfold_accuracy(similarity, genuine, np.arange(100) // 10, "equal_error").mean <= 0.98


def test_mean_of_maximisers_is_that_of_spherefaces_grid(random):
    similarity, genuine, fold = overlapping(random, 40)
    similarity = np.clip(np.round(similarity, 4), -1, 1)  # on the grid: SphereFace counts those as wrong either way
    result = kfold_accuracy(similarity, genuine, fold, "mean_of_maximisers")
    for number in range(5):
        outside = fold != number
        grid = np.linspace(-1, 1, 20001)
        right = np.zeros(grid.size, int)
        for value, same in zip(similarity[outside], genuine[outside], strict=True):
            right += value > grid if same else value < grid
        assert result.thresholds[number] == pytest.approx(np.mean(grid[right == max(right)]), abs=1e-9)


def test_first_of_400_is_facenets_loop(random):
    similarity, genuine, fold = overlapping(random, 300)
    similarity = np.clip(similarity, -1, 1)
    result = kfold_accuracy(similarity, genuine, fold, "first_of_400")
    distance = 2 - 2 * similarity
    for number in range(5):
        outside = fold != number
        shares = [np.mean((distance[outside] < t) == genuine[outside]) for t in np.arange(0, 4, 0.01)]
        threshold = np.arange(0, 4, 0.01)[np.argmax(shares)]
        assert 2 - 2 * result.thresholds[number] == pytest.approx(threshold)
        assert result.accuracy[number] == np.mean((distance[~outside] < threshold) == genuine[~outside])


def test_best_on_test_has_one_threshold_and_flatters(random):
    similarity, genuine, _ = overlapping(random, 200)
    fold = np.arange(200) % 5
    result = kfold_accuracy(similarity, genuine, fold, "best_on_test")
    threshold, accuracy = best_threshold(similarity, genuine)
    assert set(result.thresholds) == {threshold}
    assert result.mean == pytest.approx(accuracy)
    assert all(kfold_accuracy(similarity, genuine, fold, rule).mean <= result.mean + 1e-12 for rule in RULES)


def test_mean_subtraction_leaves_out_the_judged_fold(random):
    left, right = random.normal(1, 1, (2, 30, 4))
    fold = np.repeat([0, 1, 2], [5, 10, 15])
    similarity = mean_subtracted(left, right, fold)
    for number in range(3):
        others = [side[i] for side in (left, right) for i in range(30) if fold[i] != number]
        mean = sum(others) / len(others)
        for i in range(30):
            a, b = left[i] - mean, right[i] - mean
            assert similarity[number, i] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    # SphereFace's protocol does not see a constant vector; InsightFace's does.
    np.testing.assert_allclose(mean_subtracted(left + 7, right + 7, fold), similarity, atol=1e-9)


def test_each_fold_is_judged_by_its_own_similarities(random):
    left, right = random.normal(0, 1, (2, 60, 4))
    genuine, fold = np.tile([True, False], 30), np.arange(60) // 20
    right[genuine] += 2 * left[genuine]
    similarity = mean_subtracted(left, right, fold)
    result = kfold_accuracy(similarity, genuine, fold)
    for number in range(3):
        alone = kfold_accuracy(similarity[number], genuine, fold)
        assert result.accuracy[number] == alone.accuracy[number]
        assert result.thresholds[number] == alone.thresholds[number]
    right_ones = right_decisions(similarity, genuine, fold, result.thresholds)
    assert [right_ones[fold == number].mean() for number in range(3)] == pytest.approx(list(result.accuracy))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: kfold_accuracy([0.1, 0.2], np.array([True, False]), [0, 1], "best"), "rule must be one of best_acc"),
        (lambda: kfold_accuracy([[0.1, 0.2]] * 3, np.array([True, False]), [0, 1]), r"\[2 folds, pairs\], got shape"),
        (
            lambda: kfold_accuracy(
                [3.0, 0.2, 3.0, 0.2], np.array([True, False] * 2), [0, 0, 1, 1], "mean_of_maximisers"
            ),
            r"in \[-1, 1\], got similarities 0.2 ... 3.0",
        ),
        (
            lambda: kfold_accuracy([[0.1] * 4, [0.1, 0.2, np.nan, 0.3]], np.array([True, False] * 2), [0, 0, 1, 1]),
            "first nan at 2",
        ),
        (lambda: mean_subtracted(np.ones((4, 2)), np.ones((3, 2)), [0, 0, 1, 1]), "as many left as right"),
        (lambda: mean_subtracted(np.ones((4, 2)), np.ones((4, 2)), [0, 0, 1, 1]), "left embeddings less the mean"),
        (lambda: mean_subtracted(np.eye(4)[[0, 1, 2, 2]] * [1, 1, 0, 1], np.eye(4), [0, 0, 1, 1]), "first zero at 2"),
    ],
)
def test_what_cannot_be_judged_over_folds_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_plots_are_written_as_png(tmp_path, random):
    similarity, genuine, _ = overlapping(random, 300)
    save_roc(tmp_path / "roc.png", similarity, genuine, title="a model, a protocol")
    save_histogram(tmp_path / "histogram.png", similarity, genuine, threshold=0.35, title="a model, a protocol")
    for name in ("roc.png", "histogram.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
