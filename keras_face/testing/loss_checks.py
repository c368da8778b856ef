"""What every loss here keeps, as checks that run on one's own too."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_face import losses
from keras_face.backend import keras, tf
from keras_face.testing.expectation import expect
from keras_face.testing.loss_case import (
    IDENTITIES,
    LABELS,
    SEQUENCES,
    SIZE,
    Case,
    Oracle,
    built,
    caller,
    in_float64,
    loss_and_gradients,
    random_embeddings,
    singular_batch,
)


def check_loss(
    name: str, oracle: Oracle | None = None, *, settings: Mapping[str, Any] | None = None, **known: Any
) -> None:
    """Checks that a registered loss keeps what the others keep; two logical devices of a kind stand for two GPUs.

    One float32 loss per example; state that moves in training alone; finite values and gradients at singular points in
    float32, bfloat16 and float16, eager, in a graph and under XLA; the same numbers on two replicas as on one; config,
    checkpoint and SavedModel; labels out of range. With an oracle also its values, and its gradient by finite
    differences.

    Args:
        name: Of `keras_face.losses.names()`.
        oracle: The formula in NumPy, see `Oracle`; for state that moves see `Case`.
        settings: Of the loss, beside its number of identities and sequences.
        **known: Further attributes of `Case`.

    Raises: AssertionError that names the check; ValueError if there is no such loss, or only one logical device.

    Examples:
        >>> @keras_face.losses.register("mean_square")
        ... class MeanSquare(keras.layers.Layer):
        ...     def call(self, embeddings, labels, training=False):
        ...         return tf.reduce_mean(tf.square(tf.cast(embeddings, tf.float32)), axis=1)
        ...
        >>> def oracle(embeddings, labels, weights, held):  # the formula in NumPy
        ...     return np.square(embeddings).mean(axis=1)
        ...
        >>> keras_face.testing.check_loss("mean_square", oracle, label_range=None, huge=1e15)  # no error: it keeps all
    """
    counts = {"num_identities": IDENTITIES, "num_sequences": SEQUENCES}
    taken = {key: value for key, value in counts.items() if key in losses.settings(name)}
    case = Case(lambda: losses.get(name, **taken, **(settings or {})), oracle, **known)
    for check in LOSS_CHECKS:
        try:
            check(case)
        except AssertionError as error:
            raise AssertionError(f"{name}: {check.__name__}: {error}") from None


def check_values(case: Case, training: bool = False) -> None:
    """Checks the type of the losses, and that they are those of the formula where there is one."""
    layer, weights = built(case)
    embeddings = random_embeddings(len(LABELS))
    loss = case.call(layer, tf.constant(embeddings, tf.float32), tf.constant(LABELS), training)
    expect(loss.dtype == tf.float32, f"losses must be float32, got {loss.dtype.name}")
    expect(loss.shape == LABELS.shape, f"losses must be one per example, {list(LABELS.shape)}, got {list(loss.shape)}")
    oracle = (case.training_oracle if training else None) or case.oracle
    if oracle is not None:
        weights = in_float64(weights)
        expected = oracle(embeddings, LABELS, weights, (embeddings, weights))
        np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-5)


def check_values_in_training(case: Case) -> None:
    """Checks the same of the losses in training."""
    check_values(case, training=True)


def check_state(case: Case) -> None:
    """Checks that state moves in training alone, and as the formula says where there is one."""
    layer, weights = built(case)
    embeddings = random_embeddings(len(LABELS))
    batch = tf.constant(embeddings, tf.float32), tf.constant(LABELS)
    case.call(layer, *batch, False)
    for before, after in zip(weights, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before, "state moved without training")
    case.call(layer, *batch, True)
    if case.oracle is not None:
        moved = case.state_oracle(embeddings, LABELS, in_float64(weights)) if case.state_oracle else weights
        for one, other in zip(moved, layer.get_weights(), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


def check_gradients(case: Case) -> None:
    """Checks that gradients are finite differences of the formula, where there is one and it has any."""
    if case.oracle is None or not case.differentiable:
        return
    layer, weights = built(case)
    values = [random_embeddings(len(LABELS)), *in_float64(weights)]
    batch = tf.constant(values[0], tf.float32), tf.constant(LABELS)
    _, by_embeddings, by_weights = loss_and_gradients(case, layer, *batch, training=False)
    trained = {id(variable) for variable in layer.trainable_weights}
    moving = [0, *[1 + i for i, variable in enumerate(layer.weights) if id(variable) in trained]]
    for position, gradient in zip(moving, [by_embeddings, *by_weights], strict=True):
        expected = np.zeros_like(values[position])
        for index in np.ndindex(expected.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [value.copy() for value in values]
                moved[position][index] += step
                sides.append(case.oracle(moved[0], LABELS, moved[1:], (values[0], values[1:])).sum())
            expected[index] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max() + 1e-9)


def check_singular_points(case: Case) -> None:
    """Checks that nothing is NaN or infinite: eager, in a graph (traced once, which takes all the time), under XLA."""
    layer, weights = built(case)
    if weights and np.ndim(weights[0]) == 2:
        # A second identity with the same direction, so that the own probability is not 1 at angle 0.
        weights[0][-1] = 2.0 * weights[0][0]
        layer.set_weights(weights)

    def all_types(*batches: tuple[tf.Tensor, tf.Tensor]) -> list:
        return [loss_and_gradients(case, layer, vectors, labels, labels.shape[0]) for vectors, labels in batches]

    types = ("float32", "bfloat16", "float16")
    batches = [singular_batch(weights, dtype, case.huge) for dtype in types]
    graph = tf.function(all_types, autograph=False).get_concrete_function(*batches)
    modes = {
        "eager": all_types,
        "graph": graph,
        "xla": tf.function(lambda *batches: graph(*batches), jit_compile=True, autograph=False),
    }
    for mode, run in modes.items():
        for dtype, (loss, by_embeddings, by_weights) in zip(types, run(*batches), strict=True):
            for tensor in (loss, by_embeddings, *by_weights):
                expect(np.isfinite(tf.cast(tensor, tf.float32)).all(), f"NaN or infinite: {mode}, {dtype}")


def rounding(layer: keras.layers.Layer) -> float:
    """Returns by how much of the largest entry a gradient may move when the rows of a batch are computed apart.

    Reciprocal square roots of full packets of rows and of the rows left over are computed in two ways, which on some
    processors (AMD's) round to both sides of the exact one. So a cosine can move by 2^-23, and a head's logit by scale
    times that. A probability, which its gradient is proportional to, moves by at most a quarter of what its logit moves
    against the others: two logits move, and a margin steepens that of these examples to less than twice the cosine.
    """
    return max(1e-6, (getattr(layer, "scale", None) or 1.0) * 2.0**-23)


def check_two_replicas(case: Case) -> None:
    """Checks that two replicas give the numbers of one, with as many examples on either, and with more on one."""
    kind = "GPU" if len(tf.config.list_logical_devices("GPU")) > 1 else "CPU"
    devices = [f"{kind}:{number}" for number in range(len(tf.config.list_logical_devices(kind)))][:2]
    if len(devices) < 2:
        raise ValueError(
            "expected two logical CPU devices, got one: call tf.config.set_logical_device_configuration first, as "
            "tests/conftest.py of keras_face does"
        )
    # Not the default CollectiveAllReduce: its collectives are numbered anew by every strategy, so two strategies in one
    # process abort each other unless they run the same operations in the same order.
    strategy = tf.distribute.MirroredStrategy(devices, cross_device_ops=tf.distribute.ReductionToOneDevice())
    embeddings, labels = tf.constant(random_embeddings(len(LABELS)), tf.float32), tf.constant(LABELS)
    layer, weights = built(case)
    expected = loss_and_gradients(case, layer, embeddings, labels, len(LABELS))
    state = layer.get_weights()

    with strategy.scope():
        mirrored = case.make()
        mirrored.build((None, SIZE))

    def step(first: tf.Tensor) -> tuple:
        context = tf.distribute.get_replica_context()
        mine = tf.cast(tf.range(len(LABELS)) >= first, tf.int32) == context.replica_id_in_sync_group
        own, own_labels = (tf.boolean_mask(each, mine) for each in (embeddings, labels))
        loss, by_embeddings, by_weights = loss_and_gradients(case, mirrored, own, own_labels, len(LABELS))
        return loss, by_embeddings, [context.all_reduce("sum", gradient) for gradient in by_weights]

    # The size of a share is an input: one trace.
    run = tf.function(lambda first: strategy.run(step, [first]), autograph=False)
    local = strategy.experimental_local_results
    for first in (5, 3):
        mirrored.set_weights(weights)
        loss, by_embeddings, by_weights = run(tf.constant(first))
        sizes = [len(each) for each in local(loss)]
        expect(sizes == [first, len(LABELS) - first], f"each replica must give its own losses, got {sizes}")
        loss, by_embeddings = (tf.concat(local(each), 0) for each in (loss, by_embeddings))
        np.testing.assert_allclose(loss, expected[0], rtol=1e-6, atol=1e-6 * np.abs(expected[0]).max())
        actual = [by_embeddings, *[local(each)[0] for each in by_weights]]
        for one, other in zip([expected[1], *expected[2]], actual, strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-6, atol=rounding(layer) * np.abs(one).max())
        for one, other in zip(state, mirrored.get_weights(), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-6)


def check_config_and_checkpoint(case: Case) -> None:
    """Checks that a loss comes back from its config and a checkpoint."""
    layer, weights = built(case)
    batch = tf.constant(random_embeddings(len(LABELS)), tf.float32), tf.constant(LABELS)
    again = type(layer).from_config(layer.get_config())
    expect(again.get_config() == layer.get_config(), "from_config gives another config")
    again.build((None, SIZE))
    with tempfile.TemporaryDirectory() as folder:
        path = tf.train.Checkpoint(layer=layer).write(str(Path(folder, "checkpoint")))
        tf.train.Checkpoint(layer=again).read(path).assert_consumed()
    for one, other in zip(weights, again.get_weights(), strict=True):
        np.testing.assert_array_equal(other, one)
    np.testing.assert_array_equal(*(case.call(each, *batch, False) for each in (layer, again)))


def check_mixed_precision(case: Case) -> None:
    """Checks that a mixed-precision policy leaves a loss in float32."""
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        layer, _ = built(case)
    finally:
        keras.mixed_precision.set_global_policy(before)
    others = [weight.name for weight in layer.weights if not (weight.dtype == tf.float32 or weight.dtype.is_integer)]
    expect(not others, f"weights must be float32, {others} are not")
    loss = case.call(layer, tf.constant(random_embeddings(len(LABELS)), tf.float16), tf.constant(LABELS), False)
    expect(loss.dtype == tf.float32, f"losses must be float32, got {loss.dtype.name}")


def check_saved_model(case: Case) -> None:
    """Checks that a SavedModel keeps all of a loss's state."""
    layer, _ = built(case)
    batch = tf.constant(random_embeddings(len(LABELS)), tf.float32), tf.constant(LABELS)
    case.call(layer, *batch, True)  # so that state is not as it was initialised
    module = tf.Module()
    module.layer = layer
    call = caller(case, layer)
    module.loss = tf.function(call, input_signature=[tf.TensorSpec.from_tensor(each) for each in batch])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder)
        again = tf.saved_model.load(folder)
        np.testing.assert_allclose(again.loss(*batch), call(*batch), rtol=1e-5, atol=1e-6)
        kept = {variable.name: variable.numpy() for variable in again.layer.variables}
    for variable in layer.weights:
        np.testing.assert_array_equal(kept[variable.name], variable.numpy())


def check_wrong_labels(case: Case) -> None:
    """Checks that a label out of range is an error that names it, eager and in a graph."""
    if case.label_range is None:
        return
    layer, _ = built(case)
    call = caller(case, layer)
    lowest, end = case.label_range
    for mode, run in {"eager": call, "graph": tf.function(call)}.items():
        for wrong in (IDENTITIES, -SEQUENCES - 1, 1000):
            try:
                run(tf.constant(random_embeddings(3), tf.float32), tf.constant([lowest, wrong, end - 1]))
            except tf.errors.InvalidArgumentError as error:
                message = str(error)
            else:
                message = "no error"
            named = f"labels must be in [{lowest}, {end}), got" in message
            named &= str(wrong) in message.replace(f"[{lowest}, {end})", "")
            expect(named, f"label {wrong}, {mode}: expected an error that names it, got {message[:200]}")


def check_wrong_labels_under_xla(case: Case) -> None:
    """Checks that a label out of range is NaN under XLA, which cannot raise."""
    if case.label_range is None:
        return
    layer, _ = built(case)
    compiled = tf.function(caller(case, layer), jit_compile=True)
    for wrong in (IDENTITIES, -SEQUENCES - 1):
        loss = compiled(tf.constant(random_embeddings(3), tf.float32), tf.constant([0, wrong, -1]))
        np.testing.assert_array_equal(np.isnan(loss), [False, True, False])


LOSS_CHECKS: tuple[Callable[[Case], None], ...] = (
    check_values,
    check_values_in_training,
    check_state,
    check_gradients,
    check_singular_points,
    check_two_replicas,
    check_config_and_checkpoint,
    check_mixed_precision,
    check_saved_model,
    check_wrong_labels,
    check_wrong_labels_under_xla,
)
