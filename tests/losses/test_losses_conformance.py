"""Every registered loss goes through all of this; a new one needs an entry in CASES, with its oracle."""

import loss_cases_heads
import loss_cases_terms
import loss_cases_triplets
import numpy as np
import pytest
from loss_cases import IDENTITIES, LABELS, SEQUENCES, SIZE

from keras_face import losses
from keras_face.backend import keras, tf

CASES = loss_cases_heads.CASES | loss_cases_terms.CASES | loss_cases_triplets.CASES


def built(name):
    """Returns the layer with random weights, and these."""
    random = np.random.default_rng(1)
    layer = CASES[name].make()
    layer.build((None, SIZE))
    shapes = [weight.shape for weight in layer.get_weights()]
    make = CASES[name].weights
    layer.set_weights(make(shapes) if make else [random.normal(size=shape) for shape in shapes])
    return layer, layer.get_weights()


def caller(name, layer, training=False):
    """Returns the function of embeddings and labels that the layer is, however it is called."""
    return lambda embeddings, labels: CASES[name].call(layer, embeddings, labels, training)


def in_float64(weights):
    return [np.array(weight, float) for weight in weights]


def embeddings_of(count, seed=2):
    return np.random.default_rng(seed).normal(size=(count, SIZE))


def gradients(name, layer, embeddings, labels, batch_size=1, training=True):
    """Returns the losses, and the gradients of their sum / batch_size by the embeddings and by the weights."""
    with tf.GradientTape() as tape:
        tape.watch(embeddings)
        loss = CASES[name].call(layer, embeddings, labels, training)
        total = tf.reduce_sum(loss) / batch_size
    by_embeddings, *by_weights = tape.gradient(
        total, [embeddings, *layer.trainable_weights], unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return loss, by_embeddings, [tf.convert_to_tensor(gradient) for gradient in by_weights]


@pytest.mark.parametrize("name", losses.names())
def test_a_registered_loss_has_an_oracle(name):
    assert name in CASES


@pytest.mark.parametrize("training", [False, True], ids=["measuring", "training"])
@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_formula(name, training):
    layer, weights = built(name)
    embeddings = embeddings_of(len(LABELS))
    loss = CASES[name].call(layer, tf.constant(embeddings, tf.float32), tf.constant(LABELS), training)
    assert loss.dtype == tf.float32
    oracle = (CASES[name].training_oracle if training else None) or CASES[name].oracle
    weights = in_float64(weights)
    expected = oracle(embeddings, LABELS, weights, (embeddings, weights))
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_state_moves_in_training_only_and_as_the_formula_says(name):
    layer, weights = built(name)
    embeddings = embeddings_of(len(LABELS))
    batch = tf.constant(embeddings, tf.float32), tf.constant(LABELS)
    CASES[name].call(layer, *batch, False)
    for before, after in zip(weights, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    CASES[name].call(layer, *batch, True)
    oracle = CASES[name].state_oracle
    expected = oracle(embeddings, LABELS, in_float64(weights)) if oracle else weights
    for one, other in zip(expected, layer.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.differentiable])
def test_gradients_are_finite_differences_of_the_formula(name):
    layer, weights = built(name)
    values = [embeddings_of(len(LABELS)), *in_float64(weights)]
    _, by_embeddings, by_weights = gradients(
        name, layer, tf.constant(values[0], tf.float32), tf.constant(LABELS), training=False
    )
    trained = {id(variable) for variable in layer.trainable_weights}
    moving = [0, *[1 + i for i, variable in enumerate(layer.weights) if id(variable) in trained]]
    for position, gradient in zip(moving, [by_embeddings, *by_weights], strict=True):
        expected = np.zeros_like(values[position])
        for index in np.ndindex(expected.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [value.copy() for value in values]
                moved[position][index] += step
                sides.append(CASES[name].oracle(moved[0], LABELS, moved[1:], (values[0], values[1:])).sum())
            expected[index] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max() + 1e-9)


@pytest.fixture
def two_replicas():
    # Not the default CollectiveAllReduce: its collectives are numbered anew by every strategy, so two strategies in one
    # process abort each other unless they run the same operations in the same order.
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice())


def singular_batch(weights, dtype, huge):
    """Returns embeddings parallel and antiparallel to the first weight, zero, huge, tiny and equal; and labels."""
    random = np.random.default_rng(3)
    base = weights[0][0] if weights and np.ndim(weights[0]) == 2 else random.normal(size=SIZE)
    along = [base * length for length in random.uniform(0.1, 3.0, 100)]  # many, for the many ways to round to 1
    huge = min(huge, 6e4) if dtype == "float16" else huge
    rest = [np.zeros(SIZE), np.full(SIZE, huge), np.full(SIZE, -huge), np.eye(SIZE)[0] * 1e-3, np.zeros(SIZE)]
    embeddings = np.array([*along, *np.negative(along), *rest])
    labels = np.arange(len(embeddings)) % 2 * (IDENTITIES - 1)
    return tf.cast(tf.constant(embeddings, tf.float32), dtype), tf.constant(labels)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_nan_or_infinite_at_singular_points(name):
    """Eager, in a graph and under XLA; the graph is traced once, as tracing and compiling take all the time."""
    layer, weights = built(name)
    if weights and np.ndim(weights[0]) == 2:
        # A second identity with the same direction, so that the own probability is not 1 at angle 0.
        weights[0][-1] = 2.0 * weights[0][0]
        layer.set_weights(weights)

    def all_types(*batches):
        return [gradients(name, layer, *batch, batch_size=batch[1].shape[0]) for batch in batches]

    types = ("float32", "bfloat16", "float16")
    batches = [singular_batch(weights, dtype, CASES[name].huge) for dtype in types]
    graph = tf.function(all_types, autograph=False).get_concrete_function(*batches)
    modes = {
        "eager": all_types,
        "graph": graph,
        "xla": tf.function(lambda *batches: graph(*batches), jit_compile=True, autograph=False),
    }
    for mode, run in modes.items():
        for dtype, (loss, by_embeddings, by_weights) in zip(types, run(*batches), strict=True):
            for tensor in (loss, by_embeddings, *by_weights):
                assert np.isfinite(tf.cast(tensor, tf.float32)).all(), (mode, dtype)


def rounding(layer):
    """Returns by how much of the largest entry a gradient may move when the rows of a batch are computed apart.

    Reciprocal square roots of full packets of rows and of the rows left over are computed in two ways, which on some
    processors (AMD's) round to both sides of the exact one. So a cosine can move by 2^-23, and a head's logit by scale
    times that. A probability, which its gradient is proportional to, moves by at most a quarter of what its logit moves
    against the others: two logits move, and a margin steepens that of these examples to less than twice the cosine.
    """
    return max(1e-6, getattr(layer, "scale", 1.0) * 2.0**-23)


@pytest.mark.parametrize("name", CASES)
def test_two_replicas_give_the_numbers_of_one(name, two_replicas):
    """With as many examples on either replica, and with more on one; the size of a share is an input: one trace."""
    embeddings, labels = tf.constant(embeddings_of(len(LABELS)), tf.float32), tf.constant(LABELS)
    layer, weights = built(name)
    expected = gradients(name, layer, embeddings, labels, len(LABELS))
    state = layer.get_weights()

    with two_replicas.scope():
        mirrored = CASES[name].make()
        mirrored.build((None, SIZE))

    def step(first):
        context = tf.distribute.get_replica_context()
        mine = tf.cast(tf.range(len(LABELS)) >= first, tf.int32) == context.replica_id_in_sync_group
        share = [tf.boolean_mask(each, mine) for each in (embeddings, labels)]
        loss, by_embeddings, by_weights = gradients(name, mirrored, *share, len(LABELS))
        return loss, by_embeddings, [context.all_reduce("sum", gradient) for gradient in by_weights]

    run = tf.function(lambda first: two_replicas.run(step, [first]), autograph=False)
    local = two_replicas.experimental_local_results
    for first in (5, 3):
        mirrored.set_weights(weights)
        loss, by_embeddings, by_weights = run(tf.constant(first))
        assert [len(each) for each in local(loss)] == [first, len(LABELS) - first]
        loss, by_embeddings = (tf.concat(local(each), 0) for each in (loss, by_embeddings))
        np.testing.assert_allclose(loss, expected[0], rtol=1e-6, atol=1e-6 * np.abs(expected[0]).max())
        actual = [by_embeddings, *[local(each)[0] for each in by_weights]]
        for one, other in zip([expected[1], *expected[2]], actual, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-6, atol=rounding(layer) * np.abs(one).max())
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
    np.testing.assert_array_equal(*(CASES[name].call(each, embeddings, labels, False) for each in (layer, again)))


@pytest.mark.parametrize("name", CASES)
def test_a_mixed_precision_policy_leaves_a_loss_in_float32(name):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        layer, _ = built(name)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert all(weight.dtype == tf.float32 or weight.dtype.is_integer for weight in layer.weights)
    loss = CASES[name].call(layer, tf.constant(embeddings_of(len(LABELS)), tf.float16), tf.constant(LABELS), False)
    assert loss.dtype == tf.float32


@pytest.mark.parametrize("name", CASES)
def test_a_loss_keeps_all_state_in_a_saved_model(name, tmp_path):
    layer, _ = built(name)
    batch = tf.constant(embeddings_of(len(LABELS)), tf.float32), tf.constant(LABELS)
    CASES[name].call(layer, *batch, True)  # so that state is not as it was initialised
    module = tf.Module()
    module.layer = layer
    module.loss = tf.function(caller(name, layer), input_signature=[tf.TensorSpec.from_tensor(each) for each in batch])
    tf.saved_model.save(module, str(tmp_path / "model"))
    again = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_allclose(again.loss(*batch), caller(name, layer)(*batch), rtol=1e-5, atol=1e-6)
    kept = {variable.name: variable.numpy() for variable in again.layer.variables}
    for variable in layer.weights:
        np.testing.assert_array_equal(kept[variable.name], variable.numpy())


WITH_RANGE = [name for name, case in CASES.items() if case.label_range]


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("name", WITH_RANGE)
def test_a_label_out_of_range_is_an_error_that_names_it(name, mode):
    layer, _ = built(name)
    call = caller(name, layer)
    call = call if mode == "eager" else tf.function(call)
    lowest, end = CASES[name].label_range
    for wrong in (IDENTITIES, -SEQUENCES - 1, 1000):
        with pytest.raises(tf.errors.InvalidArgumentError) as error:
            call(tf.constant(embeddings_of(3), tf.float32), tf.constant([lowest, wrong, end - 1]))
        assert f"labels must be in [{lowest}, {end}), got" in str(error.value)
        assert str(wrong) in str(error.value).replace(f"[{lowest}, {end})", "")


@pytest.mark.parametrize("name", WITH_RANGE)
def test_a_label_out_of_range_is_nan_under_xla_which_cannot_raise(name):
    layer, _ = built(name)
    compiled = tf.function(caller(name, layer), jit_compile=True)
    for wrong in (IDENTITIES, -SEQUENCES - 1):
        loss = compiled(tf.constant(embeddings_of(3), tf.float32), tf.constant([0, wrong, -1]))
        np.testing.assert_array_equal(np.isnan(loss), [False, True, False])
