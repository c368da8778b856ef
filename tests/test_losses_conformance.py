"""Every registered loss goes through all of this; a new one needs an entry in CASES, with its oracle."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from keras_face import losses
from keras_face.backend import keras, tf

IDENTITIES, SEQUENCES, SIZE = 5, 3, 6
LABELS = np.array([0, 0, 3, 1, -1, -1, -3, 4, 1, 3])
HEAD = {"num_identities": IDENTITIES, "num_sequences": SEQUENCES}


def plain_softmax(embeddings, labels, prototypes):
    result = []
    for embedding, label in zip(embeddings, labels, strict=True):
        logits = [np.sum(embedding * prototype) for prototype in prototypes]
        aim = logits[label] if label >= 0 else np.mean(logits)
        result.append(np.log(np.sum(np.exp(logits))) - aim)
    return np.array(result)


def cosine(first, second):
    return np.sum(first * second) / np.sqrt(np.sum(first**2) * np.sum(second**2))


def margin_softmax(target_function):
    def oracle(embeddings, labels, prototypes):
        result = []
        for embedding, label in zip(embeddings, labels, strict=True):
            logits = [64.0 * cosine(embedding, prototype) for prototype in prototypes]
            if label >= 0:
                logits[label] = 64.0 * target_function(cosine(embedding, prototypes[label]))
            aim = logits[label] if label >= 0 else np.mean(logits)
            result.append(np.max(logits) + np.log(np.sum(np.exp(logits - np.max(logits)))) - aim)
        return np.array(result)

    return oracle


def arc(value):
    beyond_pi = np.arccos(value) + 0.5 > np.pi
    return value - 0.5 * np.sin(0.5) if beyond_pi else np.cos(np.arccos(value) + 0.5)


def angular_centre(embeddings, labels, prototypes):
    pairs = zip(embeddings, labels, strict=True)
    return np.array([64.0 * (1 - cosine(each, prototypes[label])) if label >= 0 else 0.0 for each, label in pairs])


def batch_hard_triplet(embeddings, labels):
    units = [embedding / np.sqrt(np.sum(embedding**2)) for embedding in embeddings]
    result, counted = [], 0
    for i, anchor in enumerate(units):
        positives, negatives = [], []
        for j, other in enumerate(units):
            if j != i and labels[j] == labels[i]:
                positives.append(np.sqrt(np.sum((anchor - other) ** 2)))
            elif labels[j] != labels[i] and (labels[i] >= 0 or labels[j] >= 0):
                negatives.append(np.sqrt(np.sum((anchor - other) ** 2)))
        counts = bool(positives and negatives)
        counted += counts
        result.append(max(max(positives) - min(negatives) + 0.3, 0.0) if counts else 0.0)
    return np.array(result) * len(labels) / counted


@dataclass(frozen=True)
class Case:
    """How a loss is made, what it should give, and the labels it accepts: from lowest to below highest."""

    make: Callable[[], keras.layers.Layer]
    oracle: Callable[..., np.ndarray]  # (embeddings, labels, *weights) -> losses, in float64
    label_range: tuple[int, int] | None = (-SEQUENCES, IDENTITIES)


CASES = {
    "softmax": Case(lambda: losses.get("softmax", **HEAD), plain_softmax),
    "norm_softmax": Case(lambda: losses.get("norm_softmax", **HEAD), margin_softmax(lambda value: value)),
    "cosface": Case(lambda: losses.get("cosface", **HEAD), margin_softmax(lambda value: value - 0.35)),
    "arcface": Case(lambda: losses.get("arcface", **HEAD), margin_softmax(arc)),
    "angular_centre": Case(
        lambda: losses.get("angular_centre", head=losses.get("arcface", **HEAD)),
        angular_centre,
    ),
    "batch_hard_triplet": Case(lambda: losses.get("batch_hard_triplet"), batch_hard_triplet, label_range=None),
}


def built(name):
    """Returns the layer with random weights, and these."""
    random = np.random.default_rng(1)
    layer = CASES[name].make()
    layer.build((None, SIZE))
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer, layer.get_weights()


def embeddings_of(count, seed=2):
    return np.random.default_rng(seed).normal(size=(count, SIZE))


def gradients(layer, embeddings, labels, batch_size=1):
    """Returns the losses, and the gradients of their sum / batch_size by the embeddings and by the weights."""
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        loss = layer(embeddings, labels, training=True)
        total = tf.reduce_sum(loss) / batch_size
    by_embeddings, *by_weights = tape.gradient(total, [embeddings, *layer.trainable_weights])
    return loss, by_embeddings, [tf.convert_to_tensor(gradient) for gradient in by_weights]


@pytest.fixture
def two_replicas():
    # Not the default CollectiveAllReduce: its collectives are numbered anew by every strategy, so two strategies in one
    # process abort each other unless they run the same operations in the same order.
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice())


@pytest.mark.parametrize("name", losses.names())
def test_a_registered_loss_has_an_oracle(name):
    assert name in CASES


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_formula(name):
    layer, weights = built(name)
    embeddings = embeddings_of(len(LABELS))
    loss = layer(tf.constant(embeddings, tf.float32), tf.constant(LABELS))
    assert loss.dtype == tf.float32
    expected = CASES[name].oracle(embeddings, LABELS, *[weight.astype(float) for weight in weights])
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_differences_of_the_formula(name):
    layer, weights = built(name)
    values = [embeddings_of(len(LABELS)), *[weight.astype(float) for weight in weights]]
    _, by_embeddings, by_weights = gradients(layer, tf.constant(values[0], tf.float32), tf.constant(LABELS))
    for position, gradient in enumerate([by_embeddings, *by_weights]):
        expected = np.zeros_like(values[position])
        for index in np.ndindex(expected.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [value.copy() for value in values]
                moved[position][index] += step
                sides.append(CASES[name].oracle(moved[0], LABELS, *moved[1:]).sum())
            expected[index] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())


def singular_batch(weights, dtype):
    """Returns embeddings parallel and antiparallel to the first weight, zero, huge, tiny and equal; and labels."""
    random = np.random.default_rng(3)
    base = weights[0][0] if weights else random.normal(size=SIZE)
    along = [base * length for length in random.uniform(0.1, 3.0, 100)]  # many, for the many ways to round to 1
    huge = 6e4 if dtype == "float16" else 1e30
    rest = [np.zeros(SIZE), np.full(SIZE, huge), np.full(SIZE, -huge), np.eye(SIZE)[0] * 1e-3, np.zeros(SIZE)]
    embeddings = np.array([*along, *np.negative(along), *rest])
    labels = np.arange(len(embeddings)) % 2 * (IDENTITIES - 1)
    return tf.cast(tf.constant(embeddings, tf.float32), dtype), tf.constant(labels)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("name", CASES)
def test_nothing_is_nan_or_infinite_at_singular_points(name, mode):
    layer, weights = built(name)
    if weights:  # A second identity with the same direction, so that the own probability is not 1 at angle 0.
        weights[0][-1] = 2.0 * weights[0][0]
        layer.set_weights(weights)

    def all_types(*batches):
        return [gradients(layer, *batch) for batch in batches]

    run = all_types if mode == "eager" else tf.function(all_types, jit_compile=mode == "xla", autograph=False)
    batches = [singular_batch(weights, dtype) for dtype in ("float32", "bfloat16", "float16")]
    for loss, by_embeddings, by_weights in run(*batches):
        for tensor in (loss, by_embeddings, *by_weights):
            assert np.isfinite(tf.cast(tensor, tf.float32)).all()


@pytest.mark.parametrize("first", [5, 3], ids=["even", "uneven"])
@pytest.mark.parametrize("name", CASES)
def test_two_replicas_give_the_numbers_of_one(name, first, two_replicas):
    embeddings, labels = tf.constant(embeddings_of(len(LABELS)), tf.float32), tf.constant(LABELS)
    layer, weights = built(name)
    expected = gradients(layer, embeddings, labels, len(LABELS))
    state = layer.get_weights()

    with two_replicas.scope():
        mirrored = CASES[name].make()
        mirrored.build((None, SIZE))
        mirrored.set_weights(weights)

    def share(values):
        return two_replicas.experimental_distribute_values_from_function(
            lambda context: values[:first] if context.replica_id_in_sync_group == 0 else values[first:]
        )

    def step(embeddings, labels):
        loss, by_embeddings, by_weights = gradients(mirrored, embeddings, labels, len(LABELS))
        context = tf.distribute.get_replica_context()
        return loss, by_embeddings, [context.all_reduce("sum", gradient) for gradient in by_weights]

    run = tf.function(lambda *batch: two_replicas.run(step, batch), autograph=False)
    loss, by_embeddings, by_weights = run(share(embeddings), share(labels))
    local = two_replicas.experimental_local_results
    actual = [tf.concat(local(loss), 0), tf.concat(local(by_embeddings), 0), *[local(each)[0] for each in by_weights]]
    for one, other in zip([expected[0], expected[1], *expected[2]], actual, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-6 * np.abs(one).max())
    for one, other in zip(state, mirrored.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_loss_comes_back_from_config_and_checkpoint(name, tmp_path):
    layer, weights = built(name)
    embeddings, labels = tf.constant(embeddings_of(len(LABELS)), tf.float32), tf.constant(LABELS)
    path = tf.train.Checkpoint(layer=layer).write(str(tmp_path / "checkpoint"))
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    again.build((None, SIZE))
    tf.train.Checkpoint(layer=again).read(path).assert_consumed()
    for one, other in zip(weights, again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(layer(embeddings, labels), again(embeddings, labels))


@pytest.mark.parametrize("name", CASES)
def test_no_state_moves_when_not_training(name):
    layer, weights = built(name)
    layer(tf.constant(embeddings_of(len(LABELS)), tf.float32), tf.constant(LABELS), training=False)
    for before, after in zip(weights, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("name", CASES)
def test_a_mixed_precision_policy_leaves_a_loss_in_float32(name):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        layer, _ = built(name)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert all(weight.dtype == tf.float32 for weight in layer.weights)
    loss = layer(tf.constant(embeddings_of(len(LABELS)), tf.float16), tf.constant(LABELS))
    assert loss.dtype == tf.float32


WITH_RANGE = [name for name, case in CASES.items() if case.label_range]


@pytest.mark.parametrize("wrong", [IDENTITIES, -SEQUENCES - 1, 1000])
@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("name", WITH_RANGE)
def test_a_label_out_of_range_is_an_error_that_names_it(name, mode, wrong):
    layer, _ = built(name)
    call = layer if mode == "eager" else tf.function(layer)
    lowest, end = CASES[name].label_range
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        call(tf.constant(embeddings_of(3), tf.float32), tf.constant([lowest, wrong, end - 1]))
    assert f"labels must be in [{lowest}, {end}), got" in str(error.value)
    assert str(wrong) in str(error.value).replace(f"[{lowest}, {end})", "")


@pytest.mark.parametrize("wrong", [IDENTITIES, -SEQUENCES - 1])
@pytest.mark.parametrize("name", WITH_RANGE)
def test_a_label_out_of_range_is_nan_under_xla_which_cannot_raise(name, wrong):
    layer, _ = built(name)
    compiled = tf.function(layer, jit_compile=True)
    loss = compiled(tf.constant(embeddings_of(3), tf.float32), tf.constant([0, wrong, -1]))
    np.testing.assert_array_equal(np.isnan(loss), [False, True, False])
