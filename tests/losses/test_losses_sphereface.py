"""The backward pass of SphereFace's layer, redone in plain loops from its description (facts B 2.1 and 2.2)."""

import math

import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import tf

PROTOTYPES = np.random.default_rng(0).normal(size=(4, 3))
LABELS = np.array([*[0, 1, 2, 3] * 10, -1, -2])


def some_embeddings():
    random = np.random.default_rng(1)
    directions = random.normal(size=(len(LABELS), 3))
    # Some near the own prototype and some near its other side, so that all pieces of psi have their turn.
    directions[:12] = PROTOTYPES[LABELS[:12]] + 0.3 * directions[:12]
    directions[12:20] = -PROTOTYPES[LABELS[12:20]] + 0.3 * directions[12:20]
    return directions * random.uniform(0.1, 20.0, size=(len(LABELS), 1))


def made(part, multiplier, **settings):
    """Returns the head with lambda = part in every step."""
    annealing = {"lambda_base": part, "lambda_gamma": 0.0, "lambda_min": 0.0}
    head = losses.get("a_softmax", num_identities=4, num_sequences=2, multiplier=multiplier, **annealing, **settings)
    head.build((None, 3))
    head.prototypes.assign(PROTOTYPES)
    return head


def losses_and_gradients(head, embeddings, labels):
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        loss = head(embeddings, labels)
    return loss, *tape.gradient(loss, [embeddings, head.prototypes])


def layer_margin(cosine, norm, multiplier):
    """Returns psi, c_w and c_x, by the layer's signs instead of the pieces."""
    c, s0 = cosine, np.sign(cosine)
    if multiplier == 1:
        return c, 1.0, 0.0
    if multiplier == 2:
        return 2 * s0 * c**2 - 1, 4 * s0 * c, -(2 * s0 * c**2 + 1) / norm
    if multiplier == 3:
        s1 = np.sign(abs(c) - 0.5)
        s2 = s0 * (1 + s1) - 2
        return s1 * (4 * c**3 - 3 * c) + s2, s1 * (12 * c**2 - 3), -(8 * s1 * c**3 - s2) / norm
    s3 = s0 * np.sign(2 * c**2 - 1)
    s4 = 2 * s0 + s3 - 3
    value = s3 * (8 * c**4 - 8 * c**2 + 1) + s4
    return value, s3 * (32 * c**3 - 16 * c), -(s3 * (24 * c**4 - 8 * c**2 - 1) - s4) / norm


def focal(loss, gamma):
    return loss * (1 - math.exp(-loss)) ** gamma


def layer(embeddings, labels, prototypes, multiplier, part, scale=1.0, gamma=0.0):
    """Returns the losses, and the gradients of their sum by the embeddings and by the unit prototypes."""
    values, by_embeddings, by_units = [], np.zeros_like(embeddings), np.zeros_like(prototypes)
    units = [prototype / math.sqrt(sum(prototype**2)) for prototype in prototypes]
    for i, (x, label) in enumerate(zip(embeddings, labels, strict=True)):
        norm = math.sqrt(sum(x**2))
        logits = [scale * sum(x * w) for w in units]
        aims = [1 / len(units)] * len(units)
        if label >= 0:
            cosine = sum(x * units[label]) / norm
            psi, c_w, c_x = layer_margin(cosine, norm, multiplier)
            logits[label] = scale * norm * (part * cosine + psi) / (1 + part)
            aims = [float(j == label) for j in range(len(units))]
        log_sum = max(logits) + math.log(sum(math.exp(logit - max(logits)) for logit in logits))
        loss = log_sum - sum(aim * logit for aim, logit in zip(aims, logits, strict=True))
        slope = 1.0
        if gamma and label >= 0:
            slope = (focal(loss + 1e-6, gamma) - focal(loss - 1e-6, gamma)) / 2e-6
            loss = focal(loss, gamma)
        values.append(loss)
        for j, w in enumerate(units):
            g = scale * slope * (math.exp(logits[j] - log_sum) - aims[j])
            by_units[j] += g * x
            if j == label:
                direction = (c_w * w + c_x * x) / math.sqrt(c_w**2 + c_x**2)
                by_embeddings[i] += g / (1 + part) * direction + g * part / (1 + part) * w
            else:
                by_embeddings[i] += g * w
    return np.array(values), by_embeddings, by_units


def through_normalisation(by_units, prototypes):
    """Returns the gradient by prototypes of any length, given that by the unit ones: differences of w / |w|."""
    result = np.zeros_like(prototypes)
    for j, k in np.ndindex(prototypes.shape):
        moved = [prototypes[j] + step * np.eye(prototypes.shape[1])[k] for step in (1e-6, -1e-6)]
        ends = [sum(by_units[j] * each) / math.sqrt(sum(each**2)) for each in moved]
        result[j, k] = (ends[0] - ends[1]) / 2e-6
    return result


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "xla"])
@pytest.mark.parametrize(
    "multiplier, part, settings",
    [
        *[(multiplier, part, {}) for multiplier in (1, 2, 3, 4) for part in (0.0, 5.0, 900.0)],
        (4, 1.0, {"scale": 0.3}),
        (3, 1.0, {"scale": 0.3, "gamma": 2.0}),
    ],
)
def test_the_caffe_gradients_are_those_of_the_layer(multiplier, part, settings, compiled):
    head = made(
        part, multiplier, gradient="caffe", scale=settings.get("scale", 1.0), focal_gamma=settings.get("gamma", 0.0)
    )
    run = tf.function(losses_and_gradients, jit_compile=True) if compiled else losses_and_gradients
    embeddings = some_embeddings()
    actual = run(head, tf.constant(embeddings, tf.float32), tf.constant(LABELS))
    loss, by_embeddings, by_units = layer(embeddings, LABELS, PROTOTYPES, multiplier, part, **settings)
    np.testing.assert_allclose(actual[0], loss, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(actual[1], by_embeddings, rtol=1e-3, atol=1e-4)
    expected = through_normalisation(by_units, PROTOTYPES)
    np.testing.assert_allclose(actual[2], expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("multiplier", [2, 3, 4])
def test_the_caffe_gradient_changes_no_value(multiplier):
    embeddings, labels = tf.constant(some_embeddings(), tf.float32), tf.constant(LABELS)
    usual, theirs = (made(3.0, multiplier, gradient=each).forward(embeddings, labels) for each in ("exact", "caffe"))
    np.testing.assert_allclose(theirs.loss, usual.loss, rtol=1e-5, atol=1e-5)
    known = LABELS >= 0
    np.testing.assert_allclose(theirs.target_cosine[known], usual.target_cosine[known], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(theirs.correct, usual.correct)


def test_only_the_own_part_of_the_embeddings_gradient_is_the_margins():
    embeddings, labels = tf.constant(some_embeddings(), tf.float32), tf.constant(LABELS)
    exact, caffe = (
        losses_and_gradients(made(3.0, 4, gradient=each), embeddings, labels) for each in ("exact", "caffe")
    )
    np.testing.assert_allclose(caffe[1][-2:], exact[1][-2:], rtol=1e-4, atol=1e-6)  # unknown examples have no margin
    assert np.abs(caffe[1] - exact[1])[:-2].max() > 1.0
    assert np.abs(caffe[2] - exact[2]).max() > 1.0


def test_at_a_right_angle_the_margin_of_two_pushes_as_far_as_the_embedding_is_long():
    # There psi' is 0 and psi -1, so c_w = 0, and what is left of c_x x / |c_x| is -x.
    head = losses.get("a_softmax", num_identities=2, multiplier=2, gradient="caffe", lambda_base=0.0, lambda_min=0.0)
    head.build((None, 3))
    head.prototypes.assign([[2.0, 0.0, 0.0], [0.0, 0.5, 0.0]])
    _, by_embeddings, _ = losses_and_gradients(head, tf.constant([[0.0, 0.0, 7.0]]), tf.constant([0]))
    missing = 1 - 1 / (1 + math.exp(7))  # logits -7 and 0
    np.testing.assert_allclose(by_embeddings, [[0.0, missing, 7 * missing]], rtol=1e-6, atol=1e-6)


def test_a_zero_embedding_is_pulled_as_without_the_margin_but_for_the_margins_part():
    _, by_embeddings, by_prototypes = losses_and_gradients(
        made(4.0, 4, gradient="caffe"), tf.zeros([1, 3]), tf.constant([2])
    )
    units = PROTOTYPES / np.linalg.norm(PROTOTYPES, axis=1, keepdims=True)
    np.testing.assert_allclose(by_embeddings[0], units.mean(axis=0) - units[2] / 4 - 0.75 * 0.8 * units[2], rtol=1e-5)
    np.testing.assert_array_equal(by_prototypes, np.zeros((4, 3)))


def test_the_caffe_gradient_is_saved():
    head = made(5.0, 3, gradient="caffe")
    again = type(head).from_config(head.get_config())
    assert (again.margin.gradient, again.margin.multiplier) == ("caffe", 3)


@pytest.mark.parametrize(
    "name, settings, message",
    [
        ("l_softmax", {}, 'scaling must be "norm" with gradient "caffe", got \'inner_product\''),
        ("a_softmax", {"scaling": "fixed"}, 'scaling must be "norm" with gradient "caffe", got \'fixed\''),
        ("a_softmax", {"multiplier": 2.5}, 'multiplier must be 1, 2, 3 or 4 with gradient "caffe", got 2.5'),
        ("a_softmax", {"multiplier": 5}, 'multiplier must be 1, 2, 3 or 4 with gradient "caffe", got 5'),
        ("sphereface_r", {"multiplier": 2}, r"gradient must be one of .* in MarginSoftmax, got 'caffe'"),
        ("arcface", {}, r"gradient must be one of \('exact', 'detached'\), got 'caffe'"),
    ],
)
def test_what_the_layer_never_had_is_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        losses.get(name, num_identities=3, gradient="caffe", **settings)
