import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn import metrics

from keras_face.evaluation.scores import auc, det, equal_error, roc


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


def overlapping(random, num_pairs, decimals):
    genuine = random.random(num_pairs) < 0.3
    return np.round(random.normal(np.where(genuine, 0.5, 0.2), 0.2), decimals), genuine


@pytest.mark.parametrize("decimals", [12, 1])
def test_corners_draw_the_same_curve_with_fewer_points(random, decimals):
    similarity, genuine = overlapping(random, 300, decimals)
    full, corners = roc(similarity, genuine), roc(similarity, genuine, corners=True)
    assert corners.far.size < full.far.size or decimals == 1
    assert (corners.far[0], corners.tar[0], corners.far[-1], corners.tar[-1]) == (0, 0, 1, 1)
    points = set(zip(*full, strict=True))
    assert points.issuperset(zip(*corners, strict=True))
    assert metrics.auc(corners.far, corners.tar) == pytest.approx(metrics.auc(full.far, full.tar))
    # What was left out lies on a straight run between the corners beside it.
    for threshold, far, tar in points - set(zip(*corners, strict=True)):
        after = int(np.searchsorted(-corners.thresholds, -threshold))
        assert far in corners.far[after - 1 : after + 1] or tar in corners.tar[after - 1 : after + 1]


@pytest.mark.parametrize("decimals", [12, 1])
def test_det_is_that_of_scikit_learn_where_that_has_points(random, decimals):
    similarity, genuine = overlapping(random, 300, decimals)
    far, frr, thresholds = metrics.det_curve(genuine, similarity)
    curve = det(similarity, genuine)
    for threshold, false_accept, false_reject in zip(thresholds, far, frr, strict=True):
        # It accepts from the threshold on, we above it: so at the next lower one.
        if not np.isfinite(threshold):
            continue
        place = int(np.flatnonzero(curve.thresholds == threshold)[0]) + 1
        assert curve.far[place] == pytest.approx(false_accept)
        assert curve.frr[place] == pytest.approx(false_reject)


@pytest.mark.parametrize("decimals", [12, 1, 0])
def test_auc_counts_half_of_equal_similarities(random, decimals):
    similarity, genuine = overlapping(random, 200, decimals)
    wins = sum((s > similarity[~genuine]).sum() + (s == similarity[~genuine]).sum() / 2 for s in similarity[genuine])
    assert auc(similarity, genuine) == pytest.approx(wins / genuine.sum() / (~genuine).sum())
    assert auc(similarity, genuine) == pytest.approx(metrics.roc_auc_score(genuine, similarity))


@pytest.mark.parametrize("decimals", [12, 1])
def test_equal_error_is_where_the_straight_lines_of_the_roc_cross(random, decimals):
    similarity, genuine = overlapping(random, 300, decimals)
    far, tar, _ = metrics.roc_curve(genuine, similarity, drop_intermediate=False)
    # The usual recipe has no single answer on an upright run; the lines are followed by their length instead.
    length = np.append(0, np.cumsum(np.diff(far) + np.diff(tar)))
    follow = interp1d(length, np.stack([far, 1 - tar]))
    crossing = brentq(lambda at: np.subtract(*follow(at)), 0, 2)
    result = equal_error(similarity, genuine)
    assert result.rate == pytest.approx(follow(crossing)[0], abs=1e-9)
    errors = abs(np.mean(similarity[~genuine] > result.threshold) - np.mean(similarity[genuine] <= result.threshold))
    assert errors == pytest.approx(np.abs(far - (1 - tar)).min())


def test_equal_error_of_separable_equal_and_reversed_pairs():
    genuine = np.array([True, True, False, False])
    assert equal_error([0.8, 0.9, 0.1, 0.2], genuine).rate == 0
    assert 0.2 <= equal_error([0.8, 0.9, 0.1, 0.2], genuine).threshold < 0.8
    assert equal_error([0.5] * 4, genuine).rate == 0.5
    assert equal_error([0.1, 0.2, 0.8, 0.9], genuine).rate == 1


@pytest.mark.parametrize("figure", [roc, det, auc, equal_error])
def test_every_curve_refuses_what_cannot_be_measured(figure):
    genuine = np.array([True, False])
    with pytest.raises(ValueError, match="first nan at 1"):
        figure([0.1, np.nan], genuine)
    with pytest.raises(ValueError, match="got 0 and 2"):
        figure([0.1, 0.2], ~(genuine | True))
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        figure([0.1, 0.2, 0.3], genuine)
