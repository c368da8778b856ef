"""Trainings that would train nothing: refused, told before the first step, or ended."""

import logging
import math

import pytest

from keras_face import config
from keras_face.backend import keras, tf
from keras_face.losses import get
from keras_face.training import optimizers, void
from keras_face.training.alarms import NothingCompared, SkippedUpdates, alarm_for
from keras_face.training.model import FaceModel
from keras_face.training.run import train

TRIPLET = ("loss.head=none", "loss angular_centre.weight=0", "loss batch_hard_triplet.weight=10")


def settings(*overrides):
    return config.load(config.QUICK_START, overrides)


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            (*TRIPLET, "data.images_per_identity=4", "training.batch_size=16", "optimizer.accumulation_steps=4"),
            r"\[training\] batch_size: expected two people or more in each part .*: 32 or more .*, got 16$",
        ),
        (
            (*TRIPLET, "data.images_per_identity=16", "training.batch_size=16"),
            r"\[training\] batch_size: expected two people .* for \[loss batch_hard_triplet\].*: 32 or more .* got 16$",
        ),
        (("loss multi_similarity.weight=1",), r"\[data\] images_per_identity: expected 2 .* \[loss multi_sim.*got 0$"),
        (
            ("loss batch_all_triplet.weight=1", "data.images_per_identity=1"),
            r"images_per_identity: expected 2 .*got 1$",
        ),
    ],
)
def test_a_loss_between_examples_that_finds_nobody_to_compare_is_refused_before_anything_is_written(
    overrides, message, tmp_path
):
    with pytest.raises(ValueError, match=message):
        train(settings(*overrides, f"run.output_dir={tmp_path / 'run'}"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("accumulation", [1, 2, 4])
def test_two_people_in_each_part_are_enough(accumulation):
    batch = f"training.batch_size={2 * 4 * accumulation}"
    parts = f"optimizer.accumulation_steps={accumulation}"
    void.check_comparisons(settings(*TRIPLET, "data.images_per_identity=4", batch, parts))


def test_heads_and_terms_beside_them_need_no_sets():
    void.check_comparisons(settings("loss centre_loss.weight=0.01"))


def test_a_loss_that_is_0_for_many_steps_is_told_once(caplog):
    alarm = NothingCompared(["n_pair"], steps=5)
    for step, value in enumerate([0.0] * 4 + [0.1] + [0.0] * 9, start=1):
        assert not alarm.update(step, {"n_pair": value})
    (line,) = caplog.messages
    assert line.startswith("step 10: the loss n_pair was 0 for 5 steps: no photo of their batches had both")


def watched(skipped):
    alarm = SkippedUpdates()
    for step, value in enumerate(skipped, start=1):
        alarm.update(step, {"skipped": float(value), "loss_scale": 0.5})


@pytest.mark.parametrize("skipped, ended", [([0, *[1] * 20], 21), ([1] * 20, 20)])
def test_a_run_ends_after_20_updates_that_were_skipped_in_a_row(skipped, ended):
    with pytest.raises(
        FloatingPointError, match=f"^step {ended}: the last 20 updates were skipped, as gradients are inf"
    ):
        watched(skipped)


def test_some_skipped_updates_are_usual():
    watched([1] * 15 + [0] + [1] * 19)


def float16_model(weight):
    inputs = keras.Input((4, 4, 3))
    backbone = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))
    model = FaceModel(backbone, {"softmax": get("softmax", num_identities=2)}, {"softmax": weight})
    model.build((None, 4, 4, 3))
    model.compile(optimizer=keras.mixed_precision.LossScaleOptimizer(keras.optimizers.SGD(0.01)))
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("weight, skipped", [(1.0, 0.0), (math.inf, 1.0)])
def test_a_step_in_float16_says_its_loss_scale_and_whether_it_was_skipped(weight, skipped, one_replica):
    with one_replica.scope():
        model = float16_model(weight)
    before = model.trainable_variables[0].numpy()
    batch = {"images": tf.zeros([2, 4, 4, 3], tf.uint8), "labels": tf.constant([0, 1], tf.int64)}
    scales = []
    for _ in range(2):
        seen = one_replica.run(tf.function(model.update), args=(batch,))
        assert float(seen["skipped"]) == skipped
        scales.append(float(seen["loss_scale"]))
    assert scales == ([2.0**14, 2.0**13] if skipped else [2.0**15] * 2)
    assert (model.trainable_variables[0].numpy() == before).all() == bool(skipped)


@pytest.mark.parametrize(
    "names, precision, watched",
    [(["arcface"], "float32", 0), (["batch_hard_triplet"], "float32", 2), (["arcface", "n_pair"], "float16", 2)],
)
def test_only_what_can_go_wrong_is_watched(names, precision, watched):
    more = {"num_identities": 2}
    layers = {name: get(name, **(more if name == "arcface" else {})) for name in names}
    alarm = alarm_for(layers, precision)
    assert (0 if alarm is None else len(alarm._alarms)) == watched


def told(caplog, steps, batch_size, ema=0.0, **schedule):
    section = config.ScheduleConfig(**schedule)
    with caplog.at_level(logging.INFO, "keras_face"):
        void.tell_schedule(optimizers.schedule(section, steps, batch_size), steps, batch_size, ema)
    return caplog.messages


def test_changes_of_the_rate_that_the_run_never_reaches_are_told(caplog):
    # Boundaries for batches of 512 are eight times as far away in batches of 64.
    lines = told(caplog, 1000, 64, kind="piecewise", learning_rate=0.1, lr_steps=(500, 800), lr_factors=(0.1, 0.01))
    assert lines == [
        "learning rate: 0.1 at step 1, 0.1 at step 1000",
        "[schedule] lr_steps, which are for batches of 512, are 4000, 6400 in batches of 64: all of the changes come "
        "after the end; at the last step, 1000, the learning rate is 0.1",
    ]


def test_rates_at_the_changes_and_the_last_step_are_told_without_a_warning_where_all_fits(caplog):
    lines = told(caplog, 1000, 512, kind="piecewise", learning_rate=0.1, lr_steps=(500, 800), lr_factors=(0.1, 0.01))
    assert lines == ["learning rate: 0.1 at step 1, 0.01 at step 501, 0.001 at step 801, 0.001 at step 1000"]


@pytest.mark.parametrize(
    "more, line",
    [
        ({"warmup_steps": 100}, r"[schedule] warmup_steps: 100 are more than the run has; at the last step, 10, the"),
        (
            {"ema": 0.999},
            "[optimizer] ema: the run is too short for 0.999: at its last step, 10, the decay of the average is",
        ),
    ],
)
def test_a_warm_up_and_an_average_that_are_longer_than_the_run_are_told(more, line, caplog):
    lines = told(caplog, 10, 512, kind="constant", learning_rate=0.1, **more)
    assert [each for each in lines if each.startswith(line)]
