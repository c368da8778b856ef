"""What the networks of the published systems compute, and how they train, on networks of a few layers."""

import functools
import re

import numpy as np
import pytest

from keras_face import backbones
from keras_face.backbones import ghostfacenet, two_view
from keras_face.backbones.dropout import StatelessDropout
from keras_face.backbones.foamliu import foamliu_resnet
from keras_face.backbones.layers import FrozenBiasConv2D, PReLU
from keras_face.backbones.settings import Settings
from keras_face.backbones.sphereface import seqface_resnet27, sphereface
from keras_face.backbones.tokens import Attend, MaskTokens, Positions, RestoreTokens
from keras_face.backbones.vision_transformer import vision_transformer
from keras_face.backend import keras, tf
from keras_face.training.optimizers import decays

SIZES = {"seqface_resnet27": (33, 40), "vit": (27, 36)}
BOTTLENECKS = ((3, 16, 16, False, 1), (3, 48, 24, True, 2), (5, 72, 24, False, 1), (3, None, 40, True, 1))
STAGES = ((1, 64, 1), (2, 128, 2))
FAMILIES = ("sphereface", "seqface_resnet27", "se_foamliu", "ghost_v2", "vit", "two_view")


@pytest.fixture(scope="module", autouse=True)
def few_layers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ghostfacenet, "_BOTTLENECKS", BOTTLENECKS)
        patch.setattr(two_view, "_STAGES", STAGES)
        yield


def small(family, **settings):
    """Returns a network of the family with few layers of few channels."""
    keras.utils.set_random_seed(3)
    values = {"embedding_size": 16, "width": 0.125, "dropout": None, "dropout_seed": 0, "synchronized": False}
    chosen = Settings((*SIZES.get(family, (24, 20)), 3), **{**values, **settings})
    if family == "sphereface":
        return sphereface(family, chosen, units=(1, 0, 2, 1))
    if family == "seqface_resnet27":
        return seqface_resnet27(family, chosen)
    if "foamliu" in family:
        return foamliu_resnet(family, chosen, units=(1, 2, 1, 1), squeeze=family.startswith("se_"))
    if "ghost" in family:
        return ghostfacenet.ghostfacenet(family, chosen, version=int(family[-1]), strides=1)
    if family == "vit":
        return vision_transformer(family, chosen, size=256, depth=2, drop_path=0.2, mask_ratio=0.4)
    return two_view.two_view_resnet50(family, chosen)


@functools.cache
def unchanged(family):
    """Returns a float32 network that tests share; they leave it as it is."""
    policy = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("float32")
    try:
        return small(family)
    finally:
        keras.mixed_precision.set_global_policy(policy)


def photos(model, batch=4):
    return np.random.default_rng(0).uniform(-1, 1, (batch, *model.input_shape[1:])).astype(np.float32)


def everything(model):
    """Returns the layers of the model and of those in it."""
    for layer in model.layers:
        yield from everything(layer) if isinstance(layer, keras.Model) else (layer,)


def randomise(model):
    """Gives every variable but frozen biases and counters random values, such as training might have."""
    generator = np.random.default_rng(0)
    frozen = [layer.bias for layer in everything(model) if isinstance(layer, FrozenBiasConv2D)]
    for variable in model.weights:
        if variable.dtype.is_floating and not any(variable is one for one in frozen):
            low, high = (0.5, 1.5) if re.search("gamma|variance", variable.name) else (-0.3, 0.3)
            variable.assign(generator.uniform(low, high, variable.shape))


def convolve(x, kernel, stride=1, pad=1):
    """Returns the convolution of [height, width, channels] by PyTorch's definition, from all windows at once."""
    x = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(0, 1))[::stride, ::stride]
    return np.einsum("hwcij,ijco->hwo", windows, kernel)


def prelu(x, slopes):
    return np.where(x > 0, x, slopes * x)


def normalise(x, layer):
    gamma, beta, mean, variance = (value.numpy().astype(np.float64) for value in layer.weights)
    return (x - mean) / np.sqrt(variance + layer.epsilon) * gamma + beta


def inside(model, *names):
    """Returns the outputs of layers for one photo, without the batch."""
    outputs = [model.get_layer(name).output for name in names]
    found = tf.nest.flatten(keras.Model(model.input, outputs)(photos(model, 1)))
    return [out.numpy()[0].astype(np.float64) for out in found]


@pytest.fixture
def policy(request):
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"], indirect=True)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_precision_gives_finite_float32_embeddings_near_the_exact_ones(family, policy):
    model, exact = small(family), unchanged(family)
    dtype = tf.as_dtype(keras.mixed_precision.Policy(policy).compute_dtype)
    assert model.input.dtype == dtype
    assert all(variable.dtype == tf.float32 for variable in model.trainable_variables)
    rounded = model(photos(model))
    cosine = np.sum(tf.math.l2_normalize(exact(photos(model)), 1) * tf.math.l2_normalize(rounded, 1), axis=1)
    assert cosine.min() > 0.99
    for images in (photos(model), np.zeros((4, *model.input_shape[1:]), np.float32)):
        for embeddings in (model(images, training=True), exact(images), model(images)):
            assert embeddings.shape == (4, 16)
            assert embeddings.dtype == tf.float32
            assert np.isfinite(embeddings).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_training_reaches_every_trained_weight_and_no_frozen_bias(family):
    model = small(family)
    if family == "two_view":  # the last layer of its window starts at 0, and the layers before it learn once it is not
        model.get_layer("window_dense2").kernel.assign(np.random.default_rng(0).normal(0, 0.1, (32, 4)))
    weights = np.random.default_rng(1).normal(size=(8, 16)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(photos(model, 8), training=True) * weights)
    gradients = tape.gradient(loss, model.trainable_variables)
    for gradient, variable in zip(gradients, model.trainable_variables, strict=True):
        assert np.isfinite(gradient).all(), variable.name
        assert np.abs(gradient).max() > 0, variable.name
    keras.optimizers.SGD(0.1).apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    frozen = [layer.bias for layer in everything(model) if isinstance(layer, FrozenBiasConv2D)]
    assert len(frozen) == {"sphereface": 8, "seqface_resnet27": 22}.get(family, 0)
    for bias in frozen:
        assert not bias.trainable
        np.testing.assert_array_equal(bias, np.zeros(bias.shape))


@pytest.mark.parametrize("family", FAMILIES)
def test_weight_decay_holds_for_matrices_and_not_for_biases(family):
    model = unchanged(family)
    for variable in model.trainable_variables:
        vector = max(variable.shape) == int(np.prod(variable.shape))  # one number a channel
        excepted = "_se_" in variable.name or re.match("(positions|restore)/", variable.name)
        if not vector:
            assert decays(variable) == (not excepted), variable.name
        elif re.search("/(bias|beta)", variable.name):
            assert not decays(variable), variable.name


@pytest.mark.parametrize("family", FAMILIES)
def test_same_seed_gives_the_same_weights_and_layers_differ(family):
    model = unchanged(family)
    for one, same in zip(model.weights, small(family).weights, strict=True):
        np.testing.assert_array_equal(one, same)
    kernels = [variable.numpy() for variable in model.trainable_variables if "kernel" in variable.name]
    drawn = [tuple(kernel.ravel()[:64]) for kernel in kernels if kernel.any()]
    assert len(drawn) >= len(kernels) - 1  # the last layer of the two views' window starts at 0
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize("family", ["ghost_v2", "vit", "two_view"])
def test_saved_graph_and_configuration_give_the_same_embeddings(family, tmp_path):
    model = small(family)
    randomise(model)
    images = photos(model)
    module = tf.Module()
    module.variables_in_order = model.weights
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)]
    module.embed = tf.function(lambda x: {"embedding": model(x)}, input_signature=signature)
    tf.saved_model.save(module, str(tmp_path), signatures=module.embed)
    found = tf.saved_model.load(str(tmp_path)).signatures["serving_default"](tf.constant(images))["embedding"]
    np.testing.assert_allclose(found, model(images), rtol=1e-3, atol=1e-4)
    copy = keras.Model.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    np.testing.assert_allclose(copy(images), model(images), rtol=1e-3, atol=1e-4)


def test_sphereface_is_convolutions_and_prelus():
    model = small("sphereface")
    randomise(model)
    x = photos(model, 1)[0].astype(np.float64)
    for stage, units in enumerate((1, 0, 2, 1), start=1):
        kernel, bias = model.get_layer(f"stage{stage}_conv").weights
        slopes = model.get_layer(f"stage{stage}_prelu").alpha.numpy()
        x = prelu(convolve(x, kernel.numpy(), stride=2) + bias.numpy(), slopes)
        for unit in range(1, units + 1):
            branch = x
            for index in (1, 2):
                layer = model.get_layer(f"stage{stage}_unit{unit}_conv{index}")
                slopes = model.get_layer(f"stage{stage}_unit{unit}_prelu{index}").alpha.numpy()
                branch = prelu(convolve(branch, layer.kernel.numpy()), slopes)
            x = x + branch
    kernel, bias = model.get_layer("embedding_dense").weights
    np.testing.assert_allclose(model(photos(model, 1))[0], x.ravel() @ kernel.numpy() + bias.numpy(), rtol=2e-3)


def test_sphereface_starts_as_caffe_fills():
    keras.utils.set_random_seed(0)
    model = backbones.build("sphereface10", (32, 32, 3), embedding_size=64, width=0.5)
    plain, unit = (model.get_layer(name).kernel.numpy() for name in ("stage4_conv", "stage3_unit2_conv1"))
    assert np.abs(plain).max() < (3 / (9 * 128)) ** 0.5  # xavier: uniform, of variance 1 / fan_in
    np.testing.assert_allclose(plain.std(), (1 / (9 * 128)) ** 0.5, rtol=0.02)
    np.testing.assert_allclose(unit.std(), 0.01, rtol=0.02)
    np.testing.assert_array_equal(model.get_layer("stage3_unit2_prelu2").alpha, np.full((1, 1, 128), 0.25, np.float32))


def test_seqface_pads_no_plain_convolution_and_pools_odd_maps_whole():
    model = unchanged("seqface_resnet27")
    # 40 -> 38 -> 36 | 18 -> 16 | 8 -> 6 | 3 -> 1 | 1 and 33 -> 31 -> 29 | 15 -> 13 | 7 -> 5 | 3 -> 1 | 1
    shapes = [model.get_layer(f"stage{stage}_pool").output_shape[1:3] for stage in (1, 2, 3, 4)]
    assert shapes == [(15, 18), (7, 8), (3, 3), (1, 1)]
    x, pooled = inside(model, "stage1_prelu", "stage1_pool")
    np.testing.assert_array_equal(pooled[-1, 0], x[28:, :2].max(axis=(0, 1)))
    with pytest.raises(ValueError, match=re.escape("needs images of at least 33 x 33 pixels, got (112, 32, 3)")):
        backbones.build("seqface_resnet27", (112, 32, 3))


def test_unit_of_foamliu_uses_one_slope_twice_and_keeps_channels_first():
    model = small("se_foamliu")
    randomise(model)
    name = "stage3_unit1"
    slope = model.get_layer("stage2_unit2_prelu").alpha.numpy()
    assert slope.shape == (1, 1, 1)
    [x, found] = inside(model, "stage2_unit2_add", f"{name}_add")
    x = prelu(x, slope)
    slope = model.get_layer(f"{name}_prelu").alpha.numpy()

    def layer(part):
        return model.get_layer(f"{name}_{part}")

    branch = convolve(normalise(x, layer("norm1")), layer("conv1").kernel.numpy())
    assert branch.shape[-1] == x.shape[-1]
    branch = prelu(normalise(branch, layer("norm2")), slope)
    branch = normalise(convolve(branch, layer("conv2").kernel.numpy(), stride=2), layer("norm3"))
    means = branch.mean(axis=(0, 1))
    hidden = means @ layer("se_reduce").kernel.numpy()[0, 0] + layer("se_reduce").bias.numpy()
    hidden = prelu(hidden, layer("se_activation").alpha.numpy()[0, 0])
    gate = 1 / (1 + np.exp(-(hidden @ layer("se_expand").kernel.numpy()[0, 0] + layer("se_expand").bias.numpy())))
    shortcut = normalise(convolve(x, layer("shortcut_conv").kernel.numpy(), stride=2, pad=0), layer("shortcut_norm"))
    np.testing.assert_allclose(found, shortcut + gate * branch, rtol=1e-3, atol=1e-4)
    after = keras.Model(model.input, model.get_layer("stage4_unit1_norm1").input)(photos(model, 1))[0]
    np.testing.assert_allclose(after, prelu(found, slope), rtol=1e-3, atol=1e-4)


def test_stem_of_foamliu_is_unpadded_and_pooled_and_its_first_stage_keeps_the_map():
    model = small("foamliu")
    layers = ("stem_conv", "stem_pool", "stage1_unit1_add", "stage2_unit2_add", "stage4_unit1_add")
    shapes = [model.get_layer(name).output_shape[1:3] for name in layers]
    assert shapes == [(22, 18), (11, 9), (11, 9), (6, 5), (2, 2)]
    assert "stage1_unit1_shortcut_conv" not in {layer.name for layer in model.layers}
    assert model.get_layer("dropout").rate == 0.5
    assert model.get_layer("embedding_norm").gamma.trainable


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_one_slope_for_all_channels_gets_the_gradient_of_all(dtype):
    generator = np.random.default_rng(0)
    x, upstream = (tf.constant(generator.normal(size=(3, 5, 4, 6)), dtype) for _ in range(2))
    layer = PReLU(0.25, shared=True, dtype=f"mixed_{dtype}" if dtype != "float32" else dtype)
    layer.build(x.shape)
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = layer(x)
    by_x, by_alpha = tape.gradient(out, [x, layer.alpha], upstream)
    values, weights = (tensor.numpy().astype(np.float64) for tensor in (x, upstream))
    accuracy = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}[dtype]
    np.testing.assert_allclose(tf.cast(out, tf.float64), prelu(values, 0.25), rtol=accuracy)
    np.testing.assert_allclose(tf.cast(by_x, tf.float64), weights * np.where(values > 0, 1, 0.25), rtol=accuracy)
    np.testing.assert_allclose(by_alpha[0, 0, 0], (weights * np.minimum(values, 0)).sum(), rtol=10 * accuracy)
    copy = keras.layers.deserialize(keras.layers.serialize(layer))
    assert copy.get_config() == layer.get_config()


def test_ghost_half_is_a_cheap_depthwise_map_of_the_other_half():
    model = small("ghost_v1")
    randomise(model)
    both, found = inside(model, "bottleneck2_ghost1_concatenate", "bottleneck2_ghost1_primary_norm")
    slopes = model.get_layer("bottleneck2_ghost1_primary_prelu").alpha.numpy()
    first = prelu(found, slopes)
    half = both.shape[-1] // 2
    np.testing.assert_allclose(both[..., :half], first, rtol=1e-4, atol=1e-5)
    kernel = model.get_layer("bottleneck2_ghost1_cheap").depthwise_kernel.numpy()[..., 0]
    cheap = np.stack(
        [convolve(first[..., [c]], kernel[:, :, c, np.newaxis, np.newaxis])[..., 0] for c in range(half)], axis=2
    )
    cheap = normalise(cheap, model.get_layer("bottleneck2_ghost1_cheap_norm"))
    slopes = model.get_layer("bottleneck2_ghost1_cheap_prelu").alpha.numpy()
    np.testing.assert_allclose(both[..., half:], prelu(cheap, slopes), rtol=1e-3, atol=1e-4)


def test_attention_of_ghost_v2_gates_all_bottlenecks_but_the_first_two_from_maps_of_half_the_size():
    model = small("ghost_v2")
    randomise(model)
    names = {layer.name for layer in model.layers}
    gated = [index for index in (1, 2, 3, 4) if f"bottleneck{index}_ghost1_attention_gate" in names]
    assert gated == [3, 4]
    assert model.get_layer("bottleneck3_ghost1_attention_gate").output_shape[1:3] == (6, 5)
    assert model.get_layer("bottleneck3_ghost1_attention_resize").output_shape[1:3] == (12, 10)
    parts = ("concatenate", "attention_resize", "attend", "attention_gate")
    both, gates, out, thin = inside(model, *(f"bottleneck3_ghost1_{part}" for part in parts))
    np.testing.assert_allclose(out, both * gates, rtol=1e-5)
    assert 0 < gates.min() < gates.max() < 1
    np.testing.assert_allclose(gates[0, 0], thin[0, 0], rtol=1e-5)  # half-pixel centres: corners stay
    np.testing.assert_allclose(gates[1, 0], 0.75 * thin[0, 0] + 0.25 * thin[1, 0], rtol=1e-4)


def test_hard_sigmoid_has_pytorchs_slope():
    x = np.array([-4, -3, -1.5, 0, 1.5, 3, 4], np.float32)
    np.testing.assert_allclose(ghostfacenet.HardSigmoid()(x), [0, 0, 0.25, 0.5, 0.75, 1, 1], atol=1e-6)


def test_dropped_paths_are_whole_examples():
    out = StatelessDropout(0.25, whole_examples=True)(tf.ones((4000, 3, 2)), training=True).numpy()
    assert (out == out[:, :1, :1]).all()
    assert set(np.unique(out)) == {np.float32(0), np.float32(4 / 3)}
    assert abs((out[:, 0, 0] > 0).mean() - 0.75) < 0.03  # a standard deviation of 0.007


def test_both_views_are_the_crop_at_first_and_pooled_by_the_same_network():
    model = small("two_view", embedding_size=2 * 64)  # 4 x 128 x width channels a view: no dense layer
    assert "embedding_dense" not in {layer.name for layer in model.layers}
    images = photos(model)
    parts = [model.get_layer(name).output for name in ("window_view", "views")]
    view, pooled = (out.numpy() for out in keras.Model(model.input, parts)(images))
    np.testing.assert_array_equal(view, images)
    crop, window = np.split(pooled[:, 0, 0], 2, axis=1)
    np.testing.assert_allclose(crop, window, rtol=1e-5)
    np.testing.assert_allclose(crop, model.get_layer("resnet50")(images).numpy().max(axis=(1, 2)), rtol=1e-5)
    # Set to look at the upper left quarter, the window's half changes and the crop's does not.
    model.get_layer("window_dense2").bias.assign(np.arctanh([-0.5, -0.5, -0.5, -0.5]))
    view, pooled = (out.numpy() for out in keras.Model(model.input, parts)(images))
    np.testing.assert_allclose(view[:, 0, 0], images[:, 0, 0], atol=1e-5)
    same_crop, quarter = np.split(pooled[:, 0, 0], 2, axis=1)
    np.testing.assert_allclose(same_crop, crop, rtol=1e-5)
    assert np.abs(quarter - window).max() > 1e-3


def test_layers_are_made_again_from_their_configuration():
    made = [
        FrozenBiasConv2D(4, 3),
        Attend(2),
        MaskTokens(0.3, seed=4),
        Positions(),
        RestoreTokens(),
        StatelessDropout(0.2, seed=3, whole_examples=True),
        ghostfacenet.ResizeAs(),
    ]
    for layer in made:
        copy = keras.layers.deserialize(keras.layers.serialize(layer))
        assert type(copy) is type(layer)
        assert copy.get_config() == layer.get_config()


def test_width_multiplies_every_channel_count():
    model = small("sphereface", width=0.3)
    assert [model.get_layer(f"stage{stage}_conv").filters for stage in (1, 2, 3, 4)] == [16, 40, 80, 152]
    ghost = small("ghost_v1", width=1 / 1.3)
    assert [ghost.get_layer(f"bottleneck{index}_add").output_shape[-1] for index in (1, 2)] == [16, 24]
    view = small("two_view", width=0.5)
    assert view.get_layer("resnet50").output_shape[-1] == 256


@pytest.mark.parametrize("name", ["ghostfacenet_v1", "ghostfacenet_v2"])
def test_a_network_comes_back_from_an_h5_file(name, tmp_path):
    model = backbones.build(name, (32, 32, 3), 8, 0.25)
    with pytest.warns(UserWarning, match="HDF5"):
        model.save(tmp_path / "model.h5")
    again = keras.models.load_model(tmp_path / "model.h5", compile=False)
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(again(images), model(images))
