import math
import sys

import numpy as np
import pytest

from keras_face.backend import keras, tf
from keras_face.config import OptimizerConfig, ScheduleConfig
from keras_face.training import optimizers


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_boundaries_are_scaled_from_batches_of_512_to_the_batch_size():
    config = ScheduleConfig(learning_rate=1e-3)
    schedule = optimizers.schedule(config, steps=10**6, batch_size=64)
    steps = [0, 319_999, 320_000, 479_999, 480_000, 639_999, 640_000]
    np.testing.assert_allclose(rates(schedule, steps), [1e-3, 1e-3, 5e-4, 5e-4, 3e-4, 3e-4, 1e-4], rtol=1e-6)


def test_warm_up_is_linear_and_then_the_cosine_falls_to_its_end():
    config = ScheduleConfig(kind="cosine", learning_rate=0.4, warmup_steps=4, end_learning_rate=0.1)
    schedule = optimizers.schedule(config, steps=14, batch_size=1)
    expected = [0.1, 0.1, 0.2, 0.3]
    expected += [0.1 + 0.3 * (1 + math.cos(math.pi * step / 10)) / 2 for step in range(11)]
    np.testing.assert_allclose(rates(schedule, range(15)), expected, rtol=1e-5)


def test_the_polynomial_is_that_of_arcface_torch():
    config = ScheduleConfig(kind="polynomial", learning_rate=0.1, power=2.0)
    schedule = optimizers.schedule(config, steps=100, batch_size=512)
    np.testing.assert_allclose(rates(schedule, [0, 25, 50, 100]), [0.1, 0.1 * 0.75**2, 0.1 * 0.25, 0.0], atol=1e-7)


class PolynomialLRWarmup:
    """What arcface_torch's class of this name does: each rate from the one before it, in steps of an epoch counter."""

    def __init__(self, base, warmup, total, power):
        self.base, self.warmup, self.total, self.power, self.epoch, self.rate = base, warmup, total, power, 0, base

    def step(self):
        self.epoch += 1
        if self.epoch <= self.warmup:
            self.rate = self.base * self.epoch / self.warmup
        elif self.epoch <= self.total:
            before = 1 - (self.epoch - 1 - self.warmup) / (self.total - self.warmup)
            self.rate *= ((1 - (self.epoch - self.warmup) / (self.total - self.warmup)) / before) ** self.power


@pytest.mark.parametrize("warmup", [0, 1, 4])
def test_the_warm_up_is_that_of_arcface_torch_but_for_its_first_step(warmup):
    config = ScheduleConfig(kind="polynomial", learning_rate=0.1, power=1.0, warmup_steps=warmup)
    schedule = optimizers.schedule(config, steps=20, batch_size=512)
    theirs = PolynomialLRWarmup(0.1, warmup, 20, 1.0)
    for step in range(20):
        expected = 0.1 / warmup if warmup and step == 0 else theirs.rate
        assert float(schedule(step)) == pytest.approx(expected, rel=1e-5), step
        theirs.step()


def test_a_schedule_survives_its_configuration():
    schedule = optimizers.schedule(ScheduleConfig(), steps=10**6, batch_size=256)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(schedule))
    assert rates(again, [0, 10**5, 10**6]) == rates(schedule, [0, 10**5, 10**6])


@pytest.mark.parametrize(
    "name, decays",
    [
        ("stage1_unit1/kernel:0", True),
        ("dense_3/kernel:0", True),
        ("conv/depthwise_kernel:0", True),
        ("prototypes:0", True),
        ("bn/gamma:0", True),
        ("prelu/alpha:0", True),
        ("bn/beta:0", False),
        ("dense/bias:0", False),
        ("stage1_unit1_se_reduce/kernel:0", False),
    ],
)
def test_decay_holds_for_what_margin_centre_face_decays(name, decays):
    variable = tf.Variable(1.0, name=name.split(":")[0])
    assert variable.name == name
    assert optimizers.decays(variable) is decays


def test_all_decays_where_all_is_asked_for():
    assert optimizers.decays(tf.Variable(1.0, name="bn/beta"), "all")
    assert optimizers.decays(tf.Variable(1.0, name="stage1_unit1_se_reduce/kernel"), "all")


needs_addons = pytest.mark.skipif(sys.version_info >= (3, 12), reason="tensorflow-addons has wheels up to Python 3.11")


@pytest.mark.parametrize(
    "name",
    ["sgd", "adam", "adamw", "sgdw", pytest.param("lamb", marks=needs_addons)],
)
def test_every_optimizer_lowers_a_quadratic_and_decays_kernels_only(name):
    kernel = tf.Variable([3.0, -2.0], name="dense/kernel")
    bias = tf.Variable([3.0, -2.0], name="dense/bias")
    schedule = optimizers.Schedule("constant", 0.05, steps=100)
    config = OptimizerConfig(name=name, weight_decay=0.1)
    optimizer, left = optimizers.optimizer(config, schedule, [kernel, bias])
    assert (left == 0.1) == (name in ("sgd", "adam"))
    for _ in range(20):
        gradients = [variable - 1.0 for variable in (kernel, bias)]
        optimizer.apply_gradients(zip(gradients, [kernel, bias], strict=True))
    assert np.sum((bias.numpy() - 1) ** 2) < 10
    if left:
        np.testing.assert_array_equal(kernel.numpy(), bias.numpy())  # the model adds the decay to the gradient
    else:
        assert np.abs(kernel.numpy() - bias.numpy()).max() > 1e-4


def test_addons_are_named_where_they_cannot_be(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_addons", None)
    with pytest.raises(ImportError, match=r"tensorflow-addons, which exists for Python 3\.10 and 3\.11"):
        optimizers.optimizer(OptimizerConfig(name="lamb"), optimizers.Schedule("constant", 0.1, steps=1), [])
