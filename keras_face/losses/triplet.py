"""Triplet losses, mined over the global batch."""

from typing import Any, NamedTuple

from keras_face.backend import keras, tf
from keras_face.losses.geometry import distance, unit
from keras_face.losses.replicas import gather_batch


class TripletOutput(NamedTuple):
    """What one pass through a triplet loss gives; every entry is [batch].

    Attributes:
        loss: float32, one loss per anchor, 0 for an anchor without a positive or a negative.
        positive_distance: float32, distance to the hardest positive.
        negative_distance: float32, distance to the hardest negative.
        valid: bool, whether the anchor has both; the distances mean nothing where it has not.
    """

    loss: tf.Tensor
    positive_distance: tf.Tensor
    negative_distance: tf.Tensor
    valid: tf.Tensor


@keras.utils.register_keras_serializable(package="keras_face")
class BatchHardTriplet(keras.layers.Layer):
    """Keeps every anchor's farthest positive nearer than its nearest negative, by a margin.

    loss = max(0, distance to the farthest positive - distance to the nearest negative + margin), on unit embeddings.
    Every example of the global batch is an anchor; positives and negatives come from the global batch too, whichever
    replica holds them. An anchor without a positive or without a negative does not count: its loss is 0, and the
    losses of the others are multiplied by global batch / number of counting anchors, so that the mean over the
    global batch is the mean over the anchors that count.

    Examples with one label, identity or sequence, are positives of each other. Examples with different labels are
    negatives, except two different sequences (labels < 0): these may show the same person.

    Args:
        margin: In units of the distance, > 0; distances of unit embeddings are in [0, 2]. margin-centre-face: 0.3,
            with weight 10.
        squared: Uses squared distances, in [0, 4].

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size]; need not be of unit length.
        labels: integer [batch]; negative for a sequence of unknown person.

    Returns: float32 [batch], one loss per example of this replica.
    Raises: ValueError if margin is out of range.
    Reference: Hermans et al. 2017, In Defense of the Triplet Loss, https://arxiv.org/abs/1703.07737, equation 5
    """

    def __init__(self, margin: float = 0.3, squared: bool = False, **layer_settings: Any):
        super().__init__(**{"dtype": "float32", **layer_settings})
        if not margin > 0:
            raise ValueError(f"margin must be a distance above 0, got {margin}")
        self.margin = margin
        self.squared = squared

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor) -> TripletOutput:
        """Returns the losses with the distances they come from."""
        anchors, anchor_labels = unit(embeddings), tf.convert_to_tensor(labels)
        embeddings, labels, start = gather_batch(anchors, anchor_labels)
        positive, negative = _relations(labels)
        valid = tf.reduce_any(positive, axis=1) & tf.reduce_any(negative, axis=1)
        loss_scale = tf.math.divide_no_nan(
            tf.cast(tf.size(valid), tf.float32), tf.reduce_sum(tf.cast(valid, tf.float32))
        )

        own = start + tf.range(tf.shape(anchor_labels)[0])
        positive, negative, valid = (tf.gather(mask, own) for mask in (positive, negative, valid))
        # The matrix only says who is hardest; the distances that count are computed again, without cancellation.
        cosine = tf.matmul(tf.stop_gradient(anchors), tf.stop_gradient(embeddings), transpose_b=True)
        hardest_positive = tf.argmin(tf.where(positive, cosine, 2.0), axis=1)
        hardest_negative = tf.argmax(tf.where(negative, cosine, -2.0), axis=1)
        positive_distance = distance(anchors, tf.gather(embeddings, hardest_positive), self.squared)
        negative_distance = distance(anchors, tf.gather(embeddings, hardest_negative), self.squared)
        violation = tf.nn.relu(positive_distance - negative_distance + self.margin)
        loss = tf.where(valid, loss_scale * violation, 0.0)
        return TripletOutput(loss, positive_distance, negative_distance, valid)

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.forward(embeddings, labels).loss

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"margin": self.margin, "squared": self.squared}


def _relations(labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns which examples are positives and which are negatives of which, both bool [batch, batch]."""
    same = labels[:, tf.newaxis] == labels[tf.newaxis, :]
    positive = same & ~tf.eye(tf.size(labels), dtype=tf.bool)
    unknown = labels < 0
    negative = ~same & ~(unknown[:, tf.newaxis] & unknown[tf.newaxis, :])
    return positive, negative
