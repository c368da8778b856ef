import math
import statistics
import warnings

import numpy as np
import pytest

from keras_face.evaluation.operating_points import operating_points
from keras_face.evaluation.report.canvas import Scores, drawable, png
from keras_face.evaluation.report.curves import cmc_figure, det_figure, roc_figure
from keras_face.evaluation.report.distributions import angles_figure, histogram_figure, sorted_figure
from keras_face.evaluation.report.plots import save_histogram, save_roc


def overlapping(number, seed=0, name="a model", decimals=6):
    random = np.random.default_rng(seed)
    genuine = random.random(number) < 0.4
    similarity = np.round(np.clip(random.normal(np.where(genuine, 0.5, 0.1), 0.2), -1, 1), decimals)
    return Scores(name, similarity, genuine)


def rates(scores, threshold):
    """False accept and true accept rate, pair by pair."""
    accepted = [
        (bool(genuine), bool(value > threshold))
        for value, genuine in zip(scores.similarity, scores.genuine, strict=True)
    ]
    return tuple(
        sum(passed for genuine, passed in accepted if genuine == polarity)
        / sum(genuine == polarity for genuine, _ in accepted)
        for polarity in (False, True)
    )


def highest_tar(scores, far):
    """Highest TAR of all thresholds that keep a FAR."""
    thresholds = [-2.0, *scores.similarity.tolist()]
    return max(tar for false, tar in (rates(scores, threshold) for threshold in thresholds) if false <= far + 1e-12)


def of_step(line, at):
    """Value of a drawn curve that steps after its points."""
    x, y = line.get_data()
    return y[np.searchsorted(x, at * (1 + 1e-9), "right") - 1]


def legend_texts(figure):
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


@pytest.mark.parametrize("decimals", [6, 1])
def test_the_roc_has_the_highest_rate_that_keeps_each_far(decimals):
    scores = overlapping(150, decimals=decimals)
    line = roc_figure([scores]).axes[0].lines[0]
    num_impostor = int((~scores.genuine).sum())
    for accepted in (1, 2, 5, 20, num_impostor - 1):
        far = accepted / num_impostor
        assert of_step(line, far) == pytest.approx(highest_tar(scores, far))


def test_the_left_edge_of_the_roc_stands_for_no_false_accept():
    scores = overlapping(200)
    axes = roc_figure([scores]).axes[0]
    far, tar = axes.lines[0].get_data()
    assert far[0] == axes.get_xlim()[0] == pytest.approx(0.5 / (~scores.genuine).sum())
    assert tar[0] == pytest.approx(highest_tar(scores, 0))


def test_a_curve_of_many_pairs_has_few_points_and_loses_nothing_that_can_be_seen():
    scores = overlapping(200_000, decimals=12)
    line = roc_figure([scores]).axes[0].lines[0]
    assert len(line.get_xdata()) <= 2001
    impostors = np.sort(scores.similarity[~scores.genuine])[::-1]
    genuines = scores.similarity[scores.genuine]
    for wanted in (1e-4, 1e-3, 1e-2, 0.1, 0.5):
        # The drawn rate is at most two columns of 2,000 away from the wanted one.
        ratio = len(impostors) ** (-2 / 2000)
        allowed = [int(len(impostors) * rate) for rate in (wanted * ratio, wanted / ratio)]
        low, high = (np.mean(genuines > impostors[count]) for count in allowed)
        assert low - 1e-9 <= of_step(line, wanted) <= high + 1e-9


def test_the_smallest_measurable_far_of_each_set_is_marked_and_told():
    sets = [overlapping(100, 1, "one"), overlapping(300, 2, "two"), overlapping(100, 1, "one again")]
    counts = [int((~scores.genuine).sum()) for scores in sets]
    for figure in (roc_figure(sets), det_figure(sets)):
        marked = [line.get_xdata()[0] for line in figure.axes[0].lines if len(set(line.get_xdata())) == 1]
        assert marked == [1 / counts[0], 1 / counts[1]]
        told = [f"smallest measurable FAR: 1 of {count} impostors" for count in counts[:2]]
        assert legend_texts(figure) == ["one", "two", "one again", *told]


def test_intervals_are_drawn_where_a_far_is_measurable():
    scores = overlapping(400)
    points = operating_points(scores.similarity, scores.genuine, (1e-1, 1e-2, 1e-3))
    bars = roc_figure([scores], points=[points]).axes[0].containers
    segments = [bar.lines[2][0].get_segments()[0] for bar in bars]
    assert [segment[0, 0] for segment in segments] == [0.1, 0.01]  # 1 of 1,000 is not measurable here
    for segment, point in zip(segments, points, strict=False):
        assert segment[:, 1] == pytest.approx(list(point.bootstrap_interval))


def test_the_det_has_the_rates_of_wrong_decisions():
    scores = overlapping(150)
    axes = det_figure([scores]).axes[0]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    num_impostor = int((~scores.genuine).sum())
    for accepted in (1, 5, 30):
        far = accepted / num_impostor
        assert of_step(axes.lines[0], far) == pytest.approx(1 - highest_tar(scores, far))
    assert min(axes.lines[0].get_ydata()) == axes.get_ylim()[0] == pytest.approx(0.5 / scores.genuine.sum())


def test_curves_differ_in_colour_and_in_style():
    lines = det_figure([overlapping(60, seed, str(seed)) for seed in range(20)]).axes[0].lines[:20]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 20


def test_the_histogram_has_the_share_of_each_polarity():
    scores = overlapping(500)
    axes = histogram_figure(scores.similarity, scores.genuine, threshold=0.3).axes[0]
    for drawn, polarity in zip(axes.patches, (True, False), strict=True):
        values, edges, _ = drawn.get_data()
        own = [value for value, genuine in zip(*scores[1:], strict=True) if genuine == polarity]
        middle = len(edges) // 2
        expected = sum(value < edges[middle] for value in own) / len(own)
        assert np.dot(values, np.diff(edges)) == pytest.approx(1)
        assert np.dot(values[:middle], np.diff(edges)[:middle]) == pytest.approx(expected)
    assert axes.lines[0].get_xdata()[0] == 0.3


def test_angles_are_in_degrees_with_their_normal_fits_and_the_threshold():
    scores = overlapping(500)
    axes = angles_figure(scores.similarity, scores.genuine, threshold=0.25).axes[0]
    for line, polarity in zip(axes.lines, (True, False), strict=False):
        degrees = [math.degrees(math.acos(v)) for v, genuine in zip(*scores[1:], strict=True) if genuine == polarity]
        fit = statistics.NormalDist(statistics.fmean(degrees), statistics.pstdev(degrees))
        np.testing.assert_allclose(line.get_ydata(), [fit.pdf(x) for x in line.get_xdata()], rtol=1e-9, atol=1e-12)
        values, edges, _ = axes.patches[int(not polarity)].get_data()
        assert np.all(np.diff(edges) == 1)
        assert values[80] == pytest.approx(sum(80 <= value < 81 for value in degrees) / len(degrees))
    assert axes.lines[2].get_xdata()[0] == pytest.approx(math.degrees(math.acos(0.25)))


def test_angles_without_spread_are_drawn_without_a_fit():
    axes = angles_figure([1.0, 1.0, 0.0, 0.0], np.array([True, True, False, False]), threshold=0.5).axes[0]
    assert len(axes.lines) == 1  # the threshold


def test_sorted_distances_cross_the_threshold_at_the_share_of_errors():
    scores = overlapping(4000)
    axes = sorted_figure(scores.similarity, scores.genuine, threshold=0.3).axes[0]
    false_accepts, true_accepts = rates(scores, 0.3)
    for line, accepted in zip(axes.lines, (true_accepts, false_accepts), strict=False):
        share, distance = line.get_data()
        assert share[np.searchsorted(distance, 0.7)] == pytest.approx(accepted, abs=0.003)
    genuine = scores.similarity[scores.genuine]
    assert axes.lines[0].get_ydata()[[0, -1]] == pytest.approx([1 - max(genuine), 1 - min(genuine)])
    assert axes.lines[2].get_ydata()[0] == pytest.approx(0.7)


def test_a_cmc_is_drawn_as_it_is_and_refused_if_it_is_none():
    figure = cmc_figure(["a"], [np.array([0.5, 0.75, 0.75])])
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[1, 0.5], [2, 0.75], [3, 0.75]]
    for wrong in ([0.5, 0.4], [0.5, 1.5], [-0.1, 0.2], [], [np.nan]):
        with pytest.raises(ValueError, match="a model: expected a CMC of rates that rise"):
            cmc_figure(["a model"], [np.array(wrong)])


def test_names_are_drawn_as_they_are():
    names = ["_hidden", "a$b$c", "unclosed $", "名前", "line\nfeed"]
    figure = roc_figure([overlapping(60, number, name) for number, name in enumerate(names)], title="$\\broken")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert png(figure).startswith(b"\x89PNG\r\n\x1a\n")
    assert legend_texts(figure)[:5] == ["_hidden", "a$b$c", "unclosed $", "\ufffd\ufffd", "line\nfeed"]
    assert figure.axes[0].get_title() == "$\\broken"


@pytest.mark.parametrize("names", [["a", "b", "c"], ["W" * 80, "a/path/" * 11, "one word " * 8], ["x"] * 20])
def test_no_legend_is_cut_off_or_lies_on_the_axes(names):
    figure = roc_figure([overlapping(60, number, name) for number, name in enumerate(names)])
    png(figure)  # lays it out
    [legend] = figure.legends
    box, axes = legend.get_window_extent(), figure.axes[0]
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= figure.bbox.width
    assert box.y1 <= axes.get_tightbbox().y0
    assert axes.get_window_extent().height > 400  # of the pixels, whatever is below


def test_long_names_are_cut():
    assert len(drawable("x" * 500)) == 80


def test_one_polarity_is_refused():
    for figure in (roc_figure, det_figure):
        with pytest.raises(ValueError, match="expected genuine and impostor pairs, got 2 and 0"):
            figure([Scores("a", np.array([0.1, 0.2]), np.array([True, True]))])


def test_the_same_scores_give_the_same_files(tmp_path):
    scores = overlapping(100)
    for name in ("first", "second"):
        save_roc(tmp_path / f"{name}_roc.png", scores.similarity, scores.genuine, title="a\nb")
        save_histogram(tmp_path / f"{name}_histogram.png", scores.similarity, scores.genuine, threshold=0, title="a")
    for plot in ("roc", "histogram"):
        first, second = ((tmp_path / f"{name}_{plot}.png").read_bytes() for name in ("first", "second"))
        assert first.startswith(b"\x89PNG\r\n\x1a\n")
        assert first == second
