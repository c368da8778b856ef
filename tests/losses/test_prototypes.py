import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import tf
from keras_face.losses import fused
from keras_face.losses.entries import OTHER_HEADS, SOFTMAX_HEADS
from keras_face.losses.geometry import distance, unit
from keras_face.losses.margins import NoMargin
from keras_face.losses.products import products
from keras_face.losses.softmax import MarginSoftmax, Softmax

pytestmark = pytest.mark.gpu


def numpy_products(vectors, prototypes, rows, normalise):
    """The definition, in loops and float64."""
    matrix = np.zeros((len(vectors), len(prototypes)))
    for i, vector in enumerate(vectors):
        for j, prototype in enumerate(prototypes):
            length = np.sqrt(sum(prototype**2)) if normalise else 1.0
            matrix[i, j] = sum(vector * prototype) / length
    divisor = np.array([[np.sqrt(sum(prototypes[row] ** 2)) if normalise else 1.0] for row in rows])
    return matrix, prototypes[rows] / divisor


def finite_difference(function, values, step=1e-6):
    gradient = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        up, down = values.copy(), values.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_products_and_their_gradients_are_those_of_the_definition(normalise, dtype):
    random = np.random.default_rng(0)
    vectors, prototypes = random.normal(size=(3, 4)), random.normal(size=(5, 4))
    rows = np.array([4, 0, 4], dtype)
    matrix_weights, own_weights = random.normal(size=(3, 5)), random.normal(size=(3, 4))

    def weighted(vectors, prototypes):
        matrix, own = numpy_products(vectors, prototypes, rows, normalise)
        return np.sum(matrix * matrix_weights) + np.sum(own * own_weights)

    inputs = [tf.constant(vectors, tf.float32), tf.constant(prototypes, tf.float32)]
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        matrix, own = products(*inputs, tf.constant(rows), normalise)
        total = tf.reduce_sum(matrix * matrix_weights) + tf.reduce_sum(own * own_weights)
    to_vectors, to_prototypes = tape.gradient(total, inputs)

    expected = numpy_products(vectors, prototypes, rows, normalise)
    np.testing.assert_allclose(matrix, expected[0], atol=1e-6)
    np.testing.assert_allclose(own, expected[1], atol=1e-6)
    np.testing.assert_allclose(
        to_vectors, finite_difference(lambda values: weighted(values, prototypes), vectors), atol=1e-5
    )
    np.testing.assert_allclose(
        to_prototypes, finite_difference(lambda values: weighted(vectors, values), prototypes), atol=1e-5
    )


def test_a_prototype_of_length_zero_has_cosine_zero_and_a_finite_gradient():
    vectors, prototypes = tf.constant([[0.6, 0.8]]), tf.constant([[0.0, 0.0], [3.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch([vectors, prototypes])
        matrix, own = products(vectors, prototypes, tf.constant([0]), normalise=True)
        total = tf.reduce_sum(matrix) + tf.reduce_sum(own)
    gradients = tape.gradient(total, [vectors, prototypes])
    np.testing.assert_allclose(matrix, [[0.0, 0.6]], rtol=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("length", [1e-10, 1e-3, 1.0, 1e30])
def test_unit_vectors_do_not_depend_on_the_length(length):
    vector = np.array([[3.0, -4.0, 0.0]])
    with tf.GradientTape() as tape:
        scaled = tf.constant(vector * length, tf.float32)
        tape.watch(scaled)
        result = unit(scaled)
        total = tf.reduce_sum(result * [[1.0, 0.0, 0.0]])
    np.testing.assert_allclose(result, [[0.6, -0.8, 0.0]], rtol=1e-6)
    # The derivative of x / |x| along the first axis is (1 - 0.36, 0.48, 0) / |x|.
    np.testing.assert_allclose(
        tape.gradient(total, scaled), [[0.64 / 5, 0.48 / 5, 0.0]] / np.float64(length), rtol=1e-5
    )


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_zero_vector_stays_zero_with_a_harmless_gradient(dtype):
    with tf.GradientTape() as tape:
        zero = tf.zeros([1, 3], dtype)
        tape.watch(zero)
        result = unit(zero)
        total = tf.reduce_sum(result * [[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(result, np.zeros((1, 3), np.float32))
    np.testing.assert_array_equal(tf.cast(tape.gradient(total, zero), tf.float32), [[1, 2, 3]])


def test_unit_vectors_of_a_half_precision_embedding_have_full_precision():
    embedding = tf.constant(np.random.default_rng(0).normal(size=(10, 512)), tf.float16)
    np.testing.assert_allclose(np.linalg.norm(unit(embedding), axis=1), 1, atol=3e-7)


def test_distance_of_one_point_to_itself_is_zero_with_gradient_zero():
    with tf.GradientTape() as tape:
        point = tf.constant([[1.0, 2.0], [1.0, 2.0]])
        tape.watch(point)
        result = distance(point, tf.constant([[1.0, 2.0], [4.0, 6.0]]))
    np.testing.assert_allclose(result, [0.0, 5.0])
    np.testing.assert_allclose(tape.gradient(result, point), [[0, 0], [-0.6, -0.8]], rtol=1e-6)


def test_prototypes_start_as_documented():
    head = MarginSoftmax(2000, NoMargin())
    head.build((None, 64))
    assert head.prototypes.shape == (2000, 64)
    np.testing.assert_allclose(np.std(head.prototypes), 0.01, rtol=0.02)
    plain = Softmax(2000)
    plain.build((None, 64))
    np.testing.assert_allclose(np.std(plain.prototypes), np.sqrt(2 / (2000 + 64)), rtol=0.02)
    ones = MarginSoftmax(3, NoMargin(), initializer="ones")
    ones.build((None, 2))
    np.testing.assert_array_equal(ones.prototypes, np.ones((3, 2)))


def test_a_zero_prototype_sends_the_head_no_nan():
    head = MarginSoftmax(3, NoMargin(), initializer="zeros")
    embeddings = tf.Variable([[1.0, 2.0], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        loss = head(embeddings, tf.constant([0, 2]))
    np.testing.assert_allclose(loss, np.log([3, 3]), rtol=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in tape.gradient(loss, [embeddings, head.prototypes]))


@pytest.mark.parametrize("name", [*SOFTMAX_HEADS, *OTHER_HEADS])
def test_no_head_gathers_prototypes_beside_the_product_which_would_make_a_sparse_gradient_dense(name):
    head = losses.get(name, num_identities=5)
    head.build((None, 4))
    with tf.GradientTape() as tape:
        output = head.forward(tf.ones([2, 4]), tf.constant([1, 3]), training=True)
        total = tf.reduce_sum(output.loss + output.target_cosine)
    assert isinstance(tape.gradient(total, head.prototypes), tf.Tensor)


@pytest.mark.parametrize("settings", [{"num_identities": 0}, {"num_identities": 2, "num_sequences": -1}])
def test_impossible_numbers_of_labels_are_refused(settings):
    with pytest.raises(ValueError, match=r"must be at least \d, got"):
        Softmax(**settings)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("tools", ["", "no libdevice"])
def test_bfloat16_rounds_the_factors_of_a_product_and_adds_in_float32(monkeypatch, normalise, tools):
    monkeypatch.setattr(fused, "xla_trouble", lambda: tools)
    monkeypatch.setattr("keras_face.losses.products.xla_trouble", lambda: tools)
    random = np.random.default_rng(0)
    vectors, prototypes = (random.normal(size=shape).astype(np.float32) for shape in ((3, 64), (5, 64)))
    upstream = random.normal(size=(3, 5)).astype(np.float32)
    rows = np.array([4, 0, 4])

    def rounded(values):
        return tf.cast(tf.cast(values, tf.bfloat16), tf.float32).numpy().astype(np.float64)

    with tf.GradientTape() as tape:
        sources = [tf.constant(vectors), tf.constant(prototypes)]
        tape.watch(sources)
        matrix, own = products(*sources, rows, normalise, compute="bfloat16")
    lengths = np.linalg.norm(prototypes, axis=1) if normalise else np.ones(5)
    expected = rounded(vectors) @ rounded(prototypes).T / lengths
    np.testing.assert_allclose(matrix, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(own, (prototypes / lengths[:, None])[rows], rtol=1e-6)  # in float32
    by_vectors, _ = tape.gradient(matrix, sources, tf.constant(upstream))
    np.testing.assert_allclose(by_vectors, rounded(upstream / lengths) @ rounded(prototypes), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["softmax", "arcface", "sphereface2", "a_softmax", "margin_loss"])
def test_every_kind_of_head_takes_its_products_in_bfloat16_within_the_bound(name):
    random = np.random.default_rng(1)
    embeddings, labels = tf.constant(random.normal(size=[4, 32]), tf.float32), tf.constant([0, 6, 3, 3])
    heads = [losses.get(name, num_identities=7), losses.get(name, num_identities=7)]
    heads[1].compute = "bfloat16"
    for head in heads:
        head.build((None, 32))
        head.prototypes.assign(random.normal(size=[7, 32]) if head is heads[0] else heads[0].prototypes)
    exact, rounded = (head(embeddings, labels).numpy() for head in heads)
    largest = getattr(heads[0], "scale", 1.0) or 1.0
    if name == "softmax":
        largest = np.max(np.linalg.norm(embeddings, axis=1)) * np.max(np.linalg.norm(heads[0].prototypes, axis=1))
    np.testing.assert_allclose(rounded, exact, atol=2 * largest * 2.0**-7)
    assert np.any(rounded != exact)


def test_another_type_of_products_is_refused():
    with pytest.raises(ValueError, match=r"compute must be one of \('float32', 'bfloat16'\), got 'float16'"):
        losses.Softmax(3, compute="float16")
