"""Who is whose positive and negative in the global batch: what the triplet and pair losses share.

Every example of the global batch is an anchor; its positives and negatives come from the global batch too, whichever
replica holds them. Examples with one label, identity or sequence, are positives of each other. Examples with different
labels are negatives, except two different sequences (labels < 0): these may show the same person. An anchor without a
positive or without a negative does not count: its loss is 0, and those of the others are scaled up for it, so that the
mean over the global batch is the mean over what counts.
"""

from typing import NamedTuple

from keras_face.backend import tf
from keras_face.losses.replicas import gather_batch, sum_over_replicas

# Stands for the logarithm of 0 where two of them are added, which must stay finite.
LOG_OF_NOTHING = -1e38


class Anchors(NamedTuple):
    """The examples of this replica, and what they are to those of all replicas.

    Attributes:
        embeddings: float32 [replica batch, size].
        rows: int32 [replica batch], where the anchors stand in the global batch.
        others: float32 [global batch, size], the embeddings of all replicas, the anchors among them.
        labels: integer [global batch].
        positive: bool [replica batch, global batch], who is a positive of the anchor.
        negative: bool [replica batch, global batch], who is a negative of the anchor.
        valid: bool [replica batch], whether the anchor has both.
    """

    embeddings: tf.Tensor
    rows: tf.Tensor
    others: tf.Tensor
    labels: tf.Tensor
    positive: tf.Tensor
    negative: tf.Tensor
    valid: tf.Tensor

    def averaged(self, losses: tf.Tensor, counts: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the losses, scaled so that their mean over the global batch is sum of losses / sum of counts.

        Args:
            losses: float32 [replica batch]; those of anchors that do not count become 0.
            counts: float32 [replica batch], over how much the mean of each loss goes; None: one for a valid anchor.
        """
        counts = tf.where(self.valid, 1.0 if counts is None else counts, 0.0)
        total = sum_over_replicas(tf.reduce_sum(counts))
        scale = tf.math.divide_no_nan(tf.cast(tf.size(self.labels), tf.float32), total)
        return tf.where(self.valid, scale * losses, 0.0)

    def partners(self) -> tf.Tensor:
        """Returns int64 [replica batch], one positive of each anchor: the next example with its label, cyclically.

        So every example with a positive is an anchor once and a partner once, and in a batch of pairs the partner is
        the other one. Without a positive the row means nothing.
        """
        count = tf.size(self.labels)
        steps = tf.math.floormod(tf.range(count) - self.rows[:, tf.newaxis], count)
        return tf.argmin(tf.where(self.positive, steps, count), axis=1)

    def tuplet(self, rows: tf.Tensor) -> tf.Tensor:
        """Returns bool [replica batch, global batch], one negative of each anchor for every other label.

        It is the first example with its label if the anchor's row in `rows` is the first with its own, and so on,
        cyclically. In a batch of pairs, these are all first or all second examples.

        Args:
            rows: integer [replica batch], examples with the labels of the anchors.
        """
        order = tf.range(tf.size(self.labels))
        same = self.labels[:, tf.newaxis] == self.labels
        count = tf.reduce_sum(tf.cast(same, tf.int32), axis=1)
        rank = tf.reduce_sum(tf.cast(same & (order < order[:, tf.newaxis]), tf.int32), axis=1)
        wanted = tf.math.floormod(tf.gather(rank, rows)[:, tf.newaxis], count)
        return self.negative & (rank == wanted)


def gather_anchors(embeddings: tf.Tensor, labels: tf.Tensor) -> Anchors:
    """Returns the anchors of this replica. All replicas must call it.

    Args:
        embeddings: float32 [replica batch, size].
        labels: integer [replica batch]; negative for a sequence of unknown person.
    """
    own_labels = tf.convert_to_tensor(labels)
    others, labels, start = gather_batch(embeddings, own_labels)
    rows = start + tf.range(tf.size(own_labels))
    same = own_labels[:, tf.newaxis] == labels
    positive = same & (rows[:, tf.newaxis] != tf.range(tf.size(labels)))
    negative = ~same & ((own_labels[:, tf.newaxis] >= 0) | (labels >= 0))
    valid = tf.reduce_any(positive, axis=1) & tf.reduce_any(negative, axis=1)
    return Anchors(embeddings, rows, others, labels, positive, negative, valid)


def distances(first: tf.Tensor, second: tf.Tensor, squared: bool = False) -> tf.Tensor:
    """Returns the Euclidean distances, or their squares, of all pairs of rows; gradient 0 where two are one.

    Made from inner products, in the memory of the result. So the square is wrong by the rounding of these, about 1e-7
    for unit vectors and 1e-3 where a GPU multiplies matrices in TF32, and a distance near 0 by the root of that;
    `geometry.distance` of single pairs is not.

    Args:
        first: float32 [rows, size].
        second: float32 [columns, size].
        squared: Returns the squares.

    Returns: float32 [rows, columns].
    """
    squares = tf.reduce_sum(tf.square(first), axis=1)[:, tf.newaxis] + tf.reduce_sum(tf.square(second), axis=1)
    squares = tf.nn.relu(squares - 2.0 * tf.matmul(first, second, transpose_b=True))
    if squared:
        return squares
    apart = squares > 0.0
    return tf.where(apart, tf.sqrt(tf.where(apart, squares, 1.0)), 0.0)


def log_sum_exp(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns the logarithm of the sum of exp(values) along the last axis where the mask is; -1e38 if it is nowhere."""
    return tf.reduce_logsumexp(tf.where(mask, values, LOG_OF_NOTHING), axis=-1)
