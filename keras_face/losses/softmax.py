"""Softmax heads: cross-entropy over all identities, plain or with a margin on the cosine of the own one."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.geometry import unit
from keras_face.losses.margins import Margin
from keras_face.losses.prototypes import HeadOutput, OwnPrototypes, PrototypeHead, products


def cross_entropy(
    logits: tf.Tensor, target_logits: tf.Tensor, rows: tf.Tensor, uniform: tf.Tensor | None = None
) -> tf.Tensor:
    """Returns the softmax cross-entropy per example, with the own logit taken from elsewhere.

    Never subtracts exponentials, needs no one-hot, and keeps one [batch, identities] tensor for the gradient.

    Args:
        logits: float32 [batch, identities]; the entries at `rows` are replaced by `target_logits`.
        target_logits: float32 [batch].
        rows: integer [batch], the identity of each example.
        uniform: bool [batch], examples whose target is not `rows` but 1 / identities for each; None if there are none.

    Returns: float32 [batch].
    Reference: for `uniform`, Hu et al. 2018, SeqFace, https://arxiv.org/abs/1803.06524 (label smoothing regularisation)
    """
    indices = tf.stack([tf.range(tf.shape(rows, rows.dtype)[0], dtype=rows.dtype), rows], axis=1)

    @tf.custom_gradient
    def compute(logits: tf.Tensor, target_logits: tf.Tensor) -> tuple:
        logits = tf.tensor_scatter_nd_update(logits, indices, target_logits)
        probabilities = tf.nn.softmax(logits)
        # log(sum(exp(logits))), by the largest probability, which is never below 1 / identities.
        log_sum = tf.reduce_max(logits, axis=1) - tf.math.log(tf.reduce_max(probabilities, axis=1))
        aim = target_logits if uniform is None else tf.where(uniform, tf.reduce_mean(logits, axis=1), target_logits)

        def gradient(upstream: tf.Tensor) -> tuple:
            to_logits = probabilities * upstream[:, tf.newaxis]
            to_aim = upstream
            if uniform is not None:
                share = tf.where(uniform, upstream, 0.0) / tf.cast(tf.shape(logits)[1], tf.float32)
                to_logits -= share[:, tf.newaxis]
                to_aim = tf.where(uniform, 0.0, upstream)
            to_target = tf.gather_nd(to_logits, indices) - to_aim
            return tf.tensor_scatter_nd_update(to_logits, indices, tf.zeros_like(to_target)), to_target

        return log_sum - aim, gradient

    return compute(logits, target_logits)


class _SoftmaxHead(PrototypeHead):
    """What the two heads share once the logits are there."""

    def _loss(self, logits: tf.Tensor, target_logits: tf.Tensor, own: OwnPrototypes) -> tf.Tensor:
        uniform = ~own.known if self.num_sequences else None
        loss = cross_entropy(logits, target_logits, own.rows, uniform)
        return tf.where(own.in_range, loss, float("nan"))


def _is_highest(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    labels = tf.convert_to_tensor(labels)
    return tf.argmax(logits, axis=1, output_type=labels.dtype) == labels


@keras.utils.register_keras_serializable(package="keras_face")
class Softmax(_SoftmaxHead):
    """Cross-entropy of the inner products of embedding and prototypes, neither normalised, without a bias.

    loss = log(sum_j exp(embedding . prototype_j)) - embedding . prototype_label; for a label < 0 the mean over all
    identities takes the place of the last term.

    Args, call arguments, returns, raises: see `PrototypeHead`, except
        initializer: Default "glorot_normal".

    Reference: `softmax_loss` of margin-centre-face
    """

    def __init__(
        self,
        num_identities: int,
        num_sequences: int = 0,
        initializer: str | keras.initializers.Initializer = "glorot_normal",
        **layer_settings: Any,
    ):
        super().__init__(num_identities, num_sequences, initializer, **layer_settings)

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> HeadOutput:
        own = self.find(labels)
        logits, own_logits = products(tf.cast(embeddings, tf.float32), self.prototypes, own.rows)
        loss = self._loss(logits, own_logits, own)
        return HeadOutput(loss, self.target_cosine(embeddings, labels), _is_highest(logits, labels))


@keras.utils.register_keras_serializable(package="keras_face")
class MarginSoftmax(_SoftmaxHead):
    """Cross-entropy of the scaled cosines of embedding and prototypes, the own cosine lowered by a margin.

    loss = log(exp(scale margin(cosine_label)) + sum_{j != label} exp(scale cosine_j)) - scale margin(cosine_label).
    For a label < 0 there is no own cosine, and so no margin: log(sum_j exp(scale cosine_j)) - mean_j(scale cosine_j).

    Args:
        num_identities: See `PrototypeHead`.
        margin: The target function, a `Margin`.
        scale: Multiplies the cosines; without unit, > 0. ArcFace and CosFace papers: 64.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Deng et al. 2019, ArcFace, https://arxiv.org/abs/1801.07698, equation 4
    """

    def __init__(
        self,
        num_identities: int,
        margin: Margin,
        scale: float = 64.0,
        num_sequences: int = 0,
        initializer: str | keras.initializers.Initializer | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, num_sequences, initializer, **layer_settings)
        if not scale > 0:
            raise ValueError(f"scale must be above 0, got {scale}")
        self.margin = margin
        self.scale = scale

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> HeadOutput:
        own = self.find(labels)
        # The scale goes into the small factor of the product, not over its [batch, identities] result.
        logits, own_logits = products(self.scale * unit(embeddings), self.prototypes, own.rows, normalise=True)
        target_cosine = own_logits / self.scale
        target_logits = tf.where(own.known, self.scale * self.margin(target_cosine), own_logits)
        loss = self._loss(logits, target_logits, own)
        return HeadOutput(loss, target_cosine, _is_highest(logits, labels))

    def get_config(self) -> dict[str, Any]:
        settings = {"margin": keras.utils.serialize_keras_object(self.margin), "scale": self.scale}
        return super().get_config() | settings

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MarginSoftmax":
        return cls(**{**config, "margin": keras.utils.deserialize_keras_object(config["margin"])})
