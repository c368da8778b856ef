"""One's own people: held out of the training, measured as a folder of them is, with thresholds for the model."""

import json
import logging
import shutil

import cv2
import numpy as np
import pytest

from keras_face import config
from keras_face.evaluation.protocols import folder_pairs, held_out_pairs
from keras_face.export import FACTS
from keras_face.inspection import doctor
from keras_face.measurement import PhotoSource
from keras_face.measurement.held_out import held_out_task
from keras_face.measurement.verification import Task, measure_pairs
from keras_face.photos.lists import PhotoFolder
from keras_face.photos.people import list_people
from keras_face.photos.template import write_record
from keras_face.records import from_photos, held_out, writing
from keras_face.records.photos import RecordPhotos
from keras_face.training import held_out as own_people
from keras_face.training.named_prototypes import read_names
from keras_face.training.run import train

SIDE = 16
SETTINGS = [
    "data.train=mine",
    "data.hold_out=0.5",
    "data.image_size=16,16",
    "data.shuffle_buffer=64",
    "run.strategy=one_device",
    "run.deterministic=True",
    "model.backbone=sphereface4",
    "model.width=0.2",
    "model.embedding_size=8",
    "schedule.learning_rate=0.01",
    "training.batch_size=8",
    "training.steps=4",
    "training.ckpt_interval=2",
    "training.validate_interval=2",
    "training.summary_interval=100",
    "validation.best=held_out",
]


class Colours:
    """An embedder that reads the embedding off the photo's first pixel."""

    name, image_size, batch_size = "colours", (SIDE, SIDE), 16

    def __call__(self, images):
        vectors = images[:, 0, 0].astype(np.float32) - 127.5
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A folder of 16 people with 3 to 6 photos, of a colour each with noise."""
    folder, draw = tmp_path_factory.mktemp("people") / "crops", np.random.RandomState(0)
    for number in range(16):
        colour = draw.randint(40, 215, 3)
        for photo in range(3 + number % 4):
            pixels = np.clip(colour + draw.randint(-40, 41, 3) + draw.randint(-9, 10, (SIDE, SIDE, 3)), 0, 255)
            path = folder / f"Person {number:02}" / f"{photo}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), pixels.astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def records(people, tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "mine"
    from_photos.write_folder(people, path, set_size=2, progress=False)
    return path


@pytest.fixture(scope="module")
def apart(records):
    return held_out.set_apart("mine", writing.open_dataset(records), 0.5, 0)[1]


@pytest.fixture(scope="module")
def folder(people, apart, tmp_path_factory):
    """A folder with the people who are held out, and nobody else."""
    folder = tmp_path_factory.mktemp("held_out")
    for name in apart.names:
        shutil.copytree(people / name, folder / name)
    return folder


def settings(records, output_dir, *more):
    return config.load(None, [*SETTINGS, f"mine.records={records}", f"run.output_dir={output_dir}", *more])


def figures(result):
    names = ("num_genuine", "num_impostor", "accuracy", "accuracy_interval", "auc", "auc_interval", "equal_error_rate")
    names += ("d_prime", "best_threshold", "tar_at_far", "intervals", "data_hash", "protocol_hash")
    return {name: getattr(result, name) for name in names}


def test_figures_are_those_of_a_folder_of_the_same_people(apart, folder):
    source = PhotoSource(Colours())
    task = held_out_task([apart])
    found = measure_pairs(source, task)
    assert found.result.protocol.startswith("held-out people (mine), ")
    num_folds = found.pairs.fold.max() + 1
    listed = list_people(folder).photos
    pairs = folder_pairs(listed, "mine", num_folds=num_folds)
    expected = measure_pairs(source, Task(str(folder), pairs, PhotoFolder(folder)))
    assert figures(found.result) == figures(expected.result)
    np.testing.assert_array_equal(found.similarity, expected.similarity)
    # No other number of folds gives more pairs.
    for other in range(2, min(10, len(listed) // 2) + 1):
        assert len(folder_pairs(listed, "mine", num_folds=other).left) <= len(pairs.left)


def test_a_photo_of_a_pair_is_found_by_its_name(apart, folder):
    task = held_out_task([apart])
    for key in task.pairs.distinct_keys():
        assert task.locate(key) == (folder / key).read_bytes()


def test_people_of_one_name_in_two_datasets_are_one_and_numbers_are_others(tmp_path):
    photo = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    parts = []
    for section in ("a", "b"):
        sets = [
            writing.FaceSet([photo] * 2, label, f"{name}/0|{name}/1") for label, name in enumerate(("Ann", "Bob", "7"))
        ]
        dataset = writing.write_records(
            tmp_path / section, sets, identities=["Ann", "Bob", "7"], image_size=(4, 4), source="test"
        )
        parts.append(held_out.HeldOut(section, dataset, np.arange(3)))
    pairs = held_out_task(parts).pairs
    assert {key.split("/")[0] for key in pairs.distinct_keys()} == {"a", "b"}
    for left, right, genuine in zip(pairs.left, pairs.right, pairs.genuine, strict=True):
        same_name = left.split("/")[1] == right.split("/")[1]
        same_person = same_name and ("7" not in left.split("/") or left.split("/")[0] == right.split("/")[0])
        assert genuine == same_person
    assert len(np.unique(pairs.people)) == 4


@pytest.mark.parametrize(
    "sizes, got", [([5, 5, 1], "got 3 and 2"), ([5, 1, 1, 1, 1], "got 5 and 1"), ([], "got 0 and 0")]
)
def test_too_few_people_are_said_with_their_number(sizes, got):
    people = {f"P{number}": [f"P{number}/{i}" for i in range(size)] for number, size in enumerate(sizes)}
    with pytest.raises(ValueError, match=f"expected 4 or more people, 2 or more of them with two photos, {got}"):
        held_out_pairs(people, "mine")


def test_four_people_are_enough():
    people = {f"P{number}": [f"P{number}/{i}" for i in range(size)] for number, size in enumerate((2, 2, 1, 1))}
    pairs = held_out_pairs(people, "mine")
    assert sorted(pairs.fold.tolist()) == [0, 0, 1, 1]
    assert sorted(pairs.genuine.tolist()) == [False, False, True, True]


@pytest.fixture(scope="module")
def trained(records, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(settings(records, folder))


def test_a_run_measures_the_people_whom_it_did_not_train(trained, apart, people):
    folder, found = trained
    assert json.loads((folder / "held_out.json").read_text()) == {"mine": list(apart.names)}
    everybody = sorted(path.name for path in people.iterdir())
    assert read_names(folder / "checkpoints") == tuple(name for name in everybody if name not in apart.names)
    (row,) = json.loads((folder / "results.json").read_text())["results"]
    assert row["protocol"] == found["results"][0]["protocol"]
    assert row["protocol"].startswith("held-out people (mine), ")
    log = (folder / "train.log").read_text()
    assert f"[mine] {len(apart.names)} of 16 people, {apart.num_images} photos, are held out" in log
    assert "the best on held_out is step" in log
    assert {path.name for path in (folder / "plots").iterdir()} == {"held_out_roc.png", "held_out_histogram.png"}
    assert "held-out people" in (folder / "report.html").read_text()


def test_the_exported_model_has_the_thresholds(trained):
    folder, found = trained
    (row,) = found["results"]
    (export,) = (folder / "export").iterdir()
    thresholds = json.loads((export / FACTS).read_text())["thresholds"]
    assert set(thresholds) == {row["protocol"]}
    own = thresholds[row["protocol"]]
    assert own["best_accuracy"] == row["best_threshold"]
    assert own["far"] == {
        f"{point['far']:g}": point["threshold"] for point in row["tar_at_far"] if point["threshold"] is not None
    }


def test_a_run_that_goes_on_measures_the_same_people(records, trained, tmp_path):
    folder, found = trained
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "checkpoints" / "ckpt-4.index").unlink()
    shutil.rmtree(tmp_path / "export")
    (tmp_path / "checkpoints" / "checkpoint").write_text('model_checkpoint_path: "ckpt-2"')
    again = train(settings(records, tmp_path))
    assert "at step 2 of 4" in (tmp_path / "train.log").read_text()
    drop = {"model", "model_hash"}
    assert [{**row, **dict.fromkeys(drop)} for row in again["results"]] == [
        {**row, **dict.fromkeys(drop)} for row in found["results"]
    ]


@pytest.mark.parametrize("change", ["data.hold_out=0.7", "data.hold_out_seed=1"])
def test_a_run_that_goes_on_with_others_held_out_is_refused(records, trained, tmp_path, change):
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    with pytest.raises(ValueError, match=r"people to be held out .* start a new run"):
        train(settings(records, tmp_path, change))


def test_the_head_of_such_a_run_fits_its_records(records, trained):
    assert doctor.head_size(str(trained[0]), [RecordPhotos(records)]) == 16


def test_too_few_people_are_a_warning_or_an_error_where_the_best_model_hangs_on_them(records, tmp_path, caplog):
    dataset = writing.open_dataset(records)
    few = settings(records, tmp_path, "data.hold_out=0.3", "validation.best=last")
    kept, apart = own_people.hold_out(few.data, few.datasets, [dataset])
    assert kept[0].num_identities + len(apart[0].labels) == 16
    assert len(apart[0].labels) == 3
    with caplog.at_level(logging.WARNING, "keras_face"):
        assert own_people.test_set(few, apart) is None
    (record,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert (
        "held-out people are not measured: expected 4 or more people, 2 or more of them with two photos, got 3 and 3"
        in record.getMessage()
    )
    for best in ("held_out", "either"):
        needed = settings(records, tmp_path, "data.hold_out=0.3", f"validation.best={best}")
        with pytest.raises(ValueError, match=r"\[validation\] best: held-out people cannot be measured: expected 4"):
            own_people.test_set(needed, apart)


def test_drawn_people_are_all_trained_on(records, tmp_path):
    both = settings(records, tmp_path, "data.train=synthetic,mine")
    dataset = writing.open_dataset(records)
    kept, apart = own_people.hold_out(both.data, both.datasets, [dataset, dataset])
    assert kept[0] is dataset
    assert [one.section for one in apart] == ["mine"]
    assert kept[1].num_identities < 16


def test_a_folder_that_says_its_people_are_drawn_is_measured_as_such(records, apart, tmp_path):
    write_record(tmp_path, "arcface", drawn=True)
    drawn = own_people.test_set(settings(records, tmp_path, f"mine.photos={tmp_path}"), [apart]).pairs
    real = own_people.test_set(settings(records, tmp_path), [apart]).pairs
    assert (drawn.drawn, real.drawn) == (True, False)
    assert drawn.protocol.startswith("drawn people, held-out people (mine)")
    assert drawn.left == real.left


@pytest.mark.parametrize("overrides", [["lfw.enable=True"], ["ytf.enable=True"], ["data.hold_out=0.1"], []])
def test_a_training_that_would_measure_nothing_says_so(caplog, overrides):
    with caplog.at_level(logging.WARNING, "keras_face"):
        own_people.warn_if_nothing_is_measured(config.load(None, overrides))
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == (not overrides)
    assert all("this training measures nothing: [data] hold_out" in message for message in messages)
