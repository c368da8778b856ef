"""The loss of L2-Net: a pair must match better than its two ends match others."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.geometry import distance, unit
from keras_face.losses.mining import distances, gather_anchors, log_sum_exp

# Added to the variance of each component, so that one that never changes has correlation 0, not 0 / 0. Components of
# unit embeddings of size 512 have a variance near 2e-3.
SMALLEST_VARIANCE = 1e-8


@keras.utils.register_keras_serializable(package="keras_face")
class RelativeDistance(keras.layers.Layer):
    """Makes the partner of each anchor the most probable match among one example of every other label.

    With matches as probable as exp(-distance) of unit embeddings, the loss is the mean of two cross-entropies:
    -1/2 (log of the probability that the anchor's match is its partner, against one negative of each other label
    + log of the probability that the partner's match is its anchor, likewise). This is E1 of L2-Net, as a mean and not
    a sum; its exp(2 - distance) is the same, as the 2 cancels.

    The paper's batch is of pairs. Here the partner is the next example in the global batch with the anchor's label,
    cyclically, and the negatives stand among those of their label where the anchor's match stands among those of its
    own: in a batch of pairs, all second examples for a first one, as in the paper, and the other way round. Anchors
    that do not count, and whom a sequence has as negatives, are as in `keras_face.losses.mining`.

    With correlation_weight, the sum over all pairs of different components of their squared correlation over the
    global batch is added: E2, which keeps the components from saying the same. The paper takes it of the first and of
    the second examples apart, and averages; here it is of all.

    margin-centre-face has this loss too, in a form that does not run and that lacks the factor 2 in the distance
    sqrt(2 - 2 cosine).

    Args:
        correlation_weight: Of E2, >= 0. The paper adds E2 to the sum over the pairs, so its weight is 1 / pairs in a
            batch.

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size]; need not be of unit length.
        labels: integer [batch]; negative for a sequence of unknown person.

    Returns: float32 [batch], one loss per example of this replica.
    Raises: ValueError if correlation_weight is negative.
    Reference: Tian et al. 2017, L2-Net, CVPR, the error terms E1 and E2
    """

    def __init__(self, correlation_weight: float = 0.0, **layer_settings: Any):
        super().__init__(**{"dtype": "float32", **layer_settings})
        if not correlation_weight >= 0:
            raise ValueError(f"correlation_weight must be 0 or more, got {correlation_weight}")
        self.correlation_weight = correlation_weight

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        anchors = gather_anchors(unit(embeddings), labels)
        partners = anchors.partners()
        positives = tf.gather(anchors.others, partners)
        positive_distance = distance(anchors.embeddings, positives)

        def cross_entropy(ends: tf.Tensor, matches: tf.Tensor) -> tf.Tensor:
            rivals = log_sum_exp(-distances(ends, anchors.others), anchors.tuplet(matches))
            return tf.nn.softplus(positive_distance + rivals)

        loss = (cross_entropy(anchors.embeddings, partners) + cross_entropy(positives, anchors.rows)) / 2.0
        if self.correlation_weight:
            loss += self.correlation_weight * _correlation(anchors.others)
        return anchors.averaged(loss)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"correlation_weight": self.correlation_weight}


def _correlation(embeddings: tf.Tensor) -> tf.Tensor:
    """Returns the sum of the squared correlations of all ordered pairs of different components."""
    centred = embeddings - tf.reduce_mean(embeddings, axis=0)
    count = tf.cast(tf.shape(embeddings)[0], tf.float32)
    covariance = tf.matmul(centred, centred, transpose_a=True) / count
    variance = tf.linalg.diag_part(covariance) + SMALLEST_VARIANCE
    squares = tf.square(covariance) / (variance[:, tf.newaxis] * variance)
    return tf.reduce_sum(tf.linalg.set_diag(squares, tf.zeros_like(variance)))
