"""Triplet and pair losses on examples worked by hand, and against other implementations."""

import math

import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import addons, tf
from keras_face.losses.mining import distances, gather_anchors

pytestmark = pytest.mark.gpu

NAMES = [
    "batch_hard_triplet",
    "soft_margin_triplet",
    "angular_triplet",
    "semi_hard_triplet",
    "batch_all_triplet",
    "hardnet",
    "relative_distance",
    "n_pair",
    "multi_similarity",
    "pair_circle",
]

# Unit vectors at 0, 60, 100 and 180 degrees, labels crossed: 0 with 100 and 60 with 180.
DEGREES = np.array([0, 60, 100, 180])
POINTS = tf.constant(np.stack([np.cos(np.radians(DEGREES)), np.sin(np.radians(DEGREES))], axis=1), tf.float32)
CROSSED = tf.constant([5, 8, 5, 8])


def chord(degrees):
    return 2 * math.sin(math.radians(degrees) / 2)


def cosine(degrees):
    return math.cos(math.radians(degrees))


def value_and_gradient(loss_of, embeddings):
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        value = tf.reduce_mean(loss_of(embeddings))
    return value, tf.convert_to_tensor(tape.gradient(value, embeddings))


def assert_same(ours, theirs, embeddings):
    """Asserts that two losses of embeddings have one mean and one gradient."""
    (value, gradient), (expected, expected_gradient) = (value_and_gradient(each, embeddings) for each in (ours, theirs))
    assert value > 0
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-3, atol=1e-5 * np.abs(expected_gradient).max())


def unit_batch(seed, identities=6, images=4, size=8):
    """Returns loosely clustered unit embeddings and their labels, in random order."""
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(identities), images))
    embeddings = random.normal(size=(identities, size))[labels] + random.normal(size=(len(labels), size))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return tf.constant(embeddings, tf.float32), tf.constant(labels)


@pytest.fixture(scope="module")
def addons_losses():
    try:
        return addons().losses
    except ImportError as error:
        pytest.skip(str(error))


# Against tensorflow-addons. It knows no sequences, and counts what we do not: an anchor without a negative (semi-hard),
# or without a positive or a negative (hard), at a distance it takes from elsewhere in the row. Here all have both.


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_semi_hard_is_that_of_addons(squared, seed, margin, addons_losses):
    embeddings, labels = unit_batch(seed)
    layer = losses.get("semi_hard_triplet", margin=margin, squared=squared)
    metric = "squared-L2" if squared else "L2"
    assert_same(
        lambda values: layer(values, labels),
        # Addons does not normalise, so its gradient has a part along the embedding that ours has not.
        lambda values: addons_losses.triplet_semihard_loss(labels, tf.math.l2_normalize(values, 1), margin, metric),
        embeddings,
    )


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("squared", [False, True])
def test_batch_hard_and_soft_margin_are_those_of_addons(soft, squared, addons_losses):
    embeddings, labels = unit_batch(3)
    name, settings = ("soft_margin_triplet", {}) if soft else ("batch_hard_triplet", {"margin": 0.5})
    layer = losses.get(name, squared=squared, **settings)
    metric = "squared-L2" if squared else "L2"
    assert_same(
        lambda values: layer(values, labels),
        lambda values: addons_losses.triplet_hard_loss(labels, tf.math.l2_normalize(values, 1), 0.5, soft, metric),
        embeddings,
    )


@pytest.mark.parametrize("order", [range(10), [0, 6, 7, 3, 4, 5, 1, 2, 8, 9]], ids=["halves", "mixed"])
def test_n_pair_on_pairs_is_that_of_addons_both_ways(order, addons_losses):
    first, second = np.random.default_rng(4).normal(size=(2, 5, 3))
    layer = losses.get("n_pair", l2_weight=0.0)
    labels = tf.constant(np.tile(np.arange(5), 2)[list(order)])

    def theirs(embeddings):
        # Rows of one label in the order of the batch; the first of each are one half, the second the other.
        rows = [np.flatnonzero(labels.numpy() == label) for label in range(5)]
        one, other = (tf.gather(embeddings, [row[k] for row in rows]) for k in (0, 1))
        ways = (tf.matmul(one, other, transpose_b=True), tf.matmul(other, one, transpose_b=True))
        return tf.add_n([addons_losses.npairs_loss(tf.range(5), way) for way in ways]) / 2

    embeddings = tf.constant(np.concatenate([first, second])[list(order)], tf.float32)
    assert_same(lambda values: layer(values, labels), theirs, embeddings)


# Against the formula in the form of its paper


@pytest.mark.parametrize("squared", [False, True])
def test_batch_all_is_the_mean_over_a_cube_of_triplets(squared):
    embeddings, labels = unit_batch(5)
    layer = losses.get("batch_all_triplet", margin=0.3, squared=squared)

    def cube(values):
        units = tf.math.l2_normalize(values, 1)
        squares = tf.reduce_sum(tf.square(units[:, tf.newaxis] - units), axis=-1)
        away = squares if squared else tf.sqrt(squares + tf.eye(len(labels))) * (1 - tf.eye(len(labels)))
        costs = tf.nn.relu(away[:, :, tf.newaxis] - away[:, tf.newaxis, :] + 0.3)
        same = labels[:, tf.newaxis] == labels
        positive = same & ~tf.eye(len(labels), dtype=tf.bool)
        costs = tf.boolean_mask(costs, positive[:, :, tf.newaxis] & ~same[:, tf.newaxis, :])
        return tf.boolean_mask(costs, costs > 0)

    assert_same(lambda values: layer(values, labels), cube, embeddings)


@pytest.mark.parametrize("name", NAMES)
def test_no_tensor_is_larger_than_batch_by_batch(name):
    layer = losses.get(name)

    @tf.function(autograph=False)
    def step(embeddings, labels):
        return value_and_gradient(lambda values: layer(values, labels), embeddings)

    embeddings, labels = tf.TensorSpec([96, 16], tf.float32), tf.TensorSpec([96], tf.int64)
    graph = step.get_concrete_function(embeddings, labels).graph
    sizes = [output.shape.num_elements() for op in graph.get_operations() for output in op.outputs]
    assert max(size for size in sizes if size is not None) <= 96 * 96
    # Nothing hides in functions or loops of the graph.
    assert not {"PartitionedCall", "StatefulPartitionedCall", "While"} & {op.type for op in graph.get_operations()}


def test_relative_distance_on_pairs_is_e1_of_l2_net():
    first, second = np.random.default_rng(6).normal(size=(2, 5, 3))
    first, second = (half / np.linalg.norm(half, axis=1, keepdims=True) for half in (first, second))
    match = np.exp(2 - np.sqrt(2 - 2 * first @ second.T))
    diagonal = np.diag(match)
    expected = -(np.log(diagonal / match.sum(0)).sum() + np.log(diagonal / match.sum(1)).sum()) / 2
    labels = tf.constant(np.tile(np.arange(5), 2))
    loss = losses.get("relative_distance")(tf.constant(np.concatenate([first, second]), tf.float32), labels)
    np.testing.assert_allclose(tf.reduce_mean(loss), expected / 5, rtol=1e-5)


def test_components_that_say_the_same_have_a_squared_correlation_of_one_each_way():
    embeddings = tf.constant([[3.0, 4.0], [4.0, 3.0], [-3.0, -4.0], [-4.0, -3.0]])
    labels = tf.constant([0, 0, 1, 1])
    plain, weighted = (losses.get("relative_distance", correlation_weight=w)(embeddings, labels) for w in (0.0, 0.1))
    # Of the components (±0.6, ±0.8): mean square 0.5, mean product 0.48.
    np.testing.assert_allclose(weighted - plain, np.full(4, 0.1 * 2 * (0.48 / 0.5) ** 2), rtol=1e-5)


def test_a_component_that_never_changes_has_no_correlation():
    embeddings = tf.constant([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    plain, weighted = (
        losses.get("relative_distance", correlation_weight=w)(embeddings, tf.constant([0, 0, 1, 1])) for w in (0.0, 1.0)
    )
    np.testing.assert_allclose(weighted, plain, atol=1e-6)


# By hand


def test_soft_margin_has_no_margin():
    output = losses.get("soft_margin_triplet").forward(POINTS, CROSSED)
    difference = [chord(100) - chord(60), chord(120) - chord(40), chord(100) - chord(40), chord(120) - chord(80)]
    np.testing.assert_allclose(output.loss, np.log1p(np.exp(difference)), rtol=1e-6)


def test_angular_triplet_counts_in_radians():
    output = losses.get("angular_triplet", margin=0.5).forward(POINTS, CROSSED)
    np.testing.assert_allclose(output.positive_distance, np.radians([100, 120, 100, 120]), rtol=1e-6)
    np.testing.assert_allclose(output.negative_distance, np.radians([60, 40, 40, 80]), rtol=1e-6)
    np.testing.assert_allclose(output.loss, np.radians([40, 80, 60, 40]) + 0.5, rtol=1e-6)


def test_semi_hard_takes_the_next_negative_and_the_farthest_if_there_is_none():
    loss = losses.get("semi_hard_triplet", margin=0.2)(POINTS, CROSSED)
    # At 0 and 180 there is a negative beyond the positive: 180 and 0. At 60 and 100 all are nearer: the farthest.
    expected = [0, chord(120) ** 2 - chord(60) ** 2 + 0.2, chord(100) ** 2 - chord(80) ** 2 + 0.2, 0]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_semi_hard_averages_over_pairs_not_anchors():
    # Three at one point, two at the opposite one, and one alone, which is no anchor.
    embeddings = tf.constant([[1.0, 0.0]] * 3 + [[-1.0, 0.0]] * 2 + [[0.0, 1.0]])
    loss = losses.get("semi_hard_triplet", margin=3.0, squared=False)(embeddings, tf.constant([0, 0, 0, 1, 1, 2]))
    # Each positive is at 0, and the next negative is the lone one, sqrt 2 away: 6 + 2 pairs.
    cost = 3 - math.sqrt(2)
    np.testing.assert_allclose(loss, np.array([2, 2, 2, 1, 1, 0]) * cost * 6 / 8, rtol=1e-5)


def test_hardnet_never_takes_the_positive_for_a_negative():
    # margin-centre-face's mask makes the positive the nearest negative, at 0: its loss is margin + positive distance.
    loss = losses.get("hardnet")(POINTS, CROSSED)
    positive, negative = [chord(100), chord(120)] * 2, chord(40)  # 60 and 100 are nearest, and each pair has one
    np.testing.assert_allclose(loss, 1 + np.array(positive) - negative, rtol=1e-6)


def test_hardnet_without_swap_looks_from_the_anchor_only():
    loss = losses.get("hardnet", anchor_swap=False, margin=0.5)(POINTS, CROSSED)
    expected = 0.5 + np.array([chord(100) - chord(60), chord(120) - chord(40), chord(100) - chord(40)])
    np.testing.assert_allclose(loss, [*expected, 0.5 + chord(120) - chord(80)], rtol=1e-6)


def test_n_pair_takes_lengths_as_they_are():
    loss = losses.get("n_pair", l2_weight=0.4)(tf.constant([[2.0], [3.0], [-1.0], [0.5]]), tf.constant([0, 0, 1, 1]))
    # Negative - positive product: 2 with 0.5 and 3, 3 with -1 and 2, -1 with 3 and 0.5, 0.5 with 2 and -1.
    products = np.array([1 - 6, -3 - 6, -3 + 0.5, 1 + 0.5])
    lengths = np.array([4 + 9, 4 + 9, 1 + 0.25, 1 + 0.25])
    np.testing.assert_allclose(loss, np.log1p(np.exp(products)) + 0.1 * lengths, rtol=1e-6)


def test_multi_similarity_leaves_easy_pairs_out():
    loss = losses.get("multi_similarity")(POINTS, CROSSED)
    # Anchor 0: its positive has cosine(100); of its negatives 60 is harder than that, 180 is not.
    expected = math.log1p(math.exp(-2 * (cosine(100) - 0.5))) / 2 + math.log1p(math.exp(50 * (cosine(60) - 0.5))) / 50
    np.testing.assert_allclose(loss[0], expected, rtol=1e-5)


def test_multi_similarity_counts_an_anchor_whose_pairs_are_easy():
    degrees = np.radians([0, 60, 62, 200, 200])  # of 200, all pairs are easy
    embeddings = tf.constant(np.stack([np.cos(degrees), np.sin(degrees)], axis=1), tf.float32)
    loss = losses.get("multi_similarity")(embeddings, tf.constant([0, 1, 0, 1, 2])).numpy()
    easy = losses.get("multi_similarity")(embeddings, tf.constant([0, 0, 0, 1, 1])).numpy()
    assert loss[:4].all()
    np.testing.assert_array_equal(easy, np.zeros(5))


def test_pair_circle_with_the_values_of_the_paper():
    loss = losses.get("pair_circle")(POINTS, CROSSED)
    # Anchor 0: the negative at 60 weighs 0.5 + 0.25, that at 180 nothing; the positive 1.25 - cosine(100).
    push = math.exp(256 * 0.75 * (0.5 - 0.25)) + 1
    pull = 256 * (1.25 - cosine(100)) * (0.75 - cosine(100))
    np.testing.assert_allclose(loss[0], math.log(push) + pull, rtol=1e-6)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_pair_circle_is_finite_at_the_scale_of_the_paper(mode):
    layer = losses.get("pair_circle")
    embeddings = np.array([[1, 2], [1, 2], [-3, -6], [0, 0], [1e30, 1e30], [1e-3, 0], [2, -1]])
    labels = tf.constant([0, 1, 0, 1, 0, 1, 1])

    def step(values):
        return value_and_gradient(lambda each: layer(each, labels), values)

    run = step if mode == "eager" else tf.function(step, jit_compile=mode == "xla", autograph=False)
    for dtype in (tf.float32, tf.bfloat16):
        for result in run(tf.constant(embeddings, dtype)):
            assert np.isfinite(tf.cast(result, tf.float32)).all()


# What all share


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("labels", [[1, 1, 1], [1, 2, 3], [-1, -2, -2]])
def test_a_batch_without_triplets_costs_nothing(name, labels):
    layer, embeddings = losses.get(name), tf.constant([[1.0, 0.0], [0.0, 0.0], [1.0, 2.0]])
    value, gradient = value_and_gradient(lambda values: layer(values, tf.constant(labels)), embeddings)
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((3, 2)))


@pytest.mark.parametrize("name", NAMES)
def test_a_sequence_neither_moves_nor_is_moved_by_another(name):
    layer, labels = losses.get(name), tf.constant([-1, -1, -2, 4])
    embeddings = tf.constant([[1.0, 0.0], [1.0, 0.5], [1.0, 0.1], [1.0, -0.1]])
    loss, gradient = layer(embeddings, labels), value_and_gradient(lambda x: layer(x, labels), embeddings)[1]
    np.testing.assert_array_equal(gradient[2], [0, 0])
    assert (np.abs(gradient.numpy()[[0, 1, 3]]).sum(axis=1) > 0).all()  # identity 4 is the negative of the first two
    np.testing.assert_array_equal(loss[2:], [0, 0])


def test_partners_go_round_and_rivals_are_one_of_each_label():
    labels = [5, 7, 5, 5, 7, 9, -1, -2, -1]
    anchors = gather_anchors(tf.zeros([9, 2]), tf.constant(labels))
    partners = anchors.partners()
    np.testing.assert_array_equal(tf.gather(partners, [0, 1, 2, 3, 4, 6, 8]), [2, 4, 3, 0, 1, 8, 6])
    rivals = anchors.tuplet(partners).numpy()
    # The partner of 0 is the second 5: against it stand the second 7, the only 9, the second -1, the only -2. The
    # partner of 2 is the third, which is the first again for those of whom there are two.
    assert [list(np.flatnonzero(rivals[i])) for i in (0, 2, 6)] == [[4, 5, 7, 8], [1, 5, 6, 7], [2, 4, 5]]


def test_the_distance_of_equal_rows_is_zero_with_gradient_zero():
    points = tf.constant([[0.6, 0.8], [0.6, 0.8], [-1.0, 0.0]])
    with tf.GradientTape() as tape:
        tape.watch(points)
        away = distances(points, points[:2])
    np.testing.assert_allclose(away, [[0, 0], [0, 0], [math.sqrt(3.2)] * 2], atol=5e-4)
    gradient = tape.gradient(away, points)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("batch_hard_triplet", "margin", 0.0),
        ("angular_triplet", "margin", math.pi),
        ("semi_hard_triplet", "margin", -0.1),
        ("batch_all_triplet", "margin", math.nan),
        ("hardnet", "margin", 0),
        ("relative_distance", "correlation_weight", -1.0),
        ("n_pair", "l2_weight", -0.002),
        ("multi_similarity", "positive_scale", 0.0),
        ("multi_similarity", "negative_scale", -50.0),
        ("multi_similarity", "base", 1.5),
        ("multi_similarity", "mining_margin", -0.1),
        ("pair_circle", "margin", 1.0),
        ("pair_circle", "scale", 0.0),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_value(name, setting, value):
    with pytest.raises(ValueError, match=f"{setting} must be .*got {value}"):
        losses.get(name, **{setting: value})


def test_soft_margin_refuses_a_margin():
    with pytest.raises(ValueError, match=r"unknown setting of soft_margin_triplet 'margin'; known are "):
        losses.get("soft_margin_triplet", margin=0.3)
