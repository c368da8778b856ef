"""Runs that are started again: on a damaged checkpoint, with other settings, on another run's folder."""

import json
import logging
import shutil

import numpy as np
import pytest

from keras_face import config
from keras_face.backend import tf
from keras_face.training.run import train
from keras_face.training.run_lock import held, scratch_of_worker

TINY = [
    "run.strategy=one_device",
    "data.image_size=32,32",
    "data.shuffle_buffer=64",
    "synthetic.people=4",
    "synthetic.photos_per_person=4",
    "model.backbone=sphereface4",
    "model.width=0.1",
    "model.embedding_size=8",
    "model.dropout=0",
    "training.batch_size=4",
    "training.steps=3",
    "training.validate_interval=0",
    "training.ckpt_interval=1",
    "validation.baselines=False",
    "lfw.enable=False",
    "ytf.enable=False",
]


def run(output_dir, *more):
    return train(config.load(config.QUICK_START, [*TINY, f"run.output_dir={output_dir}", *more]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    run(folder)
    return folder


@pytest.fixture
def again(finished, tmp_path):
    """A copy of a finished run."""
    return shutil.copytree(finished, tmp_path / "run")


def weights(folder, step):
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{step}"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in name}


def test_a_run_whose_newest_checkpoint_is_cut_goes_on_from_the_one_before_to_the_same_weights(finished, again, caplog):
    (newest,) = (again / "checkpoints").glob("ckpt-3.data*")
    newest.write_bytes(newest.read_bytes()[:100])
    (again / "config.ini").write_text("[run\nno configuration")  # it is not needed
    with caplog.at_level(logging.INFO, "keras_face"):
        run(again)
    assert f"passed over: {newest}: expected" in caplog.text
    assert f"going on from {again / 'checkpoints' / 'ckpt-2'} at step 2 of 3" in caplog.text
    assert config.load(again / "config.ini").run.output_dir == str(again)
    for name, value in weights(finished, 3).items():
        np.testing.assert_allclose(value, weights(again, 3)[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    "more, key",
    [
        (["model.width=0.2"], "[model] width: expected 0.1"),
        (["optimizer.name=adam"], "[optimizer] name: expected sgd"),
        (["loss.head=cosface"], "[loss] head: expected arcface"),
    ],
)
def test_what_does_not_fit_is_refused_and_the_folder_stays_as_it_was(again, more, key):
    kept = ("config.ini", "checkpoints/ckpt-3.index", "checkpoints/identities.json")
    before = [(again / name).read_bytes() for name in kept]
    with pytest.raises(ValueError, match="expected") as raised:
        run(again, *more)
    assert str(raised.value).startswith(f"{again / 'checkpoints' / 'ckpt-3'}: {key}, which this run began with")
    assert [(again / name).read_bytes() for name in kept] == before


def test_a_folder_in_which_another_run_is_at_work_is_refused_by_its_process(again):
    with held(again), pytest.raises(ValueError, match=r"expected a folder in which no other run .* process \d+ on \S"):
        run(again)
    with held(again):  # it was given back
        pass


def test_a_worker_writes_where_nobody_reads_and_what_a_killed_one_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    def scratch(task, output_dir="out"):
        monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": {}, "task": {"type": "worker", "index": task}}))
        return scratch_of_worker(tmp_path / output_dir)

    with scratch(1) as first, scratch(2) as second:
        assert first != second  # of one run on one machine
    assert not list(tmp_path.iterdir())
    (first / "checkpoints").mkdir(parents=True)  # by a worker that was killed
    with scratch(1) as again:
        assert again == first
        assert not (again / "checkpoints").exists()
    assert not list(tmp_path.iterdir())


def test_a_float16_training_whose_updates_are_all_skipped_is_no_success(tmp_path):
    with pytest.raises(
        FloatingPointError, match=r"^step 20: the last 20 updates were skipped, as gradients are infinite"
    ):
        run(
            tmp_path,
            "run.precision=float16",
            "loss arcface.weight=1e9",
            "optimizer.clip_norm=5",
            "training.steps=20",
            "training.ckpt_interval=20",
        )
