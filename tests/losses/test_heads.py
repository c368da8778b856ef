"""What sets each head apart, by published numbers and worked examples; what all share is in test_losses_conformance."""

import functools
import inspect
import math

import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import keras, tf
from keras_face.losses.entries import LOSSES

pytestmark = pytest.mark.gpu

HEADS = [name for name in losses.names() if issubclass(LOSSES[name].layer, losses.PrototypeHead)]
# The first name of each pair of layer and margin, which have their settings in common.
KINDS = list({(LOSSES[name].layer, LOSSES[name].margin): name for name in reversed(HEADS)}.values())


def head_of(name, prototypes, **settings):
    prototypes = np.asarray(prototypes, np.float32)
    head = losses.get(name, **{"num_identities": len(prototypes), **settings})
    head.build((None, prototypes.shape[1]))
    head.prototypes.assign(prototypes)
    return head


def point(*cosines, length=1.0):
    """Returns a vector with these cosines with the first axes; the rest of it is along one axis more."""
    return length * np.array([*cosines, math.sqrt(1 - np.sum(np.square(cosines)))])


def batch(*points):
    return tf.constant(np.array(points), tf.float32)


def lead(loss):
    """Returns by how much the own logit leads the only other one."""
    return -np.log(np.expm1(np.asarray(loss, float)))


def along(head, embedding, label=0):
    """Returns the derivative of the loss by the length of an embedding."""
    with tf.GradientTape() as tape:
        embeddings = tf.Variable(batch(embedding))
        loss = head(embeddings, tf.constant([label]))
    return np.sum(tape.gradient(loss, embeddings).numpy()[0] * embedding) / np.linalg.norm(embedding)


# Annealing


@pytest.mark.parametrize("step, expected", [(1, 892.86), (10, 454.5), (100, 76.9), (500, 16.4), (1000, 8.26)])
def test_lambda_takes_the_course_of_sphereface(step, expected):
    head = losses.get("a_softmax", num_identities=2)
    np.testing.assert_allclose(head.mixture(step), expected, rtol=1e-3)
    assert head.mixture(1658) > 5.0
    assert head.mixture(1659) == head.mixture(10**6) == 5.0


def test_lambda_falls_once_per_optimizer_step_and_goes_on_from_a_checkpoint(tmp_path):
    def make():
        return head_of("a_softmax", np.eye(2, 3), accumulation_steps=2)

    def mixture(head, training=True):
        # At 60 degrees psi of multiplier 4 is -1.5, so that the own logit is (lambda / 2 - 1.5) / (1 + lambda).
        own = lead(head(batch(point(0.5, 0.0)), tf.constant([0]), training=training))[0]
        return (own + 1.5) / (0.5 - own)

    head = make()
    course = [mixture(head), mixture(head), mixture(head, training=False), mixture(head)]
    path = tf.train.Checkpoint(head=head).write(str(tmp_path / "checkpoint"))
    again = make()
    tf.train.Checkpoint(head=again).read(path)
    course += [mixture(again), mixture(again)]
    steps = np.array([1, 1, 2, 2, 2, 3])
    np.testing.assert_allclose(course, 1000 / (1 + 0.12 * steps), rtol=2e-3)


# Ignored labels


@pytest.mark.parametrize("ignored", [1, -1, 9], ids=["an identity", "a sequence", "out of range"])
@pytest.mark.parametrize("name", KINDS)
def test_an_ignored_example_is_as_if_it_were_not_there(name, ignored):
    random = np.random.default_rng(0)
    prototypes = random.normal(size=(4, 3))
    head = head_of(name, prototypes, num_sequences=2, ignored_label=ignored)
    embeddings, labels = batch(*random.normal(size=(6, 3))), np.array([3, ignored, 0, -2, ignored, 2])
    counts = labels != ignored
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        loss = head(embeddings, tf.constant(labels))
    kept = head_of(name, prototypes, num_sequences=2)(embeddings[counts], tf.constant(labels[counts]))
    np.testing.assert_allclose(loss[counts], kept * 6 / 4, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(loss[~counts], 0.0)
    np.testing.assert_array_equal(tape.gradient(loss, embeddings)[~counts], 0.0)


@pytest.mark.parametrize("name", ["arcface", "uniface"])
def test_the_weight_of_ignored_examples_goes_to_those_of_all_replicas(name, two_replicas):
    prototypes = np.random.default_rng(0).normal(size=(4, 3))
    embeddings = batch(*np.random.default_rng(1).normal(size=(5, 3)))
    labels = tf.constant([3, -1, -1, 0, 2])  # the first replica has one example that counts, of three
    expected = head_of(name, prototypes, ignored_label=-1)(embeddings, labels)
    with two_replicas.scope():
        head = head_of(name, prototypes, ignored_label=-1)

    def share(values):
        return two_replicas.experimental_distribute_values_from_function(
            lambda context: values[3:] if context.replica_id_in_sync_group else values[:3]
        )

    run = tf.function(lambda *values: two_replicas.run(head, values), autograph=False)
    loss = tf.concat(two_replicas.experimental_local_results(run(share(embeddings), share(labels))), 0)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_array_equal(loss == 0.0, labels == -1)


@pytest.mark.parametrize("name", KINDS)
def test_a_batch_of_ignored_examples_costs_and_moves_nothing(name):
    head = head_of(name, np.random.default_rng(0).normal(size=(4, 3)), ignored_label=2)
    with tf.GradientTape() as tape:
        loss = head(batch(np.zeros(3), np.ones(3)), tf.constant([2, 2]), training=True)
    np.testing.assert_array_equal(loss, 0.0)
    np.testing.assert_array_equal(tf.convert_to_tensor(tape.gradient(loss, head.prototypes)), 0.0)


# Scaling, focal loss, sub-centres


def test_a_scaling_says_which_lengths_stay_in_the_logits():
    cosines, label = np.array([0.6, 0.5]), tf.constant([0])
    long = point(*cosines, length=7.0)

    def lead_of(**settings):
        head = head_of("cosface", [[2.0, 0.0, 0.0], [0.0, 3.0, 0.0]], margin=0.2, scale=0.5, **settings)
        return lead(head(batch(long), label))

    np.testing.assert_allclose(lead_of(), [0.5 * (0.4 - 0.5)], rtol=1e-4)
    np.testing.assert_allclose(lead_of(scaling="norm"), [0.5 * 7 * (0.4 - 0.5)], rtol=1e-4)
    np.testing.assert_allclose(lead_of(scaling="inner_product"), [0.5 * 7 * (2 * 0.4 - 3 * 0.5)], rtol=1e-4)


def test_a_learned_scale_starts_at_the_scale_and_is_trained():
    head = head_of("cosface", np.eye(2, 3), scaling="learned", scale=4.0)
    assert [float(weight) for weight in head.trainable_weights[1:]] == [4.0]
    with tf.GradientTape() as tape:
        loss = head(batch(point(0.9, 0.0)), tf.constant([0]))
    # Loss log(1 + exp(-0.55 scale)): a right example wants a larger scale.
    np.testing.assert_allclose(tape.gradient(loss, head.learned_scale), -0.55 / (1 + math.exp(2.2)), rtol=1e-5)
    assert len(head_of("cosface", np.eye(2)).weights) == 1


def test_focal_loss_weighs_each_example_by_its_own_probability():
    head = head_of("norm_softmax", np.eye(2, 3), num_sequences=1, scale=1.0, focal_gamma=2.0)
    loss = head(batch(point(0.3, 0.3), point(0.0, 0.9), point(0.3, 0.3)), tf.constant([0, 0, -1]))
    missing = 1 / (1 + math.exp(-0.9))
    # Of the mean, as foamliu's has it, all would weigh the same; an unknown example has no probability to weigh by.
    expected = [math.log(2) * 0.5**2, -math.log(1 - missing) * missing**2, math.log(2)]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def on_circle(degrees, length=1.0):
    return length * np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


def test_only_the_nearest_sub_centre_stands_for_an_identity():
    prototypes = [on_circle(each, 3.0) for each in (0, 50, 90, 180, 270, 320)]
    head = head_of("subcentre_arcface", prototypes, num_identities=2, scale=4.0)
    with tf.GradientTape() as tape:
        output = head.forward(batch(on_circle(60), on_circle(230)), tf.constant([0, 1]))
        first = output.loss[0]
    np.testing.assert_allclose(np.degrees(output.target_angle), [10, 40], rtol=1e-4)
    pulled = np.abs(tf.convert_to_tensor(tape.gradient(first, head.prototypes))).sum(axis=1) > 0
    np.testing.assert_array_equal(pulled, [False, True, False, False, False, True])


def test_the_drop_rule_measures_from_the_sub_centre_of_the_majority():
    photos = [(0, 5), (0, 30), (0, -74), (0, -76), (0, 85), (1, 190), (1, 275), (-1, 77)]
    embeddings = np.array([on_circle(degrees, 1 + i) for i, (_, degrees) in enumerate(photos)])
    labels = np.array([label for label, _ in photos])
    prototypes = np.array([on_circle(each, 5.0) for each in (0, 90, 180, 270)])
    # Identity 0: four are nearest to 0 degrees, one to 90. Identity 1: a tie, so the first counts. The last is unknown.
    expected = [False, False, False, True, True, False, True, False]
    np.testing.assert_array_equal(losses.dropped(embeddings, labels, prototypes, 2), expected)
    shuffled = np.random.default_rng(0).permutation(len(photos))
    again = losses.dropped(embeddings[shuffled], labels[shuffled], prototypes, 2)
    np.testing.assert_array_equal(again, np.array(expected)[shuffled])
    assert not losses.dropped(embeddings, labels, prototypes, 2, max_angle=math.pi).any()
    with pytest.raises(ValueError, match="expected a multiple of 3 prototypes, got 4"):
        losses.dropped(embeddings, labels, prototypes, 3)
    with pytest.raises(ValueError, match=r"expected labels below 1, .* got 1"):
        losses.dropped(embeddings, labels, prototypes, 4)


# Heads that follow statistics


def test_adaface_is_arcface_for_poor_photos_cosface_for_common_ones_and_easier_on_angles_for_good_ones():
    head = head_of("adaface", np.eye(2, 3), scale=4.0)
    head.mean_length.assign(40.0)
    head.length_deviation.assign(10.0)
    embeddings = [point(0.3, 0.0, length=length) for length in (5.0, 40.0, 90.0)]
    angle = math.acos(0.3)
    expected = [math.cos(angle + 0.4), 0.3 - 0.4, math.cos(angle - 0.4) - 0.8]
    np.testing.assert_allclose(lead(head(batch(*embeddings), tf.constant([0, 0, 0]))), np.multiply(4, expected), 1e-4)
    # Where quality is not clipped it changes with the length, but tells the length nothing.
    assert abs(along(head, point(0.3, 0.0, length=30.0))) < 1e-7


def test_adaface_follows_mean_and_unbiased_deviation_of_the_clipped_lengths():
    head = head_of("adaface", np.eye(2, 3))
    for _ in range(2):
        head(batch(*[point(0.5, 0.0, length=length) for length in (80.0, 90.0, 500.0)]), tf.constant([0, 1, 0]), True)
    # 80, 90, 100: mean 90, deviation 10; from 20 and 100 by a hundredth of the way, twice.
    np.testing.assert_allclose(head.mean_length, 90 - 70 * 0.99**2, rtol=1e-6)
    np.testing.assert_allclose(head.length_deviation, 10 + 90 * 0.99**2, rtol=1e-6)


def test_curricularface_weighs_only_rivals_beyond_the_margin():
    head = head_of("curricularface", np.eye(2, 3), scale=4.0)
    head.curriculum.assign(0.4)
    own = math.cos(math.acos(0.6) + 0.5)  # 0.143
    leads = lead(head(batch(*[point(0.6, rival) for rival in (0.14, 0.15, 0.7, -0.5)]), tf.zeros(4, tf.int32)))
    rivals = [0.14, 0.15 * 0.55, 0.7 * 1.1, -0.5]
    np.testing.assert_allclose(leads, np.multiply(4, own - np.array(rivals)), rtol=1e-4)


def test_the_curriculum_is_the_published_moving_mean_and_counts_before_it_is_used():
    head = head_of("curricularface", np.eye(2, 3), scale=4.0)
    embeddings, labels = batch(point(0.6, 0.5), point(0.5, 0.2)), tf.constant([0, 1])
    curriculum = 0.0
    for _ in range(3):
        loss = head(embeddings, labels, training=True)
        curriculum = 0.01 * (0.6 + 0.2) / 2 + 0.99 * curriculum
        np.testing.assert_allclose(head.curriculum, curriculum, rtol=1e-5)
        own = math.cos(math.acos(0.6) + 0.5)
        np.testing.assert_allclose(lead(loss)[0], 4 * (own - 0.5 * (curriculum + 0.5)), rtol=1e-4)


@pytest.mark.parametrize("angles, median", [([0.0, 0.0], 0.0), ([0.7, 0.1, 0.3], 0.3), ([1.0, 1.5, 1.2], math.pi / 4)])
def test_the_scale_of_adacos_is_the_published_one(angles, median):
    head = head_of("adacos", np.eye(5, 6))
    np.testing.assert_allclose(head.moving_scale, math.sqrt(2) * math.log(4), rtol=1e-6)
    # Rivals at right angles: each of the four adds exp(0), whatever the scale was.
    embeddings = [np.eye(6)[i] * math.cos(angle) + np.eye(6)[5] * math.sin(angle) for i, angle in enumerate(angles)]
    loss = head(batch(*embeddings), tf.range(len(angles)), training=True)
    scale = math.log(4) / math.cos(median)
    np.testing.assert_allclose(head.moving_scale, scale, rtol=1e-5)
    np.testing.assert_allclose(loss, np.log1p(4 * np.exp(-scale * np.cos(angles))), rtol=1e-5)


# MagFace, ElasticFace


def test_magface_pulls_a_clear_example_towards_the_upper_length_from_inside_only():
    head = head_of("magface", np.eye(2, 3))
    lengths = np.array([5.0, 50.0, 100.0, 150.0])
    slopes = [along(head, point(0.9, -0.4, length=length)) for length in lengths]
    expected = np.where((lengths > 10) & (lengths < 110), 35 * (1 / 110**2 - 1 / lengths**2), 0.0)
    np.testing.assert_allclose(slopes, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("weight, direction", [(22.4, 1), (22.8, -1)])
def test_above_the_published_bound_even_the_worst_example_grows_beyond_the_lower_length(weight, direction):
    # The worst: sin(angle + margin) is 1 at the lower length, and the embedding lies on its rival.
    angle = math.degrees(math.pi / 2 - 0.45)
    head = head_of("magface", [on_circle(0), on_circle(angle)], length_weight=weight)
    assert np.sign(along(head, on_circle(angle, 10.001))) == direction


def margins_of(head, cosines):
    loss = head(batch(*[point(each, 0.0) for each in cosines]), tf.zeros(len(cosines), tf.int32), training=True)
    return np.array(cosines) - lead(loss) / head.scale


@pytest.mark.parametrize(
    "name, mean, deviation", [("elastic_cosface", 0.35, 0.05), ("elastic_arcface_plus", 0.5, 0.0175)]
)
def test_elastic_margins_are_normal_and_new_in_each_step(name, mean, deviation):
    head = losses.get(name, num_identities=2)
    draws = np.array([head.draws(step, 20_000) for step in (0, 1)])
    np.testing.assert_allclose(draws.mean(axis=1), mean, atol=5 * deviation / math.sqrt(20_000))
    np.testing.assert_allclose(draws.std(axis=1), deviation, rtol=0.03)
    np.testing.assert_allclose((np.abs(draws - mean) < deviation).mean(axis=1), 0.6827, atol=0.02)
    assert abs(np.corrcoef(draws)[0, 1]) < 0.05


def test_elastic_margins_go_on_from_a_checkpoint(tmp_path):
    heads = [head_of("elastic_cosface", np.eye(2, 3), scale=4.0) for _ in range(2)]
    cosines = [0.1, 0.2, 0.3]
    course = [margins_of(heads[0], cosines) for _ in range(2)]
    path = tf.train.Checkpoint(head=heads[0]).write(str(tmp_path / "checkpoint"))
    course.append(margins_of(heads[0], cosines))
    tf.train.Checkpoint(head=heads[1]).read(path)
    np.testing.assert_array_equal(margins_of(heads[1], cosines), course[2])
    assert len(np.unique(np.round(course, 5))) == 9


def test_ranked_elastic_margins_are_the_larger_the_farther_the_example():
    head = head_of("elastic_cosface_plus", np.eye(2, 3), scale=4.0)
    cosines = [0.3, -0.2, 0.8, 0.5, 0.0]
    margins = margins_of(head, cosines)
    np.testing.assert_allclose(margins[np.argsort(cosines)], np.sort(head.draws(0, 5))[::-1], atol=1e-5)
    np.testing.assert_array_equal(np.argsort(margins), np.argsort(cosines)[::-1])


# Class-level circle, binary heads, UNPG


@pytest.mark.parametrize("degrees", [20, 45, 60])
def test_class_circle_decides_on_a_circle(degrees):
    # (1 - own)^2 + rival^2 = 2 margin^2; at 45 degrees the cosines are 1 - margin and margin.
    radius, turn = math.sqrt(2) * 0.25, math.radians(degrees)
    head = head_of("class_circle", np.eye(2, 3))
    loss = head(batch(point(1 - radius * math.cos(turn), radius * math.sin(turn))), tf.constant([0]))
    np.testing.assert_allclose(loss, [math.log(2)], rtol=1e-4)


@pytest.mark.parametrize("identities, balance", [(2, 0.5), (2, 0.9), (10, 0.7), (10, 0.99), (5000, 0.8)])
@pytest.mark.parametrize("margin", [0.0, 0.4])
def test_both_sides_of_sphereface2_pull_the_first_bias_equally(identities, balance, margin):
    head = head_of("sphereface2", np.ones([identities, 2]) * [1.0, 0.0], balance=balance, margin=margin)
    with tf.GradientTape() as tape:
        loss = head(batch([0.0, 1.0]), tf.constant([0]))
    own = 40 * (2 * 0.5**3 - 1 - margin) + float(head.bias)
    pull = 50 / 40 * balance / (1 + math.exp(own))
    np.testing.assert_allclose(tape.gradient(loss, head.bias), 0.0, atol=1e-4 * pull)


def test_uniface_has_one_threshold_which_starts_at_ten_times_the_identities():
    head = head_of("uniface", np.eye(7, 8), margin=0.2, negative_weight=3.0)
    np.testing.assert_allclose(np.exp(head.bias), 70, rtol=1e-5)
    threshold = math.log(70) / 64
    loss = head(batch(point(threshold + 0.2, threshold, *[0.0] * 5)), tf.constant([0]))
    # The own cosine is at the threshold after its margin, one rival is at it, and five are at a logit of -log(70).
    np.testing.assert_allclose(loss, [math.log(2) + 3 * (math.log(2) + 5 * math.log1p(1 / 70))], rtol=1e-5)


def test_unpg_leaves_out_pairs_beyond_the_whiskers():
    # At right angles to all prototypes, and to each other but for the last, which is the first: of ten pairs nine have
    # cosine 0, so the quartiles are 0, and the one of cosine 1 would add exp(64).
    embeddings = batch(*np.eye(9)[[5, 6, 7, 8, 5]])
    head = head_of("unpg", np.eye(5, 9), margin=0.0)
    np.testing.assert_allclose(head(embeddings, tf.range(5)), np.log(np.full(5, 5 + 9)), rtol=1e-5)


def test_unpg_pairs_known_people_with_all_others_and_unknown_ones_with_none_of_their_kind():
    head = head_of("unpg", np.eye(2, 6), margin=0.0, num_sequences=2, scale=3.0)
    embeddings, labels = batch(*np.eye(6)[[2, 3, 4, 5]]), tf.constant([0, 0, -1, -2])
    # Two prototypes, and the pairs 0-2, 0-3, 1-2, 1-3; an unknown example has its uniform target and no pairs.
    np.testing.assert_allclose(head(embeddings, labels), np.log([6, 6, 2, 2]), rtol=1e-5)


# Settings


# What takes the place of a default; of a choice, the first that is another.
OTHER_VALUES = {
    "initializer": "zeros", "scale": 10.0, "scaling": ["norm", "fixed"], "focal_gamma": 2.0, "sub_centres": 2,
    "margin": 0.2, "beyond_pi": "none", "easy": [False, True], "gradient": ["exact", "detached"], "multiplier": 2.5,
    "angle_margin": 0.1, "cosine_margin": 0.1, "intercept": 0.3, "slope": 0.5, "factor": 2.0, "lambda_base": 10.0,
    "lambda_gamma": 1.0, "lambda_power": 2.0, "lambda_min": 2000.0, "accumulation_steps": 2, "momentum": 0.5,
    "concentration": 1.0, "lower_length": 20.0, "upper_length": 60.0, "lower_margin": 0.3, "upper_margin": 1.0,
    "length_weight": 1.0, "form": "cos", "deviation": 0.2, "ranked": True, "seed": 1, "power": 2.0, "balance": 0.4,
    "loss_weight": 10.0, "negative_weight": 2.0, "whisker": 0.0,
}  # fmt: skip
# By the labels that a head accepts and ignores, shown for all above and in the conformance suite.
SHOWN_ELSEWHERE = {"num_identities", "num_sequences", "ignored_label"}


@functools.cache
def behaviour(name, **settings):
    """Returns the first weights of a head, and its losses and gradients in two steps of training."""
    keras.utils.set_random_seed(0)
    head = losses.get(name, num_identities=5, num_sequences=2, **settings)
    head.build((None, 3))
    seen = [np.ravel(weight) for weight in head.get_weights()]
    random = np.random.default_rng(0)
    head.prototypes.assign(random.normal(size=head.prototypes.shape))
    embeddings = random.normal(size=(8, 3)) * np.linspace(1, 60, 8)[:, np.newaxis]
    # Two on their prototypes, and two on the far side of them.
    embeddings[:4] = head.prototypes.numpy()[:4] * [[20.0], [1.0], [-30.0], [-1.0]]
    embeddings = tf.Variable(embeddings, dtype=tf.float32)
    for labels in ([0, 1, 2, 3, 3, 2, 0, 1], [0, 1, 2, 3, -2, 4, -1, 3]):
        with tf.GradientTape() as tape:
            loss = head(embeddings, tf.constant(labels), training=True)
        seen += [np.ravel(loss), np.ravel(tape.gradient(loss, embeddings))]
    return np.concatenate(seen)


@pytest.mark.parametrize(
    "name, setting",
    [(name, setting) for name in KINDS for setting in losses.settings(name) if setting not in SHOWN_ELSEWHERE],
)
def test_every_setting_makes_a_difference(name, setting):
    other, default = OTHER_VALUES[setting], losses.settings(name)[setting]
    if isinstance(other, list):
        other = next(value for value in other if value != default)
    usual, changed = behaviour(name), behaviour(name, **{setting: other})
    assert usual.shape != changed.shape or not np.allclose(usual, changed, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_what_the_settings_are_told_by_is_the_same_twice(name):
    np.testing.assert_array_equal(behaviour(name), behaviour.__wrapped__(name))


WRONG = [
    *[(name, setting, math.nan) for name in KINDS for setting, default in losses.settings(name).items()
      if isinstance(default, float) and setting != "intercept"],
    *[(name, "num_identities", 0) for name in KINDS],
    *[(name, "num_sequences", -1) for name in KINDS],
    ("arcface", "scaling", "length"), ("arcface", "focal_gamma", 0.5), ("arcface", "sub_centres", 0),
    ("a_softmax", "accumulation_steps", 0), ("a_softmax", "lambda_min", -1.0), ("airface", "margin", -0.1),
    ("adacos", "num_identities", 2), ("curricularface", "margin", 3.2), ("curricularface", "momentum", 0.0),
    ("curricularface", "beyond_pi", "clip"), ("adaface", "margin", 1.0), ("adaface", "concentration", 0.0),
    ("adaface", "momentum", 1.1), ("magface", "lower_length", 110.0), ("magface", "upper_length", 10.0),
    ("magface", "lower_margin", 0.9), ("magface", "upper_margin", 3.2), ("magface", "length_weight", -1.0),
    ("elastic_arcface", "form", "sphere"), ("elastic_arcface", "margin", 3.2), ("elastic_cosface", "margin", 1.0),
    ("elastic_arcface", "deviation", -0.1), ("class_circle", "margin", 0.0), ("sphereface2", "num_identities", 1),
    ("sphereface2", "margin", 1.0), ("sphereface2", "power", 0.5), ("sphereface2", "balance", 1.0),
    ("sphereface2", "loss_weight", 0.0), ("uniface", "margin", -0.1), ("uniface", "negative_weight", 0.0),
    ("unpg", "whisker", -1.0),
]  # fmt: skip


@pytest.mark.parametrize("name, setting, wrong", WRONG)
def test_a_wrong_setting_is_named_with_its_value(name, setting, wrong):
    known = losses.settings(name)
    required = {key: 4 for key, default in known.items() if default is inspect.Parameter.empty}
    with pytest.raises(ValueError, match=rf"{setting} .*{wrong}"):
        losses.get(name, **{**required, setting: wrong})


@pytest.mark.parametrize("name", ["arcface", "adaface", "centre_loss"])
def test_a_loss_is_built_once(name):
    layer = losses.get(name, num_identities=3)
    layer.build((None, 4))
    before = layer.get_weights()
    with pytest.raises(ValueError, match=f"{name} is built already"):
        layer.build((None, 4))
    assert len(layer.weights) == len(before)
    for weight, value in zip(layer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
