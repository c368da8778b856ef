import numpy as np
import pytest

from keras_face.backend import tf
from keras_face.losses import fused as fusing
from keras_face.losses.fused import compiled, fused
from keras_face.losses.prototypes import nearest

pytestmark = pytest.mark.gpu

VALUES = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
FACTORS = np.random.default_rng(1).normal(size=3).astype(np.float32)
PLACES = np.array([2, 0, 3])


def summed(values, factors, places, power):
    """sum_j factor_i value_ij^power, without the entry at the place; the factors are constants to the gradient."""
    raised = tf.stop_gradient(factors)[:, tf.newaxis] * values**power
    indices = tf.stack([tf.range(tf.size(places, places.dtype)), places], axis=1)
    return tf.reduce_sum(tf.tensor_scatter_nd_update(raised, indices, tf.zeros_like(factors)), axis=1)


@pytest.fixture(params=["compiled", "without XLA's tools"])
def kind(request, monkeypatch):
    if request.param != "compiled":
        monkeypatch.setattr(fusing, "xla_trouble", lambda: "no libdevice")
    return request.param


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_a_fused_function_and_its_gradient_are_those_of_the_function(kind, mode):
    def gradients(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = fused(lambda *tensors, **settings: summed(*tensors, **settings))(
                values, tf.constant(FACTORS), tf.constant(PLACES), power=3
            )
        return result, tape.gradient(result, values, tf.constant([1.0, -2.0, 0.5]))

    run = gradients if mode == "eager" else tf.function(gradients, jit_compile=mode == "xla")
    kept = np.arange(4) != PLACES[:, np.newaxis]
    result, gradient = run(tf.constant(VALUES))
    np.testing.assert_allclose(result, np.sum(kept * FACTORS[:, np.newaxis] * VALUES**3, axis=1), rtol=1e-5)
    upstream = np.array([1.0, -2.0, 0.5]) * FACTORS
    np.testing.assert_allclose(gradient, kept * upstream[:, np.newaxis] * 3 * VALUES**2, rtol=1e-5)


def test_a_function_is_compiled_where_xla_works_only(kind):
    def doubled(values):
        return 2.0 * values

    function = compiled(doubled)
    assert (function is doubled) == (kind != "compiled")
    np.testing.assert_array_equal(function(tf.constant(VALUES)), 2 * VALUES)


def test_nearest_takes_the_highest_cosine_of_each_identity_and_sends_the_gradient_there_alone():
    cosines = tf.constant([[0.1, 0.3, -0.5, -0.2], [0.0, -1.0, 0.9, 0.7]])
    with tf.GradientTape() as tape:
        tape.watch(cosines)
        result = nearest(cosines, identities=2)
    np.testing.assert_array_equal(result, np.float32([[0.3, -0.2], [0.0, 0.9]]))
    by_cosines = tape.gradient(result, cosines, tf.constant([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(by_cosines, [[0, 1, 0, 2], [3, 0, 4, 0]])
