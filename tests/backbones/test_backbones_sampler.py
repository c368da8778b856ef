"""The spatial transformer: affine sampling against SciPy and closed forms, and the window that it looks at."""

import numpy as np
import pytest
import scipy.ndimage

from keras_face.backbones.spatial_transformer import AffineSampler, Window
from keras_face.backend import keras, tf

IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


def images(batch=2, height=9, width=7, channels=3, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (batch, height, width, channels)).astype(np.float32)


def sample(photos, *transforms):
    return AffineSampler()([tf.constant(photos), tf.constant(np.array(transforms, np.float32))]).numpy()


def in_pixels(matrix, height, width):
    """Returns the transform, in half sizes, of a map of pixels from the middle, [[xx, xy, x], [yx, yy, y]]."""
    x, y = (width - 1) / 2, (height - 1) / 2
    return np.array(matrix) * np.array([[1, y / x, 1 / x], [x / y, 1, 1 / y]])


def scipy_sample(photo, matrix):
    """Returns SciPy's bilinear sampling of [height, width, channels] with zeros around; it counts (row, column)."""
    (xx, xy, x), (yx, yy, y) = matrix
    turned = np.array([[yy, yx], [xy, xx]])
    middle = (np.array(photo.shape[:2]) - 1) / 2
    offset = middle + np.array([y, x]) - turned @ middle
    settings = {"offset": offset, "order": 1, "mode": "grid-constant", "cval": 0.0}
    planes = [scipy.ndimage.affine_transform(plane, turned, **settings) for plane in np.moveaxis(photo, 2, 0)]
    return np.stack(planes, axis=2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_identity_gives_exactly_the_images(dtype):
    photos = tf.cast(images(height=31, width=112), dtype)
    sampler = AffineSampler(dtype=dtype if dtype == "float32" else f"mixed_{dtype}")
    out = sampler([photos, tf.constant([IDENTITY, IDENTITY])])
    assert out.dtype == photos.dtype
    np.testing.assert_array_equal(tf.cast(out, tf.float32), tf.cast(photos, tf.float32))


@pytest.mark.parametrize("degrees", [0, 30, -75, 90, 180])
@pytest.mark.parametrize("size", [(9, 9), (9, 14)])
def test_rotation_is_scipys(degrees, size):
    photo = images(1, *size, 2)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = [[cosine, -sine, 0.0], [sine, cosine, 0.0]]
    out = sample(photo, in_pixels(matrix, *size))
    np.testing.assert_allclose(out[0], scipy_sample(photo[0], matrix), atol=2e-5)


def test_any_transform_of_each_image_is_scipys():
    photos = images(3, 8, 11)
    matrices = [
        [[1.3, 0.4, 2.2], [-0.2, 0.6, -1.7]],
        [[0.5, 0.0, 0.0], [0.0, 2.5, 0.3]],
        [[-1.0, 0.1, 30.0], [0.3, 1.0, 0.0]],
    ]
    out = sample(photos, *(in_pixels(matrix, 8, 11) for matrix in matrices))
    for index, matrix in enumerate(matrices):
        np.testing.assert_allclose(out[index], scipy_sample(photos[index], matrix), atol=2e-5)


def test_shift_by_whole_pixels_moves_pixels_and_brings_in_zeros():
    photo = images(1, 5, 9)
    out = sample(photo, [[1, 0, 2 / 4], [0, 1, -1 / 2]])  # half of 8 and of 4 pixel steps
    expected = np.zeros_like(photo)
    expected[:, 1:, :7] = photo[:, :4, 2:]
    np.testing.assert_allclose(out, expected, atol=1e-6)


def test_gradients_are_those_of_a_plane():
    # On the plane f = 2 x + 3 y the output at (x, y) is 2 (t00 x + t01 y + t02) + 3 (t10 x + t11 y + t12).
    x, y = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 7))
    plane = tf.constant((2 * x + 3 * y)[np.newaxis, :, :, np.newaxis], tf.float32)
    transform = tf.Variable([[[0.5, 0.1, 0.13], [-0.2, 0.6, -0.07]]])
    weights = np.random.default_rng(0).normal(size=x.shape)
    with tf.GradientTape() as tape:
        tape.watch(plane)
        out = AffineSampler()([plane, transform])
        total = tf.reduce_sum(out[0, :, :, 0] * weights.astype(np.float32))
    by_plane, by_transform = tape.gradient(total, [plane, transform])
    (a, b, c), (d, e, f) = transform[0].numpy()
    np.testing.assert_allclose(out[0, :, :, 0], 2 * (a * x + b * y + c) + 3 * (d * x + e * y + f), atol=1e-5)
    sums = [(weights * x).sum(), (weights * y).sum(), weights.sum()]
    np.testing.assert_allclose(by_transform[0], np.outer([2, 3], sums), rtol=1e-4, atol=1e-4)
    # Every output is a mean of four pixels inside, so the weights are only shared out.
    np.testing.assert_allclose(tf.reduce_sum(by_plane), weights.sum(), rtol=1e-4)


def test_far_places_are_zeros_with_finite_gradients():
    transform = tf.Variable([[[1e30, 0, 5.0], [0, 1.0, -1e9]]])
    with tf.GradientTape() as tape:
        out = AffineSampler()([tf.constant(images(1)), transform])
        total = tf.reduce_sum(out)
    np.testing.assert_array_equal(out, np.zeros_like(out))
    assert np.isfinite(tape.gradient(total, transform)).all()


def test_transform_that_is_no_number_shows_in_its_own_image_only():
    out = sample(images(2), np.full((2, 3), np.nan), IDENTITY)
    assert np.isnan(out[0]).all()
    np.testing.assert_array_equal(out[1], images(2)[1])


def test_places_are_as_exact_in_bfloat16():
    photos = tf.cast(images(1, 112, 112), tf.bfloat16)
    transform = tf.constant([[[1, 0, 1 / 3 / 55.5], [0, 1, 0]]])  # a third of a pixel
    mixed = AffineSampler(dtype="mixed_bfloat16")([photos, transform])
    exact = AffineSampler()([tf.cast(photos, tf.float32), transform])
    np.testing.assert_array_equal(tf.cast(mixed, tf.float32), tf.cast(tf.cast(exact, tf.bfloat16), tf.float32))


def test_xla_samples_the_same():
    photos, transform = tf.constant(images(1)), tf.constant([[[0.9, 0.2, 0.1], [0.1, 1.2, -0.3]]])
    sampler = AffineSampler()
    compiled = tf.function(lambda: sampler([photos, transform]), jit_compile=True)
    np.testing.assert_allclose(compiled(), sampler([photos, transform]), atol=1e-5)


@pytest.mark.parametrize("size", [(1, 9), (None, 9)])
def test_images_without_a_size_to_sample_are_refused(size):
    with pytest.raises(ValueError, match="fixed size of at least 2 x 2 pixels"):
        AffineSampler()([keras.Input((*size, 3)), keras.Input((2, 3))])


def test_window_is_the_image_at_first_and_never_mirrored():
    np.testing.assert_array_equal(Window()(tf.zeros((1, 4)))[0], IDENTITY)
    out = Window()(tf.constant([[-1.0, 0.5, -0.3, 0.2], [-50.0, -50.0, 50.0, 50.0]])).numpy()
    width, height, down, right = np.tanh([-1.0, 0.5, -0.3, 0.2])
    np.testing.assert_allclose(out[0], [[1 + width, 0, right], [0, 1 + height, down]], rtol=1e-6)
    np.testing.assert_array_equal(out[1], [[0, 0, 1], [0, 0, 1]])


def test_window_is_found_by_its_gradient():
    x, y = np.meshgrid(np.linspace(-1, 1, 24), np.linspace(-1, 1, 24))
    photo = np.exp(-4 * ((x - 0.1) ** 2 + (y + 0.2) ** 2))[np.newaxis, :, :, np.newaxis].astype(np.float32)
    goal = np.array([-0.3, -0.2, 0.15, -0.1], np.float32)
    wanted = AffineSampler()([photo, Window()(goal[np.newaxis])])
    numbers = tf.Variable(tf.zeros((1, 4)))
    optimizer = keras.optimizers.Adam(0.03)
    for _ in range(120):
        with tf.GradientTape() as tape:
            error = tf.reduce_mean((AffineSampler()([photo, Window()(numbers)]) - wanted) ** 2)
        optimizer.apply_gradients([(tape.gradient(error, numbers), numbers)])
    np.testing.assert_allclose(numbers[0], goal, atol=0.03)


def test_layers_are_made_again_from_their_configuration():
    for layer in (AffineSampler(name="sampler", dtype="mixed_bfloat16"), Window(name="window")):
        copy = keras.layers.deserialize(keras.layers.serialize(layer))
        assert type(copy) is type(layer)
        assert copy.get_config() == layer.get_config()
