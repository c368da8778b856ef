"""The compiled step beside the plain one, and what cannot be compiled."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from test_model import IDENTITIES, SIZE, batch, model

from keras_face.backend import addons, keras, tf
from keras_face.config import RunConfig
from keras_face.losses import fused
from keras_face.training import compiling
from keras_face.training.model import FaceModel
from keras_face.training.update import Update

pytestmark = pytest.mark.gpu

NOT_ASKED = SimpleNamespace(asked=False)


def trained(strategy, form, steps=2, make=model, **settings):
    """Returns what the last step saw, the weights, and the form that ran, of a training on batches cut in shares."""
    with strategy.scope():
        made = make(**settings)
    update = Update(made, strategy, NOT_ASKED, form)
    replicas = strategy.num_replicas_in_sync
    for number in range(steps):
        whole = batch(8, number)
        share = {
            name: strategy.experimental_distribute_values_from_function(
                lambda context, name=name, whole=whole: tf.split(whole[name], replicas)[
                    context.replica_id_in_sync_group
                ]
            )
            for name in whole
        }
        [seen], _ = update([share]).read()
    return seen, made.get_weights(), update.form


def same(one, other):
    assert one[0].keys() == other[0].keys()
    for name, value in one[0].items():
        assert other[0][name] == pytest.approx(value, rel=1e-5, abs=1e-6), name
    for left, right in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(right, left, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", [compiling.STEP, compiling.NETWORK])
@pytest.mark.parametrize(
    "settings",
    [
        {"batch_norm": True, "weight_decay": 0.01, "clip_norm": 0.5, "average_decay": 0.9},
        {"batch_norm": True, "accumulation_steps": 2, "shares": (0.1, 0.5), "head": "curricularface"},
    ],
    ids=["decay, clipping and average", "accumulation, shares and a head with state"],
)
def test_a_compiled_step_sees_and_learns_what_the_plain_one_does(one_replica, form, settings):
    plain, compiled = (trained(one_replica, each, **settings) for each in (compiling.NOTHING, form))
    same(plain, compiled)
    assert (plain[2], compiled[2]) == (compiling.NOTHING, form)


def test_two_replicas_of_a_compiled_step_learn_what_one_plain_one_does(one_replica, two_replicas):
    same(trained(one_replica, compiling.NOTHING), trained(two_replicas, compiling.STEP))


def test_several_steps_in_one_go_are_those_steps(one_replica):
    batches = [batch(8, number) for number in range(3)]
    apart, together = (Update(model(), one_replica, NOT_ASKED) for _ in range(2))
    expected = [apart([each]).read()[0][0] for each in batches]
    for one, other in zip(expected, together(batches).read()[0], strict=True):
        assert one == pytest.approx(other, rel=1e-6)


class Counting(keras.layers.Layer):
    """A loss with an operation of Python's own, which XLA has not."""

    def call(self, embeddings, labels, training=False):
        numbers = tf.numpy_function(lambda values: values, [embeddings], tf.float32)
        return tf.reduce_sum(tf.ensure_shape(numbers, embeddings.shape), axis=1)


def with_counting(**settings):
    made = model(**settings)
    layers = {**made.loss_layers, "counting": Counting()}
    odd = FaceModel(made.backbone, layers, dict.fromkeys(layers, 1.0))
    odd.compile(optimizer=keras.optimizers.SGD(0.003))
    return odd


def test_what_cannot_be_compiled_is_named_and_the_network_is_compiled_alone(one_replica, caplog):
    with caplog.at_level(logging.WARNING, "keras_face"):
        fallen = trained(one_replica, compiling.STEP, make=with_counting)
    assert fallen[2] == compiling.NETWORK
    [line] = [record.getMessage() for record in caplog.records if record.name == "keras_face"]
    assert line.startswith("[run] jit: step: loss_counting cannot be compiled (PyFunc (No registered 'PyFunc' OpKernel")
    assert line.endswith("; instead: the network compiled, the rest not")
    same(trained(one_replica, compiling.NOTHING, make=with_counting), fallen)


def test_an_error_that_is_not_the_compilers_stays(one_replica):
    update = Update(model(), one_replica, NOT_ASKED, compiling.STEP)
    with pytest.raises((ValueError, TypeError)):
        update([{"images": tf.zeros([4, SIZE, SIZE, 3], tf.uint8), "labels": None}])


def test_a_label_out_of_range_is_nan_in_a_compiled_step_and_the_error_of_the_plain_one_afterwards(one_replica):
    wrong = {**batch(4), "labels": tf.constant([0, 1, IDENTITIES, 2], tf.int64)}
    update = Update(model(), one_replica, NOT_ASKED, compiling.STEP)
    [seen], _ = update([wrong]).read()
    assert np.isnan(seen["loss"])
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"labels must be in \[-2, {IDENTITIES}\), got"):
        update.check_labels(wrong["labels"])
    update.check_labels(batch(4)["labels"])


def test_a_step_that_does_not_fit_is_a_line_with_the_batch_that_would(one_replica):
    update = Update(model(accumulation_steps=2), one_replica, NOT_ASKED)
    message = "Out of memory while trying to allocate 4.00GiB"

    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, message)

    update._steps = full
    with pytest.raises(ValueError, match=r"batch_size: 10 photos do not fit .*about 4, .*accumulation_steps = 3, "):
        update([batch(10)])


@pytest.mark.parametrize(
    "jit, gpus, trouble, form",
    [
        ("auto", False, "", compiling.NOTHING),
        ("auto", True, "", compiling.STEP),
        ("auto", True, "no libdevice", compiling.NOTHING),
        ("True", False, "", compiling.STEP),
        ("network", True, "", compiling.NETWORK),
        ("network", True, "no ptxas", compiling.NOTHING),
        ("False", True, "", compiling.NOTHING),
    ],
)
def test_the_form_is_that_of_the_setting_where_the_machine_has_it(monkeypatch, jit, gpus, trouble, form):
    monkeypatch.setattr(compiling, "xla_trouble", lambda: trouble)
    found, reason = compiling.form_of(RunConfig(jit=jit).jit, gpus)
    assert found == form
    assert (trouble in reason and "nvidia-cuda-nvcc" in reason) if trouble else reason == ""


def test_xla_that_lacks_its_tools_says_so_in_one_line(monkeypatch):
    def lacking(function, **_):
        def call(*_):
            raise tf.errors.InternalError(None, None, "libdevice not found at ./libdevice.10.bc\nand more")

        return call

    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(tf, "function", lambda **_: lambda function: lacking(function))
    monkeypatch.setattr(tf, "device", lambda name: tf.name_scope("any"))
    fused.xla_trouble.cache_clear()
    try:
        assert fused.xla_trouble() == "libdevice not found at ./libdevice.10.bc"
    finally:
        fused.xla_trouble.cache_clear()


def optimizers():
    everything = {"batch_norm": True, "shares": (0.5, 0.1), "weight_decay": 0.1, "clip_norm": 1.0, "average_decay": 0.9}
    yield pytest.param(lambda: keras.optimizers.SGD(0.1, 0.9), {**everything, "accumulation_steps": 2}, id="all parts")
    yield pytest.param(lambda: keras.optimizers.AdamW(0.1), {}, id="adamw")
    scaling = keras.mixed_precision.LossScaleOptimizer
    yield pytest.param(lambda: scaling(keras.optimizers.SGD(0.1)), {}, id="loss scale")
    yield pytest.param(lambda: addons().optimizers.LAMB(0.1), {}, id="lamb")


@pytest.mark.parametrize("make, settings", list(optimizers()))
def test_no_part_of_an_update_leaves_its_replica(as_on_gpus, make, settings):
    with as_on_gpus.strategy.scope():
        made = model(make(), **settings)
    shares = {"images": tf.zeros([4, SIZE, SIZE, 3], tf.uint8), "labels": tf.zeros([4], tf.int64)}
    assert as_on_gpus.trace(made.update, shares) > 0
