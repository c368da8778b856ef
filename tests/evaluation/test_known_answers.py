"""Published figures from published scores: each original's own rule prints its own figure, and ours are beside it."""

import csv
import html
import re

import numpy as np
import pytest
from sklearn import metrics

from keras_face.evaluation import originals
from keras_face.evaluation.curves import auc
from keras_face.evaluation.protocols import folds_by_polarity
from keras_face.evaluation.scores import best_threshold, kfold_accuracy, roc, tar_at_far

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


def as_cosines(similarity):
    """Returns the ranks of the similarities as cosines: the scripts want those."""
    return np.unique(similarity, return_inverse=True)[1] / similarity.size * 1.8 - 0.9


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
    printed = originals.seqface(as_cosines(similarity), genuine)
    assert printed.accuracy == pytest.approx(1 - wrong / num_pairs)
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
        assert auc(similarity, genuine) == pytest.approx(metrics.roc_auc_score(genuine, similarity))


def pairs_with_errors(errors, per_polarity, seed=0):
    """Returns cosines, polarities and folds: fold i has so many impostors far above, all others are apart."""
    random = np.random.default_rng(seed)
    genuine = np.tile(np.repeat([True, False], per_polarity), len(errors))
    fold = np.repeat(np.arange(len(errors)), 2 * per_polarity)
    cosine = np.where(genuine, 0.6, 0.1) + random.uniform(-0.1, 0.1, genuine.size)
    for number, count in enumerate(errors):
        cosine[np.flatnonzero((fold == number) & ~genuine)[:count]] = random.uniform(0.6, 0.7, count)
    return cosine, genuine, fold


def test_spherefaces_fold_table_is_printed_from_pairs_with_its_errors():
    table = [99.33, 99.17, 98.83, 99.50, 99.17, 99.83, 99.17, 98.83, 99.83, 99.33]
    errors = [round((100 - accuracy) * 6) for accuracy in table]  # of 600 pairs
    result = kfold_accuracy(*pairs_with_errors(errors, 300), "mean_of_maximisers")
    assert [f"{100 * accuracy:.2f}" for accuracy in result.accuracy] == [f"{accuracy:.2f}" for accuracy in table]
    assert f"{100 * result.mean:.2f}" == "99.30"


# What the originals' scripts do, in their own steps.


def margin_centre_faces_steps(distance, genuine):
    positive, negative = distance[genuine].tolist(), distance[~genuine].tolist()
    size, found = len(positive) // 10, []
    for number in range(10):
        inside = [index for index in range(len(positive)) if index // size == number]
        rising = sorted(d for index, d in enumerate(positive) if index not in inside)
        falling = sorted((d for index, d in enumerate(negative) if index not in inside), reverse=True)
        threshold = 0.0
        for near, far in zip(rising, falling, strict=True):
            if near > far:
                threshold = (near + far) / 2
                break
        right = sum(positive[index] < threshold for index in inside)
        right += sum(negative[index] > threshold for index in inside)
        found.append((right / (2 * len(inside)), threshold))
    return found


@pytest.mark.parametrize("num_pairs", [100, 103])
def test_margin_centre_faces_folds_are_printed_as_its_steps_print_them(num_pairs):
    random = np.random.default_rng(num_pairs)
    genuine = np.repeat([True, False], num_pairs)
    cosine = np.round(random.normal(np.where(genuine, 0.5, 0.2), 0.15), 2)  # some are equal
    steps = margin_centre_faces_steps(1 - cosine, genuine)
    printed = originals.margin_centre_face(cosine, genuine)
    assert printed.fold_accuracy == pytest.approx([accuracy for accuracy, _ in steps])
    assert printed.accuracy == pytest.approx(np.mean([accuracy for accuracy, _ in steps]))
    assert printed.std == pytest.approx(np.std([accuracy for accuracy, _ in steps]))
    assert printed.threshold == pytest.approx(np.mean([threshold for _, threshold in steps]))


def test_margin_centre_faces_rule_breaks_where_ours_does_not():
    genuine = np.repeat([True, False], 50)
    cosine = np.where(genuine, 0.7, 0.1) + np.random.default_rng(0).uniform(0, 0.05, 100)
    assert originals.margin_centre_face(cosine, genuine).accuracy == 0.5
    assert kfold_accuracy(cosine, genuine, folds_by_polarity(genuine), "equal_error").mean == 1.0
    cosine[0] = -0.9  # one wrong pair
    assert originals.margin_centre_face(cosine, genuine).accuracy < 0.8
    # One false reject is as much as one false accept, or two where it is in the judged fold.
    assert kfold_accuracy(cosine, genuine, folds_by_polarity(genuine), "equal_error").mean >= 0.97


def test_margin_centre_faces_rule_agrees_with_the_equal_error_rule_on_published_scores(real_photos):
    file = real_photos / "known_answer_roc" / "seqface" / "YTF" / "roc_27.txt"
    similarity, genuine = pairs_of_curve(file, 2400, 2600)
    printed = originals.margin_centre_face(as_cosines(similarity), genuine)
    ours = kfold_accuracy(similarity, genuine, folds_by_polarity(genuine), "equal_error")
    # It leaves 200 impostors out, so the two do not see the same pairs.
    assert printed.accuracy == pytest.approx(ours.mean, abs=0.01)


def test_foamlius_threshold_is_the_first_with_the_fewest_errors_on_the_test_pairs():
    random = np.random.default_rng(3)
    genuine = random.random(200) < 0.5
    cosine = np.round(random.normal(np.where(genuine, 0.5, 0.2), 0.15), 2)
    theta = [np.degrees(np.arccos(value)) for value in cosine]
    fewest, chosen = np.inf, None
    for threshold in theta:
        wrong = sum((t <= threshold) != g for t, g in zip(theta, genuine, strict=True))
        if wrong < fewest:
            fewest, chosen = wrong, threshold
    printed = originals.foamliu(cosine, genuine)
    assert printed.accuracy == pytest.approx(1 - fewest / 200)
    assert printed.threshold == pytest.approx(chosen)
    assert printed.accuracy >= kfold_accuracy(cosine, genuine, np.arange(200) % 10).mean


def test_foamlius_34_errors_are_its_published_figure():
    cosine, genuine, _ = pairs_with_errors([34, *[0] * 9], 300)
    assert f"{100 * originals.foamliu(cosine, genuine).accuracy:.2f}" == "99.43"


def test_seqfaces_threshold_is_the_lowest_of_the_best():
    genuine = np.array([True, True, True, False, False, False])
    # 0.3 and 0.6 each make one error (>= is genuine).
    printed = originals.seqface(np.array([0.3, 0.6, 0.7, 0.1, 0.4, 0.2]), genuine)
    assert (printed.accuracy, printed.threshold) == (pytest.approx(5 / 6), 0.3)


@pytest.mark.parametrize("original", [originals.margin_centre_face, originals.foamliu, originals.seqface])
def test_the_originals_refuse_what_cannot_be_measured(original):
    with pytest.raises(ValueError, match="first nan at 1"):
        original([0.1, np.nan], np.array([True, False]))
    with pytest.raises(ValueError, match="got 2 and 0"):
        original([0.1, 0.2], np.array([True, True]))


def test_margin_centre_face_needs_as_many_impostors():
    with pytest.raises(ValueError, match="no fewer impostor pairs, got 12 and 11"):
        originals.margin_centre_face(np.linspace(0, 1, 23), np.arange(23) < 12)
