"""Worked examples of the centre losses, sequence agents, the teacher's mask and distillation."""

import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import tf
from keras_face.losses.teacher import mask_gradient, teacher_mask

pytestmark = pytest.mark.gpu


def built(name, size=2, state=None, **settings):
    layer = losses.get(name, **settings)
    layer.build((None, size))
    if state is not None:
        layer.weights[0].assign(np.asarray(state, np.float32))
    return layer


def loss_and_gradient(layer, embeddings, labels, **call_settings):
    embeddings = tf.constant(embeddings, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        loss = layer(embeddings, tf.constant(labels), **call_settings)
        mean = tf.reduce_mean(loss)
    return loss.numpy(), tape.gradient(mean, embeddings).numpy()


def test_centre_loss_uses_the_centres_before_it_moves_them():
    layer = built("centre_loss", num_identities=3, num_sequences=1, state=[[0, 0], [1, 1], [5, 5]])
    embeddings, labels = [[2.0, 0.0], [4.0, 2.0], [1.0, 3.0], [9.0, 9.0]], [0, 0, 1, -1]
    loss, gradient = loss_and_gradient(layer, embeddings, labels, training=True)
    np.testing.assert_allclose(loss, [2.0, 10.0, 2.0, 0.0])
    np.testing.assert_allclose(4.0 * gradient, [[2, 0], [4, 2], [0, 2], [0, 0]])
    # Two examples of identity 0: 0.5 * (6, 2) / 3; one of identity 1: 0.5 * (0, 2) / 2; the sequence moves nothing.
    np.testing.assert_allclose(layer.centres, [[1, 1 / 3], [1, 1.5], [5, 5]], rtol=1e-6)


def test_centres_of_absent_identities_stay_to_the_last_bit():
    layer = built("centre_loss", size=8, num_identities=50)
    before = layer.centres.numpy()
    layer(tf.random.stateless_normal([40, 8], [0, 0]), tf.range(40) % 4 * 10, training=True)
    moved = np.any(layer.centres.numpy() != before, axis=1)
    np.testing.assert_array_equal(np.flatnonzero(moved), [0, 10, 20, 30])


@pytest.mark.parametrize("name", ["centre_loss", "sequence_agents"])
def test_a_label_out_of_range_moves_no_centre_under_xla(name):
    layer = built(name, num_identities=3)
    before = layer.centres.numpy()
    compiled = tf.function(lambda *batch: layer(*batch, training=True), jit_compile=True)
    loss = compiled(tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([3, -1]))
    assert np.isnan(loss).all()
    np.testing.assert_array_equal(layer.centres, before)


def test_margin_loss_sees_negative_cosines_of_the_others():
    layer = built("margin_loss", num_identities=2, num_sequences=1, state=[[1, 0], [-1, 0]])
    output = layer.forward(tf.constant([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0]]), tf.constant([0, 1, -1]))
    # Cosines 0.6 and -0.6; the original takes 0 for the second and would give 1.4, not 0.8.
    np.testing.assert_allclose(output.loss, [0.8, 3.2, 0.0], rtol=1e-6)
    np.testing.assert_array_equal(output.correct, [True, False, False])


AGENTS = [[0, 0], [4, 0], [0, 4], [4, 4]]  # of identities 0 and 1 and sequences -1 and -2


def agents(**settings):
    known = {"num_identities": 2, "num_sequences": 2, "dropout_ratio": 0.0, "agent_rate": 1.0, "state": AGENTS}
    return built("sequence_agents", **(known | settings))


def test_sequence_agents_give_the_golden_values_of_the_original():
    # Worked from dsa_loss_layer.cpp for lambda 0.5, alpha 2, beta 1.
    loss, gradient = loss_and_gradient(agents(), [[2.0, 0.0], [0.0, 2.0]], [0, -1])
    np.testing.assert_allclose(loss.mean(), 0.75)
    np.testing.assert_allclose(gradient, [[0.4375, 0], [0, -0.4375]])
    layer = agents()
    loss, gradient = loss_and_gradient(layer, [[1.0, 0.0], [0.0, 3.0]], [0, -1], training=True)
    np.testing.assert_allclose(loss.mean(), 0.125)
    np.testing.assert_allclose(gradient, [[0.125, 0], [0, -0.125]])
    # Against the gradients of the agents, (-0.25, 0), (0, 0), (0, 0.25), (0, 0), with rate 1.
    np.testing.assert_allclose(layer.centres, np.subtract(AGENTS, [[-0.25, 0], [0, 0], [0, 0.25], [0, 0]]))


def test_a_sequence_is_not_pushed_from_other_sequences():
    embeddings = [[1.0, 2.0], [3.0, 1.0]]
    losses_of = [
        agents(state=[*AGENTS[:3], last])(tf.constant(embeddings), tf.constant([0, -1])).numpy()
        for last in ([2.0, 2.0], [3.0, 0.0])
    ]
    assert losses_of[0][0] != losses_of[1][0]
    assert losses_of[0][1] == losses_of[1][1]


def test_agents_of_one_length_keep_it():
    layer = agents(scale=3.0, state=[[1, 2], [0, 5], [-1, 0.1], [0.01, 0]])
    loss_and_gradient(layer, [[1.0, 0.0], [0.0, -7.0], [5.0, 5.0]], [0, 0, -2], training=True)
    np.testing.assert_allclose(np.linalg.norm(layer.centres, axis=1), [3, 5, np.hypot(1, 0.1), 3], rtol=1e-6)


@pytest.mark.parametrize(
    "num_centres, dropout_ratio, expected",
    [(37996, 0.99, 379), (10, 0.9, 1), (1000, 0.9, 100), (8, 0.0, 8), (8, 1.0, 0)],
)
def test_the_kept_share_of_the_agents_is_drawn(num_centres, dropout_ratio, expected):
    layer = losses.get("sequence_agents", num_identities=num_centres, dropout_ratio=dropout_ratio)
    assert layer.num_drawn == expected


def test_agents_are_drawn_evenly_without_replacement_and_anew_in_each_step():
    layer = losses.get("sequence_agents", num_identities=5, num_sequences=3, dropout_ratio=0.5)
    draws = [layer.draw(step).numpy().tolist() for step in range(200)]
    assert all(len(set(drawn)) == 4 for drawn in draws)
    assert len({tuple(sorted(drawn)) for drawn in draws}) > 50  # of 70 sets of 4 out of 8
    counts = np.bincount(np.ravel(draws), minlength=8)
    # Binomial with mean 100 and standard deviation 7.
    assert counts.min() > 70
    assert counts.max() < 130


def test_without_drawn_agents_only_the_pull_is_left():
    layer = agents(dropout_ratio=1.0)
    loss = layer(tf.constant([[2.0, 0.0]]), tf.constant([1]), training=True)
    np.testing.assert_allclose(loss, [0.5])  # half of 2^2 / 4


COSINES = [[0.9, 0.5, 0.1], [0.2, -0.3, 0.4], [0.2, -0.3, 0.4], [-0.1, 0.0, 0.1]]


@pytest.mark.parametrize(
    "settings, expected",
    [
        ({}, [1, 0, 1, 1]),
        ({"top_k": 2}, [1, 0, 1, 1]),
        ({"top_k": 3}, [1, 1, 1, 1]),
        ({"soft": True}, [0.9, 0.0, 0.4, 1.0]),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_teacher_mask_is_how_far_the_teacher_believes_the_label(settings, expected, compiled):
    function = tf.function(lambda *batch: teacher_mask(*batch, **settings), jit_compile=compiled)
    mask = function(tf.constant(COSINES), tf.constant([0, 1, 2, -5]))
    assert mask.dtype == tf.float32
    np.testing.assert_allclose(mask, expected)


def test_teacher_mask_refuses_labels_that_the_teacher_has_not():
    with pytest.raises(tf.errors.InvalidArgumentError, match="labels must be below"):
        teacher_mask(tf.constant(COSINES), tf.constant([0, 1, 3, 0]))
    compiled = tf.function(teacher_mask, jit_compile=True)
    np.testing.assert_array_equal(
        np.isnan(compiled(tf.constant(COSINES), tf.constant([0, 1, 3, 0]))), [False, False, True, False]
    )
    with pytest.raises(ValueError, match="top_k must be at least 1"):
        teacher_mask(tf.constant(COSINES), tf.constant([0, 1, 2, 0]), top_k=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_mask_keeps_from_what_is_before_it_and_not_from_what_is_after(dtype):
    layer = built("cosface", num_identities=2, state=[[1, 0], [0, 1]], scale=2.0)
    embeddings = tf.cast([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0]], dtype)
    labels = tf.constant([0, 1, 1])

    def gradients(mask, examples=slice(None), losses=False):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            seen = embeddings if mask is None or losses else mask_gradient(embeddings, tf.constant(mask))
            np.testing.assert_array_equal(seen, embeddings)
            loss = layer(seen, labels)[examples]
            masked = mask_gradient(loss, tf.constant(mask)) if losses else loss
            np.testing.assert_array_equal(masked, loss)
            total = tf.reduce_sum(masked)
        to_embeddings, to_prototypes = tape.gradient(total, [embeddings, layer.prototypes])
        return tf.cast(to_embeddings, tf.float32).numpy(), to_prototypes.numpy()

    plain, masked = gradients(None), gradients([1.0, 0.0, 0.5])
    np.testing.assert_allclose(masked[0], plain[0] * [[1.0], [0.0], [0.5]], rtol=1e-2)
    assert np.abs(plain[0]).min() > 0.01
    np.testing.assert_array_equal(masked[1], plain[1])
    of_losses = gradients([1.0, 0.0, 0.5], losses=True)
    np.testing.assert_allclose(of_losses[0], masked[0], rtol=1e-2)
    first, third = gradients(None, slice(0, 1)), gradients(None, slice(2, 3))
    np.testing.assert_allclose(of_losses[1], first[1] + 0.5 * third[1], rtol=1e-5)
    assert np.abs(of_losses[1] - plain[1]).max() > 0.01


def test_a_mask_of_zero_stops_even_nan():
    embeddings = tf.constant([[1.0], [1.0]])
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        total = tf.reduce_sum(mask_gradient(embeddings, tf.constant([0.0, 1.0])) * [[float("nan")], [3.0]])
    np.testing.assert_array_equal(tape.gradient(total, embeddings), [[0.0], [3.0]])


def test_logit_distillation_is_zero_where_the_student_has_the_teachers_logits():
    head = built("cosface", size=3, num_identities=4)
    layer = losses.get("logit_distillation", head=head, scale=30.0)
    embeddings = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    prototypes = head.prototypes.numpy()
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    teacher = 30.0 * (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)) @ prototypes.T
    loss, gradient = loss_and_gradient(layer, embeddings, [0] * 5, teacher=teacher)
    np.testing.assert_allclose(loss, np.zeros(5), atol=1e-4)
    np.testing.assert_allclose(gradient, np.zeros((5, 3)), atol=1e-5)


def test_logit_distillation_takes_the_nearest_prototype_of_an_identity():
    several = [[1, 0], [0, -1], [0, 1], [-1, 0]]  # two prototypes for each of two identities
    one_each = [[1, 0], [0, 1]]  # the nearest to (3, 4) among them
    values = [
        losses.get("logit_distillation", head=head)(
            tf.constant([[3.0, 4.0]]), tf.constant([0]), teacher=tf.constant([[1.0, 9.0]])
        )
        for head in (
            built("subcentre_arcface", num_identities=2, sub_centres=2, state=several),
            built("arcface", num_identities=2, state=one_each),
        )
    ]
    np.testing.assert_allclose(*values, rtol=1e-6)


def test_relational_distillation_of_three_points_on_a_line():
    layer = losses.get("relational_distillation", normalise=False)
    student, teacher = [[0.0], [1.0], [3.0]], [[5.0, 0.0], [5.0, 1.0], [5.0, 2.0]]
    loss, _ = loss_and_gradient(layer, student, [0, 1, 2], teacher=tf.constant(teacher))
    # Distances 1, 2, 3 of mean 2 against 1, 1, 2 of mean 4/3: they differ by 1/4, 1/4 and 0.
    first_second, second_third, first_third = 0.25**2 / 2, 0.25**2 / 2, 0.0
    expected = [first_second + first_third, first_second + second_third, second_third + first_third]
    np.testing.assert_allclose(loss, np.array(expected) / 2, rtol=1e-5)


def test_relational_distillation_of_the_angles_of_a_triangle():
    layer = losses.get("relational_distillation", normalise=False, distance_weight=0.0, angle_weight=2.0)
    student = [[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]]
    teacher = [[0.0, 0.0, 7.0], [1.0, 0.0, 7.0], [0.5, np.sqrt(0.75), 7.0]]
    loss, gradient = loss_and_gradient(layer, student, [0, 1, 2], teacher=tf.constant(teacher))
    # Angles of 90, 45 and 45 degrees against three of 60; each pair of others counts twice, of two.
    halves = np.array([0.0, np.sqrt(0.5), np.sqrt(0.5)]) - 0.5
    np.testing.assert_allclose(loss, 2.0 * halves**2 / 2, rtol=1e-5)
    # Whatever turns or moves or resizes the student leaves its angles, so the gradient does none of that.
    np.testing.assert_allclose(np.sum(gradient, axis=0), 0.0, atol=1e-7)
    np.testing.assert_allclose(np.sum(gradient * student), 0.0, atol=1e-6)
    turned = np.array(student) @ [[0.0, 1.0], [-1.0, 0.0]]
    np.testing.assert_allclose(np.sum(gradient * turned), 0.0, atol=1e-6)
    assert gradient[0] @ [1.0, 1.0] > 0.01  # downhill, the right angle moves away from the others


def test_angles_with_a_point_on_the_vertex_count_as_right_ones_and_pull_nothing():
    layer = losses.get("relational_distillation", normalise=False, distance_weight=0.0, angle_weight=1.0)
    student = [[1.0, 2.0], [1.0, 2.0], [4.0, 2.0]]
    teacher = [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]
    loss, gradient = loss_and_gradient(layer, student, [0, 1, 2], teacher=tf.constant(teacher))
    # Cosines 0, 0 and 1 against 1, -1 and 1.
    np.testing.assert_allclose(loss, [0.5, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(gradient, np.zeros((3, 2)), atol=1e-6)


def test_nothing_that_angles_are_made_of_has_the_size_of_all_triples():
    layer, batch = losses.get("relational_distillation", angle_weight=2.0), 64

    @tf.function
    def step(embeddings, teacher):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            loss = layer(embeddings, tf.zeros([batch], tf.int32), teacher=teacher)
        return tape.gradient(loss, embeddings)

    graph = step.get_concrete_function(tf.TensorSpec([batch, 16]), tf.TensorSpec([batch, 24])).graph
    definition = graph.as_graph_def(add_shapes=True)
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    shapes = [tf.TensorShape(shape) for node in nodes for shape in node.attr["_output_shapes"].list.shape]
    # The loops over the vertices hold eight at a time, and keep a few numbers of each turn.
    assert max(shape.num_elements() for shape in shapes if shape.is_fully_defined()) == 8 * batch * batch


def test_relational_distillation_of_one_example_or_equal_ones_is_zero():
    layer = losses.get("relational_distillation", angle_weight=2.0)
    for embeddings in ([[1.0, 2.0]], [[1.0, 2.0], [2.0, 1.0]], [[1.0, 2.0]] * 3):
        loss, gradient = loss_and_gradient(layer, embeddings, [0] * len(embeddings), teacher=tf.constant(embeddings))
        np.testing.assert_array_equal(loss, 0.0)
        np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize("name", ["cosine_distillation", "logit_distillation", "relational_distillation"])
def test_distillation_asks_for_a_fitting_teacher(name):
    head = {"head": built("arcface", num_identities=3)} if name == "logit_distillation" else {}
    layer = losses.get(name, **head)
    batch = tf.ones([2, 2]), tf.constant([0, 1])
    with pytest.raises(ValueError, match="must be called with teacher="):
        layer(*batch)
    with pytest.raises(ValueError, match="expects a teacher of shape"):
        layer(*batch, teacher=tf.ones([2]))
    if name != "relational_distillation":
        with pytest.raises(ValueError, match="expects a teacher of shape"):
            layer(*batch, teacher=tf.ones([2, 4]))


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("centre_loss", {"num_identities": 0}, "num_identities must be at least 1, got 0"),
        ("centre_loss", {"num_identities": 2.5}, "num_identities must be a whole number, got 2.5"),
        ("centre_loss", {"num_identities": 2, "num_sequences": -1}, "num_sequences must be at least 0, got -1"),
        ("centre_loss", {"num_identities": 2, "centre_rate": 1.5}, "centre_rate must be in"),
        ("margin_loss", {"num_identities": 1}, "num_identities must be at least 2"),
        ("sequence_agents", {"num_identities": 2, "pull_weight": 1.5}, "pull_weight must be in"),
        ("sequence_agents", {"num_identities": 2, "distance_ratio": 0.5}, "distance_ratio must be at least 1"),
        ("sequence_agents", {"num_identities": 2, "margin": -1.0}, "margin must be a squared distance"),
        ("sequence_agents", {"num_identities": 2, "dropout_ratio": 1.1}, "dropout_ratio must be in"),
        ("sequence_agents", {"num_identities": 2, "agent_rate": -0.1}, "agent_rate must be in"),
        ("sequence_agents", {"num_identities": 2, "scale": 0.0}, "scale must be a length above 0"),
        ("relational_distillation", {"distance_weight": -1.0}, "distance_weight must be at least 0 and finite, got -1"),
        ("relational_distillation", {"angle_weight": np.nan}, "angle_weight must be at least 0 and finite, got nan"),
        ("relational_distillation", {"distance_weight": 0.0}, "distance_weight or angle_weight must be above 0"),
        ("logit_distillation", {"head": None, "scale": 0.0}, "scale must be above 0"),
        ("logit_distillation", {"head": None, "temperature": 0.0}, "temperature must be above 0"),
    ],
)
def test_settings_out_of_range_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        losses.get(name, **settings)
