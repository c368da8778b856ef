"""Checkpoints of a model of one variable."""

import json
from types import SimpleNamespace

import pytest

from keras_face.backend import tf
from keras_face.training.checkpoints import Checkpoints

PEOPLE = ["Ada", "Bo", "Cy"]


class Model(tf.Module):
    def __init__(self, value=0.0):
        super().__init__()
        self.value = tf.Variable(value)


def made(folder, value=0.0, identities=PEOPLE, keep=3, **more):
    model = Model(value)
    return model, Checkpoints(folder, model, identities, ("lfw", "ytf"), keep=keep, **more)


def trained(folder, *steps, **more):
    """Begins a run and saves it at steps, each with the step as the weight."""
    model, checkpoints = made(folder, **more)
    checkpoints.begin()
    for step in steps:
        model.value.assign(step)
        checkpoints.step = step
        checkpoints.save(step)
    return model, checkpoints


def saved(folder):
    return sorted(path.stem for path in folder.glob("ckpt-*.index"))


def test_a_run_that_begins_has_no_checkpoint_and_notes_its_people(tmp_path):
    _, checkpoints = made(tmp_path)
    assert (checkpoints.restore(), checkpoints.newest, checkpoints.step) == (None, None, 0)
    assert checkpoints.best_figures == {"lfw": -1.0, "ytf": -1.0}
    checkpoints.begin()
    assert json.loads((tmp_path / "identities.json").read_text()) == PEOPLE


def test_the_newest_is_gone_on_from_with_its_step_and_its_best_figures(tmp_path):
    _, before = trained(tmp_path, 2, 4)
    before.best_figures = {"lfw": 0.75, "ytf": 0.5}
    before.step = 6
    before.save(6)
    assert before.newest == str(tmp_path / "ckpt-6")
    model, checkpoints = made(tmp_path)
    assert checkpoints.restore() == str(tmp_path / "ckpt-6")
    assert (checkpoints.step, float(model.value.numpy())) == (6, 4.0)
    assert checkpoints.best_figures == {"lfw": 0.75, "ytf": 0.5}


@pytest.mark.parametrize("keep", [1, 3])
def test_only_the_newest_are_kept_over_a_restart_too(tmp_path, keep):
    trained(tmp_path, 1, 2, 3, keep=keep)
    _, checkpoints = made(tmp_path, keep=keep)
    checkpoints.restore()
    for step in (4, 5):
        checkpoints.save(step)
    assert saved(tmp_path) == [f"ckpt-{step}" for step in (3, 4, 5)][-keep:]


def test_one_best_is_kept_beside_the_newest_and_gone_back_to(tmp_path):
    model, checkpoints = made(tmp_path)
    for step, value in ((3, 0.3), (5, 0.5), (9, 0.9)):
        model.value.assign(value)
        checkpoints.step = step
        if step < 9:
            checkpoints.save_best(step)
    assert (saved(tmp_path / "best"), saved(tmp_path)) == (["ckpt-5"], [])
    checkpoints.restore_best()
    assert (checkpoints.step, float(model.value.numpy())) == (5, pytest.approx(0.5))


@pytest.mark.parametrize("now", [["Ada", "Bo"], ["Bo", "Ada", "Cy"], [*PEOPLE, "Di"]])
def test_other_people_or_another_order_of_them_are_refused(tmp_path, now):
    trained(tmp_path, 2)
    _, checkpoints = made(tmp_path, identities=now)
    with pytest.raises(ValueError, match=rf"expected the 3 people that this run began with.*\({len(now)}\)"):
        checkpoints.restore()
    assert checkpoints.step == 0


def test_a_model_with_a_variable_that_was_not_saved_is_not_restored_in_part(tmp_path):
    trained(tmp_path, 2)
    model = Model()
    model.further = tf.Variable(1.0)
    with pytest.raises(AssertionError):
        Checkpoints(tmp_path, model, PEOPLE, ("lfw", "ytf"), keep=3).restore()


def test_a_worker_that_is_not_the_chief_writes_nothing_into_the_folder_and_restores_from_it(tmp_path):
    trained(tmp_path / "run", 2)
    files = sorted((tmp_path / "run").rglob("*"))
    model, worker = made(tmp_path / "run", chief=False)
    worker.restore()
    assert (worker.step, float(model.value.numpy())) == (2, 2.0)
    worker.begin()
    worker.save(4)
    worker.save_best(4)
    assert sorted((tmp_path / "run").rglob("*")) == files
    _, first = made(tmp_path / "none", chief=False)
    first.begin()
    assert not (tmp_path / "none").exists()


def test_mean_images_are_saved_before_the_checkpoint_and_restored_at_its_step(tmp_path):
    done = []

    def save(step):
        done.append(("save", step, saved(tmp_path)))

    means = SimpleNamespace(save=save, restore=lambda step: done.append(("restore", step)))
    _, checkpoints = trained(tmp_path, 2, 4, mean_images=means)
    checkpoints.save_best(4)
    made(tmp_path, mean_images=means)[1].restore()
    # A run that is killed between the two finds the means of every checkpoint.
    assert done == [("save", 2, []), ("save", 4, ["ckpt-2"]), ("restore", 4)]
