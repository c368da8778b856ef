"""Triplets of all positives, each with a negative that is farther but not far."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.geometry import unit
from keras_face.losses.mining import distances, gather_anchors


@keras.utils.register_keras_serializable(package="keras_face")
class SemiHardTriplet(keras.layers.Layer):
    """Keeps every positive nearer to its anchor than the nearest of the negatives beyond it, by a margin.

    Every pair of an anchor and a positive costs max(0, distance to the positive - distance to the negative + margin),
    on unit embeddings. The negative is the nearest one that is farther than the positive; the farthest of all where
    none is. The loss of an anchor is the sum over its positives, so scaled that the mean over the global batch is the
    mean over all pairs whose anchor has a negative. Positives, negatives and anchors that do not count are those of
    `keras_face.losses.mining`.

    The same as triplet_semihard_loss of tensorflow-addons where every label is an identity and has a negative. Takes
    memory for [replica batch, global batch].

    Args:
        margin: In units of the distance, > 0. FaceNet: 0.2.
        squared: Uses squared distances, in [0, 4], as FaceNet; else distances, in [0, 2].

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size]; need not be of unit length.
        labels: integer [batch]; negative for a sequence of unknown person.

    Returns: float32 [batch], one loss per example of this replica.
    Raises: ValueError if margin is out of range.
    Reference: Schroff et al. 2015, FaceNet, https://arxiv.org/abs/1503.03832, equations 3 and 4; where no negative is
        semi-hard: tensorflow-addons, losses/triplet.py
    """

    def __init__(self, margin: float = 0.2, squared: bool = True, **layer_settings: Any):
        super().__init__(**{"dtype": "float32", **layer_settings})
        if not margin > 0:
            raise ValueError(f"margin must be a distance above 0, got {margin}")
        self.margin = margin
        self.squared = squared

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        anchors = gather_anchors(unit(embeddings), labels)
        away = distances(anchors.embeddings, anchors.others, self.squared)
        fixed = tf.stop_gradient(away)
        # Each anchor's negatives by distance, then everybody else.
        to_negatives = tf.where(anchors.negative, fixed, float("inf"))
        order = tf.argsort(to_negatives, axis=1)
        beyond = tf.searchsorted(tf.gather(to_negatives, order, batch_dims=1), fixed, side="right")
        last = tf.reduce_sum(tf.cast(anchors.negative, tf.int32), axis=1, keepdims=True) - 1
        chosen = tf.gather(order, tf.maximum(tf.minimum(beyond, last), 0), batch_dims=1)
        violation = tf.nn.relu(away - tf.gather(away, chosen, batch_dims=1) + self.margin)
        positive = tf.cast(anchors.positive, tf.float32)
        return anchors.averaged(tf.reduce_sum(positive * violation, axis=1), tf.reduce_sum(positive, axis=1))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"margin": self.margin, "squared": self.squared}
