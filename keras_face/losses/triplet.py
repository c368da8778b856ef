"""Triplet losses of each anchor's hardest positive and hardest negative, mined over the global batch."""

import math
from typing import Any, NamedTuple

from keras_face.backend import keras, tf
from keras_face.losses.geometry import angle, distance, dot, unit
from keras_face.losses.mining import gather_anchors


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


class HardestTriplet(keras.layers.Layer):
    """Compares the distances to the farthest positive and to the nearest negative of each anchor.

    A subclass says what the distance is, and what the difference of the two distances costs.
    """

    def __init__(self, **layer_settings: Any):
        super().__init__(**{"dtype": "float32", **layer_settings})

    def distance(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """Returns the distances, float32 [batch], of unit embeddings [batch, size]; falling with the cosine."""
        raise NotImplementedError

    def cost(self, difference: tf.Tensor) -> tf.Tensor:
        """Returns the losses for distances to the positive - distances to the negative, both float32 [batch]."""
        raise NotImplementedError

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor) -> TripletOutput:
        """Returns the losses with the distances they come from."""
        anchors = gather_anchors(unit(embeddings), labels)
        # The matrix only says who is hardest; the distances that count are computed again, without cancellation.
        cosine = tf.matmul(tf.stop_gradient(anchors.embeddings), tf.stop_gradient(anchors.others), transpose_b=True)
        hardest_positive = tf.argmin(tf.where(anchors.positive, cosine, 2.0), axis=1)
        hardest_negative = tf.argmax(tf.where(anchors.negative, cosine, -2.0), axis=1)
        positive_distance = self.distance(anchors.embeddings, tf.gather(anchors.others, hardest_positive))
        negative_distance = self.distance(anchors.embeddings, tf.gather(anchors.others, hardest_negative))
        loss = anchors.averaged(self.cost(positive_distance - negative_distance))
        return TripletOutput(loss, positive_distance, negative_distance, anchors.valid)

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.forward(embeddings, labels).loss


@keras.utils.register_keras_serializable(package="keras_face")
class BatchHardTriplet(HardestTriplet):
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
        super().__init__(**layer_settings)
        if not margin > 0:
            raise ValueError(f"margin must be a distance above 0, got {margin}")
        self.margin = margin
        self.squared = squared

    def distance(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        return distance(first, second, self.squared)

    def cost(self, difference: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(difference + self.margin)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"margin": self.margin, "squared": self.squared}


@keras.utils.register_keras_serializable(package="keras_face")
class SoftMarginTriplet(HardestTriplet):
    """Pulls every anchor's farthest positive nearer than its nearest negative, ever less but without an end.

    loss = log(1 + exp(distance to the farthest positive - distance to the nearest negative)), on unit embeddings: the
    batch-hard loss with a softplus in the place of the hinge and its margin. Positives, negatives and anchors that do
    not count are those of `BatchHardTriplet`.

    Args:
        squared: Uses squared distances, in [0, 4], instead of distances, in [0, 2].

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size]; need not be of unit length.
        labels: integer [batch]; negative for a sequence of unknown person.

    Returns: float32 [batch], one loss per example of this replica.
    Reference: Hermans et al. 2017, In Defense of the Triplet Loss, https://arxiv.org/abs/1703.07737, section 2,
        "soft-margin"
    """

    def __init__(self, squared: bool = False, **layer_settings: Any):
        super().__init__(**layer_settings)
        self.squared = squared

    def distance(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        return distance(first, second, self.squared)

    def cost(self, difference: tf.Tensor) -> tf.Tensor:
        return tf.nn.softplus(difference)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"squared": self.squared}


@keras.utils.register_keras_serializable(package="keras_face")
class AngularTriplet(HardestTriplet):
    """Keeps every anchor's farthest positive at a smaller angle than its nearest negative, by a margin.

    loss = max(0, angle to the farthest positive - angle to the nearest negative + margin). The derivative of the angle,
    infinite in the formula where two embeddings point in one direction or in opposite ones, is clamped as in
    `geometry.angle`. Positives, negatives and anchors that do not count are those of `BatchHardTriplet`; the source
    takes triplets that were mined before the step instead.

    Args:
        margin: Radians, in (0, pi). InsightFace: 0.35.

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size]; need not be of unit length.
        labels: integer [batch]; negative for a sequence of unknown person.

    Returns: float32 [batch], one loss per example of this replica.
    Raises: ValueError if margin is out of range.
    Reference: InsightFace (MXNet), https://github.com/deepinsight/insightface, recognition/ArcFace/train.py, loss
        "atriplet", margin in sample_config.py
    """

    def __init__(self, margin: float = 0.35, **layer_settings: Any):
        super().__init__(**layer_settings)
        if not 0 < margin < math.pi:
            raise ValueError(f"margin must be an angle in (0, pi) radians, got {margin}")
        self.margin = margin

    def distance(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        return angle(dot(first, second))

    def cost(self, difference: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu(difference + self.margin)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"margin": self.margin}
