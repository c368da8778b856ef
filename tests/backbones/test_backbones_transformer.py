"""What the vision transformers compute, and how they leave out patches and branches while they train."""

import functools
import re

import numpy as np
import pytest

from keras_face import backbones
from keras_face.backbones.settings import Settings
from keras_face.backbones.tokens import Attend, MaskTokens, RestoreTokens
from keras_face.backbones.vision_transformer import vision_transformer
from keras_face.backend import keras, tf


def small(input_shape=(27, 36, 3), depth=2, dropout_seed=0, mask_ratio=None):
    keras.utils.set_random_seed(3)
    settings = Settings(input_shape, 16, 0.125, None, dropout_seed, False, mask_ratio)
    return vision_transformer("vit", settings, size=256, depth=depth, drop_path=0.2, mask_ratio=0.4)


@functools.cache
def unchanged():
    """Returns a network that tests share; they leave it as it is."""
    return small()


def photos(model, batch=4):
    return np.random.default_rng(0).uniform(-1, 1, (batch, *model.input_shape[1:])).astype(np.float32)


def tokens_after(model, name):
    """Returns a layer's tokens of one photo, without the batch."""
    return keras.Model(model.input, model.get_layer(name).output)(photos(model, 1))[0].numpy().astype(np.float64)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_attention_is_a_softmax_over_tokens_in_every_head(dtype):
    inputs = tf.cast(np.random.default_rng(0).normal(size=(2, 5, 3 * 8)), dtype)
    out = Attend(2, dtype=dtype)(inputs)
    values = tf.cast(inputs, tf.float64).numpy()
    expected = np.zeros((2, 5, 8))
    for head in range(2):
        queries, keys, contents = (values[:, :, 8 * part + 4 * head :][:, :, :4] for part in range(3))
        for example in range(2):
            for token in range(5):
                weights = np.exp(keys[example] @ queries[example, token] / 2)  # square root of 4 numbers a head
                mean = weights @ contents[example] / weights.sum()
                expected[example, token, 4 * head : 4 * head + 4] = mean
    assert out.dtype == inputs.dtype
    np.testing.assert_allclose(tf.cast(out, tf.float64), expected, atol=1e-6 if dtype == "float32" else 0.02)


def test_block_of_a_transformer_is_attention_and_two_dense_layers():
    model = small()
    generator = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(generator.uniform(-0.3, 0.3, variable.shape))

    def layer_norm(x, layer):
        gamma, beta = (value.numpy() for value in layer.weights)
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * gamma + beta

    def dense(x, part):
        weights = [value.numpy() for value in model.get_layer(f"block1_{part}").weights]
        return x @ weights[0] + (weights[1] if len(weights) > 1 else 0)

    x, found = (tokens_after(model, name) for name in ("positions", "block1_dense_add"))
    branch = dense(layer_norm(x, model.get_layer("block1_norm1")), "queries_keys_values")
    x = x + dense(Attend(8)(branch[np.newaxis].astype(np.float32)).numpy()[0], "project")
    hidden = np.clip(dense(layer_norm(x, model.get_layer("block1_norm2")), "dense1"), 0, 6)
    np.testing.assert_allclose(found, x + dense(hidden, "dense2"), rtol=1e-3, atol=1e-3)


def test_patches_are_read_row_by_row_and_the_rest_is_left_out():
    model = unchanged()
    tokens = tokens_after(model, "tokens")
    kernel, bias = (value.numpy() for value in model.get_layer("patches").weights)
    photo = photos(model, 1)[0].astype(np.float64)
    for index, (row, column) in enumerate((row, column) for row in range(3) for column in range(4)):
        patch = photo[9 * row : 9 * row + 9, 9 * column : 9 * column + 9]
        np.testing.assert_allclose(tokens[index], np.einsum("ijc,ijco->o", patch, kernel) + bias, atol=1e-4)
    large = small((112, 112, 3), depth=1, mask_ratio=0.0)
    assert large.get_layer("tokens").output_shape == (None, 144, 32)
    edge = photos(large, 2)
    edge[1, :108, :108] = edge[0, :108, :108]
    np.testing.assert_array_equal(*np.split(large(edge).numpy(), 2))


def test_masking_leaves_out_the_share_and_knows_the_places():
    tokens = np.random.default_rng(0).normal(size=(6, 20, 4)).astype(np.float32)
    layer = MaskTokens(0.3)
    kept, places = (out.numpy() for out in layer(tokens, training=True))
    assert kept.shape == (6, 14, 4)
    for example in range(6):
        stays = places[example] < 14
        assert stays.sum() == 14
        np.testing.assert_array_equal(kept[example, places[example, stays]], tokens[example, stays])
    assert len({tuple(row) for row in places}) == 6
    restore = RestoreTokens()
    restored = restore([kept, places]).numpy()
    expected = np.where((places < 14)[..., np.newaxis], tokens, restore.mask_token.numpy())
    np.testing.assert_array_equal(restored, expected)


def test_masking_acts_only_in_training_and_follows_seed_and_step():
    tokens = np.random.default_rng(0).normal(size=(3, 10, 2)).astype(np.float32)
    layer, same, other = MaskTokens(0.5, seed=1), MaskTokens(0.5, seed=1), MaskTokens(0.5, seed=2)
    for out in (layer(tokens), layer(tokens, training=False)):
        np.testing.assert_array_equal(out[0], tokens)
        np.testing.assert_array_equal(out[1], np.tile(np.arange(10), (3, 1)))
    first, second = (layer(tokens, training=True)[1].numpy() for _ in range(2))
    assert (first != second).any()
    assert (other(tokens, training=True)[1].numpy() != first).any()
    run = tf.function(lambda x: same(x, training=True)[1])
    np.testing.assert_array_equal(run(tokens), first)
    np.testing.assert_array_equal(run(tokens), second)


def test_two_replicas_mask_what_one_device_would(two_replicas):
    tokens = np.random.default_rng(0).normal(size=(4, 8, 2)).astype(np.float32)
    whole = MaskTokens(0.5, seed=7)(tokens, training=True)[1].numpy()
    with two_replicas.scope():
        layer = MaskTokens(0.5, seed=7)
        layer.build(tokens.shape)
    shares = iter(np.split(tokens, 2))
    inputs = two_replicas.experimental_distribute_values_from_function(lambda _: tf.constant(next(shares)))
    out = two_replicas.run(tf.function(lambda x: layer(x, training=True)[1]), args=(inputs,))
    np.testing.assert_array_equal(np.concatenate(two_replicas.experimental_local_results(out)), whole)


def test_transformer_masks_as_asked_and_only_in_training():
    images = None
    for ratio, layers in ((None, True), (0.6, True), (0.0, False)):
        model = small(mask_ratio=ratio)
        assert ("mask" in {layer.name for layer in model.layers}) == layers
        images = photos(model)
        np.testing.assert_array_equal(model(images), model(images, training=False))
        if layers:
            assert model.get_layer("mask").ratio == (0.4 if ratio is None else ratio)
    unmasked, masked = (small(mask_ratio=ratio) for ratio in (0.0, 0.6))
    masked_weights = {variable.name: variable for variable in masked.weights}
    for variable in unmasked.weights:
        if "step" not in variable.name:
            masked_weights[variable.name].assign(variable)
    np.testing.assert_allclose(masked(images), unmasked(images), atol=1e-5)
    assert np.abs(masked(images, training=True) - unmasked(images, training=True)).max() > 0.1
    with pytest.raises(ValueError, match="mask_ratio must be the masked share in"):
        small(mask_ratio=1.0)
    with pytest.raises(ValueError, match=re.escape("mask_ratio is for vision transformers (vit_...), got 0.1")):
        backbones.build("sphereface4", mask_ratio=0.1)


def test_random_layers_of_a_transformer_draw_apart():
    model = small(dropout_seed=5)
    layers = [layer for layer in model.layers if hasattr(layer, "seed")]
    assert {layer.name for layer in layers} == {"mask", "block2_attention_drop_path", "block2_dense_drop_path"}
    assert len({layer.seed for layer in layers}) == len(layers)
    others = [layer.seed for layer in small(dropout_seed=6).layers if hasattr(layer, "seed")]
    assert not {layer.seed for layer in layers} & set(others)


def test_compiled_transformer_gives_the_same_embeddings():
    model = unchanged()
    compiled = tf.function(lambda images: model(images), jit_compile=True)
    np.testing.assert_allclose(compiled(photos(model)), model(photos(model)), rtol=1e-3, atol=1e-4)
