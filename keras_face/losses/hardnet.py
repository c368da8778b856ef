"""HardNet: one positive, and the negative nearest to either of the two."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.geometry import distance, unit
from keras_face.losses.mining import gather_anchors


@keras.utils.register_keras_serializable(package="keras_face")
class HardNet(keras.layers.Layer):
    """Keeps the two of a matching pair nearer to each other than any negative is to either, by a margin.

    loss = max(0, margin + distance to the positive - min(distance from the anchor to its nearest negative, distance
    from the positive to its nearest negative)), on unit embeddings. The paper's batch is of pairs, and knows one
    positive of each anchor. Here the positive is the next example in the global batch with the anchor's label,
    cyclically: the other one in a batch of pairs, and with more images a label each is anchor once and positive once.
    Negatives are all examples that `keras_face.losses.mining` takes as such; the paper takes one of each other pair,
    and margin-centre-face takes the anchor's own positive too, by a mask that fails. Anchors that do not count are
    those of `keras_face.losses.mining`.

    Args:
        margin: In units of the distance, > 0; distances of unit embeddings are in [0, 2]. Paper: 1.
        anchor_swap: Looks for the negative from the positive too, as the paper; else from the anchor only.

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size]; need not be of unit length.
        labels: integer [batch]; negative for a sequence of unknown person.

    Returns: float32 [batch], one loss per example of this replica.
    Raises: ValueError if margin is out of range.
    Reference: Mishchuk et al. 2017, Working hard to know your neighbor's margins, https://arxiv.org/abs/1705.10872,
        section 3.1
    """

    def __init__(self, margin: float = 1.0, anchor_swap: bool = True, **layer_settings: Any):
        super().__init__(**{"dtype": "float32", **layer_settings})
        if not margin > 0:
            raise ValueError(f"margin must be a distance above 0, got {margin}")
        self.margin = margin
        self.anchor_swap = anchor_swap

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        anchors = gather_anchors(unit(embeddings), labels)
        positives = tf.gather(anchors.others, anchors.partners())

        def to_nearest_negative(ends: tf.Tensor) -> tf.Tensor:
            # The negatives of a positive are those of its anchor. The matrix only says who is nearest.
            cosine = tf.matmul(tf.stop_gradient(ends), tf.stop_gradient(anchors.others), transpose_b=True)
            nearest = tf.argmax(tf.where(anchors.negative, cosine, -2.0), axis=1)
            return distance(ends, tf.gather(anchors.others, nearest))

        negative_distance = to_nearest_negative(anchors.embeddings)
        if self.anchor_swap:
            negative_distance = tf.minimum(negative_distance, to_nearest_negative(positives))
        return anchors.averaged(tf.nn.relu(self.margin + distance(anchors.embeddings, positives) - negative_distance))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"margin": self.margin, "anchor_swap": self.anchor_swap}
