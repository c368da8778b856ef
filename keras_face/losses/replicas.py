"""The global batch, seen from one replica.

In a step that is compiled for several GPUs replicas meet by all-reducing alone: TensorFlow's `all_gather` leaves the
replicas (`merge_call`), which a compiled function cannot. There all replica batches must be of one size.
"""

from keras_face.backend import tf


def gather_batch(embeddings: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the embeddings and labels of all replicas, and where this replica's own ones start.

    Differentiable: what the losses of every replica say about an embedding reaches the replica that computed it.
    All replicas must call it. Outside a strategy, and with one replica, the batch is returned as it is.

    Args:
        embeddings: [replica batch, size]; the replica batches may differ in size.
        labels: integer [replica batch].

    Returns: [global batch, size], [global batch], and an int32 index, the row of this replica's first example.
    """
    return gather(embeddings), gather(labels), position(tf.shape(labels)[0])


def gather(values: tf.Tensor) -> tf.Tensor:
    """Returns the values of all replicas, joined along the first axis; differentiable. All replicas must call it.

    Args:
        values: [replica batch, ...], numbers; the replica batches may differ in size.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return values
    gathered = _in_slots(context, values) if _all_reduces_only() else context.all_gather(values, axis=0)
    return _with_dense_gradient(gathered) if values.dtype.is_floating else gathered


def position(size: tf.Tensor) -> tf.Tensor:
    """Returns where this replica's examples start in the gathered batch, int32. All replicas must call it.

    Args:
        size: int32, number of this replica's examples.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return tf.constant(0)
    if _all_reduces_only():
        return context.replica_id_in_sync_group * size
    sizes = context.all_gather(tf.reshape(size, [1]), axis=0)
    return tf.reduce_sum(tf.where(tf.range(tf.size(sizes)) < context.replica_id_in_sync_group, sizes, 0))


def sum_over_replicas(value: tf.Tensor) -> tf.Tensor:
    """Returns the sum of a tensor over all replicas; outside a strategy, and with one replica, the tensor itself."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def _all_reduces_only() -> bool:
    """Returns whether what is traced is compiled for several GPUs."""
    return tf.__internal__.distribute.strategy_supports_no_merge_call()


def _in_slots(context: tf.distribute.ReplicaContext, values: tf.Tensor) -> tf.Tensor:
    """Returns what `gather` does: a sum over arrays in which each replica fills its own lines, and the rest is 0."""
    replicas = context.num_replicas_in_sync
    own = tf.reshape(tf.range(replicas) == context.replica_id_in_sync_group, [replicas, *[1] * values.shape.rank])
    slots = tf.where(own, values[tf.newaxis], tf.zeros((), values.dtype))
    summed = context.all_reduce(tf.distribute.ReduceOp.SUM, slots)
    return tf.reshape(summed, tf.concat([[-1], tf.shape(values)[1:]], axis=0))


@tf.custom_gradient
def _with_dense_gradient(values: tf.Tensor) -> tuple:
    """Returns the values; the gradient of all_gather cannot take the IndexedSlices that tf.gather sends back."""

    def gradient(upstream: tf.Tensor | tf.IndexedSlices) -> tf.Tensor:
        if isinstance(upstream, tf.IndexedSlices):
            return tf.math.unsorted_segment_sum(upstream.values, upstream.indices, tf.shape(values)[0])
        return upstream

    return tf.identity(values), gradient
