import functools
import inspect
import math

import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import tf
from keras_face.losses.margins import ArcMargin, CosineMargin, NoMargin
from keras_face.losses.softmax import MarginSoftmax, cross_entropy


def built(layer, weights):
    layer.build((None, np.shape(weights)[1]))
    layer.set_weights([np.asarray(weights, np.float32)])
    return layer


# Softmax heads


def test_margin_lowers_only_the_target_logit():
    head = built(MarginSoftmax(num_identities=2, margin=CosineMargin(0.2), scale=1.0), np.eye(2))
    loss = head(tf.constant([[0.6, 0.8]]), tf.constant([0]))
    # Logits are 0.6 - 0.2 and 0.8, so the loss is log(1 + e^0.4).
    np.testing.assert_allclose(loss, [math.log1p(math.exp(0.4))], rtol=1e-6)


def test_known_and_unknown_examples_give_the_golden_values_of_seqface():
    # Logits 1, 2, 3: losses and gradients worked out in facts B 1.2.
    head = built(losses.get("softmax", num_identities=3, num_sequences=9), np.eye(3))
    with tf.GradientTape() as tape:
        embeddings = tf.Variable([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
        loss = head(embeddings, tf.constant([2, -7]))
    np.testing.assert_allclose(loss, [0.407606, 1.407606], atol=1e-6)
    expected = [[0.09003, 0.24473, -0.33476], [-0.24330, -0.08860, 0.33191]]
    np.testing.assert_allclose(tape.gradient(loss, embeddings), expected, atol=1e-5)


def test_the_margin_does_not_touch_an_unknown_example():
    prototypes = np.random.default_rng(0).normal(size=(4, 3))
    embeddings, labels = tf.constant([[1.0, 2.0, 3.0]]), tf.constant([-1])
    results = [
        built(losses.get(name, num_identities=4, num_sequences=1), prototypes)(embeddings, labels).numpy()
        for name in ("norm_softmax", "cosface", "arcface")
    ]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_cross_entropy_is_exact_for_extreme_logits():
    logits = tf.constant([[0.0, 500.0], [0.0, 500.0], [0.0, -20.0], [1e4, -1e4]])
    with tf.GradientTape() as tape:
        target = tf.Variable([0.0, 500.0, 0.0, 1e4])
        loss = cross_entropy(logits, target, tf.constant([0, 1, 0, 0]))
    np.testing.assert_allclose(loss, [500.0, 0.0, 0.0, 0.0], atol=1e-7)
    np.testing.assert_allclose(tape.gradient(loss, target), [-1.0, 0.0, 0.0, 0.0], atol=1e-7)


def test_cross_entropy_over_many_identities_agrees_with_tensorflow():
    random = np.random.default_rng(0)
    logits = tf.constant(random.normal(scale=20, size=(8, 5000)), tf.float32)
    labels = tf.constant(random.integers(0, 5000, 8))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        ours = cross_entropy(logits, tf.gather(logits, labels, batch_dims=1), labels)
        theirs = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(tape.gradient(ours, logits), tape.gradient(theirs, logits), atol=1e-6)


def test_detached_gradient_is_scale_times_probability_minus_one():
    # arcface_torch at angle 1.0, scale 64, against one rival: only the target's factor changes.
    prototypes = np.array([[1.0, 0.0], [0.0, 1.0]])
    gradients = {}
    for gradient in ("exact", "detached"):
        head = built(MarginSoftmax(2, ArcMargin(gradient=gradient), scale=64.0), prototypes)
        with tf.GradientTape() as tape:
            embedding = tf.Variable([[math.cos(1.0), math.sin(1.0)]])
            loss = head(embedding, tf.constant([0]))
        gradients[gradient] = tape.gradient(loss, embedding).numpy()[0]
    target, rival = 64 * math.cos(1.5), 64 * math.sin(1.0)
    missing = 1 - math.exp(target) / (math.exp(target) + math.exp(rival))
    tangent = np.array([-math.sin(1.0), math.cos(1.0)])
    for gradient, slope in (("exact", math.sin(1.5) / math.sin(1.0)), ("detached", 1.0)):
        pull = -64 * missing * slope * -math.sin(1.0)
        push = 64 * missing * math.cos(1.0)
        np.testing.assert_allclose(gradients[gradient], (pull + push) * tangent, rtol=1e-5)


def test_a_head_reports_cosine_angle_and_correctness_without_the_margin():
    head = built(MarginSoftmax(3, CosineMargin(0.5), num_sequences=1), [[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    embeddings = tf.constant([[3.0, 2.9], [1.0, 1.1], [-5.0, 0.0], [1.0, 0.0]])
    output = head.forward(embeddings, tf.constant([0, 0, 2, -1]))
    # The first is right although the margin puts identity 1 ahead; the last is unknown.
    np.testing.assert_array_equal(output.correct, [True, False, True, False])
    angles = [math.atan2(2.9, 3), math.atan2(1.1, 1), 0]
    np.testing.assert_allclose(output.target_cosine[:3], np.cos(angles), rtol=1e-6)
    np.testing.assert_allclose(output.target_angle[:3], angles, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(output.loss, head(embeddings, tf.constant([0, 0, 2, -1])))


def test_plain_softmax_reports_the_cosine_of_what_it_does_not_normalise():
    head = built(losses.get("softmax", num_identities=2), [[2.0, 0.0], [0.0, 8.0]])
    output = head.forward(tf.constant([[3.0, 1.0]]), tf.constant([0]))
    np.testing.assert_allclose(output.target_cosine, [3 / math.sqrt(10)], rtol=1e-6)
    np.testing.assert_array_equal(output.correct, [False])  # 6 against 8


@pytest.mark.parametrize("name, of_lengths", [("softmax", 0), ("norm_softmax", 1), ("cosface", 1), ("arcface", 1)])
def test_a_training_pass_makes_three_matrix_products_beside_the_lengths_and_no_one_hot(name, of_lengths):
    head = losses.get(name, num_identities=7)
    head.build((None, 4))

    @tf.function
    def step(embeddings, labels):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            loss = head.forward(embeddings, labels).loss
        return tape.gradient(loss, [embeddings, head.prototypes])

    graph = step.get_concrete_function(tf.TensorSpec([2, 4]), tf.TensorSpec([2], tf.int64)).graph
    definition = graph.as_graph_def()
    bodies = {body.signature.name: [node.op for node in body.node_def] for body in definition.library.function}
    called = [node.attr["f"].func.name for node in definition.node]
    types = [node.op for node in definition.node]
    types += [op for name in called for op in bodies.get(name, ())]
    assert types.count("MatMul") == 3 + of_lengths
    assert "OneHot" not in types


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_must_be_positive_and_finite(scale):
    with pytest.raises(ValueError, match="scale must be above 0 and finite, got"):
        MarginSoftmax(2, NoMargin(), scale=scale)


# Angular centre term


def test_the_centre_term_is_zero_on_the_prototype_and_scale_at_a_right_angle():
    head = built(losses.get("arcface", num_identities=2, num_sequences=1), [[2.0, 0.0], [0.0, 0.1]])
    centre = losses.get("angular_centre", head=head, scale=64.0)
    embeddings = tf.constant([[7.0, 0.0], [3.0, 0.0], [-1.0, 0.0], [1.0, 1.0]])
    # Margin-free: with ArcFace's margin the first would not be 0. The last is of unknown identity.
    np.testing.assert_allclose(centre(embeddings, tf.constant([0, 1, 0, -1])), [0.0, 64.0, 128.0, 0.0], atol=1e-5)


@pytest.mark.parametrize("name", ["softmax", "arcface"])
def test_the_centre_term_is_the_same_from_the_heads_own_pass(name):
    random = np.random.default_rng(0)
    head = built(losses.get(name, num_identities=4, num_sequences=1), random.normal(size=(4, 3)))
    centre = losses.get("angular_centre", head=head)
    embeddings, labels = tf.Variable(random.normal(size=(5, 3)), dtype=tf.float32), tf.constant([3, 0, 3, -1, 1])
    with tf.GradientTape(persistent=True) as tape:
        apart = centre(embeddings, labels)
        together = centre.from_cosine(head.forward(embeddings, labels).target_cosine, labels)
    np.testing.assert_allclose(apart, together, rtol=1e-5)
    for variable in (embeddings, head.prototypes):
        one, other = (tf.convert_to_tensor(tape.gradient(loss, variable)) for loss in (apart, together))
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_the_centre_term_owns_no_weights_beside_the_heads():
    head = losses.get("arcface", num_identities=3)
    centre = losses.get("angular_centre", head=head)
    centre(tf.ones([1, 2]), tf.constant([0]))
    assert [id(weight) for weight in centre.weights] == [id(head.prototypes)]


# Batch-hard triplet


def test_triplets_of_four_points_on_a_circle():
    degrees = np.radians([0, 60, 90, 180])
    points = tf.constant(np.stack([np.cos(degrees), np.sin(degrees)], axis=1) * [[1], [2], [3], [4]], tf.float32)
    layer = losses.get("batch_hard_triplet", margin=0.3)
    output = layer.forward(points, tf.constant([5, 5, 8, 8]))

    def chord(angle):
        return 2 * math.sin(math.radians(angle) / 2)

    positive = [chord(60), chord(60), chord(90), chord(90)]
    negative = [chord(90), chord(30), chord(30), chord(120)]
    np.testing.assert_allclose(output.positive_distance, positive, rtol=1e-6)
    np.testing.assert_allclose(output.negative_distance, negative, rtol=1e-6)
    expected = np.maximum(np.subtract(positive, negative) + 0.3, 0)
    np.testing.assert_allclose(output.loss, expected, rtol=1e-5)
    squared = losses.get("batch_hard_triplet", margin=0.3, squared=True)(points, tf.constant([5, 5, 8, 8]))
    np.testing.assert_allclose(
        squared, np.maximum(np.square(positive) - np.square(negative) + 0.3, 0), rtol=1e-5, atol=1e-6
    )


def test_anchors_without_a_positive_do_not_count():
    embeddings = tf.constant(np.random.default_rng(0).normal(size=(4, 3)), tf.float32)
    layer = losses.get("batch_hard_triplet", margin=2.5)  # larger than any distance, so that every triplet costs
    output = layer.forward(embeddings, tf.constant([1, 1, 2, 3]))
    np.testing.assert_array_equal(output.valid, [True, True, False, False])
    np.testing.assert_array_equal(output.loss[2:], [0, 0])
    violation = output.positive_distance - output.negative_distance + 2.5
    np.testing.assert_allclose(tf.reduce_mean(output.loss), tf.reduce_mean(violation[:2]), rtol=1e-6)


@pytest.mark.parametrize("labels", [[1, 1, 1], [1, 2, 3], [-1, -2, -2]])
def test_a_batch_without_triplets_costs_nothing(labels):
    layer = losses.get("batch_hard_triplet")
    with tf.GradientTape() as tape:
        embeddings = tf.Variable(tf.ones([3, 2]))
        loss = layer(embeddings, tf.constant(labels))
    np.testing.assert_array_equal(loss, [0, 0, 0])
    np.testing.assert_array_equal(tape.gradient(loss, embeddings), np.zeros((3, 2)))


def test_two_sequences_are_not_negatives_of_each_other():
    embeddings = tf.constant([[1.0, 0.0], [1.0, 0.1], [1.0, 0.01], [-1.0, 0.0]])
    output = losses.get("batch_hard_triplet").forward(embeddings, tf.constant([-1, -1, -2, 4]))
    # The nearest other label of the first two is sequence -2, but only the identity may be pushed away.
    np.testing.assert_array_equal(output.valid, [True, True, False, False])
    np.testing.assert_allclose(output.negative_distance[0], 2.0, rtol=1e-6)


def test_collapsed_embeddings_lose_the_margin_with_a_finite_gradient():
    with tf.GradientTape() as tape:
        embeddings = tf.Variable(tf.ones([4, 3]))
        loss = losses.get("batch_hard_triplet", margin=0.3)(embeddings, tf.constant([0, 0, 1, 1]))
    np.testing.assert_allclose(loss, np.full(4, 0.3), rtol=1e-6)
    np.testing.assert_array_equal(tape.gradient(loss, embeddings), np.zeros((4, 3)))


# Register


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match=r"^unknown loss 'arcfce'; did you mean 'arcface'\? known are .*cosface"):
        losses.get("arcfce", num_identities=3)


def test_an_unknown_setting_is_answered_with_the_known_ones():
    message = r"^unknown setting of arcface 'scael'; did you mean 'scale'\? known are .*beyond_pi"
    with pytest.raises(ValueError, match=message):
        losses.get("arcface", num_identities=3, scael=30)


def test_a_missing_setting_is_named():
    with pytest.raises(ValueError, match="arcface needs the setting 'num_identities'"):
        losses.get("arcface", margin=0.4)


def test_settings_reach_margin_and_head():
    head = losses.get("arcface", num_identities=3, margin=0.4, gradient="detached", scale=30.0, name="head")
    assert (head.margin.margin, head.margin.gradient, head.scale, head.name) == (0.4, "detached", 30.0, "head")
    assert losses.get("cosface", num_identities=3).name == "cosface"
    assert losses.settings("cosface")["margin"] == 0.35


def whole(name):
    """The settings of a loss that are whole numbers by default, as integers."""
    settings = losses.settings(name).items()
    return {key: int(value) for key, value in settings if isinstance(value, float) and value.is_integer()}


@pytest.mark.parametrize("name", [name for name in losses.names() if whole(name)])
def test_whole_numbers_mean_the_same_as_integers_in_a_graph(name):
    embeddings, labels = tf.random.normal([4, 6], seed=1), tf.constant([0, 0, 1, 1])
    head = losses.get("arcface", num_identities=2)
    head(embeddings, labels)
    own = {"num_identities": 2, "head": head}
    given = {key: value for key, value in own.items() if key in losses.settings(name)}
    found = []
    for settings in ({}, whole(name)):
        loss = losses.get(name, **given, **settings)
        teacher = embeddings[:, :2] if name == "logit_distillation" else embeddings[:, ::-1]
        more = {"teacher": teacher} if "teacher" in inspect.signature(loss.call).parameters else {}
        tf.keras.utils.set_random_seed(0)
        compute = tf.function(functools.partial(loss, embeddings, labels, training=True, **more))
        found.append(compute().numpy())
    np.testing.assert_array_equal(found[0], found[1])
