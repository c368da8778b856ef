import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import keras, tf
from keras_face.losses.starts import UnitRows, start_of


def test_unit_rows_have_length_one_and_all_directions():
    keras.utils.set_random_seed(0)
    rows = start_of("unit")((2000, 3)).numpy()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-6)
    assert np.abs(rows.mean(axis=0)).max() < 0.05
    np.testing.assert_allclose(rows.T @ rows / 2000, np.eye(3) / 3, atol=0.03)
    again = keras.initializers.deserialize(keras.initializers.serialize(start_of("unit")))
    assert isinstance(again, UnitRows)


def test_a_number_is_a_standard_deviation_and_a_name_one_of_keras():
    assert start_of(0.25)((2000, 4)).numpy().std() == pytest.approx(0.25, rel=0.03)
    assert start_of(None)((2000, 4)).numpy().std() == pytest.approx(0.01, rel=0.03)
    assert isinstance(start_of("glorot_normal"), keras.initializers.GlorotNormal)


SIZE, PEOPLE, RATE = 64, 20, 0.01


def turned_by_caffe(start, embeddings, labels, steps):
    """SphereFace's update in NumPy: unit prototypes before each step, and the gradient of the plain products.

    The margin: psi of 4 angles, (lambda |x| cosine + |x| psi) / (1 + lambda), lambda 5; Caffe's momentum of 0.9.
    """
    prototypes, step_before = start / np.linalg.norm(start, axis=1, keepdims=True), np.zeros_like(start)
    examples = np.arange(len(labels))
    for _ in range(steps):
        products = embeddings @ prototypes.T
        lengths = np.linalg.norm(embeddings, axis=1)
        angles = np.arccos(products[examples, labels] / lengths)
        piece = np.floor(4 * angles / np.pi)
        psi = (-1) ** piece * np.cos(4 * angles) - 2 * piece
        products[examples, labels] = (5 * products[examples, labels] + lengths * psi) / 6
        exponentials = np.exp(products - products.max(axis=1, keepdims=True))
        to_products = exponentials / exponentials.sum(axis=1, keepdims=True)
        to_products[examples, labels] -= 1
        step_before = 0.9 * step_before + RATE * to_products.T @ embeddings / len(labels)
        prototypes = prototypes - step_before
        prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    return prototypes


@pytest.mark.parametrize("steps", [1, 10])
def test_prototypes_of_length_one_turn_as_those_of_caffe(steps):
    generator = np.random.default_rng(0)
    embeddings = 4 * generator.normal(size=(16, SIZE)) / SIZE**0.5
    labels = generator.integers(0, PEOPLE, 16)
    keras.utils.set_random_seed(0)
    fixed = {"lambda_base": 5.0, "lambda_min": 5.0}
    head = losses.get("a_softmax", num_identities=PEOPLE, gradient="caffe", **fixed)
    head.build((None, SIZE))
    start = head.prototypes.numpy().astype(float)
    optimizer = keras.optimizers.SGD(RATE, 0.9)
    optimizer.build([head.prototypes])
    for _ in range(steps):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(head(tf.constant(embeddings, tf.float32), labels, training=True))
        optimizer.apply_gradients([(tf.convert_to_tensor(tape.gradient(loss, head.prototypes)), head.prototypes)])

    def angles(rows):
        units = [values / np.linalg.norm(values, axis=1, keepdims=True) for values in (rows.astype(float), start)]
        return np.degrees(2 * np.arcsin(np.linalg.norm(units[0] - units[1], axis=1) / 2))  # exact for small ones too

    found, expected = angles(head.prototypes.numpy()), angles(turned_by_caffe(start, embeddings, labels, steps))
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=2e-3)
    assert expected.max() > (0.1 if steps == 1 else 5)
