"""The decoder of LATSE: from embeddings to crops."""

import re

import numpy as np
import pytest

from keras_face import backbones
from keras_face.backend import keras, tf


def small(embedding_size=12, image_size=(32, 48), width=0.05, **settings):
    keras.utils.set_random_seed(5)
    return backbones.decoder(embedding_size, image_size, width, **settings)


@pytest.fixture(scope="module")
def model():
    return small()


def embeddings(batch=3, size=12, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, size)).astype(np.float32)


def decoder_count(embedding_size):
    """Returns the trained weights at 112x112, counted layer by layer: kernels, gammas and betas, slopes."""
    total = 512 * (4 * embedding_size + 4 * 512 + 9 * 512) + 3 * 3 * 512  # 1 -> 2 -> 3 -> 7
    total += 7 * 7 * embedding_size * 512 + 3 * 512  # 1 -> 7
    before = 512
    for filters in (256, 128, 64, 64):
        total += 4 * before * filters + 2 * filters  # shortcut
        for unit, after_size in enumerate((16, 9)):
            inputs = before if unit == 0 else filters
            total += 2 * inputs + 9 * inputs * filters + 3 * filters + after_size * filters**2 + 2 * filters
        before = filters
    return total + 64 * 3 + 3


def test_decoder_has_the_counted_weights_and_the_published_stem():
    model = backbones.decoder(512)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == decoder_count(512)
    assert model.output_shape == (None, 112, 112, 3)
    stem = [model.get_layer(f"stem_{name}") for name in ("deconv1", "deconv2", "deconv3", "shortcut")]
    assert [layer.kernel_size[0] for layer in stem] == [2, 2, 3, 7]
    assert [layer.strides[0] for layer in stem] == [1, 1, 2, 1]
    assert [layer.output_shape[1] for layer in stem] == [2, 3, 7, 7]
    assert [model.get_layer(f"stage{stage}_unit2_add").output_shape[1] for stage in (1, 2, 3, 4)] == [14, 28, 56, 112]


@pytest.mark.parametrize("size", [(16, 16), (112, 96), (80, 160)])
def test_every_multiple_of_16_can_be_the_size(size):
    out = small(image_size=size, units=(1, 1, 1, 1))(embeddings()).numpy()
    assert out.shape == (3, *size, 3)
    assert 0 < out.min() < out.max() < 1


def test_relu_in_place_of_prelu_has_no_slopes_to_learn():
    relu, prelu = (small(activation=activation) for activation in ("relu", "prelu"))
    slopes = [variable for variable in prelu.trainable_variables if "alpha" in variable.name]
    assert len(slopes) == 4 + 8
    assert [v.shape for v in relu.trainable_variables] == [
        v.shape for v in prelu.trainable_variables if "alpha" not in v.name
    ]
    for slope in slopes:
        slope.assign(tf.zeros_like(slope))
    rest = [v for v in prelu.trainable_variables if "alpha" not in v.name]
    for mine, theirs in zip(relu.trainable_variables, rest, strict=True):
        mine.assign(theirs)
    np.testing.assert_allclose(relu(embeddings()), prelu(embeddings()), atol=1e-6)
    with pytest.raises(ValueError, match="relu or prelu, got 'tanh'"):
        small(activation="tanh")


def test_only_the_direction_of_an_embedding_counts(model):
    np.testing.assert_allclose(model(embeddings()), model(100 * embeddings()), atol=1e-5)
    assert np.abs(model(embeddings()) - model(-embeddings())).max() > 1e-3


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_every_precision_gives_finite_float32_pixels_and_gradients(precision):
    keras.mixed_precision.set_global_policy(precision)
    try:
        model = small(image_size=(16, 32), units=(1, 1, 1, 1))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    inputs = tf.Variable(np.concatenate([embeddings(), np.zeros((1, 12), np.float32)]))
    with tf.GradientTape() as tape:
        out = model(inputs, training=True)
        loss = tf.reduce_mean((out - np.random.default_rng(1).uniform(size=out.shape)) ** 2)
    assert out.dtype == tf.float32
    assert model.get_layer("stage1_unit1_conv1").compute_dtype == precision.removeprefix("mixed_")
    for gradient in tape.gradient(loss, [inputs, *model.trainable_variables]):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0


def test_every_pixel_has_a_gradient_at_first():
    # The original's clipping leaves about half of them without.
    out = small()(embeddings(8), training=True).numpy()
    slopes = out * (1 - out)
    assert np.mean(slopes > 0.01) > 0.95
    assert np.median(slopes) > 0.1  # of at most 0.25


def test_decoder_learns_to_tell_crops_apart():
    model = small(image_size=(16, 16), units=(1, 1, 1, 1), width=0.1)
    x, y = np.meshgrid(np.linspace(0, 1, 16), np.linspace(0, 1, 16))
    crops = np.stack([np.stack(planes, axis=2) for planes in ((x, y, x), (y, 1 - x, y), (1 - x, x, 1 - y))])
    optimizer = keras.optimizers.Adam(0.01)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            error = tf.reduce_mean((model(embeddings(), training=True) - crops.astype(np.float32)) ** 2)
        gradients = tape.gradient(error, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return error

    errors = [float(step()) for _ in range(80)]
    alike = np.mean((crops - crops.mean(axis=0)) ** 2)  # what the mean crop for every embedding would cost
    assert errors[-1] < 0.2 * alike < errors[0]


def test_same_seed_gives_the_same_decoder_and_layers_differ(model):
    for one, other in zip(model.weights, small().weights, strict=True):
        np.testing.assert_array_equal(one, other)
    kernels = [model.get_layer(f"stage3_unit2_conv{index}").kernel.numpy() for index in (1, 2)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01


def test_kernels_start_with_the_variance_that_keeps_gradients():
    model = small(embedding_size=64, width=0.25, image_size=(112, 112), units=(2, 1, 1, 1))
    for name, outputs in (("stage1_unit1_shortcut", 4 * 64), ("stage1_unit2_conv1", 9 * 64), ("stem_deconv3", 9 * 128)):
        np.testing.assert_allclose(model.get_layer(name).kernel.numpy().std(), (2 / outputs) ** 0.5, rtol=0.03)


def test_saved_decoder_gives_the_same_crops(tmp_path):
    model = small(image_size=(16, 16), units=(1, 1, 1, 1))
    module = tf.Module()
    module.variables_in_order = model.weights
    module.decode = tf.function(lambda x: {"crops": model(x)}, input_signature=[tf.TensorSpec((None, 12), tf.float32)])
    tf.saved_model.save(module, str(tmp_path), signatures=module.decode)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    np.testing.assert_allclose(loaded(tf.constant(embeddings()))["crops"], model(embeddings()), atol=1e-5)
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    np.testing.assert_allclose(copy(embeddings()), model(embeddings()), atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding_size": 0}, "embedding_size must be a whole number above 0, got 0"),
        ({"image_size": (112, 100)}, "image_size must be (height, width), multiples of 16 pixels, got (112, 100)"),
        ({"width": 0.0}, "width must be a finite factor above 0, got 0.0"),
        ({"units": (2, 2, 2)}, "units must be 4 whole numbers above 0, got (2, 2, 2)"),
    ],
)
def test_values_out_of_range_are_named(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        backbones.decoder(**{"embedding_size": 12, **settings})
