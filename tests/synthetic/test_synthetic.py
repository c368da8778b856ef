import dataclasses
import hashlib
import itertools
import re
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from keras_face.config import DatasetConfig, SyntheticConfig
from keras_face.records import from_photos
from keras_face.records.prepare import training_datasets
from keras_face.synthetic import writing as synthetic
from keras_face.synthetic.pose import TEMPLATE
from keras_face.synthetic.shapes import FRACTION_BITS, shapes
from keras_face.synthetic.writing import conditions, draw, person, track_conditions


def photo(index, number, seed=0, difficulty=0.5):
    return draw(person(seed, index, difficulty), conditions(seed, index, number, difficulty))


def read(path):
    """RGB, whatever else reads it: OpenCV gives BGR."""
    return np.asarray(cv2.imread(str(path)))[..., ::-1]


def distance(first, second):
    return np.abs(first.astype(int) - second.astype(int)).mean()


def read_lfw_pairs(path):
    """Folds of (genuine, impostor) pairs of file names, as LFW's README describes pairs.txt."""
    first, *lines = path.read_text().splitlines()
    num_folds, num_pairs = map(int, first.split())
    rows = [line.split("\t") for line in lines]
    assert len(rows) == 2 * num_folds * num_pairs
    folds = []
    for fold in range(num_folds):
        start = 2 * fold * num_pairs
        same, different = rows[start : start + num_pairs], rows[start + num_pairs : start + 2 * num_pairs]
        genuine = [(f"{a}/{a}_{int(i):04d}.jpg", f"{a}/{a}_{int(j):04d}.jpg") for a, i, j in same]
        impostor = [(f"{a}/{a}_{int(i):04d}.jpg", f"{b}/{b}_{int(j):04d}.jpg") for a, i, b, j in different]
        folds.append((genuine, impostor))
    return folds


def read_ytf_splits(path):
    """Folds of (genuine, impostor) pairs of tracks."""
    folds: dict[int, tuple[list, list]] = {}
    for line in path.read_text().splitlines():
        [(fold, number, first, second, same)] = re.findall(r"^(\d+), (\d+), ([^,/]+/\d), ([^,/]+/\d), ([01])$", line)
        genuine, impostor = folds.setdefault(int(fold), ([], []))
        assert int(number) == len(genuine) + len(impostor) + 1
        (genuine if same == "1" else impostor).append((first, second))
    assert list(folds) == list(range(1, len(folds) + 1))
    return list(folds.values())


def check_folds(folds):
    """Genuine pairs are of one person, impostor pairs of two, nothing comes twice, nobody is in two folds."""
    people_of_folds = []
    for genuine, impostor in folds:
        for first, second in genuine:
            assert first.split("/")[0] == second.split("/")[0]
            assert first != second
        for first, second in impostor:
            assert first.split("/")[0] != second.split("/")[0]
        pairs = [frozenset(pair) for pair in genuine + impostor]
        assert len(set(pairs)) == len(pairs)
        people_of_folds.append({image.split("/")[0] for pair in pairs for image in pair})
    for first, second in itertools.combinations(people_of_folds, 2):
        assert not first & second


def grey_pixel_accuracy(difficulty, num_people=120):
    """Best share of right decisions that one threshold on the cosine of grey pixels reaches."""
    photos = np.stack([[photo(i, j, 0, difficulty) for j in range(2)] for i in range(num_people)])
    grey = photos.astype(np.float64).mean(-1)[..., ::2, ::2].reshape(num_people, 2, -1)
    grey /= np.linalg.norm(grey, axis=-1, keepdims=True)
    genuine = (grey[:, 0] * grey[:, 1]).sum(-1)
    impostor = (grey[:, 0] * np.roll(grey[:, 1], 1, axis=0)).sum(-1)
    return max((np.mean(genuine >= t) + np.mean(impostor < t)) / 2 for t in np.concatenate([genuine, impostor]))


def test_photo_is_an_rgb_crop_and_repeats_byte_for_byte():
    first, again = photo(3, 4), photo(3, 4)
    assert first.shape == (112, 112, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)


def test_photo_is_the_same_in_a_fresh_process():
    program = (
        "import hashlib; from keras_face.synthetic.writing import *;"
        "print(hashlib.sha256(draw(person(0, 3), conditions(0, 3, 4)).tobytes()).hexdigest())"
    )
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    photo(9, 9)  # here, something else was drawn before
    assert fresh.strip() == hashlib.sha256(photo(3, 4).tobytes()).hexdigest()


@pytest.mark.parametrize(
    "index, number, seed", [(4, 4, 0), (3, 5, 0), (3, 4, 1)], ids=["another person", "another photo", "another seed"]
)
def test_another_person_photo_or_seed_looks_different(index, number, seed):
    assert distance(photo(3, 4), photo(index, number, seed)) > 5


def test_people_look_different_under_the_same_conditions():
    neutral = conditions(0, 0, 0, 0.0)
    faces = [draw(person(0, index), neutral) for index in range(12)]
    assert min(distance(*pair) for pair in itertools.combinations(faces, 2)) > 3


def test_difficulty_brings_people_together_and_spreads_conditions():
    def deviation(values):
        return np.std([[value for value in dataclasses.astuple(v) if isinstance(value, float)] for v in values], axis=0)

    people = [deviation([person(0, i, difficulty) for i in range(200)]) for difficulty in (0.0, 1.0)]
    photos = [deviation([conditions(0, i, 0, difficulty) for i in range(200)]) for difficulty in (0.0, 1.0)]
    assert np.mean(people[1] < people[0]) > 0.9
    assert np.mean(photos[1] >= photos[0]) > 0.9


def test_grey_pixels_verify_easy_photos_but_hardly_default_ones():
    easy, default, hard = (grey_pixel_accuracy(difficulty) for difficulty in (0.0, 0.5, 1.0))
    assert easy > 0.75
    assert 0.53 < default < 0.72
    assert hard < default


def test_landmarks_of_easy_photos_lie_on_the_template():
    points = []
    for index in range(60):
        curves = shapes(person(0, index), dataclasses.replace(conditions(0, index, 0, 0.0), gaze_x=0, gaze_y=0))
        eyes = [curves[f"pupil_{side}"][0] for side in ("left", "right")]
        points.append(np.stack([*eyes, curves["ridge"][-1], *curves["corners"]]) / (1 << FRACTION_BITS))
    assert np.abs(np.mean(points, axis=0) - TEMPLATE).max() < 1
    assert np.linalg.norm(np.array(points) - TEMPLATE, axis=-1).mean() < 2


@pytest.mark.parametrize("yaw", [-0.5, 0.5])
def test_turned_head_moves_the_nose_to_its_side_of_the_eyes(yaw):
    curves = shapes(person(0, 0), dataclasses.replace(conditions(0, 0, 0, 0.0), yaw=yaw))
    left, right = (curves[f"pupil_{side}"][0][0] for side in ("left", "right"))
    shift = curves["ridge"][-1][0] - (left + right) / 2
    assert np.sign(shift) == np.sign(yaw)
    assert abs(shift) > 3 * (1 << FRACTION_BITS)


def test_track_moves_but_smoothly():
    steps, journeys, between_photos = [], [], []
    for index in range(8):
        frames = track_conditions(0, index, 0, num_frames=25)
        drawn = [draw(person(0, index), dataclasses.replace(frame, noise=0)) for frame in frames]
        steps += [distance(*pair) for pair in itertools.pairwise(drawn)]
        journeys.append(distance(drawn[0], drawn[-1]))
        between_photos += [distance(photo(index, 0), photo(index, number)) for number in (1, 2, 3)]
    assert np.mean(steps) < 0.15 * np.mean(between_photos)
    assert np.mean(journeys) > 3 * np.mean(steps)


def test_tracks_of_a_person_differ():
    first, second = (draw(person(0, 0), track_conditions(0, 0, track, 1)[0]) for track in (0, 1))
    assert distance(first, second) > 5


@pytest.mark.parametrize("difficulty", [-0.1, 1.1, float("nan")])
def test_difficulty_out_of_range_is_refused(difficulty):
    for function in (
        lambda: person(0, 0, difficulty),
        lambda: conditions(0, 0, 0, difficulty),
        lambda: track_conditions(0, 0, 0, 1, difficulty),
    ):
        with pytest.raises(ValueError, match=r"difficulty must be in \[0, 1\], got"):
            function()


def test_photos_are_written_by_person_and_repeat_byte_for_byte(tmp_path):
    for name in ("first", "second"):
        synthetic.write_photos(tmp_path / name, num_people=3, photos_per_person=2, seed=5, first_person=11)
    files = sorted(path.relative_to(tmp_path / "first") for path in (tmp_path / "first").rglob("*.jpg"))
    expected = [f"Person_000{i}/Person_000{i}_000{n}.jpg" for i in (11, 12, 13) for n in (1, 2)]
    assert [str(file) for file in files] == expected
    for file in files:
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    assert (
        distance(read(tmp_path / "first" / files[3]), photo(12, 1, seed=5)) < 4
    )  # JPEG loses a little; swapped channels would be far off


def test_lfw_style_pairs_follow_the_format_and_exist(tmp_path):
    output = tmp_path / "lfw"
    synthetic.write_lfw_style(output, num_folds=4, pairs_per_fold=6, people_per_fold=5, photos_per_person=3)
    folds = read_lfw_pairs(output / "pairs.txt")
    assert [(len(genuine), len(impostor)) for genuine, impostor in folds] == [(6, 6)] * 4
    check_folds(folds)
    for image in {image for fold in folds for pairs in fold for pair in pairs for image in pair}:
        assert (output / image).is_file()
    assert len(list(output.glob("*/*.jpg"))) == 4 * 5 * 3


def test_ytf_style_splits_follow_the_format_and_error_list_names_the_strangers(tmp_path):
    output = tmp_path / "ytf"
    synthetic.write_ytf_style(
        output,
        num_folds=3,
        pairs_per_fold=5,
        people_per_fold=4,
        tracks_per_person=3,
        frames_per_track=2,
        num_mislabelled=3,
        difficulty=0.2,
        first_person=40,
    )
    folds = read_ytf_splits(output / "ytf_splits.txt")
    assert [(len(genuine), len(impostor)) for genuine, impostor in folds] == [(5, 5)] * 3
    check_folds(folds)

    errors = (output / "ytf-error.txt").read_text().splitlines()
    strangers = []
    for index, track in itertools.product(range(40, 52), range(3)):
        frames = sorted((output / f"Person_{index:05d}" / str(track)).iterdir())
        assert [frame.name for frame in frames] == ["0001.jpg", "0002.jpg"]
        supposed = draw(person(0, index, 0.2), track_conditions(0, index, track, 2, 0.2)[1])
        if distance(read(frames[1]), supposed) > 10:  # JPEG changes less than 5
            strangers.append(f"Person_{index:05d}/{track}")
    assert len(errors) == 3
    assert errors == strangers
    genuine_tracks = {track for genuine, _ in folds for pair in genuine for track in pair}
    assert set(errors) <= genuine_tracks


def test_these_readers_read_the_published_files(real_photos):
    pairs = read_lfw_pairs(real_photos / "lfw/protocol/pairs.txt")
    assert [(len(genuine), len(impostor)) for genuine, impostor in pairs] == [(300, 300)] * 10
    splits = read_ytf_splits(real_photos / "protocols/ytf_splits.txt")
    assert [(len(genuine), len(impostor)) for genuine, impostor in splits] == [(250, 250)] * 10


def test_unknown_tracks_are_folders_of_frames(tmp_path):
    synthetic.write_unknown_tracks(tmp_path / "tracks", num_tracks=2, frames_per_track=3, first_person=7)
    files = sorted(str(path.relative_to(tmp_path / "tracks")) for path in (tmp_path / "tracks").rglob("*.jpg"))
    assert files == [f"track_0000{track}/000{frame}.jpg" for track in (1, 2) for frame in (1, 2, 3)]


WRITERS = {
    "photos": lambda output: synthetic.write_photos(output, num_people=4, photos_per_person=2),
    "lfw": lambda output: synthetic.write_lfw_style(output, num_folds=2),
    "ytf": lambda output: synthetic.write_ytf_style(output, num_folds=2),
    "tracks": lambda output: synthetic.write_unknown_tracks(output, num_tracks=2),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_existing_output_is_refused_and_left_alone(tmp_path, write):
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "precious.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"output_dir must not exist yet, but .*output does"):
        write(tmp_path / "output")
    assert [path.name for path in tmp_path.rglob("*")] == ["output", "precious.txt"]


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_failed_writer_leaves_nothing(tmp_path, write, monkeypatch):
    drawn = []

    def failing_draw(shown, under):
        drawn.append(draw(shown, under))
        if len(drawn) == 5:
            raise KeyboardInterrupt
        return drawn[-1]

    monkeypatch.setattr(synthetic, "draw", failing_draw)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "output")
    assert list(tmp_path.iterdir()) == []


def test_killed_writer_leaves_no_output_and_can_be_repeated(tmp_path):
    program = f"from keras_face.synthetic.writing import *; write_photos({str(tmp_path / 'output')!r}, 5000, 2)"
    process = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tmp_path.rglob("*.jpg"))
    assert not (tmp_path / "output").exists()
    synthetic.write_photos(tmp_path / "output", 1, 1)
    assert (tmp_path / "output").is_dir()


@pytest.mark.parametrize(
    "write, message",
    [
        (lambda output: synthetic.write_photos(output, 0, 1), "num_people must be at least 1, got 0"),
        (lambda output: synthetic.write_unknown_tracks(output, 1, 0), "frames_per_track must be at least 1, got 0"),
        (
            lambda output: synthetic.write_lfw_style(output, pairs_per_fold=11, people_per_fold=5),
            "pairs_per_fold must be at most 10, got 11: 5 people with 4 images each make 30 genuine pairs",
        ),
        (
            lambda output: synthetic.write_ytf_style(output, tracks_per_person=11),
            "tracks_per_person must be at most 10",
        ),
        (
            lambda output: synthetic.write_ytf_style(output, num_mislabelled=-1),
            r"num_mislabelled must be in \[0, \d+\]",
        ),
    ],
)
def test_impossible_sizes_are_refused_before_anything_is_written(tmp_path, write, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "output")
    assert list(tmp_path.iterdir()) == []


def test_drawn_tracks_become_records_of_unknown_people_once(tmp_path):
    drawn = SyntheticConfig(tracks=3, frames_per_track=2)
    for _ in range(2):  # the second finds the first's
        datasets, weights = training_datasets(["synthetic_tracks"], {}, drawn, 0, tmp_path)
    assert weights == [-1.0]
    (dataset,) = datasets
    assert (dataset.num_identities, dataset.num_sequences, dataset.num_images) == (0, 3, 6)
    assert dataset.image_size == (112, 112)
    assert sorted(np.load(dataset.path / "index.npy")["label"].tolist()) == [-3, -2, -1]


def test_records_for_batches_of_people_hold_enough_photos_of_everybody_who_has_them(tmp_path, caplog):
    photos = tmp_path / "photos"
    synthetic.write_photos(photos, 1, 1)
    (photo,) = photos.glob("*/*.jpg")
    for count in range(2, 14):
        folder = tmp_path / "people" / f"{count:02}"
        folder.mkdir(parents=True)
        for number in range(count):
            shutil.copy(photo, folder / f"{number}.jpg")
    section = DatasetConfig(photos=str(tmp_path / "people"))
    ((dataset,), _) = training_datasets(["own"], {"own": section}, SyntheticConfig(), 0, tmp_path, 4)
    people = np.array([int(dataset.identities[label]) for label in dataset.index["label"]])
    assert (dataset.index["images"] >= np.minimum(people, 4)).all()
    assert dataset.num_images == sum(range(2, 14))
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    for set_size in (1, 4):
        from_photos.write_folder(tmp_path / "people", tmp_path / f"of{set_size}", set_size=set_size, progress=False)
    with caplog.at_level("WARNING"):
        section = DatasetConfig(records=str(tmp_path / "of4"))
        training_datasets(["own"], {"own": section}, SyntheticConfig(), 0, tmp_path, 4)
    # 5 as 3 + 2, 6 as 3 + 3, 7 as 4 + 3, 9 as 3 + 3 + 3, 10 as 4 + 3 + 3, 11 as 4 + 4 + 3, 13 as 4 + 3 + 3 + 3.
    assert "14 of 27 sets have fewer than 4 photos though the person has as many" in caplog.text
    section = DatasetConfig(records=str(tmp_path / "of1"))
    with pytest.raises(ValueError, match="every record holds one photo; write it again with --set_size 7"):
        training_datasets(["own"], {"own": section}, SyntheticConfig(), 0, tmp_path, 4)


def test_drawn_people_and_tracks_have_the_weights_that_are_asked_for(tmp_path):
    drawn = SyntheticConfig(people=2, photos_per_person=2, tracks=3, frames_per_track=2, weight=1)
    sections = {"synthetic_tracks": DatasetConfig(weight=0.5)}
    _, weights = training_datasets(["synthetic", "synthetic_tracks"], sections, drawn, 0, tmp_path)
    assert weights == [1, 0.5]
