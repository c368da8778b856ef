"""Photos of one colour, whose red value is the angle of their embedding in degrees: every similarity is known."""

import dataclasses
import itertools
import logging
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from keras_face.backend import tf
from keras_face.config import LfwConfig, YtfConfig
from keras_face.evaluation.protocols import Pairs
from keras_face.evaluation.results import Origin, verify
from keras_face.training.checkpoints import Best
from keras_face.training.evaluation_sets import EvaluationSets, Validated
from keras_face.training.summaries import Summaries
from keras_face.training.validation import Validation

SIDE = 16


class Angles:
    """An embedder that reads the angle off the photo."""

    name, image_size, batch_size = "angles", (SIDE, SIDE), 8

    def __call__(self, images):
        angles = np.radians(images[:, 0, 0, 0].astype(np.float32))
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def assign(self, weights):
        """Has no weights."""


class Photos:
    """A folder of photos, no two of one colour."""

    def __init__(self, folder):
        self.folder, self.made, self._numbers = folder, {}, itertools.count()

    def add(self, key, angle):
        number = next(self._numbers)
        photo = np.full((SIDE, SIDE, 3), (angle, number % 256, number // 256), np.uint8)
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), photo[:, :, ::-1])
        self.made[key] = photo
        return key

    def lines(self, keys):
        """Returns the picture with two photos a line."""
        photos = [self.made[key] for key in keys]
        return np.vstack([np.hstack(photos[start : start + 2]) for start in range(0, len(photos), 2)])


def pairs_at(photos, genuine, impostor):
    """Adds pairs of photos that are so many degrees apart, and writes `pairs.txt`, a list of frames."""
    keys = {}
    lines = []
    for flag, angles in ((1, genuine), (0, impostor)):
        for angle in angles:
            keys[flag, angle] = [photos.add(f"{flag}/{len(lines)}_{side}.png", side and angle) for side in (0, 1)]
            lines.append(",".join([str(flag), *keys[flag, angle]]))
    (photos.folder / "pairs.txt").write_text("\n".join(lines))
    return keys


def tracks_at(photos, folds, wrong=180):
    """Adds pairs of tracks of three frames, of folds of (genuine, degrees), and writes the splits.

    Those at `wrong` degrees are listed as mislabelled.
    """
    keys, lines, errors = {}, [], []
    for fold, pairs in enumerate(folds, start=1):
        for number, (genuine, angle) in enumerate(pairs, start=1):
            sides = [f"P{fold}/{2 * number + side}" for side in (0, 1)]
            for side, track in enumerate(sides):
                for frame in range(3):
                    photos.add(f"{track}/{frame}.png", side * angle)
            keys[fold, genuine, angle] = [f"{track}/1.png" for track in sides]
            lines.append(f"{fold}, {number}, {', '.join(sides)}, {int(genuine)}")
            errors += [sides[1]] if angle == wrong else []
    (photos.folder / "splits.txt").write_text("\n".join(lines))
    (photos.folder / "error.txt").write_text("\n".join(errors))
    return keys


class Kept:
    """Checkpoints that note at which steps the best is saved."""

    def __init__(self):
        self.best, self.steps = None, []

    def save_best(self, best):
        self.best = best
        self.steps.append(best.step)


def validation_of(sets, summaries=None, best="last", checkpoints=None):
    model = SimpleNamespace(averaged_weights=list)
    return Validation(sets, model, Angles(), checkpoints or Kept(), best=best, summaries=summaries)


def validate(sets, summaries):
    """Runs a training's validation at step 7."""
    validation_of(sets, summaries).validate(7)
    if summaries is not None:
        summaries.flush()


def events(folder):
    """Returns (tag, step) and tensor of all that was written."""
    found = []
    for path in folder.glob("*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            found += [((value.tag, event.step), value.tensor) for value in event.summary.value]
    return found


def pictures(folder):
    return {
        key: tf.io.decode_png(tensor.string_val[2]).numpy()
        for key, tensor in events(folder)
        if len(tensor.string_val) == 3  # width, height, picture
    }


def scalars(folder):
    return {key: float(tf.make_ndarray(tensor)) for key, tensor in events(folder)}


def test_tensorboard_shows_the_eight_worst_errors_of_pairs_of_photos_side_by_side(tmp_path):
    photos = Photos(tmp_path / "photos")
    # Most decisions are right, so that every fold's threshold is halfway from cos 100 to cos 10 degrees, 0.41.
    rejected, accepted = [120, 110, 150, 115, 140, 105, 125, 145, 130, 135], [8, 2, 5]
    keys = pairs_at(photos, [10] * 30 + rejected, [*accepted, *[100] * 37])
    sets = EvaluationSets(LfwConfig(enable=True, prefix=str(photos.folder)), YtfConfig())
    validate(sets, Summaries(tmp_path / "summaries"))
    worst = sorted(rejected)[:1:-1]
    assert len(worst) == 8
    found = pictures(tmp_path / "summaries")
    assert set(found) == {("validation/lfw_false_accepts", 7), ("validation/lfw_false_rejects", 7)}
    for tag, flag, angles in (("false_rejects", 1, worst), ("false_accepts", 0, [2, 5, 8])):
        expected = photos.lines([key for angle in angles for key in keys[flag, angle]])
        np.testing.assert_array_equal(found[f"validation/lfw_{tag}", 7], expected)


def test_tracks_show_their_middle_frames_and_are_judged_by_the_threshold_of_their_fold(tmp_path):
    photos = Photos(tmp_path / "frames")
    first = [(True, 25), (True, 20), (False, 60), (False, 53), (True, 180)]
    second = [(True, 60), (True, 72), (False, 90), (False, 84)]
    keys = tracks_at(photos, [first, second])
    # Fold 1 is judged by the middle of cos 72 and cos 84 degrees, 0.21, fold 2 by that of cos 25 and cos 53, 0.75. By
    # their mean the genuine pair at cos 60 = 0.5 would be right; that at 180 degrees has a mislabelled track.
    ytf = YtfConfig(
        enable=True,
        prefix=str(photos.folder),
        splits=str(photos.folder / "splits.txt"),
        ytf_error=str(photos.folder / "error.txt"),
    )
    validate(EvaluationSets(LfwConfig(), ytf), Summaries(tmp_path / "summaries"))
    found = pictures(tmp_path / "summaries")
    assert set(found) == {("validation/ytf_false_accepts", 7), ("validation/ytf_false_rejects", 7)}
    rejects, accepts = keys[2, True, 72] + keys[2, True, 60], keys[1, False, 53] + keys[1, False, 60]
    np.testing.assert_array_equal(found["validation/ytf_false_rejects", 7], photos.lines(rejects))
    np.testing.assert_array_equal(found["validation/ytf_false_accepts", 7], photos.lines(accepts))


def test_pairs_of_frames_are_pictured_as_they_are_listed_and_nothing_where_all_is_right(tmp_path):
    photos = Photos(tmp_path / "frames")
    keys = pairs_at(photos, [10] * 19 + [120], [100] * 20)
    ytf = YtfConfig(enable=True, prefix=str(photos.folder), splits="unread", pairs=str(photos.folder / "pairs.txt"))
    validate(EvaluationSets(LfwConfig(), ytf), Summaries(tmp_path / "summaries"))
    found = pictures(tmp_path / "summaries")
    assert set(found) == {("validation/ytf_false_rejects", 7)}
    np.testing.assert_array_equal(found["validation/ytf_false_rejects", 7], photos.lines(keys[1, 120]))


def test_photos_are_fitted_to_the_network_for_the_sheet(tmp_path):
    photos = Photos(tmp_path)
    pairs_at(photos, [10] * 19 + [120], [100] * 20)
    (found,) = EvaluationSets(LfwConfig(enable=True, prefix=str(tmp_path)), YtfConfig()).measure(Angles()).values()
    assert found.measured.result.accuracy.mean == 1 - 1 / 40
    sheets = found.worst_errors((8, 4), most=8)
    assert {kind: sheet.shape for kind, sheet in sheets.items()} == {"false_rejects": (2, 8, 4, 3)}


@pytest.mark.parametrize("chief", [True, False])
def test_no_photo_is_read_again_where_there_are_no_summaries(tmp_path, chief):
    pairs = Pairs("a protocol", tuple("abcd"), tuple("efgh"), np.array([1, 0, 1, 0], bool), np.array([0, 0, 1, 1]))
    measured = verify(pairs, np.array([0.7, 0.6, 0.9, 0.1]), Origin("a model", "", ""))
    read = []

    def locate(key):
        read.append(key)
        return np.zeros((SIDE, SIDE, 3), np.uint8)

    sets = SimpleNamespace(measure=lambda _: {"lfw": Validated(measured, locate)})
    validate(sets, Summaries(tmp_path) if chief else None)
    assert bool(read) == chief


def measured(accuracy, data="photos"):
    of_set = {"drawn": False, "data": data, "protocol_hash": "h", "flip": True}
    return SimpleNamespace(measured=SimpleNamespace(result=SimpleNamespace(accuracy=accuracy, **of_set)))


def measured_as(**means):
    """Returns stand-ins for test sets, which measure these accuracies."""
    found = {name: measured(SimpleNamespace(mean=mean)) for name, mean in means.items()}
    return SimpleNamespace(measure=lambda embedder: found)


@pytest.mark.parametrize("best, kept", [("last", []), ("lfw", [1, 4]), ("ytf", [1, 2, 5]), ("either", [1, 2, 4, 5])])
def test_a_model_is_kept_where_the_chosen_figure_is_the_best_so_far(best, kept):
    figures = [(0.6, 0.5), (0.5, 0.7), (0.6, 0.7), (0.8, 0.1), (0.7, 0.75)]
    checkpoints = Kept()
    for step, (lfw, ytf) in enumerate(figures, start=1):
        validation_of(measured_as(lfw=lfw, ytf=ytf), best=best, checkpoints=checkpoints).validate(step)
    assert checkpoints.steps == kept
    best_so_far = {"last": None, "lfw": {"lfw": 0.8}, "ytf": {"ytf": 0.75}, "either": {"lfw": 0.8, "ytf": 0.75}}[best]
    assert (checkpoints.best and checkpoints.best.figures) == best_so_far


def test_figures_of_a_start_that_kept_no_model_do_not_count():
    """Figures 0.9 and 0.8 with `best = last`, and then 0.7 and 0.6 with `best = lfw`: a model comes out."""
    checkpoints = Kept()
    for step, (best, figure) in enumerate([("last", 0.9), ("last", 0.8), ("lfw", 0.7), ("lfw", 0.6)], start=1):
        validation_of(measured_as(lfw=figure), best=best, checkpoints=checkpoints).validate(step)
    assert checkpoints.best == Best(3, {"lfw": 0.7}, {"lfw": ["photos", "h", True]})


def test_a_figure_on_another_test_set_does_not_count(caplog):
    checkpoints = Kept()
    validation_of(measured_as(lfw=0.9), best="lfw", checkpoints=checkpoints).validate(1)
    others = SimpleNamespace(measure=lambda embedder: {"lfw": measured(SimpleNamespace(mean=0.6), "other photos")})
    validation_of(others, best="lfw", checkpoints=checkpoints).validate(2)
    assert checkpoints.best == Best(2, {"lfw": 0.6}, {"lfw": ["other photos", "h", True]})
    assert "the best kept before, of step 1, does not count: its test set was another" in caplog.text


def test_what_has_no_accuracy_is_no_figure_and_nothing_is_logged(caplog):
    checkpoints = Kept()
    sets = SimpleNamespace(measure=lambda embedder: {"lfw": measured(None)})
    with caplog.at_level(logging.INFO, "keras_face"):
        validation_of(sets, best="either", checkpoints=checkpoints).validate(3)
    assert (checkpoints.steps, caplog.text) == ([], "")


def test_tensorboard_has_the_final_figures_but_those_that_are_not_measurable(tmp_path):
    pairs = Pairs("a protocol", tuple("abcd"), tuple("efgh"), np.array([1, 0, 1, 0], bool), np.zeros(4, np.int64))
    result = verify(pairs, np.array([0.7, 0.6, 0.9, 0.1]), Origin("a model", "", "")).result
    Summaries(tmp_path / "trained").final(7, 12.5, {"lfw": result})
    Summaries(tmp_path / "restored").final(7, None, {})
    told = {"auc": 1.0, "equal_error_rate": 0.0, "d_prime": pytest.approx(result.d_prime)}  # no folds, 2 impostors
    assert scalars(tmp_path / "trained") == {
        ("run/images_per_second", 7): 12.5,
        **{(f"final/lfw/{name}", 7): value for name, value in told.items()},
    }
    assert scalars(tmp_path / "restored") == {}


def test_a_text_is_shown_as_it_is(tmp_path):
    summaries = Summaries(tmp_path)
    summaries.text(3, "run/config", "[run]\nseed = 0\n")
    summaries.flush()
    [(key, value)] = events(tmp_path)
    assert (key, value.string_val[0]) == (("run/config", 3), b"    [run]\n    seed = 0\n")


def test_the_log_says_which_sets_are_drawn(caplog):
    pairs = Pairs("a protocol", tuple("abcd"), tuple("efgh"), np.array([1, 0, 1, 0], bool), np.array([0, 0, 1, 1]))
    found = {}
    for name, drawn in (("lfw", True), ("ytf", False)):
        marked = dataclasses.replace(pairs, drawn=drawn)
        found[name] = Validated(verify(marked, np.array([0.7, 0.6, 0.9, 0.1]), Origin("a model", "", "")), None)
    with caplog.at_level(logging.INFO, "keras_face"):
        validation_of(SimpleNamespace(measure=lambda embedder: found)).validate(3)
    accuracy = found["ytf"].measured.result.accuracy.mean
    assert caplog.messages == [f"step 3: lfw {accuracy:.4f} (drawn people), ytf {accuracy:.4f}"]


@pytest.mark.parametrize(
    "lfw, ytf, message",
    [
        (LfwConfig(enable=True), YtfConfig(), r"\[lfw\] expected npdata or prefix"),
        (
            LfwConfig(),
            YtfConfig(enable=True, prefix="frames"),
            r"\[ytf\] expected prefix and splits, got 'frames' and ''",
        ),
    ],
)
def test_a_set_that_lacks_its_paths_is_refused(lfw, ytf, message):
    with pytest.raises(ValueError, match=message):
        EvaluationSets(lfw, ytf)


def test_the_report_has_whole_tracks_raw_and_corrected_and_plots_of_the_first_model(tmp_path):
    photos = Photos(tmp_path / "frames")
    tracks_at(photos, [[(True, 25), (False, 60), (True, 180)], [(True, 20), (False, 90)]])
    ytf = YtfConfig(
        enable=True,
        prefix=str(photos.folder),
        splits=str(photos.folder / "splits.txt"),
        ytf_error=str(photos.folder / "error.txt"),
        pairs="unread",
    )
    rows = EvaluationSets(LfwConfig(), ytf).report([Angles(), Angles()], tmp_path / "run")
    counts = {"ytf_raw": (3, 2), "ytf_corrected": (2, 2)}
    assert [{name: (row.num_genuine, row.num_impostor) for name, row in of_one.items()} for of_one in rows] == [
        counts
    ] * 2
    plots = {path.name for path in (tmp_path / "run" / "plots").iterdir()}
    assert plots == {f"ytf_{kind}_{plot}.png" for kind in ("raw", "corrected") for plot in ("roc", "histogram")}
    assert (tmp_path / "run" / "report.html").is_file()
