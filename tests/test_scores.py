import csv
import html
import re

import numpy as np
import pytest
from sklearn import metrics

from keras_face.evaluation.plots import save_histogram, save_roc
from keras_face.evaluation.protocols import folds_by_polarity
from keras_face.evaluation.scores import best_threshold, kfold_accuracy, roc, tar_at_far


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


def test_plots_are_written_as_png(tmp_path, random):
    similarity, genuine, _ = overlapping(random, 300)
    save_roc(tmp_path / "roc.png", similarity, genuine, title="a model, a protocol")
    save_histogram(tmp_path / "histogram.png", similarity, genuine, threshold=0.35, title="a model, a protocol")
    for name in ("roc.png", "histogram.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


# Published curves. Their files have a point (tar, far) for each pair in order of similarity, so the ranks of genuine
# and impostor pairs follow from the steps. Which pair it was does not, nor its fold: pairs are dealt out over ten folds
# in turn. Of two polarities in one step the impostor is put above the genuine pair.

PUBLISHED_LFW = {
    "3DMM_CNN_lfw.txt": "CNN-3DMM estimation",
    "BaiduIDLFinal.TPFP": "Baidu",
    "DeepID3_arXiv_1502.00873.txt": "DeepID3",
    "YiSun_DeepID2.txt": "DeepID2",
    "deepface_ensemble.txt": "DeepFace-ensemble",
    "dlib_LFW_roc_curve.txt": "dlib",
    "faceplusplus_lfw_result.txt": "Face++",
    "fisher-vector-faces-restricted.txt": "Fisher vector faces",
    "funneled-pixels-roc.txt": "Pixels/MKL, funneled",
    "gaussianface.txt": "GaussianFace",
}


def pairs_of_curve(path, num_genuine, num_impostor):
    """Returns similarity and genuine of pairs with the ROC of a file of lines `tar far`."""
    points = np.loadtxt(path)
    points = np.vstack([[0, 0], points[np.lexsort((points[:, 0], points[:, 1]))], [1, 1]])
    counts = np.rint(points * [num_genuine, num_impostor]).astype(int)
    similarity, genuine = [], []
    for step, (more_genuine, more_impostor) in enumerate(np.diff(counts, axis=0)):
        genuine += [False] * more_impostor + [True] * more_genuine
        similarity += [-step - 0.5 * (i >= more_impostor) for i in range(more_impostor + more_genuine)]
    return np.array(similarity), np.array(genuine)


def published(path):
    """Returns (accuracy, standard error) by name of the methods in LFW's results page."""
    page = path.read_text(encoding="utf-8", errors="replace")
    page = re.sub(r"<sup>.*?</sup>|<!--.*?-->", "", page, flags=re.DOTALL)
    found = {}
    for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL):
        cells = [
            html.unescape(re.sub("<[^>]+>", "", cell)).strip() for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)
        ]
        figures = [re.match(r"(0\.\d+) ± (0\.\d+)", cell) for cell in cells[1:]]
        if figures and figures[-1]:
            found.setdefault(" ".join(cells[0].split()), []).append(tuple(map(float, figures[-1].groups())))
    return found


def dealt_out(genuine):
    fold = np.empty(genuine.size, int)
    for polarity in (True, False):
        fold[genuine == polarity] = np.arange(np.count_nonzero(genuine == polarity)) % 10
    return fold


@pytest.mark.parametrize("file, method", PUBLISHED_LFW.items())
def test_published_lfw_curves_give_their_published_accuracy(real_photos, file, method):
    folder = real_photos / "known_answer_roc" / "lfw"
    accuracy, standard_error = published(folder / "results.html")[method][0]
    similarity, genuine = pairs_of_curve(folder / file, 3000, 3000)
    assert (genuine.sum(), (~genuine).sum()) == (3000, 3000)
    # Their folds and thresholds are not published, so a figure is met within its own standard error.
    assert kfold_accuracy(similarity, genuine, dealt_out(genuine)).mean == pytest.approx(accuracy, abs=standard_error)
    assert best_threshold(similarity, genuine)[1] == pytest.approx(accuracy, abs=standard_error)
    if method in ("Baidu", "DeepID3", "DeepID2", "dlib", "Face++"):
        # Here one threshold for all folds was as good, and the figure is exact.
        assert best_threshold(similarity, genuine)[1] == pytest.approx(accuracy, abs=0.5e-4)


@pytest.mark.parametrize(
    "file, num_genuine, num_impostor, wrong, tar",
    [
        ("LFW/roc_27.txt", 3000, 3000, 12, (0.99733, 0.99700)),
        ("LFW/roc_64.txt", 3000, 3000, 10, (0.99800, 0.99667)),
        ("YTF/roc_27.txt", 2400, 2600, 100, (0.96583, 0.67250)),
        ("YTF/roc_64.txt", 2400, 2600, 94, (0.97000, 0.66750)),
    ],
)
def test_seqfaces_curves_give_its_published_figures(real_photos, file, num_genuine, num_impostor, wrong, tar):
    similarity, genuine = pairs_of_curve(real_photos / "known_answer_roc" / "seqface" / file, num_genuine, num_impostor)
    num_pairs = num_genuine + num_impostor
    assert genuine.size == num_pairs
    # SeqFace chose its threshold on the test pairs (99.80, 99.83, 98.00 and 98.12 %): exactly that, by that rule, ...
    assert best_threshold(similarity, genuine)[1] == pytest.approx(1 - wrong / num_pairs)
    assert [tar_at_far(similarity, genuine, far).tar for far in (1e-2, 1e-3)] == pytest.approx(tar, abs=1e-5)
    # ... and not quite as much when each fold is judged by the others' threshold.
    assert 1 - wrong / num_pairs - 1e-3 <= kfold_accuracy(similarity, genuine, dealt_out(genuine)).mean
    assert kfold_accuracy(similarity, genuine, dealt_out(genuine)).mean <= 1 - wrong / num_pairs


def test_deepfaces_distances_score_as_scikit_learn_scores_them(real_photos):
    with (real_photos / "known_answer_roc" / "deepface_pivot.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    genuine = np.array([row["decision"] == "Yes" for row in rows])
    assert (genuine.sum(), (~genuine).sum()) == (140, 140)
    models = [name for name in rows[0] if name not in ("file_x", "file_y", "decision")]
    assert len(models) == 11
    for model in models:
        similarity = -np.array([float(row[model]) for row in rows])
        _, thresholds = metrics.roc_curve(genuine, similarity)[1:]
        most = max(metrics.accuracy_score(genuine, similarity >= threshold) for threshold in thresholds)
        threshold, accuracy = best_threshold(similarity, genuine)
        assert accuracy == metrics.accuracy_score(genuine, similarity > threshold) == pytest.approx(most)
        assert kfold_accuracy(similarity, genuine, folds_by_polarity(genuine)).mean <= accuracy
        curve = roc(similarity, genuine)
        assert metrics.auc(curve.far, curve.tar) == pytest.approx(metrics.roc_auc_score(genuine, similarity))
