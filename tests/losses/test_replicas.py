"""How replicas meet where their step is compiled for several GPUs."""

import numpy as np
import pytest
from test_losses_conformance import CASES

from keras_face.backend import tf
from keras_face.losses import replicas
from keras_face.testing.loss_case import SIZE as EMBEDDING

pytestmark = pytest.mark.gpu


# One case of each class of losses.
KINDS = {type(case.make()).__name__: case for case in CASES.values()}


@pytest.mark.parametrize("kind", list(KINDS))
def test_no_loss_leaves_its_replica(as_on_gpus, kind):
    case = KINDS[kind]
    with as_on_gpus.strategy.scope():
        layer = case.make()
        layer.build((None, EMBEDDING))

    def step(embeddings, labels):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            loss = tf.reduce_sum(case.call(layer, embeddings, labels, True))
        return tape.gradient(loss, [embeddings, *layer.trainable_weights])

    as_on_gpus.trace(step, tf.zeros([4, EMBEDDING]), tf.zeros([4], tf.int64))


def test_tensorflows_own_gather_would(as_on_gpus):
    def step(labels):
        return tf.distribute.get_replica_context().all_gather(labels, axis=0)

    with pytest.raises(Exception, match="merge_call"):
        as_on_gpus.trace(step, tf.zeros([4], tf.int64))


def test_a_gather_by_sums_is_a_gather_with_its_gradient(two_replicas, monkeypatch):
    values = tf.constant(np.random.default_rng(0).normal(size=[6, 2]), tf.float32)
    weights = tf.constant(np.random.default_rng(1).normal(size=[6, 2]), tf.float32)

    @tf.function
    def run():
        def on_replica():
            context = tf.distribute.get_replica_context()
            own = tf.stack(tf.split(values, 2))[context.replica_id_in_sync_group]
            with tf.GradientTape() as tape:
                tape.watch(own)
                gathered = replicas.gather(own)
                # Rows that are taken twice, as by tf.gather, whose gradient is sparse.
                total = tf.reduce_sum(gathered * weights) + tf.reduce_sum(tf.gather(gathered, [5, 5, 0]))
            labels = replicas.gather(tf.constant([1, 2, 3]) * (1 + context.replica_id_in_sync_group))
            return gathered, labels, tape.gradient(total, own), replicas.position(tf.constant(3))

        return two_replicas.run(on_replica)

    by_gathering = run()
    monkeypatch.setattr(replicas, "_all_reduces_only", lambda: True)
    by_sums = tf.function(run.python_function)()
    for one, other in zip(tf.nest.flatten(by_gathering), tf.nest.flatten(by_sums), strict=True):
        for left, right in zip(*map(two_replicas.experimental_local_results, (one, other)), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-6)
    np.testing.assert_array_equal(two_replicas.experimental_local_results(by_sums[0])[1], values)
