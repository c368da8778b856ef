"""All triplets of the batch that cost something."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.geometry import unit
from keras_face.losses.mining import distances, gather_anchors


@keras.utils.register_keras_serializable(package="keras_face")
class BatchAllTriplet(keras.layers.Layer):
    """Keeps every positive of an anchor nearer than every negative, by a margin.

    A triplet costs max(0, distance to the positive - distance to the negative + margin), on unit embeddings. The loss
    of an anchor is the sum over its triplets, so scaled that the mean over the global batch is the mean over the
    triplets that cost something; their number is a constant to the gradient. Positives, negatives and anchors that do
    not count are those of `keras_face.losses.mining`.

    Takes memory for [replica batch, global batch] and sorts; the triplets themselves never exist.

    Args:
        margin: In units of the distance, > 0. margin-centre-face: 0.3.
        squared: Uses squared distances, in [0, 4], instead of distances, in [0, 2].

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size]; need not be of unit length.
        labels: integer [batch]; negative for a sequence of unknown person.

    Returns: float32 [batch], one loss per example of this replica.
    Raises: ValueError if margin is out of range.
    Reference: Hermans et al. 2017, In Defense of the Triplet Loss, https://arxiv.org/abs/1703.07737, "batch all",
        averaged over the non-zero terms; margin-centre-face, losses/triplet_loss.py, batch_all_triplet_loss
    """

    def __init__(self, margin: float = 0.3, squared: bool = False, **layer_settings: Any):
        super().__init__(**{"dtype": "float32", **layer_settings})
        if not margin > 0:
            raise ValueError(f"margin must be a distance above 0, got {margin}")
        self.margin = margin
        self.squared = squared

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        anchors = gather_anchors(unit(embeddings), labels)
        away = distances(anchors.embeddings, anchors.others, self.squared)
        # The sum over the triplets that cost is a sum over positives and negatives, each as often as it is in one. To
        # know how often, it is enough to sort: a positive costs with all negatives nearer than its distance + margin.
        reach = tf.stop_gradient(tf.where(anchors.positive, away + self.margin, -float("inf")))
        limit = tf.stop_gradient(tf.where(anchors.negative, away, float("inf")))
        nearer = tf.searchsorted(tf.sort(limit, axis=1), reach, side="left")
        not_reaching = tf.searchsorted(tf.sort(reach, axis=1), limit, side="right")
        per_positive = tf.cast(nearer, tf.float32)
        per_negative = tf.cast(tf.size(anchors.labels) - not_reaching, tf.float32)
        costs = tf.reduce_sum(per_positive * (away + self.margin) - per_negative * away, axis=1)
        return anchors.averaged(costs, tf.reduce_sum(per_positive, axis=1))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"margin": self.margin, "squared": self.squared}
