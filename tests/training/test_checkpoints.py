"""Checkpoints of a model of one variable: what is saved, what a start goes back to, and what it refuses."""

import contextlib
import itertools
import json
import logging
import random
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from keras_face.backend import tf
from keras_face.export import checkpoint_files
from keras_face.training.checkpoints import Best, Checkpoints

PEOPLE = ["Ada", "Bo", "Cy"]
FACTS = {"config": {"model": {"width": 1.0}}, "people": {"number": 3, "sha256": "of three"}}


class Model(tf.Module):
    def __init__(self, value=0.0):
        super().__init__()
        self.value = tf.Variable(value)


def made(folder, value=0.0, identities=PEOPLE, keep=3, facts=FACTS, **more):
    model = Model(value)
    return model, Checkpoints(folder, model, identities, facts, keep=keep, **more)


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


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def best(step, **figures):
    return Best(step, figures, {name: ["a test set"] for name in figures})


def test_a_run_that_begins_has_no_checkpoint_and_notes_its_people(tmp_path):
    _, checkpoints = made(tmp_path)
    assert (checkpoints.restore(), checkpoints.newest, checkpoints.step, checkpoints.best) == (None, None, 0, None)
    assert not checkpoints.restore_best()
    checkpoints.begin()
    assert json.loads((tmp_path / "identities.json").read_text()) == PEOPLE


def test_the_newest_is_gone_on_from_with_its_step(tmp_path):
    _, before = trained(tmp_path, 2, 4)
    before.step = 6
    before.save(6)
    assert before.newest == str(tmp_path / "ckpt-6")
    model, checkpoints = made(tmp_path)
    assert checkpoints.restore() == checkpoints.newest == str(tmp_path / "ckpt-6")
    assert (checkpoints.step, float(model.value.numpy())) == (6, 4.0)


def test_tensorflow_finds_the_newest_too(tmp_path):
    trained(tmp_path, 2, 10)
    assert tf.train.latest_checkpoint(str(tmp_path)) == str(tmp_path / "ckpt-10")


@pytest.mark.parametrize("keep", [1, 3])
def test_only_the_newest_are_kept_over_a_restart_too(tmp_path, keep):
    trained(tmp_path, 1, 2, 3, keep=keep)
    _, checkpoints = made(tmp_path, keep=keep)
    checkpoints.restore()
    for step in (4, 5):
        checkpoints.save(step)
    kept = [f"ckpt-{step}" for step in (3, 4, 5)][-keep:]
    assert saved(tmp_path) == kept
    assert sorted(path.name.removesuffix(".seal.json") for path in tmp_path.glob("*.seal.json")) == kept


def test_one_best_is_kept_beside_the_newest_and_gone_back_to(tmp_path):
    model, checkpoints = made(tmp_path, chosen_by="lfw")
    for step, value in ((3, 0.3), (5, 0.5), (9, 0.9)):
        model.value.assign(value)
        checkpoints.step = step
        if step < 9:
            checkpoints.save_best(best(step, lfw=value))
    assert (saved(tmp_path / "best"), saved(tmp_path)) == (["ckpt-5"], [])
    assert checkpoints.restore_best()
    assert (checkpoints.step, float(model.value.numpy())) == (5, pytest.approx(0.5))


@pytest.mark.parametrize("now, kept", [("lfw", best(2, lfw=0.9)), ("ytf", None), ("either", None), ("last", None)])
def test_the_best_of_an_earlier_start_counts_where_it_was_chosen_by_the_same(tmp_path, now, kept, caplog):
    _, before = trained(tmp_path, 2, chosen_by="lfw")
    before.save_best(best(2, lfw=0.9))
    _, checkpoints = made(tmp_path, chosen_by=now)
    checkpoints.restore()
    assert checkpoints.best == kept
    assert checkpoints.restore_best() == (kept is not None)
    assert (f"it was not chosen by {now}" in caplog.text) == (now in ("ytf", "either"))


def test_a_best_that_is_damaged_does_not_count(tmp_path, caplog):
    _, before = trained(tmp_path, 2, chosen_by="lfw")
    before.save_best(best(2, lfw=0.9))
    (tmp_path / "best" / "ckpt-2.index").write_bytes(b"")
    _, checkpoints = made(tmp_path, chosen_by="lfw")
    checkpoints.restore()
    assert checkpoints.best is None
    assert "ckpt-2.index: expected" in caplog.text


def test_mean_images_are_saved_before_the_checkpoint_and_restored_at_its_step(tmp_path):
    done = []

    def save(step):
        done.append(("save", step, saved(tmp_path)))
        path = tmp_path / f"means-{step}"
        path.write_text(str(step))
        return path

    means = SimpleNamespace(save=save, restore=lambda step: done.append(("restore", step)))
    trained(tmp_path, 2, 4, mean_images=means)
    made(tmp_path, mean_images=means)[1].restore()
    # A run that is killed between the two finds the means of every checkpoint.
    assert done == [("save", 2, []), ("save", 4, ["ckpt-2"]), ("restore", 4)]
    (tmp_path / "means-4").unlink()
    assert made(tmp_path, mean_images=means)[1].restore() == str(tmp_path / "ckpt-2")


def test_a_worker_that_is_not_the_chief_writes_nothing_into_the_folder_and_restores_from_it(tmp_path):
    trained(tmp_path / "run", 2)
    before = contents(tmp_path / "run")
    model, worker = made(tmp_path / "run", scratch=tmp_path / "scratch", chosen_by="lfw")
    worker.restore()
    assert (worker.step, float(model.value.numpy())) == (2, 2.0)
    worker.begin()
    worker.save(4)
    worker.save_best(best(4, lfw=0.5))
    assert worker.restore_best()
    assert contents(tmp_path / "run") == before
    _, first = made(tmp_path / "none", scratch=tmp_path / "scratch")
    first.begin()
    assert not (tmp_path / "none").exists()


# What does not fit.


def facts(**people_and_config):
    return json.loads(json.dumps({**FACTS, **people_and_config}))


@pytest.mark.parametrize(
    "now, message",
    [
        (facts(people={"number": 4, "sha256": "of four"}), r"expected the 3 people that this run began with.*\(4\)"),
        (
            facts(config={"model": {"width": 0.5}}),
            r"\[model\] width: expected 1.0, which this run began with, got 0.5",
        ),
    ],
)
def test_other_people_and_another_network_are_refused_in_one_line_and_nothing_changes(tmp_path, now, message):
    trained(tmp_path, 2)
    before = contents(tmp_path)
    model, checkpoints = made(tmp_path, facts=now)
    with pytest.raises(ValueError, match=rf"^{tmp_path}/ckpt-2: {message}") as raised:
        checkpoints.restore()
    assert "\n" not in str(raised.value)
    assert (checkpoints.step, float(model.value.numpy()), contents(tmp_path)) == (0, 0.0, before)


@pytest.mark.parametrize("further", [tf.constant(1.0), None])
def test_what_tensorflow_cannot_restore_is_one_line_that_names_what_has_changed(tmp_path, further):
    trained(tmp_path, 2)
    model = Model(0.0 if further is not None else [1.0, 2.0])  # a variable more, or another shape
    if further is not None:
        model.further = tf.Variable(further)
    now = facts(config={"model": {"width": 1.0}, "loss": {"head": "arcface"}})
    checkpoints = Checkpoints(tmp_path, model, PEOPLE, now, keep=3)
    with pytest.raises(
        ValueError, match=r"ckpt-2: expected a checkpoint of what is trained now, but it does not"
    ) as got:
        checkpoints.restore()
    assert "\n" not in str(got.value)


def test_names_of_people_that_are_lost_are_written_again(tmp_path):
    trained(tmp_path, 2)
    (tmp_path / "identities.json").write_text("[")
    made(tmp_path)[1].restore()
    assert json.loads((tmp_path / "identities.json").read_text()) == PEOPLE


# Checkpoints of an earlier version, which have no seal.


def test_one_without_a_seal_is_gone_on_from_if_it_can_be_read(tmp_path):
    trained(tmp_path, 2, 4)
    for seal in tmp_path.glob("*.seal.json"):
        seal.unlink()
    (path,) = tmp_path.glob("ckpt-4.data*")
    path.write_bytes(path.read_bytes()[:-1])
    model, checkpoints = made(tmp_path)
    assert checkpoints.restore() == str(tmp_path / "ckpt-2")
    assert float(model.value.numpy()) == 2.0


def test_without_a_seal_the_people_are_those_that_were_noted(tmp_path):
    trained(tmp_path / "checkpoints", 2)
    (tmp_path / "checkpoints" / "ckpt-2.seal.json").unlink()
    now = facts(people={"number": 2, "sha256": "of two"})
    with pytest.raises(ValueError, match=r"expected the 3 people that this run began with.*\(2\)"):
        made(tmp_path / "checkpoints", facts=now)[1].restore()


# Damage.


def cut(share):
    return lambda content, draw: content[: int(len(content) * share)]


def flipped(content, draw):
    place = draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def other_bytes(content, draw):
    return draw.randbytes(len(content))


DAMAGES = {
    "deleted": lambda content, draw: None,
    "emptied": cut(0),
    "cut to half": cut(0.5),
    "a byte short": lambda content, draw: content[:-1],
    "a byte long": lambda content, draw: content + b"\0",
    "flipped": flipped,
    "zeroed": lambda content, draw: bytes(len(content)),
    "other bytes": other_bytes,
}
ENDINGS = ("index", "data-00000-of-00001", "seal.json")


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three")
    trained(folder, 3, 6, 9)
    return folder


def harm(path, damage, draw):
    content = DAMAGES[damage](path.read_bytes(), draw)
    path.unlink()
    if content is not None:
        path.write_bytes(content)


@pytest.mark.parametrize("number, kind", list(enumerate(itertools.product(DAMAGES, ENDINGS))))
def test_a_damaged_checkpoint_is_passed_over_and_said_and_the_older_ones_stay(three, tmp_path, number, kind, caplog):
    damage, ending = kind
    folder = tmp_path / "run"
    shutil.copytree(three, folder)
    harm(folder / f"ckpt-9.{ending}", damage, random.Random(number))
    older = {name: content for name, content in contents(folder).items() if "ckpt-9" not in name}
    model, checkpoints = made(folder, keep=5)
    found = checkpoints.restore()
    if damage == "deleted" and ending == "seal.json":  # like one of an earlier version; its tensors are all right
        assert (found, caplog.text) == (str(folder / "ckpt-9"), "")
        return
    assert (found, checkpoints.step, float(model.value.numpy())) == (str(folder / "ckpt-6"), 6, 6.0)
    assert caplog.text.count("passed over: ") == caplog.text.count(f"ckpt-9.{ending}") == 1
    checkpoints.save(9)
    after = contents(folder)
    assert {name: after[name] for name in older if name != "checkpoint"} == {
        name: content for name, content in older.items() if name != "checkpoint"
    }
    assert made(folder)[1].restore() == str(folder / "ckpt-9")  # written anew


@pytest.mark.parametrize("damage", ["deleted", "cut to half", "other bytes"])
def test_the_state_file_of_tensorflow_does_not_matter(three, tmp_path, damage):
    folder = tmp_path / "run"
    shutil.copytree(three, folder)
    harm(folder / "checkpoint", damage, random.Random(0))
    assert made(folder)[1].restore() == str(folder / "ckpt-9")


@pytest.mark.parametrize("seed", range(5))
def test_where_none_is_whole_a_run_does_not_begin_anew(three, tmp_path, seed):
    folder, draw = tmp_path / "run", random.Random(seed)
    shutil.copytree(three, folder)
    for step in (3, 6, 9):
        harm(folder / f"ckpt-{step}.{draw.choice(ENDINGS[:2])}", draw.choice(list(DAMAGES)), draw)
    before = contents(folder)
    with pytest.raises(ValueError, match=r"expected a whole checkpoint, got 3, none of which is: .*ckpt-9") as raised:
        made(folder)[1].restore()
    assert "\n" not in str(raised.value)
    assert contents(folder) == before


def killed(prefix, model, at):
    """Leaves what a kill in the midst of a save does: before the files, after the first of them, or before the seal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_files, "remove", lambda prefix: None)
        with contextlib.suppress(KeyboardInterrupt), checkpoint_files.written(prefix, FACTS):
            if at != "nothing":
                tf.train.Checkpoint(model=model, step=tf.Variable(12, dtype=tf.int64)).write(str(prefix))
            if at == "no index":
                prefix.with_name(f"{prefix.name}.index").unlink()
            prefix.with_name(f"{prefix.name}_temp").mkdir()
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", ["nothing", "no index", "no seal"])
@pytest.mark.parametrize("steps", [(), (3, 6)])
def test_what_a_kill_in_the_midst_of_a_save_leaves_is_removed(tmp_path, at, steps):
    trained(tmp_path, *steps)
    before = contents(tmp_path)
    killed(tmp_path / "ckpt-12", Model(), at)
    assert contents(tmp_path) != before
    assert made(tmp_path)[1].restore() == (str(tmp_path / "ckpt-6") if steps else None)
    assert contents(tmp_path) == before
    assert not list(tmp_path.glob("*_temp"))


def test_a_save_that_fails_leaves_nothing_and_the_others_as_they_were(tmp_path, monkeypatch):
    model, checkpoints = trained(tmp_path, 3)
    before = contents(tmp_path)

    def full(path, text):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("keras_face.files.write_text", full)
    with pytest.raises(OSError, match="No space left on device"):
        checkpoints.save(6)
    assert contents(tmp_path) == before
    assert np.isclose(model.value.numpy(), 3.0)


def test_passing_over_is_a_warning_that_says_why(three, tmp_path, caplog):
    folder = tmp_path / "run"
    shutil.copytree(three, folder)
    (folder / "ckpt-9.index").write_bytes(b"12345")
    with caplog.at_level(logging.WARNING, "keras_face"):
        made(folder)[1].restore()
    size = len((three / "ckpt-9.index").read_bytes())
    assert caplog.messages == [f"passed over: {folder}/ckpt-9.index: expected {size} bytes, got 5"]
