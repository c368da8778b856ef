import math

import numpy as np
import pytest

from keras_face.backend import keras, tf
from keras_face.config import OptimizerConfig, ScheduleConfig
from keras_face.training import optimizers
from keras_face.training.momentum import VelocitySGD, check_form

STEPS = 20
SCHEDULES = {
    "constant": ({"kind": "constant"}, lambda step: 1.0),
    "a step": ({"kind": "piecewise", "lr_steps": (8,), "lr_factors": (0.1,)}, lambda step: 0.1 if step >= 8 else 1.0),
    "polynomial": ({"kind": "polynomial", "power": 2.0}, lambda step: (1 - step / STEPS) ** 2),
    "warm-up": (
        {"kind": "cosine", "warmup_steps": 10},
        lambda step: max(step, 1) / 10 if step <= 10 else (1 + math.cos(math.pi * (step - 10) / 10)) / 2,
    ),
}
RATE, MOMENTUM, DECAY = 0.05, 0.9, 0.3
generator = np.random.default_rng(0)
INPUTS, TARGETS, START = generator.normal(size=(6, 3)), generator.normal(size=(6, 2)), generator.normal(size=(3, 2))


def slope(weights):
    """The gradient of half the mean squared error of a linear map."""
    return INPUTS.T @ (INPUTS @ weights - TARGETS) / len(INPUTS)


def moved_by_hand(form, nesterov, decay, rates):
    """The textbook's lines, in double precision; the decay is decoupled, on what the weights were before the step."""
    weights, sum_of_gradients, step_before = START.copy(), np.zeros_like(START), np.zeros_like(START)
    for rate in rates:
        gradient = slope(weights)
        weights = weights - rate * decay * weights
        if form == "velocity":
            sum_of_gradients = MOMENTUM * sum_of_gradients + gradient
            weights = weights - rate * (gradient + MOMENTUM * sum_of_gradients if nesterov else sum_of_gradients)
        else:
            step_before = MOMENTUM * step_before - rate * gradient
            weights = weights + (MOMENTUM * step_before - rate * gradient if nesterov else step_before)
    return weights


def trained(name, settings, schedule):
    rates = optimizers.schedule(ScheduleConfig(learning_rate=RATE, **schedule), STEPS, batch_size=512)
    weights = tf.Variable(START, dtype=tf.float32, name="dense/kernel")
    made, _ = optimizers.optimizer(OptimizerConfig(name=name, momentum=MOMENTUM, **settings), rates, [weights])
    made.build([weights])
    for _ in range(STEPS):
        made.apply_gradients([(tf.constant(slope(weights.numpy().astype(float)), tf.float32), weights)])
    return weights.numpy()


@pytest.mark.parametrize("nesterov", [False, True], ids=["plain", "nesterov"])
@pytest.mark.parametrize("name", ["sgd", "sgdw"])
@pytest.mark.parametrize("form", ["velocity", "keras"])
@pytest.mark.parametrize("schedule", list(SCHEDULES))
def test_twenty_steps_are_those_of_the_textbook(schedule, form, name, nesterov):
    settings, share = SCHEDULES[schedule]
    decay = DECAY if name == "sgdw" else 0.0
    expected = moved_by_hand(form, nesterov, decay, [RATE * share(step) for step in range(STEPS)])
    found = trained(name, {"momentum_form": form, "nesterov": nesterov, "weight_decay": decay}, settings)
    assert np.linalg.norm(found - expected) <= 3e-5 * np.linalg.norm(expected - START)


def test_the_forms_differ_after_a_fall_of_the_rate_and_velocity_is_the_default():
    settings, share = SCHEDULES["a step"]
    rates = [RATE * share(step) for step in range(STEPS)]
    apart = moved_by_hand("velocity", False, 0.0, rates) - moved_by_hand("keras", False, 0.0, rates)
    assert np.linalg.norm(apart) > 0.05 * np.linalg.norm(START)
    np.testing.assert_array_equal(trained("sgd", {}, settings), trained("sgd", {"momentum_form": "velocity"}, settings))


def test_a_fall_to_a_tenth_shortens_the_next_step_to_a_tenth_of_the_sum():
    weight, velocity, expected = tf.Variable(1.0), 0.0, 1.0
    made = VelocitySGD(0.1, 0.9)
    for step in range(10):
        rate = 0.1 if step < 5 else 0.01
        made.learning_rate = rate
        made.apply_gradients([(tf.constant(1.0), weight)])
        velocity = 0.9 * velocity + 1.0
        expected -= rate * velocity
        assert float(weight) == pytest.approx(expected, abs=1e-6), step


def test_without_momentum_a_step_is_the_rate_times_the_gradient():
    weight = tf.Variable([1.0, 2.0])
    VelocitySGD(0.5).apply_gradients([(tf.constant([1.0, -1.0]), weight)])
    np.testing.assert_allclose(weight, [0.5, 2.5])


def test_rows_that_a_sparse_gradient_leaves_out_go_on_by_their_velocity():
    weights = tf.Variable(tf.zeros([2, 1]))
    made = VelocitySGD(1.0, 0.5)
    made.apply_gradients([(tf.IndexedSlices(tf.constant([[1.0], [1.0]]), tf.constant([0, 1])), weights)])
    made.apply_gradients([(tf.IndexedSlices(tf.constant([[1.0]]), tf.constant([1])), weights)])
    np.testing.assert_allclose(weights, [[-1.5], [-2.5]])


def test_an_optimizer_comes_back_from_its_configuration_and_runs_compiled():
    made = keras.optimizers.deserialize(keras.optimizers.serialize(VelocitySGD(0.1, 0.9, nesterov=True)))
    assert isinstance(made, VelocitySGD)
    weight = tf.Variable([1.0])
    made.build([weight])

    @tf.function(jit_compile=True)
    def step(gradient):
        made.apply_gradients([(gradient, weight)])

    step(tf.constant([1.0]))
    step(tf.constant([1.0]))
    # 1 + 0.9 * 1, then 1 + 0.9 * 1.9.
    np.testing.assert_allclose(weight, [1 - 0.1 * 1.9 - 0.1 * 2.71], rtol=1e-6)


def test_two_replicas_move_as_one(two_replicas):
    with two_replicas.scope():
        weight = tf.Variable([1.0])
        made = VelocitySGD(0.1, 0.9)
        made.build([weight])

    @tf.function
    def step():
        two_replicas.run(lambda: made.apply_gradients([(tf.constant([0.5]), weight)]))

    step()
    step()
    for each in two_replicas.experimental_local_results(weight):
        np.testing.assert_allclose(each, [1 - 0.1 - 0.19], rtol=1e-6)


@pytest.mark.parametrize("scaled", [False, True], ids=["float32", "float16"])
@pytest.mark.parametrize("saved", ["velocity", "keras"])
def test_a_checkpoint_of_the_other_form_is_refused_with_what_to_do(tmp_path, saved, scaled):
    forms = {"velocity": VelocitySGD, "keras": keras.optimizers.SGD}
    weight = tf.Variable([1.0], name="dense/kernel")

    def made(form):
        optimizer = forms[form](0.1, 0.9)
        if scaled:
            optimizer = keras.mixed_precision.LossScaleOptimizer(optimizer)
        optimizer.build([weight])
        return optimizer

    path = tf.train.Checkpoint(optimizer=made(saved), weight=weight).save(str(tmp_path / "ckpt"))
    check_form(path, made(saved))
    check_form(path, keras.optimizers.Adam())
    (other,) = set(forms) - {saved}
    with pytest.raises(ValueError, match=rf"ckpt-1: expected .*momentum_form = {saved}.* got {other}; .*={saved}, or"):
        check_form(path, made(other))
