import subprocess
import sys

import numpy as np
import pytest
import short_networks

from keras_face import backbones
from keras_face.backbones.dropout import StatelessDropout
from keras_face.backbones.layers import BatchNormalization, PairedConv2D, PReLU
from keras_face.backbones.registry import _BACKBONES
from keras_face.backend import keras, tf

UNITS = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
    "iresnet200": (6, 26, 60, 6),
    "lresnet32e_ir": (3, 3, 6, 3),
    "lresnet50e_ir": (3, 4, 14, 3),
    "lresnet100e_ir": (3, 13, 30, 3),
    "lresnet152e_ir": (3, 8, 36, 3),
}

# What the published code has at an embedding size of 512. PyTorch counts the last gamma, which is not trained (512).
# TensorFlow's non-trainable ones of margin-centre-face are moving statistics and the last gamma.
PUBLISHED_TORCH = {
    "iresnet18": 24_025_600,
    "iresnet34": 34_139_328,
    "iresnet50": 43_590_848,
    "iresnet100": 65_156_160,
    "iresnet200": 118_833_920,
}
PUBLISHED_MARGIN_CENTRE = {  # (name, image width): (trained, not trained)
    ("lresnet32e_ir", 96): (4_080_592, 7_744),
    ("lresnet32e_ir", 112): (4_539_344, 7_744),
    ("lresnet50e_ir", 96): (41_751_104, 38_528),
    ("lresnet50e_ir", 112): (43_586_112, 38_528),
    ("se_lresnet50e_ir", 112): (43_815_020, 38_528),
    ("lresnet100e_ir", 96): (63_316_416, 70_016),
    ("lresnet100e_ir", 112): (65_151_424, 70_016),
    ("lresnet152e_ir", 96): (68_926_016, 75_392),
    ("lresnet152e_ir", 112): (70_761_024, 75_392),
}


def small(name="iresnet18", input_shape=(32, 32, 3), units=(2, 2, 2, 2), **settings):
    """Returns a narrow network; a residual one has these units."""
    keras.utils.set_random_seed(3)
    settings = {"embedding_size": 24, "width": 0.125, **settings}
    if name == "mobilefacenet":
        return backbones.build(name, input_shape, **settings)
    return short_networks.build(name, input_shape, units=units, **settings)


@pytest.fixture(scope="module")
def iresnet():
    return small("iresnet18")


@pytest.fixture(scope="module")
def lresnet():
    return small("lresnet50e_ir")


@pytest.fixture(scope="module")
def se_iresnet():
    return small("se_iresnet18", dropout=0.4, dropout_seed=5)


def photos(batch=4, size=32, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (batch, size, size, 3)).astype(np.float32)


def count(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def residual_counts(name, width):
    """Returns (trained, moving statistics, last gamma) by counting weights unit by unit."""
    squeeze, plain = name.startswith("se_"), name.removeprefix("se_")
    insightface = plain.startswith("iresnet")
    channels = (16, 32, 64, 128) if plain == "lresnet32e_ir" else (64, 128, 256, 512)
    weights, normalised = 9 * 3 * 64 + 64, 64  # stem convolution and slopes
    before = 64
    for units, after in zip(UNITS[plain], channels, strict=True):
        for unit in range(units):
            weights += 9 * before * after + 9 * after * after + after
            normalised += before + after + after
            if before != after or (unit == 0 and insightface):
                weights += before * after
                normalised += after
            if squeeze:
                reduced = after // 16
                weights += after * reduced + reduced + reduced * after + after + (reduced if insightface else 0)
            before = after
    normalised += before
    weights += 7 * (width // 16) * before * 512 + 512  # 112 / 16 = 7 rows
    return weights + 2 * normalised + 512, 2 * (normalised + 512), 512


def test_weights_counted_unit_by_unit_are_the_published_numbers():
    for name, published in PUBLISHED_TORCH.items():
        trained, _, last_gamma = residual_counts(name, 112)
        assert trained + last_gamma == published, name
    for (name, width), published in PUBLISHED_MARGIN_CENTRE.items():
        trained, moving, last_gamma = residual_counts(name, width)
        assert (trained, moving + last_gamma) == published, name


# Deeper networks take long to build; that they differ in their units only is tested below.
@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("iresnet18", 112),
        ("iresnet34", 96),
        ("iresnet50", 112),
        ("lresnet32e_ir", 112),
        ("lresnet50e_ir", 96),
        ("se_iresnet18", 112),
        ("se_lresnet32e_ir", 96),
    ],
)
def test_residual_network_has_the_published_number_of_weights(name, width):
    model = backbones.build(name, (112, width, 3))
    trained, moving, last_gamma = residual_counts(name, width)
    assert count(model.trainable_variables) == trained
    # InsightFace's last gamma is the constant 1 and no variable; margin-centre-face's dropout has its step counter.
    assert count(model.non_trainable_variables) == moving + (last_gamma + 1 if "lresnet" in name else 0)
    assert model.output_shape == (None, 512)


@pytest.mark.parametrize("name", [*UNITS, *(f"se_{name}" for name in UNITS)])
def test_network_of_any_depth_differs_from_a_counted_one_in_its_units_only(name):
    plain = name.removeprefix("se_")
    counted = plain if plain == "lresnet32e_ir" else "iresnet18" if plain.startswith("i") else "lresnet50e_ir"
    made = _BACKBONES[name].keywords
    assert made == {**_BACKBONES[counted].keywords, "units": UNITS[plain], "squeeze": name.startswith("se_")}


def test_mobilefacenet_has_the_published_number_of_weights():
    model = backbones.build("mobilefacenet")
    assert count(model.trainable_variables) == 2_059_520
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert count(model.non_trainable_variables) == sum(2 * layer.output_shape[-1] for layer in norms)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("iresnet18", (112, 96)),
        ("iresnet18", (37, 50)),
        ("iresnet18", (16, 16)),
        ("se_lresnet32e_ir", (56, 56)),
        ("mobilefacenet", (112, 96)),
    ],
)
def test_embeddings_of_every_image_size_are_finite_float32(name, size):
    model = small(name, (*size, 3), units=(1, 1, 1, 1))
    images = np.random.default_rng(0).uniform(-1, 1, (2, *size, 3)).astype(np.float32)
    for training in (False, True):
        embeddings = model(images, training=training)
        assert embeddings.shape == (2, 24)
        assert embeddings.dtype == tf.float32
        assert np.isfinite(embeddings).all()


def test_width_multiplies_every_channel_count_in_steps_of_eight():
    model = small("lresnet32e_ir", width=0.3)
    assert model.get_layer("stem_conv").filters == 16  # 64 * 0.3 = 19.2
    assert [model.get_layer(f"stage{stage}_unit2_conv1").filters for stage in (1, 2, 3, 4)] == [8, 8, 16, 40]


def test_same_seed_gives_the_same_weights_and_layers_differ(iresnet):
    first, second = iresnet, small()
    for one, other in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    kernels = [first.get_layer(f"stage1_unit2_conv{index}").kernel.numpy() for index in (1, 2)]
    assert np.abs(kernels[0] - kernels[1]).max() > 0.01


def test_the_encoders_of_latse_have_relu_and_the_start_of_he_by_outputs():
    made = {name: _BACKBONES[name].keywords for name in ("latse_resnet18", "iresnet18")}
    assert {**made["latse_resnet18"], "family": None} == {**made["iresnet18"], "family": None}
    model = small("latse_resnet18", width=0.5)
    assert not [layer for layer in model.layers if isinstance(layer, PReLU)]
    assert sum(isinstance(layer, keras.layers.ReLU) for layer in model.layers) == 1 + 8  # the stem's, and each unit's
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.epsilon, layer.momentum) == (2e-5, 0.9)
    for name, outputs in (
        ("stage4_unit2_conv1", 9 * 256),
        ("stage3_unit1_shortcut_conv", 128),
        ("embedding_dense", 24),
    ):
        np.testing.assert_allclose(model.get_layer(name).kernel.numpy().std(), (2 / outputs) ** 0.5, rtol=0.02)
    assert model.get_layer("dropout").rate == 0.4


@pytest.mark.parametrize(
    ("name", "epsilon", "slope", "gamma_spread"), [("iresnet18", 1e-5, 0.25, 0.0), ("lresnet32e_ir", 2e-5, 0.0, 0.002)]
)
def test_initial_values_are_the_published_ones(name, epsilon, slope, gamma_spread):
    model = small(name, width=0.5 if name == "iresnet18" else 1.0)
    gammas = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert (layer.epsilon, layer.momentum) == (epsilon, 0.9)
            gammas.extend([] if layer.gamma is None else layer.gamma.numpy())
        if isinstance(layer, PReLU):
            np.testing.assert_array_equal(layer.alpha, np.full(layer.alpha.shape, slope, np.float32))
    np.testing.assert_allclose(np.std(gammas), gamma_spread, rtol=0.1)
    np.testing.assert_allclose(np.mean(gammas), 1, atol=0.001)
    kernel = model.get_layer("stage4_unit2_conv1").kernel.numpy()
    spread = 0.1 if name == "iresnet18" else (2 / (9 * 128 + 9 * 128)) ** 0.5  # 3x3, 128 to 128 channels
    np.testing.assert_allclose(kernel.std(), spread, rtol=0.01)
    dense = model.get_layer("embedding_dense").kernel.numpy()
    rows, columns = dense.shape
    # PyTorch's Linear: uniform within 1 / sqrt(rows), which has a third of that variance.
    spread = (1 / (3 * rows)) ** 0.5 if name == "iresnet18" else (2 / (rows + columns)) ** 0.5
    np.testing.assert_allclose(dense.std(), spread, rtol=0.03)


def convolution_as_torch(x, kernel, stride):
    """Returns a convolution with one pixel of padding on every side, by PyTorch's definition, in loops."""
    height, width, _ = x.shape
    rows, columns = (height + 2 - 3) // stride + 1, (width + 2 - 3) // stride + 1
    out = np.zeros((rows, columns, kernel.shape[-1]))
    for row in range(rows):
        for column in range(columns):
            for i in range(3):
                for j in range(3):
                    y, z = row * stride + i - 1, column * stride + j - 1
                    if 0 <= y < height and 0 <= z < width:
                        out[row, column] += x[y, z] @ kernel[i, j]
    return out


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_strided_convolution_pads_as_pytorch(iresnet, size):
    pad, convolution = (iresnet.get_layer(f"stage2_unit1_conv2{part}") for part in ("_pad", ""))
    x = np.random.default_rng(1).normal(size=(1, *size, 16)).astype(np.float32)
    expected = convolution_as_torch(x[0], convolution.kernel.numpy(), 2)
    np.testing.assert_allclose(convolution(pad(x))[0], expected, atol=1e-5)


def test_paired_convolution_sees_two_channels_at_a_time():
    layer = PairedConv2D(3, padding="same", use_bias=False)
    x = np.random.default_rng(1).normal(size=(1, 4, 5, 6)).astype(np.float32)
    out = layer(x)[0].numpy()
    assert layer.compute_output_shape((1, 4, 5, 6)) == (1, 4, 5, 6)
    assert count(layer.weights) == 9 * 2 * 6
    for pair in range(3):
        channels = slice(2 * pair, 2 * pair + 2)
        expected = convolution_as_torch(x[0, :, :, channels], layer.depthwise_kernel.numpy()[:, :, channels], 1)
        np.testing.assert_allclose(out[:, :, channels], expected, atol=1e-5)


def test_first_shortcut_of_margin_centre_face_has_no_weights(lresnet, se_iresnet):
    shortcut = lresnet.get_layer("stage1_unit1_shortcut")
    x = np.random.default_rng(0).normal(size=(1, 7, 6, 8)).astype(np.float32)
    assert not shortcut.weights
    np.testing.assert_array_equal(shortcut(x), x[:, ::2, ::2])
    names = {layer.name for layer in lresnet.layers}
    assert {f"stage{stage}_unit1_shortcut_conv" for stage in (2, 3, 4)} <= names
    assert "stage1_unit1_shortcut_conv" not in names
    assert "stage1_unit1_shortcut_conv" in {layer.name for layer in se_iresnet.layers}


def test_only_the_squeeze_units_of_margin_centre_face_end_in_a_relu(lresnet, se_iresnet):
    for model, positive in (
        (small("se_lresnet32e_ir", units=(1, 1, 1, 1)), True),
        (lresnet, False),
        (se_iresnet, False),
    ):
        maps = keras.Model(model.input, model.get_layer("final_norm").input)(photos())
        assert (np.min(maps) >= 0) == positive, model.name


def test_squeeze_and_excitation_scales_channels_by_a_gate_of_their_means():
    model = small("se_iresnet18", units=(1, 2, 1, 1), width=0.5)
    inside = [model.get_layer(f"stage2_unit2_{part}").output for part in ("norm3", "se_scale")]
    x, scaled = (out.numpy() for out in keras.Model(model.input, inside)(photos()))
    reduce, slopes, expand = (model.get_layer(f"stage2_unit2_se_{part}") for part in ("reduce", "activation", "expand"))
    hidden = x.mean(axis=(1, 2)) @ reduce.kernel.numpy()[0, 0] + reduce.bias.numpy()
    hidden = np.where(hidden > 0, hidden, slopes.alpha.numpy().ravel() * hidden)
    gate = 1 / (1 + np.exp(-(hidden @ expand.kernel.numpy()[0, 0] + expand.bias.numpy())))
    np.testing.assert_allclose(scaled, x * gate[:, None, None], rtol=1e-4, atol=1e-5)


def test_last_gamma_stays_as_drawn_while_beta_is_trained(se_iresnet):
    model = small("lresnet32e_ir", units=(1, 1, 1, 1))
    last = model.get_layer("embedding_norm")
    drawn = last.gamma.numpy()
    assert [variable.name for variable in last.trainable_variables] == ["embedding_norm/beta:0"]
    assert 0 < np.abs(drawn - 1).max() < 0.02
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(photos(), training=True) ** 3)
    gradients = tape.gradient(loss, model.trainable_variables)
    for gradient, variable in zip(gradients, model.trainable_variables, strict=True):
        variable.assign_sub(0.1 * gradient)
    np.testing.assert_array_equal(last.gamma, drawn)
    assert np.abs(last.beta.numpy()).max() > 0
    assert se_iresnet.get_layer("embedding_norm").gamma is None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_prelu_and_its_gradients_follow_the_definition(dtype):
    generator = np.random.default_rng(0)
    x, upstream = (tf.constant(generator.normal(size=(3, 5, 4, 2)), dtype) for _ in range(2))
    layer = PReLU(0.25, dtype=f"mixed_{dtype}" if dtype != "float32" else dtype)
    layer.build(x.shape)
    layer.alpha.assign([[[0.25, -0.5]]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = layer(x)
    by_x, by_alpha = tape.gradient(out, [x, layer.alpha], upstream)
    assert out.dtype == by_x.dtype == x.dtype
    slopes = np.array([0.25, -0.5])
    values, weights = (tensor.numpy().astype(np.float64) for tensor in (x, upstream))
    accuracy = {"float32": 1e-6, "float16": 2e-3, "bfloat16": 2e-2}[dtype]
    np.testing.assert_allclose(tf.cast(out, tf.float64), np.where(values > 0, values, slopes * values), rtol=accuracy)
    np.testing.assert_allclose(tf.cast(by_x, tf.float64), weights * np.where(values > 0, 1, slopes), rtol=accuracy)
    expected = (weights * np.minimum(values, 0)).sum(axis=(0, 1, 2))
    np.testing.assert_allclose(by_alpha[0, 0], expected, rtol=accuracy, atol=accuracy)


@pytest.fixture
def policy(request):
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(
    ("name", "policy", "closeness"),
    [
        ("iresnet18", "float32", 1e-5),
        ("se_iresnet18", "mixed_float16", 1e-4),
        ("mobilefacenet", "mixed_bfloat16", 2e-3),
    ],
    indirect=["policy"],
)
def test_every_precision_computes_fused_and_gives_float32(name, policy, closeness):
    model = small(name, units=(1, 1, 1, 1))
    dtype = tf.as_dtype(keras.mixed_precision.Policy(policy).compute_dtype)
    assert model.input.dtype == dtype
    assert all(variable.dtype == tf.float32 for variable in model.trainable_variables)
    norms = sum(isinstance(layer, keras.layers.BatchNormalization) for layer in model.layers)
    for training in (False, True):
        run = tf.function(lambda images, training=training: model(images, training=training))
        graph = run.get_concrete_function(tf.TensorSpec((None, 32, 32, 3), dtype)).graph
        assert [operation.type for operation in graph.get_operations()].count("FusedBatchNormV3") == norms
        convolutions = [one for one in graph.get_operations() if one.type in ("Conv2D", "DepthwiseConv2dNative")]
        assert {one.outputs[0].dtype for one in convolutions} == {dtype}
        dense = [one for one in graph.get_operations() if one.type == "MatMul"]
        assert dense[-1].outputs[0].dtype == tf.float32
    rounded = model(photos())
    assert rounded.dtype == tf.float32
    keras.mixed_precision.set_global_policy("float32")
    exact = small(name, units=(1, 1, 1, 1))(photos())
    cosine = np.sum(tf.math.l2_normalize(exact, 1) * tf.math.l2_normalize(rounded, 1), axis=1)
    assert cosine.min() > 1 - closeness


def test_xla_gives_the_same_embeddings():
    model = small(units=(1, 1, 1, 1))
    run = tf.function(lambda images: model(images, training=True), jit_compile=True)
    np.testing.assert_allclose(run(photos()), model(photos(), training=True), rtol=1e-3, atol=1e-3)


def test_layers_are_made_again_from_their_configuration(lresnet):
    made = [
        lresnet.get_layer("dropout"),
        lresnet.get_layer("embedding_norm"),
        lresnet.get_layer("stem_prelu"),
        PairedConv2D(3, padding="same", use_bias=False),
    ]
    for layer in made:
        copy = keras.layers.deserialize(keras.layers.serialize(layer))
        assert type(copy) is type(layer)
        assert copy.get_config() == layer.get_config()


def test_model_is_made_again_from_its_configuration(se_iresnet):
    copy = keras.Model.from_config(se_iresnet.get_config())
    copy.set_weights(se_iresnet.get_weights())
    np.testing.assert_allclose(copy(photos()), se_iresnet(photos()), atol=1e-6)


def test_saved_graph_is_loaded_without_the_package(tmp_path):
    model = small("se_iresnet18", units=(1, 1, 1, 1), dropout=0.4)
    module = tf.Module()
    module.variables_in_order = model.weights
    module.embed = tf.function(
        lambda images: {"embedding": model(images)},
        input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32)],
    )
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.embed)
    np.save(tmp_path / "images.npy", photos())
    np.save(tmp_path / "embeddings.npy", model(photos()).numpy())
    program = (
        "import sys, numpy as np, tensorflow as tf\n"
        f"embed = tf.saved_model.load({str(tmp_path / 'model')!r}).signatures['serving_default']\n"
        f"found = embed(tf.constant(np.load({str(tmp_path / 'images.npy')!r})))['embedding']\n"
        f"np.testing.assert_allclose(found, np.load({str(tmp_path / 'embeddings.npy')!r}), rtol=1e-3, atol=1e-4)\n"
        "assert 'keras_face' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_dropout_keeps_its_share_and_the_mean():
    layer = StatelessDropout(0.6)
    out = layer(tf.ones((100, 1000)), training=True).numpy()
    assert set(np.unique(out)) == {np.float32(0), np.float32(2.5)}
    # 100,000 draws: the share's standard deviation is 0.0015.
    assert abs((out > 0).mean() - 0.4) < 0.006
    assert abs(np.corrcoef(out[:50].ravel(), out[50:].ravel())[0, 1]) < 0.02


def test_dropout_acts_and_counts_only_in_training():
    layer = StatelessDropout(0.5)
    ones = tf.ones((2, 50))
    np.testing.assert_array_equal(layer(ones), ones)
    np.testing.assert_array_equal(layer(ones, training=False), ones)
    assert layer.step.numpy() == 0
    assert layer(ones, training=True).numpy().min() == 0
    assert layer.step.numpy() == 1


def test_dropout_masks_depend_on_seed_and_step_alone():
    ones = tf.ones((4, 100))
    layer, same, other = StatelessDropout(0.5, seed=1), StatelessDropout(0.5, seed=1), StatelessDropout(0.5, seed=2)
    first, second = layer(ones, training=True).numpy(), layer(ones, training=True).numpy()
    assert (first != second).any()
    assert (other(ones, training=True).numpy() != first).any()
    run = tf.function(lambda x: same(x, training=True))
    np.testing.assert_array_equal(run(ones), first)
    np.testing.assert_array_equal(run(ones), second)


def test_restored_dropout_goes_on_with_the_masks_it_would_have_drawn(tmp_path):
    ones = tf.ones((4, 100))
    layer = StatelessDropout(0.5)
    layer(ones, training=True)
    saved = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "checkpoint"))
    expected = layer(ones, training=True)
    again = StatelessDropout(0.5)
    again.build(ones.shape)
    tf.train.Checkpoint(layer=again).restore(saved).assert_consumed()
    np.testing.assert_array_equal(again(ones, training=True), expected)


def test_dropout_keeps_its_share_under_xla():
    layer = StatelessDropout(0.6)
    run = tf.function(lambda x: layer(x, training=True), jit_compile=True)
    masks = [run(tf.ones((100, 1000))).numpy() for _ in range(2)]
    assert abs((masks[0] > 0).mean() - 0.4) < 0.006
    assert (masks[0] != masks[1]).any()


def run_replicas(strategy, call, batch):
    """Returns the rows that `call` gives on the replicas of a batch, in the order of the batch."""
    share = len(batch) // strategy.num_replicas_in_sync

    def part(context):
        start = context.replica_id_in_sync_group * share
        return tf.constant(batch[start : start + share])

    inputs = strategy.experimental_distribute_values_from_function(part)
    results = tf.function(lambda: strategy.run(call, (inputs,)))()
    return np.concatenate(strategy.experimental_local_results(results))


def test_two_replicas_drop_what_one_device_does(two_replicas, tmp_path):
    ones = np.ones((6, 200), np.float32)
    alone = StatelessDropout(0.5)
    expected = [alone(ones, training=True).numpy() for _ in range(3)]
    with two_replicas.scope():
        layer = StatelessDropout(0.5)
        inputs = keras.Input((200,))
        model = keras.Model(inputs, layer(inputs))
    for mask in expected[:2]:
        np.testing.assert_array_equal(run_replicas(two_replicas, lambda x: model(x, training=True), ones), mask)
    # What two replicas save, one device goes on with.
    saved = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "checkpoint"))
    again = StatelessDropout(0.5)
    again.build(ones.shape)
    tf.train.Checkpoint(layer=again).restore(saved).assert_consumed()
    np.testing.assert_array_equal(again(ones, training=True), expected[2])
    # And the other way round: two replicas go back to the first step.
    with two_replicas.scope():
        start = StatelessDropout(0.5)
        start.build(ones.shape)
        tf.train.Checkpoint(layer=layer).restore(tf.train.Checkpoint(layer=start).save(str(tmp_path / "start")))
    np.testing.assert_array_equal(run_replicas(two_replicas, lambda x: model(x, training=True), ones), expected[0])


@pytest.mark.parametrize(("scale", "shape"), [(True, (2, 3, 5)), (False, (1, 1, 5))])
def test_synchronized_replicas_normalise_as_one_device_does(two_replicas, scale, shape):
    generator = np.random.default_rng(0)
    batch, weights = generator.normal(3, 1, (2, 8, *shape)).astype(np.float32)
    made = []
    for strategy in (tf.distribute.OneDeviceStrategy("CPU:0"), two_replicas):
        with strategy.scope():
            layer = BatchNormalization(synchronized=strategy is two_replicas, momentum=0.9, epsilon=1e-5, scale=scale)
            inputs = keras.Input(shape)
            model = keras.Model(inputs, layer(inputs))

        def results(both, model=model):
            values, weights = both[:, 0], both[:, 1]
            with tf.GradientTape() as tape:
                tape.watch(values)
                out = model(values, training=True)
                loss = tf.reduce_sum(out * weights)
            return tf.stack([out, tape.gradient(loss, values)], axis=1)

        rows = run_replicas(strategy, results, np.stack([batch, weights], axis=1))
        made.append((rows, layer.moving_mean.numpy(), layer.moving_variance.numpy()))
        layer.trainable = False
        frozen = run_replicas(strategy, lambda x, model=model: model(x, training=True), batch)
        np.testing.assert_allclose(frozen, model(batch), atol=1e-5)
    for alone, together in zip(*made, strict=True):
        np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["lresnet32e_ir", "mobilefacenet"])
def test_every_normalisation_is_synchronized_on_request(name):
    model = small(name, units=(1, 1, 1, 1), synchronized=True)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms
    assert all(layer.get_config()["synchronized"] for layer in norms)


def test_dropout_of_the_network_is_its_own_or_the_chosen(iresnet, lresnet, se_iresnet):
    assert lresnet.get_layer("dropout").rate == 0.6
    chosen = se_iresnet.get_layer("dropout")
    assert (chosen.rate, chosen.seed) == (0.4, 5)
    for model in (small("lresnet32e_ir", units=(1, 1, 1, 1), dropout=0.0), iresnet):
        assert not any(isinstance(layer, StatelessDropout) for layer in model.layers)


def test_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown backbone 'iresnet_50'; did you mean 'iresnet50'") as error:
        backbones.build("iresnet_50")
    assert all(name in str(error.value) for name in backbones.names())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"input_shape": (112, 112)}, "input_shape must be .* got \\(112, 112\\)"),
        ({"input_shape": (15, 112, 3)}, "at least 16 pixels high and wide, got \\(15, 112, 3\\)"),
        ({"input_shape": (112, 112.0, 3)}, "input_shape must be"),
        ({"input_shape": (112, 112, 0)}, "input_shape must be"),
        ({"input_shape": 112}, "input_shape must be"),
        ({"embedding_size": 0}, "embedding_size must be a whole number above 0, got 0"),
        ({"embedding_size": 12.5}, "embedding_size must be"),
        ({"width": 0.0}, "width must be a finite factor above 0, got 0.0"),
        ({"width": float("nan")}, "width must be"),
        ({"width": float("inf")}, "width must be"),
        ({"dropout": 1.0}, "dropout must be the dropped share in \\[0, 1\\), or None, got 1.0"),
        ({"dropout": -0.1}, "dropout must be"),
    ],
)
@pytest.mark.parametrize("name", ["iresnet18", "mobilefacenet"])
def test_setting_out_of_range_is_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        backbones.build(name, **settings)


def test_dropout_rate_out_of_range_is_refused():
    with pytest.raises(ValueError, match="rate must be the dropped share in \\[0, 1\\), got 1"):
        StatelessDropout(1)
