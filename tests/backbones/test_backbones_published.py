"""How many weights the published networks have: counted unit by unit, as published, and as built."""

import re
import runpy

import numpy as np
import pytest

from keras_face import backbones
from keras_face.backbones.registry import _BACKBONES
from keras_face.backbones.settings import Settings
from keras_face.backbones.vision_transformer import vision_transformer
from keras_face.backend import keras

CHANNELS = (64, 128, 256, 512)
NAMES = {
    *(f"{squeeze}iresnet{depth}" for squeeze in ("", "se_") for depth in (18, 34, 50, 100, 200)),
    *(f"{squeeze}lresnet{depth}e_ir" for squeeze in ("", "se_") for depth in (32, 50, 100, 152)),
    *(f"{squeeze}foamliu_resnet{depth}" for squeeze in ("", "se_") for depth in (18, 34, 50, 101, 152)),
    *(f"sphereface{depth}" for depth in ("4", "10", "20", "36", "64", "64_released")),
    *("seqface_resnet20", "seqface_resnet27", "seqface_resnet64", "mobilefacenet", "two_view_resnet50"),
    *("ghostfacenet_v1", "ghostfacenet_v1_s2", "ghostfacenet_v2", "ghostfacenet_v2_s2"),
    *("vit_t", "vit_t_dp005_mask0", "vit_s", "vit_s_dp005_mask_0", "vit_b", "vit_b_dp005_mask_005"),
    "vit_l_dp005_mask_005",
    *(f"latse_resnet{depth}" for depth in (18, 50, 100)),
}

# SphereFace's prototxts and paper: units, millions of weights at 112x96 with the frozen biases.
SPHEREFACE = {
    "sphereface4": ((0, 0, 0, 0), 12.56),
    "sphereface10": ((0, 1, 2, 0), 15.22),
    "sphereface20": ((1, 2, 4, 1), 22.670_656),
    "sphereface36": ((2, 4, 8, 2), 32.78),
    "sphereface64": ((3, 8, 16, 3), 48.200_512),
    "sphereface64_released": ((3, 7, 16, 3), 47.905_088),
}
# foamliu's: units, millions of weights without and with squeeze-and-excitation.
FOAMLIU = {
    "foamliu_resnet18": ((2, 2, 2, 2), 21.70, 21.79),
    "foamliu_resnet34": ((3, 4, 6, 3), 31.81, 31.97),
    "foamliu_resnet50": ((3, 4, 6, 3), 31.81, 31.97),
    "foamliu_resnet101": ((3, 4, 23, 3), 51.89, 52.19),
    "foamliu_resnet152": ((3, 8, 36, 3), 68.43, 68.85),
}
# Keras' counts, moving statistics included: (version, strides of the stem, width).
GHOSTFACENETS = {
    (1, 2, 1.3): 4_066_388,
    (1, 1, 1.3): 4_088_300,
    (1, 2, 1.0): 2_496_336,
    (1, 1, 1.0): 2_513_232,
    (2, 1, 1.3): 6_880_288,
}
# PyTorch's counts: numbers in a token, blocks.
TRANSFORMERS = {
    "vit_t": (256, 12, 19_137_792),
    "vit_s": (512, 12, 76_023_296),
    "vit_b": (512, 24, 113_833_472),
    "vit_l_dp005_mask_005": (768, 24, 255_684_352),
}
# Billions of multiply-adds at the size of the table.
MULTIPLY_ADDS = {
    "iresnet18": 2.610,
    "iresnet34": 4.460,
    "iresnet50": 6.309,
    "iresnet100": 12.090,
    "iresnet200": 23.419,
    "mobilefacenet": 0.438,
    "sphereface4": 0.164,
    "sphereface10": 0.759,
    "sphereface20": 1.750,
    "sphereface36": 3.335,
    "sphereface64": 6.110,
    "sphereface64_released": 5.912,
    "ghostfacenet_v1": 0.2119,
    "ghostfacenet_v1_s2": 0.0593,
    "vit_t": 1.377 + 0.127,
    "vit_s": 5.492 + 0.255,
    "vit_b": 10.928 + 0.510,
    "vit_l_dp005_mask_005": 24.573 + 0.764,
}


def count(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def convolution(size, before, after, bias=False):
    return size * size * before * after + (after if bias else 0)


def sphereface_count(units, height, width):
    total, before = 0, 3
    for number, after in zip(units, CHANNELS, strict=True):
        total += convolution(3, before, after, bias=True) + after  # and its slopes
        total += 2 * number * (convolution(3, after, after, bias=True) + after)
        before, height, width = after, -(-height // 2), -(-width // 2)
    return total + height * width * before * 512 + 512


def seqface_count(height, width):
    total, before = convolution(3, 3, 32, bias=True) + 32, 32
    height, width = height - 2, width - 2
    for number, after in zip((1, 2, 5, 3), CHANNELS, strict=True):
        total += (1 + 2 * number) * after  # slopes
        total += convolution(3, before, after, bias=True) + 2 * number * convolution(3, after, after, bias=True)
        before, height, width = after, -(-(height - 2) // 2), -(-(width - 2) // 2)
    return total + height * width * before * 512 + 512


def foamliu_count(units, squeeze):
    total, before = convolution(3, 3, 64) + 2 * 64 + 1, 64
    for stage, (number, after) in enumerate(zip(units, CHANNELS, strict=True)):
        for unit in range(number):
            total += convolution(3, before, before) + convolution(3, before, after) + 1  # one slope
            total += 2 * (before + before + after)
            if unit == 0 and stage > 0:
                total += convolution(1, before, after) + 2 * after
            if squeeze:
                total += convolution(1, after, after // 16, bias=True) + 1
                total += convolution(1, after // 16, after, bias=True)
            before = after
    return total + 2 * 512 + 7 * 7 * 512 * 512 + 512 + 2 * 512


def make_divisible(value):
    """MobileNet's rule with a divisor of 4, which GhostNet takes."""
    new = max(4, int(value + 2) // 4 * 4)
    return new + 4 if new < 0.9 * value else new


def ghostfacenet_count(version, strides, width, size=112, embedding_size=512):
    """Keras' count, whose normalisations have 4 numbers a channel."""
    kernels = (3, 3, 3, 5, 5, 3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 5)
    last = 512 if version == 1 else 960
    insides = (16, 48, 72, 72, 120, 240, 200, 184, 184, 480, 672, 672, 960, 960, 960, last)
    outs = (16, 24, 24, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160, 160, 160)
    squeezes = (0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0, 1)
    steps = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)

    def ghost(before, after, slopes):
        half = after // 2
        return convolution(1, before, half) + 9 * half + 8 * half + (2 * half if slopes else 0)

    before = make_divisible(16 * width)
    size = -(-size // strides)
    total = convolution(3, 3, before) + 5 * before
    for index, (kernel, inside, after, squeeze, step) in enumerate(
        zip(kernels, insides, outs, squeezes, steps, strict=True)
    ):
        inside, after = make_divisible(inside * width), make_divisible(after * width)
        total += ghost(before, inside, slopes=True) + ghost(inside, after, slopes=False)
        if version == 2 and index >= 2:
            total += convolution(1, before, inside) + 5 * inside + 5 * inside + 3 * 4 * inside
        if step == 2:
            total += kernel**2 * inside + 4 * inside
        if squeeze:
            reduced = make_divisible(inside / 4)
            total += convolution(1, inside, reduced, bias=True) + convolution(1, reduced, inside, bias=True) + reduced
        if step == 2 or before != after:
            total += kernel**2 * before + 4 * before + convolution(1, before, after) + 4 * after
        before, size = after, -(-size // step)
    after = make_divisible(last * width)
    total += convolution(1, before, after) + 5 * after
    return total + size * size * after + 4 * after + after * embedding_size + 4 * embedding_size


def transformer_count(size, depth, tokens=144, embedding_size=512):
    block = 3 * size * size + size * size + size + 2 * (4 * size * size) + 4 * size + size + 4 * size
    head = tokens * size * size + 2 * size + size * embedding_size + 2 * embedding_size
    return 9 * 9 * 3 * size + size + tokens * size + size + depth * block + 2 * size + head


def test_names_are_those_of_the_published_networks():
    assert set(backbones.names()) == NAMES
    assert len(backbones.names()) == len(NAMES)


def test_weights_counted_unit_by_unit_are_the_published_numbers():
    for name, (units, millions) in SPHEREFACE.items():
        digits = 6 if millions * 1e2 % 1 > 1e-6 else 2
        assert round(sphereface_count(units, 112, 96) / 1e6, digits) == millions, name
    assert round(sphereface_count((1, 2, 4, 1), 128, 128) / 1e6, 2) == 28.44
    assert seqface_count(128, 128) == 31_737_376
    assert round(seqface_count(112, 96) / 1e6, 2) == 27.54
    for name, (units, plain, squeezed) in FOAMLIU.items():
        assert round(foamliu_count(units, squeeze=False) / 1e6, 2) == plain, name
        assert round(foamliu_count(units, squeeze=True) / 1e6, 2) == squeezed, name
    for arguments, number in GHOSTFACENETS.items():
        assert ghostfacenet_count(*arguments) == number, arguments
    for name, (size, depth, number) in TRANSFORMERS.items():
        assert transformer_count(size, depth) == number, name


@pytest.mark.parametrize(
    ("name", "image_size", "number"),
    [
        ("sphereface10", (112, 96), sphereface_count((0, 1, 2, 0), 112, 96)),
        ("seqface_resnet20", (128, 128), sphereface_count((1, 2, 4, 1), 128, 128)),
        ("seqface_resnet27", (128, 128), 31_737_376),
        ("se_foamliu_resnet18", (112, 112), foamliu_count((2, 2, 2, 2), squeeze=True)),
    ],
)
def test_built_network_has_the_published_number_of_weights(name, image_size, number):
    model = backbones.build(name, (*image_size, 3))
    moving = [variable for variable in model.non_trainable_variables if "bias" not in variable.name]
    assert count(model.weights) - count(moving) == number
    assert model.output_shape == (None, 512)


def test_networks_of_one_family_differ_in_their_units_only():
    for name, (units, _) in SPHEREFACE.items():
        assert _BACKBONES[name].keywords == {"units": units}
    assert _BACKBONES["seqface_resnet20"].keywords == {"units": (1, 2, 4, 1)}
    assert _BACKBONES["seqface_resnet64"].keywords == {"units": (3, 8, 16, 3)}
    for name, (units, _, _) in FOAMLIU.items():
        assert _BACKBONES[name].keywords == {"units": units, "squeeze": False}
        assert _BACKBONES[f"se_{name}"].keywords == {"units": units, "squeeze": True}
    for name, (size, depth, _) in TRANSFORMERS.items():
        assert (_BACKBONES[name].keywords["size"], _BACKBONES[name].keywords["depth"]) == (size, depth)
    for version in (1, 2):
        for suffix, strides in (("", 1), ("_s2", 2)):
            assert _BACKBONES[f"ghostfacenet_v{version}{suffix}"].keywords == {"version": version, "strides": strides}


def test_narrow_ghostfacenet_has_the_weights_of_the_published_rounding_to_four_channels():
    model = backbones.build("ghostfacenet_v2_s2", (16, 16, 3), embedding_size=24, width=0.3)
    assert count(model.weights) == ghostfacenet_count(2, 2, 1.3 * 0.3, size=16, embedding_size=24)


def test_transformer_of_any_depth_has_the_counted_weights():
    settings = Settings((30, 39, 3), 24, 1.0, None, 0, False)
    model = vision_transformer("vit", settings, size=64, depth=2, drop_path=0.0, mask_ratio=0.1)
    assert count(model.trainable_variables) == transformer_count(64, 2, tokens=3 * 4, embedding_size=24)


def test_two_views_share_one_resnet50():
    model = backbones.build("two_view_resnet50", (32, 32, 3), embedding_size=4096)
    resnet50 = model.get_layer("resnet50")
    assert count(resnet50.trainable_variables) == 25_557_032 - 2_049_000  # torchvision's, without its last layer
    window = 32 * 32 * 32 + 2 * 32 + 32 * 4 + 4
    assert count(model.trainable_variables) == 25_557_032 - 2_049_000 + window + 2 * 4096
    assert model.output_shape == (None, 4096)


@pytest.fixture(scope="module")
def page(repository):
    return runpy.run_path(str(repository / "docs" / "make_networks.py"))


@pytest.fixture(scope="module")
def rows(repository):
    lines = (repository / "docs" / "networks.md").read_text(encoding="utf-8").splitlines(keepends=True)
    return {line.split("`")[1]: line for line in lines if line.startswith("| `")}


def test_the_page_has_every_network_with_its_source(page, rows, repository):
    assert (repository / "docs" / "networks.md").read_text(encoding="utf-8").startswith(page["HEAD"])
    assert list(rows) == page["in_order"]()
    assert set(rows) == NAMES
    for name, line in rows.items():
        source = backbones.source(name)
        height, width = source.image_size
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        assert [*cells[:4], cells[6]] == [
            f"`{name}`",
            source.system,
            f"{height} x {width}",
            str(source.embedding_size),
            source.place,
        ]


@pytest.mark.parametrize("name", ["sphereface4", "mobilefacenet"])  # the others take long to build
def test_the_page_says_what_is_built(page, rows, name):
    assert rows[name] == page["row"](name), "run python docs/make_networks.py"


def test_the_page_says_the_published_numbers(rows):
    def cells(name):
        return [cell.strip() for cell in rows[name].split("|")]

    for name, billions in MULTIPLY_ADDS.items():
        found = float(cells(name)[6].removesuffix(" G"))
        np.testing.assert_allclose(found, billions, atol=0.0011, err_msg=name)  # figures of three digits are summed
    assert round(float(cells("seqface_resnet27")[6].removesuffix(" G")), 2) == 3.45
    parameters = {name: int(cells(name)[5].replace(",", "")) for name in rows}
    for name, (_, plain, squeezed) in FOAMLIU.items():
        assert round(parameters[name] / 1e6, 2) == plain
        assert round(parameters[f"se_{name}"] / 1e6, 2) == squeezed
    for name, (_, _, number) in TRANSFORMERS.items():
        assert parameters[name] == number
    assert parameters["vit_t_dp005_mask0"] == TRANSFORMERS["vit_t"][2] - 256  # it masks nothing: no token for that
    assert parameters["ghostfacenet_v2"] == 6_795_720  # GhostFaceNets' notebook
    for name, (units, _) in SPHEREFACE.items():
        frozen = sum(2 * number * channels for number, channels in zip(units, CHANNELS, strict=True))
        assert parameters[name] == sphereface_count(units, 112, 96) - frozen


def test_multiply_adds_are_counted_layer_by_layer(page):
    images = keras.Input((8, 6, 3))
    inner = keras.Sequential([keras.Input((8, 6, 3)), keras.layers.Conv2D(5, 3, 2, padding="same")])
    x = keras.layers.Add()([inner(images), inner(images)])  # two calls of 4 x 3 places x 9 x 3 x 5
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)  # 4 x 3 places x 9 x 5
    x = keras.layers.Conv2DTranspose(2, 2, 2)(x)  # 4 x 3 places of the input x 4 x 5 x 2
    x = keras.layers.Dense(7)(keras.layers.Flatten()(x))  # 96 x 7
    assert page["multiply_adds"](keras.Model(images, x)) == 12 * (2 * 135 + 45 + 40) + 96 * 7


def test_unknown_network_has_no_source():
    with pytest.raises(ValueError, match=re.escape("unknown backbone 'vit_x'; did you mean 'vit_")):
        backbones.source("vit_x")
