"""The numbers of TensorFlow's own functions, in each of three modes."""

import numpy as np
import pytest

from keras_face import stateless
from keras_face.backend import tf

pytestmark = pytest.mark.gpu

SEED = tf.constant([3, 7], tf.int64)


@pytest.fixture(params=["eager", "graph", "xla"])
def mode(request):
    return {"eager": lambda call: call, "graph": tf.function, "xla": tf.function(jit_compile=True)}[request.param]


def test_uniform_numbers_are_tensorflows_to_the_bit(mode):
    expected = tf.random.stateless_uniform([5, 7], SEED, alg="philox")
    np.testing.assert_array_equal(mode(lambda seed: stateless.uniform([5, 7], seed))(SEED), expected)


@pytest.mark.parametrize("count", [6, 7])
def test_normal_numbers_are_tensorflows(mode, count):
    expected = tf.random.stateless_normal([count], SEED, alg="philox")
    np.testing.assert_allclose(mode(lambda seed: stateless.normal(count, seed))(SEED), expected, atol=2e-6)
