"""The loop with stand-ins for all that it works with: no network and no photos."""

import contextlib
import logging
import math
import signal
from types import SimpleNamespace

import pytest

from keras_face.backend import tf
from keras_face.config import TrainingConfig
from keras_face.training.loop import loop
from keras_face.training.termination import Termination
from keras_face.training.update import Update


class Parts:
    """Stand-ins that note what is asked of them, in its order.

    Args:
        start: Step that the checkpoints are at.
        numbers: From a step to what its update saw.
        last: Step after which the update asks the run to end.
    """

    def __init__(self, start=0, numbers=lambda step: {"loss": float(step)}, last=None):
        self.done = []
        self.step, self.newest = start, "ckpt-of-before" if start else None
        self._numbers, self._last = numbers, last
        self.asked, self.wrong_labels, self.pictured, self.calls = False, None, (), []

    def take(self, step):
        self.done.append(("take", step))
        return f"batch {step}"

    def names(self, step):
        return [f"left of {step}", f"right of {step}"]

    def labels(self, step):
        return f"labels of {step}"

    def __call__(self, batches):
        steps = [int(batch.removeprefix("batch ")) for batch in batches]
        self.done += [("update", step) for step in steps]
        self.calls.append(len(steps))

        def read():
            self.done += [("read", step) for step in steps]
            return [dict(self._numbers(step)) for step in steps], self._last in steps

        return SimpleNamespace(read=read)

    def check_labels(self, labels):
        if labels == self.wrong_labels:
            raise ValueError(f"{labels} are wrong")

    def add(self, step, numbers):
        self.done.append(("show", step, numbers))

    def pictures_at(self, step):
        return step in self.pictured

    def picture(self, step, batch):
        assert batch == f"batch {step}"
        self.done.append(("picture", step))

    def validate(self, step):
        assert self.step == step  # it goes into the best model's checkpoint
        self.done.append(("validate", step))

    def save(self, step):
        assert self.step == step
        self.done.append(("save", step))
        self.newest = f"ckpt-{step}"

    def of(self, kind):
        return [each[1] for each in self.done if each[0] == kind]


def run(parts, steps, *, alarm=None, read_interval=1, **training):
    settings = TrainingConfig(batch_size=4, **{"ckpt_interval": 1000, "validate_interval": 0, **training})
    return loop(
        settings,
        steps=steps,
        feed=parts,
        update=parts,
        checkpoints=parts,
        validation=parts,
        summaries=parts,
        alarm=alarm,
        shown=False,
        read_interval=read_interval,
    )


def test_each_step_is_trained_shown_measured_and_saved_in_this_order():
    parts = Parts()
    run(parts, 2, validate_interval=1, ckpt_interval=1)
    of_step = [[each[:2] for each in parts.done if each[1] == step] for step in (1, 2)]
    assert of_step[0] == [("take", 1), ("update", 1), ("read", 1), ("show", 1), ("validate", 1), ("save", 1)]
    # The last step is measured once the loop has ended.
    assert of_step[1] == [("take", 2), ("update", 2), ("read", 2), ("show", 2), ("save", 2)]
    assert [each[:2] for each in parts.done] == of_step[0] + of_step[1]


@pytest.mark.parametrize(
    "intervals, validated, saved",
    [
        ({"validate_interval": 3, "ckpt_interval": 4}, [3, 6, 9], [4, 8, 10]),
        ({"validate_interval": 5, "ckpt_interval": 5}, [5], [5, 10]),
        ({"validate_interval": 0, "ckpt_interval": 100}, [], [10]),
    ],
)
def test_measuring_and_saving_come_at_their_intervals_and_saving_at_the_end(intervals, validated, saved):
    parts = Parts()
    run(parts, 10, **intervals)
    assert (parts.of("validate"), parts.of("save")) == (validated, saved)
    assert parts.of("update") == parts.of("show") == list(range(1, 11))


def test_a_run_goes_on_after_the_step_that_was_restored():
    parts = Parts(start=6)
    run(parts, 10, validate_interval=4)
    assert parts.of("take") == parts.of("update") == [7, 8, 9, 10]
    assert (parts.of("validate"), parts.of("save"), parts.step) == ([8], [10], 10)


@pytest.mark.parametrize("start, trained", [(10, []), (9, [10])])
def test_a_run_with_nothing_left_to_time_has_no_speed(start, trained):
    parts = Parts(start=start)
    assert run(parts, 10) is None
    assert parts.of("update") == trained


def test_the_speed_counts_all_but_the_first_step_of_this_start(caplog, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def seconds(step):
        now[0] += 60.0 if step == 3 else 0.5
        return {"loss": 1.0}

    with caplog.at_level(logging.INFO, "keras_face"):
        assert run(Parts(start=2, numbers=seconds), 7) == pytest.approx(4 * 4 / (4 * 0.5))
    assert "trained 5 steps, 8.0 images/s" in caplog.text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_ends_the_run_with_step_term_photos_and_the_last_checkpoint(value):
    parts = Parts(numbers=lambda step: {"loss": 1.0, "arcface": value if step == 5 else 2.0, "centre": 3.0})
    with pytest.raises(FloatingPointError) as raised:
        run(parts, 10, ckpt_interval=2)
    assert str(raised.value) == (
        f"step 5: arcface is {value}; the last checkpoint is ckpt-4; the batch's photos: left of 5, right of 5"
    )
    assert (parts.of("save"), parts.of("show"), parts.step) == ([2, 4], [1, 2, 3, 4], 4)


def test_all_terms_that_are_no_numbers_are_named_and_that_nothing_was_saved():
    parts = Parts(numbers=lambda step: {"loss": math.nan, "arcface": math.inf, "centre": 3.0})
    with pytest.raises(FloatingPointError, match="step 1: loss is nan, arcface is inf; the last checkpoint is none;"):
        run(parts, 10)


def test_a_run_that_is_to_end_is_saved_at_that_step_and_ends_as_sigterm_does(caplog):
    parts = Parts(last=3)
    with caplog.at_level(logging.INFO, "keras_face"), pytest.raises(SystemExit) as ended:
        run(parts, 10, ckpt_interval=2)
    assert ended.value.code == 143  # 128 + 15, as a shell reports it
    assert (parts.of("update"), parts.of("save")) == ([1, 2, 3], [2, 3])
    assert "terminated at step 3, saved" in caplog.text


def test_what_steps_saw_is_read_late_but_before_anything_is_shown_measured_or_saved():
    parts = Parts()
    parts.pictured = (7,)
    run(parts, 9, read_interval=4, summary_interval=7, ckpt_interval=9)
    order = [each[:2] for each in parts.done if each[0] in ("update", "read", "picture", "save")]
    # After the first step, as the clock begins there; after four; before the picture of step 7; before the end.
    assert [step for kind, step in order if kind == "read"] == list(range(1, 10))
    before = {step: order[: order.index(("read", step))][-1] for step in (1, 2, 6, 8)}
    assert before == {1: ("update", 1), 2: ("update", 5), 6: ("update", 7), 8: ("update", 9)}
    assert order.index(("picture", 7)) > order.index(("read", 7))
    assert order[-2:] == [("read", 9), ("save", 9)]


def test_the_first_step_without_a_number_is_named_however_late_it_is_read():
    parts = Parts(numbers=lambda step: {"loss": math.nan if step >= 6 else 1.0})
    with pytest.raises(FloatingPointError, match=r"^step 6: .*ckpt-4; the batch's photos: left of 6, right of 6$"):
        run(parts, 100, read_interval=50, ckpt_interval=4)
    assert (parts.of("save"), parts.step, parts.of("update")[-1]) == ([4], 5, 8)  # nothing is saved at step 8


def test_sigterm_ends_a_run_at_its_step_with_all_numbers_read():
    parts = Parts()
    parts.take = lambda step: setattr(parts, "asked", step == 3) or f"batch {step}"
    with pytest.raises(SystemExit):
        run(parts, 10, read_interval=50)
    assert (parts.of("read"), parts.of("save")) == ([1, 2, 3], [3])


def test_several_steps_are_made_in_one_go_but_none_beyond_what_is_to_be_done_after_a_step():
    parts = Parts()
    run(parts, 12, steps_per_call=4, validate_interval=7)
    assert parts.calls == [1, 4, 2, 4, 1]  # the first alone; up to 5; up to 7, where it is measured; up to 11; the last
    assert parts.of("show") == list(range(1, 13))
    assert parts.of("validate") == [7]


def test_labels_that_a_compiled_step_turned_into_nan_are_the_error():
    parts = Parts(numbers=lambda step: {"loss": math.nan if step == 3 else 1.0})
    parts.wrong_labels = "labels of 3"
    with pytest.raises(ValueError, match="labels of 3 are wrong"):
        run(parts, 10)


def test_the_alarm_sees_every_step_and_is_shown():
    parts = Parts()
    alarm = SimpleNamespace(update=lambda step, numbers: numbers["loss"] > 2)
    run(parts, 4, alarm=alarm)
    shown = [each[2] for each in parts.done if each[0] == "show"]
    assert [numbers["collapsed"] for numbers in shown] == [0.0, 0.0, 1.0, 1.0]


@contextlib.contextmanager
def handled(number, handler):
    """Within it a signal has another handler."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_noted_within_and_ends_the_program_as_before_afterwards(number):
    came = []
    with handled(number, lambda *_: came.append("before")):
        with Termination() as termination:
            assert not termination.asked
            signal.raise_signal(number)
            assert termination.asked
        assert came == []
        signal.raise_signal(number)
        assert came == ["before"]


def test_a_second_sigint_ends_at_once_but_not_a_second_sigterm():
    # What Python does, if it was not started with SIGINT ignored, as in a shell's background.
    with handled(signal.SIGINT, signal.default_int_handler), Termination() as termination:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert termination.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_that_is_ignored_from_outside_stays_so():
    with handled(signal.SIGHUP, signal.SIG_IGN), Termination() as termination:  # as `nohup` has it
        signal.raise_signal(signal.SIGHUP)
        assert not termination.asked


def test_sigterm_during_a_step_ends_the_run_after_that_step(one_replica):
    def replica_update(batch):
        return {"loss": tf.reduce_sum(batch["images"]), "centre": tf.constant(0.5)}

    with Termination() as termination:
        update = Update(SimpleNamespace(update=replica_update), one_replica, termination)
        batch = {"images": tf.constant([1.0, 2.0])}
        assert update([batch]).read() == ([{"loss": 3.0, "centre": 0.5}], False)
        assert not update.asked
        signal.raise_signal(signal.SIGTERM)
        assert update.asked
