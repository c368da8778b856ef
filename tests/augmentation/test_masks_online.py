"""Masks inside tf.data: the same picture as NumPy makes, from a graph without Python."""

import numpy as np
import pytest

from keras_face.backend import tf
from keras_face.masks import colours, drawing, light, online
from keras_face.masks.wardrobe import COLOURS, PATTERNS
from keras_face.photos.luminance import LUMINANCE

SEED = tf.constant([3, 4], tf.int64)


def photo(size=(112, 112), mode=0):
    """Lit from one side, noisy, skin-coloured; or grey."""
    random = np.random.default_rng(mode)
    ramp = np.linspace(0.6, 1.2, size[1])[:, np.newaxis]
    colour = (200, 150, 120) if mode == 0 else (130, 130, 130)
    return np.uint8(np.clip(ramp * colour + random.normal(0, 4, (*size, 1)), 0, 255))


def by_numpy(image, bank, seed):
    """The same mask by other means: draws decoded one by one, light.match for the light, NumPy for the blending."""
    draws = tf.random.stateless_uniform([6], seed).numpy()
    patterns = list(dict.fromkeys(PATTERNS))
    pattern = patterns.index(PATTERNS[int(draws[1] * len(PATTERNS))])
    name = COLOURS[int(draws[2] * len(COLOURS))]
    others = [other for other in sorted(set(COLOURS)) if other != name]
    colour, accent = (np.array(colours.colour(c), float) for c in (name, others[int(draws[3] * len(others))]))
    row = int(draws[0] * len(bank.overlays))
    top, left = (int(draws[index] * (2 * bank.margin + 1)) for index in (5, 4))
    height, width = image.shape[0] - bank.top, image.shape[1]
    cut = np.s_[top : top + height, left : left + width]
    alpha, cloth, own = np.moveaxis(bank.overlays[row][cut].astype(float), -1, 0)
    second = bank.seconds[row * len(patterns) + pattern][cut][..., 0].astype(float)
    lower = image[bank.top :].astype(float)
    luminance = lower @ LUMINANCE
    # The plane through the light of every `step`-th covered pixel, by normal equations.
    chosen = np.zeros((height, width), bool)
    chosen[:: bank.step, :: bank.step].flat[:] = bank.covered > 0
    y, x = np.nonzero(chosen)
    normal = np.stack([np.ones(len(x)), x, y], axis=1)
    flat = np.linalg.solve(normal.T @ normal, normal.T @ luminance[chosen])
    rows, columns = np.mgrid[:height, :width]
    mean = luminance[chosen].mean()
    plane = flat[0] + flat[1] * columns + flat[2] * rows
    gain = np.clip(np.sqrt(mean / light.USUAL), *light.BRIGHTNESS)
    gain = gain * np.clip(1 + light.SLOPE * (plane - mean) / mean, *light.SLOPES)
    colourful = min(1, np.abs(lower[chosen] - luminance[chosen][:, np.newaxis]).mean() / light.COLOURFUL)
    first, then = (dye @ LUMINANCE + colourful * (dye - dye @ LUMINANCE) for dye in (colour, accent))
    paint = (
        (cloth - second)[..., np.newaxis] * first + second[..., np.newaxis] * then + own[..., np.newaxis] * 255
    ) / 200
    paint = np.minimum(paint * gain[..., np.newaxis], alpha[..., np.newaxis])
    worn = image.astype(float)
    worn[bank.top :] = lower * (1 - alpha[..., np.newaxis] / 255) + paint
    return worn


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("size", [(112, 112), (112, 96)])
def test_online_masks_are_those_that_numpy_makes(size, mode):
    image = photo(size, mode)
    bank = online.make_bank(*size)
    for number in range(6):
        seed = tf.constant([number, 9], tf.int64)
        worn = online.wear_mask(image, seed).numpy()
        assert worn.dtype == np.uint8
        assert worn.shape == image.shape
        assert np.abs(worn - by_numpy(image, bank, seed)).max() < 0.52


def test_the_same_seed_gives_the_same_mask_and_others_give_others():
    image = photo()
    first = online.wear_mask(image, SEED).numpy()
    np.testing.assert_array_equal(online.wear_mask(image, SEED), first)
    others = [online.wear_mask(image, tf.constant([3, number], tf.int64)).numpy() for number in range(5, 15)]
    assert len({other.tobytes() for other in others}) == 10


def test_eyes_stay_free_and_the_mouth_is_covered():
    image = photo()
    for number in range(100):
        worn = online.wear_mask(image, tf.constant([number, 0], tf.int64)).numpy()
        np.testing.assert_array_equal(worn[:45], image[:45])
        for x in (38, 74):  # the eyes of the template, 51.6 pixels down
            np.testing.assert_array_equal(worn[48:56, x - 5 : x + 5], image[48:56, x - 5 : x + 5])
    alpha = online.make_bank(112, 112).overlays[..., 0]
    bank = online.make_bank(112, 112)
    mouth = alpha[:, 92 - bank.top + bank.margin, 56 + bank.margin - 14 : 56 + bank.margin + 14]
    assert len(mouth) == 4 * len(drawing.names())
    assert mouth.min() > 250


def test_it_runs_in_a_dataset_without_python_in_the_graph():
    def masked(image: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        return online.wear_mask(image, tf.stack([number, tf.constant(0, tf.int64)]))

    images = np.stack([photo((56, 56)), photo((56, 56), 1)])
    dataset = tf.data.Dataset.from_tensor_slices((images, np.arange(2))).map(masked)
    worn = list(dataset.as_numpy_iterator())
    for number in range(2):
        expected = online.wear_mask(images[number], tf.constant([number, 0], tf.int64))
        assert np.abs(worn[number].astype(int) - expected.numpy()).max() <= 1
    graph = (
        tf.function(masked)
        .get_concrete_function(tf.TensorSpec([56, 56, 3], tf.uint8), tf.TensorSpec([], tf.int64))
        .graph.as_graph_def()
    )
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    assert nodes
    assert not [node.op for node in nodes if "Py" in node.op]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((112, 112, 3), np.float32), "expected uint8"),
        (np.zeros((112, 112, 1), np.uint8), "expected uint8"),
        (np.zeros((8, 8, 3), np.uint8), "at least 16"),
    ],
)
def test_wrong_images_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        online.wear_mask(image, SEED)


def test_an_image_of_unknown_size_is_refused():
    with pytest.raises(ValueError, match="static shape"):
        tf.function(online.wear_mask).get_concrete_function(
            tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int64)
        )
