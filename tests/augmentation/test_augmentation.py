"""What augmentation does to an image, by other roads: OpenCV, PIL, colorsys, counting."""

import colorsys
import dataclasses
import hashlib
import io
import math

import cv2
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from keras_face import config
from keras_face.augmentation import erasing, rand_augment
from keras_face.augmentation.augmentation import Augmentation
from keras_face.backend import tf

NOISE = np.random.RandomState(1).randint(0, 256, (20, 24, 3), np.uint8)
SMOOTH = cv2.GaussianBlur(np.random.RandomState(2).randint(0, 256, (48, 40, 3), np.uint8), (0, 0), 3)
SMOOTH = cv2.normalize(SMOOTH, None, 20, 235, cv2.NORM_MINMAX)
EVERYTHING = {
    "flip": 0.5, "move_probability": 0.5, "shift": 0.1, "scale": 0.2, "rotation_probability": 0.5, "rotation": 0.3,
    "colour_probability": 0.5, "brightness": 0.2, "contrast": 0.3, "saturation": 0.4, "hue": 0.1, "grey": 0.2,
    "rand_augment": 1, "rand_augment_probability": 0.5, "crop": 0.3, "low_resolution": 0.3, "blur": 0.3, "jpeg": 0.3,
    "erase": 0.3, "mask": 0.5,
}  # fmt: skip


def seed(number: int) -> tf.Tensor:
    return tf.constant([3, number], tf.int64)


def augmented(pixels: np.ndarray, count: int = 16, **options) -> np.ndarray:
    """Returns the image augmented with `count` seeds; nothing is done but what is asked for."""
    augmentation = tf.function(Augmentation(**{"flip": 0.0, **options}), autograph=False)
    return np.stack([augmentation(tf.constant(pixels), seed(number)) for number in range(count)])


# What training runs rest on


def test_the_options_of_before_still_give_what_they_gave():
    # Recorded from the first version, for the seeds (3, 0), (3, 1), ...
    flipped = augmented(NOISE, 16, flip=0.5, erase=0.5)
    digest = hashlib.sha256(flipped.tobytes()).hexdigest()
    assert digest == "c1810b4ab5a8a7de623f4c15029d90434bc884df842de72915ff9ac432bbde3c"
    recipe = {"shift": 0.06, "scale": 0.1, "rotation": 0.17, "brightness": 0.1, "contrast": 0.3, "saturation": 0.3}
    found = augmented(NOISE, 4, flip=0.5, **recipe, grey=0.1, erase=0.3)[:, ::7, ::11].reshape(4, -1)
    recorded = [
        [
            149,
            74,
            156,
            38,
            29,
            96,
            56,
            33,
            129,
            58,
            154,
            104,
            139,
            132,
            165,
            76,
            137,
            59,
            151,
            173,
            180,
            105,
            87,
            105,
            97,
            52,
            134,
        ],
        [
            126,
            89,
            46,
            144,
            140,
            126,
            120,
            152,
            193,
            24,
            39,
            100,
            49,
            181,
            171,
            140,
            131,
            125,
            125,
            70,
            42,
            111,
            90,
            118,
            149,
            179,
            49,
        ],
        [
            136,
            123,
            186,
            191,
            242,
            118,
            177,
            53,
            180,
            98,
            183,
            180,
            220,
            234,
            172,
            211,
            145,
            80,
            132,
            158,
            152,
            69,
            16,
            154,
            154,
            158,
            201,
        ],
        [
            206,
            206,
            206,
            131,
            131,
            131,
            140,
            140,
            140,
            132,
            132,
            132,
            166,
            166,
            166,
            15,
            18,
            35,
            178,
            178,
            178,
            166,
            166,
            166,
            155,
            155,
            155,
        ],
    ]
    # Another processor may round another way.
    np.testing.assert_allclose(found.astype(int), recorded, atol=1)


@pytest.mark.parametrize("added", [
    {"hue": 0.2, "colour_probability": 0.5}, {"crop": 0.5, "mask": 0.5}, {"blur": 0.5, "jpeg": 0.5, "rand_augment": 1},
    {"shift": 0.1, "move_probability": 0.5},
])  # fmt: skip
def test_no_new_option_moves_what_an_old_one_draws(added):
    # Erased pixels are noise of their own, last of all: the same whatever came before.
    plain = np.full((32, 32, 3), 128, np.uint8)
    with_it, without = augmented(plain, 8, erase=1.0, **added), augmented(plain, 8, erase=1.0)
    rectangles = (without != 128).any(axis=3)
    np.testing.assert_array_equal(with_it[rectangles], without[rectangles])


@pytest.mark.parametrize("options", [{"flip": 0.5}, {"flip": 0.0}, EVERYTHING], ids=["flip", "nothing", "everything"])
def test_images_together_in_threads_and_alone_become_the_same(options):
    augmentation = Augmentation(**options)
    images = np.stack([np.roll(SMOOTH, number, axis=0) for number in range(8)])
    seeds = np.array([[3, number] for number in range(8)])
    alone = tf.function(augmentation, autograph=False)
    expected = np.stack([alone(tf.constant(image), tf.constant(one)) for image, one in zip(images, seeds, strict=True)])
    groups = tf.data.Dataset.from_tensor_slices((images, seeds)).batch(4, drop_remainder=True).repeat(4)
    found = np.stack(list(groups.map(augmentation.each, num_parallel_calls=4)))
    assert found.shape == (8, 4, 48, 40, 3)
    for number in range(8):
        np.testing.assert_array_equal(found[number], found[number % 2])
    # Another graph may round another way.
    np.testing.assert_allclose(found[:2].reshape(expected.shape).astype(int), expected.astype(int), atol=1)


def test_what_is_off_is_no_part_of_the_graph():
    def operations(**options):
        augmentation = Augmentation(**{"flip": 0.0, **options})
        graph = tf.function(augmentation, autograph=False).get_concrete_function(
            tf.TensorSpec([32, 32, 3], tf.uint8), tf.TensorSpec([2], tf.int64)
        )
        graph_def = graph.graph.as_graph_def()
        nodes = [*graph_def.node, *(node for function in graph_def.library.function for node in function.node_def)]
        return " ".join(node.op for node in nodes)

    kinds = {
        "flip": "Reverse", "shift": "ImageProjectiveTransform", "hue": "AdjustHue", "crop": "SelectV2",
        "blur": "DepthwiseConv2d", "jpeg": "EncodeJpeg", "low_resolution": "ResizeArea", "rand_augment": "Case",
    }  # fmt: skip
    nothing = operations()
    for name, kind in kinds.items():
        assert kind not in nothing
        assert kind in operations(**{name: 1 if name == "rand_augment" else 0.5}), name


def test_every_option_is_checked_where_it_is_given():
    for field in dataclasses.fields(Augmentation):
        low, high = field.metadata["range"]
        for limit in (low, high):
            Augmentation(**{field.name: limit})
        for beyond in (low - 1, high + 1, math.nan):
            with pytest.raises(ValueError, match=rf"^{field.name}: expected a number in \["):
                Augmentation(**{field.name: beyond})


def test_the_ranges_of_the_settings_are_those_of_the_code():
    ranges = {field.name: field.metadata["range"] for field in dataclasses.fields(Augmentation)}
    assert ranges["erase_area"][0] == erasing.SMALLEST_ERASED
    assert ranges["rand_augment_magnitude"][1] == rand_augment.LARGEST_MAGNITUDE


def test_a_section_of_a_configuration_becomes_the_same_augmentation():
    assert Augmentation.of(config.AugmentationConfig()) == Augmentation()
    overrides = [f"augmentation.{name}={value}" for name, value in EVERYTHING.items()]
    assert Augmentation.of(config.load(None, overrides).augmentation) == Augmentation(**EVERYTHING)


# How often


@pytest.mark.parametrize(
    "options",
    [
        {"crop": 0.3},
        {"low_resolution": 0.3},
        {"blur": 0.3},
        {"jpeg": 0.3},
        {"mask": 0.3},
        {"rotation": 0.5, "rotation_probability": 0.3},
        {"shift": 0.3, "move_probability": 0.3},
        {"brightness": 0.3, "colour_probability": 0.3},
        {"hue": 0.3, "colour_probability": 0.3},
    ],
    ids=lambda options: next(iter(options)),
)
def test_an_option_changes_as_many_images_as_its_probability_says(options):
    count = 150
    images = augmented(NOISE, count, **options)
    changed = np.count_nonzero((images != NOISE).any(axis=(1, 2, 3)))
    assert abs(changed - 0.3 * count) < 4 * math.sqrt(count * 0.3 * 0.7)


def test_options_happen_independently_of_each_other():
    count = 300
    purposes = {"crop": 0.5, "blur": 0.5, "jpeg": 0.5}
    changed = {
        name: (augmented(NOISE, count, **{name: value}) != NOISE).any(axis=(1, 2, 3))
        for name, value in purposes.items()
    }
    for one, other in (("crop", "blur"), ("crop", "jpeg"), ("blur", "jpeg")):
        both = np.count_nonzero(changed[one] & changed[other])
        assert abs(both - count / 4) < 4 * math.sqrt(count * 3 / 16)


# What is done


def test_hue_turns_the_colour_circle_and_keeps_saturation_and_value():
    turns = []
    for image in augmented(SMOOTH, 8, hue=0.3):
        for row, column in ((3, 5), (20, 20), (40, 31)):
            before, after = (colorsys.rgb_to_hsv(*(pixels[row, column] / 255)) for pixels in (SMOOTH, image))
            assert after[1] == pytest.approx(before[1], abs=0.03)
            assert after[2] == pytest.approx(before[2], abs=0.01)
        wanted = (after[0] - before[0] + 0.5) % 1 - 0.5
        turns.append(wanted)
        expected = [colorsys.hsv_to_rgb((h + wanted) % 1, s, v) for h, s, v in (
            colorsys.rgb_to_hsv(*(pixel / 255)) for pixel in SMOOTH.reshape(-1, 3)[::37])]  # fmt: skip
        np.testing.assert_allclose(image.reshape(-1, 3)[::37] / 255, expected, atol=6 / 255)
    assert max(np.abs(turns)) < 0.31
    assert min(turns) < -0.05
    assert max(turns) > 0.05


def test_a_crop_keeps_a_rectangle_of_its_share_and_makes_the_rest_black():
    white = np.full((60, 60, 3), 255, np.uint8)
    shares = []
    for image in augmented(white, 60, crop=1.0, crop_area=0.2):
        inside = (image == 255).all(axis=2)
        assert (image[~inside] == 0).all()
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        assert inside.sum() == len(rows) * len(columns)
        assert 0.7 <= len(rows) / len(columns) <= 1.4
        shares.append(inside.mean())
    assert 0.18 < min(shares) < 0.4
    assert max(shares) > 0.75


def test_low_resolution_is_the_area_mean_scaled_up_bilinearly():
    sizes = set()
    for image in augmented(SMOOTH, 12, low_resolution=1.0, low_resolution_scale=0.25):
        differences = {}
        for share in np.linspace(0.25, 1, 301):
            size = (round(40 * share), round(48 * share))
            small = cv2.resize(SMOOTH.astype(np.float32), size, interpolation=cv2.INTER_AREA)
            expected = cv2.resize(small, (40, 48), interpolation=cv2.INTER_LINEAR)
            differences[size] = np.abs(expected - image).max()
        best = min(differences, key=differences.get)
        assert differences[best] < 1.01
        sizes.add(best)
    assert len(sizes) > 8
    quarter = augmented(SMOOTH, 1, low_resolution=1.0, low_resolution_scale=1.0)[0]
    np.testing.assert_array_equal(quarter, SMOOTH)


def test_blur_is_the_gaussian_of_opencv():
    sigmas = []
    for image in augmented(SMOOTH, 8, blur=1.0, blur_sigma=3.0):
        candidates = np.linspace(0.1, 3, 291)
        errors = [np.abs(cv2.GaussianBlur(SMOOTH, (19, 19), s).astype(int) - image).max() for s in candidates]
        assert min(errors) <= 1
        sigmas.append(candidates[int(np.argmin(errors))])
    assert max(sigmas) - min(sigmas) > 1


def test_jpeg_is_that_of_pil_at_one_of_the_qualities():
    qualities = set()
    for image in augmented(SMOOTH, 12, jpeg=1.0, jpeg_quality=10):
        errors = []
        for quality in range(10, 101):
            file = io.BytesIO()
            Image.fromarray(SMOOTH).save(file, "JPEG", quality=quality)
            errors.append(np.abs(np.asarray(Image.open(file)).astype(int) - image).max())
        assert min(errors) <= 2
        qualities.add(10 + int(np.argmin(errors)))
    assert len(qualities) > 6
    assert min(qualities) < 50


def test_the_erased_share_is_bounded_by_its_option():
    plain = np.full((40, 40, 3), 9, np.uint8)
    shares = [(image != 9).any(axis=2).mean() for image in augmented(plain, 60, erase=1.0, erase_area=0.1)]
    assert min(shares) > 0.01
    assert 0.07 < max(shares) < 0.12


def test_a_mask_covers_the_mouth_and_not_the_eyes():
    grey = np.full((112, 112, 3), 128, np.uint8)
    for image in augmented(grey, 4, mask=1.0):
        changed = (image != 128).any(axis=2)
        assert changed[95, 56]
        assert not changed[52, [38, 74]].any()


def test_masks_are_mirrored_with_the_face():
    image = np.full((112, 112, 3), 128, np.uint8)
    np.testing.assert_array_equal(augmented(image, 2, mask=1.0, flip=1.0), augmented(image, 2, mask=1.0)[:, :, ::-1])


# RandAugment

STRENGTHS = (-0.9, -0.3, 0.5, 1.0)


def operated(name: str, strength: float, pixels: np.ndarray = SMOOTH) -> np.ndarray:
    return rand_augment.OPERATIONS[name](tf.constant(pixels), tf.constant(strength)).numpy().astype(int)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize(
    "name, kind",
    [
        ("colour", ImageEnhance.Color),
        ("contrast", ImageEnhance.Contrast),
        ("brightness", ImageEnhance.Brightness),
        ("sharpness", ImageEnhance.Sharpness),
    ],
)
def test_enhancing_is_that_of_pil(name, kind, strength):
    expected = np.asarray(kind(Image.fromarray(SMOOTH)).enhance(1 + 0.6 * strength)).astype(int)
    # PIL rounds the grey and the mean to whole numbers, and leaves the border as it is.
    np.testing.assert_allclose(operated(name, strength)[1:-1, 1:-1], expected[1:-1, 1:-1], atol=2)


def test_autocontrast_is_that_of_pil_and_equalise_that_of_opencv():
    dull = (60 + SMOOTH // 3).astype(np.uint8)
    expected = np.asarray(ImageOps.autocontrast(Image.fromarray(dull))).astype(int)
    np.testing.assert_allclose(operated("autocontrast", 1.0, dull), expected, atol=1)
    expected = np.stack([cv2.equalizeHist(np.ascontiguousarray(dull[..., c])) for c in range(3)], axis=2).astype(int)
    np.testing.assert_allclose(operated("equalise", 1.0, dull), expected, atol=1)
    for name in ("autocontrast", "equalise"):
        np.testing.assert_array_equal(operated(name, 1.0, np.full((8, 8, 3), 77, np.uint8)), 77)


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("name", ["rotate", "shear across", "shear down", "shift across", "shift down", "identity"])
def test_geometric_operations_agree_with_opencv(name, strength):
    turn, middle = math.radians(30) * strength, np.array([39 / 2, 47 / 2])
    forward = {
        "rotate": [[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]],
        "shear across": [[1, -0.3 * strength], [0, 1]],
        "shear down": [[1, 0], [-0.3 * strength, 1]],
    }.get(name, [[1, 0], [0, 1]])
    shift = {"shift across": [0.15 * strength * 40, 0], "shift down": [0, 0.15 * strength * 48]}.get(name, [0, 0])
    matrix = np.column_stack([forward, middle + shift - np.array(forward) @ middle])
    expected = cv2.warpAffine(SMOOTH, matrix, (40, 48), borderMode=cv2.BORDER_REFLECT)
    np.testing.assert_allclose(operated(name, strength), expected.astype(int), atol=4)


def test_one_operation_is_one_of_the_list_each_as_often():
    outcomes = {(name, sign): operated(name, sign * 0.5) for name in rand_augment.OPERATIONS for sign in (-1, 1)}
    counts = dict.fromkeys(rand_augment.OPERATIONS, 0)
    count = 240
    for image in augmented(SMOOTH, count, rand_augment=1, rand_augment_magnitude=5.0):
        differences = {key: np.abs(outcome - image).max() for key, outcome in outcomes.items()}
        nearest = min(differences, key=differences.get)
        assert differences[nearest] <= 1
        counts[nearest[0]] += 1
    share = 1 / len(counts)
    for name, times in counts.items():
        assert abs(times - count * share) < 4 * math.sqrt(count * share * (1 - share)), name


def test_no_magnitude_leaves_all_but_what_has_none():
    for name in set(rand_augment.OPERATIONS) - {"autocontrast", "equalise"}:
        np.testing.assert_array_equal(operated(name, 0.0), SMOOTH)


def test_fractions_of_operations_are_refused():
    with pytest.raises(ValueError, match=r"rand_augment: expected a whole number, got 1\.5"):
        Augmentation(rand_augment=1.5)
