"""Losses of the similarities of pairs: N-pair, multi-similarity, and circle loss in its pair form."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.geometry import dot, unit
from keras_face.losses.mining import gather_anchors, log_sum_exp


@keras.utils.register_keras_serializable(package="keras_face")
class NPair(keras.layers.Layer):
    """Makes an anchor more similar to one positive than to one example of each other label.

    loss = log(1 + sum over negatives of exp(anchor · negative - anchor · positive))
         + l2_weight / 4 (|anchor|² + |positive|²), with inner products of the embeddings as they are, not of unit
    length: the second term keeps them short.

    The paper's batch is of pairs. Here the positive is the next example in the global batch with the anchor's label,
    cyclically, and the negatives stand among those of their label where the positive stands among those of its own:
    in a batch of pairs, all second examples for a first one, as in the paper, and the other way round. Anchors that do
    not count, and whom a sequence has as negatives, are as in `keras_face.losses.mining`.

    Args:
        l2_weight: Of the squared lengths, >= 0. 0.002 in TensorFlow's npairs_loss.

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size]. Squared lengths must be within float32: lengths up to
            about 1e18.
        labels: integer [batch]; negative for a sequence of unknown person.

    Returns: float32 [batch], one loss per example of this replica.
    Raises: ValueError if l2_weight is negative.
    Reference: Sohn 2016, Improved Deep Metric Learning with Multi-class N-pair Loss Objective, NIPS, N-pair-mc; the
        factor 1/4 and the default weight: tf.contrib.losses.metric_learning.npairs_loss of TensorFlow 1
    """

    def __init__(self, l2_weight: float = 0.002, **layer_settings: Any):
        super().__init__(**{"dtype": "float32", **layer_settings})
        if not l2_weight >= 0:
            raise ValueError(f"l2_weight must be 0 or more, got {l2_weight}")
        self.l2_weight = l2_weight

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        anchors = gather_anchors(tf.cast(embeddings, tf.float32), labels)
        partners = anchors.partners()
        positives = tf.gather(anchors.others, partners)
        similarity = tf.matmul(anchors.embeddings, anchors.others, transpose_b=True)
        positive_similarity = dot(anchors.embeddings, positives)
        loss = tf.nn.softplus(log_sum_exp(similarity, anchors.tuplet(partners)) - positive_similarity)
        squares = tf.reduce_sum(tf.square(anchors.embeddings) + tf.square(positives), axis=1)
        return anchors.averaged(loss + self.l2_weight / 4.0 * squares)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"l2_weight": self.l2_weight}


@keras.utils.register_keras_serializable(package="keras_face")
class MultiSimilarity(keras.layers.Layer):
    """Pulls the hard positives of an anchor above a cosine and pushes its hard negatives below it.

    loss = 1/positive_scale log(1 + sum over hard positives of exp(-positive_scale (cosine - base)))
         + 1/negative_scale log(1 + sum over hard negatives of exp(negative_scale (cosine - base))).
    A positive is hard if its cosine - mining_margin is below that of the nearest negative, a negative if its cosine +
    mining_margin is above that of the farthest positive. An anchor without hard pairs counts, with loss 0. Positives,
    negatives and anchors that do not count are those of `keras_face.losses.mining`.

    Args:
        positive_scale: > 0, alpha of the paper: 2.
        negative_scale: > 0, beta of the paper: 50.
        base: A cosine in [-1, 1], lambda of the paper. The authors' code: 0.5.
        mining_margin: In units of the cosine, >= 0, epsilon of the paper: 0.1.

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size]; need not be of unit length.
        labels: integer [batch]; negative for a sequence of unknown person.

    Returns: float32 [batch], one loss per example of this replica.
    Raises: ValueError if a setting is out of range.
    Reference: Wang et al. 2019, Multi-Similarity Loss with General Pair Weighting, https://arxiv.org/abs/1904.06627,
        section 4; https://github.com/msight-tech/research-ms-loss
    """

    def __init__(
        self,
        positive_scale: float = 2.0,
        negative_scale: float = 50.0,
        base: float = 0.5,
        mining_margin: float = 0.1,
        **layer_settings: Any,
    ):
        super().__init__(**{"dtype": "float32", **layer_settings})
        for name, scale in (("positive_scale", positive_scale), ("negative_scale", negative_scale)):
            if not 0 < scale < float("inf"):
                raise ValueError(f"{name} must be above 0 and finite, got {scale}")
        if not -1 <= base <= 1:
            raise ValueError(f"base must be a cosine in [-1, 1], got {base}")
        if not mining_margin >= 0:
            raise ValueError(f"mining_margin must be a difference of cosines, 0 or more, got {mining_margin}")
        self.positive_scale = positive_scale
        self.negative_scale = negative_scale
        self.base = base
        self.mining_margin = mining_margin

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        anchors = gather_anchors(unit(embeddings), labels)
        cosine = tf.matmul(anchors.embeddings, anchors.others, transpose_b=True)
        farthest_positive = tf.reduce_min(tf.where(anchors.positive, cosine, 2.0), axis=1, keepdims=True)
        nearest_negative = tf.reduce_max(tf.where(anchors.negative, cosine, -2.0), axis=1, keepdims=True)
        hard_positive = anchors.positive & (cosine - self.mining_margin < nearest_negative)
        hard_negative = anchors.negative & (cosine + self.mining_margin > farthest_positive)
        pull = tf.nn.softplus(log_sum_exp(-self.positive_scale * (cosine - self.base), hard_positive))
        push = tf.nn.softplus(log_sum_exp(self.negative_scale * (cosine - self.base), hard_negative))
        return anchors.averaged(pull / self.positive_scale + push / self.negative_scale)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "positive_scale": self.positive_scale,
            "negative_scale": self.negative_scale,
            "base": self.base,
            "mining_margin": self.mining_margin,
        }


@keras.utils.register_keras_serializable(package="keras_face")
class PairCircle(keras.layers.Layer):
    """Pulls the cosine of positives above 1 - margin and pushes that of negatives below margin, the worst ones most.

    loss = log(1 + sum over negatives of exp(scale n (cosine - margin)) * sum over positives of
    exp(-scale p (cosine - (1 - margin)))), with the weights n = max(0, cosine + margin) and p = max(0, 1 + margin -
    cosine) of each pair, constants to the gradient as in the paper. Positives, negatives and anchors that do not count
    are those of `keras_face.losses.mining`.

    Args:
        margin: In units of the cosine, [0, 1). Paper: 0.25 for faces, 0.4 for image retrieval.
        scale: > 0, gamma of the paper: 256 for faces, 80 for image retrieval.

    Call arguments:
        embeddings: Any floating type, [batch, embedding_size]; need not be of unit length.
        labels: integer [batch]; negative for a sequence of unknown person.

    Returns: float32 [batch], one loss per example of this replica.
    Raises: ValueError if margin or scale is out of range.
    Reference: Sun et al. 2020, Circle Loss, https://arxiv.org/abs/2002.10857, equations 5 and 6, gradient 10
    """

    def __init__(self, margin: float = 0.25, scale: float = 256.0, **layer_settings: Any):
        super().__init__(**{"dtype": "float32", **layer_settings})
        if not 0 <= margin < 1:
            raise ValueError(f"margin must be a cosine in [0, 1), got {margin}")
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be above 0 and finite, got {scale}")
        self.margin = margin
        self.scale = float(scale)

    def call(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        anchors = gather_anchors(unit(embeddings), labels)
        cosine = tf.matmul(anchors.embeddings, anchors.others, transpose_b=True)
        negative_weight = tf.stop_gradient(tf.nn.relu(cosine + self.margin))
        positive_weight = tf.stop_gradient(tf.nn.relu(1.0 + self.margin - cosine))
        push = log_sum_exp(self.scale * negative_weight * (cosine - self.margin), anchors.negative)
        pull = log_sum_exp(-self.scale * positive_weight * (cosine - (1.0 - self.margin)), anchors.positive)
        return anchors.averaged(tf.nn.softplus(push + pull))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"margin": self.margin, "scale": self.scale}
