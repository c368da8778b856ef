"""UNPG: impostor pairs of the batch as further negatives of a margin softmax."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.geometry import unit
from keras_face.losses.margins import Margin
from keras_face.losses.prototypes import HeadOutput
from keras_face.losses.replicas import gather_batch
from keras_face.losses.softmax import MarginSoftmax, is_highest


@keras.utils.register_keras_serializable(package="keras_face")
class UnifiedNegatives(MarginSoftmax):
    """Margin softmax in which the similarities of impostor pairs stand beside the logits of the other identities.

    loss = log(exp(target logit) + sum_{j != label} exp(scale cosine_j) + sum over pairs exp(scale cosine_pair))
        - target logit.
    The pairs are all pairs of different identities in the global batch whose cosine is within the whiskers
    [Q1 - whisker IQR, Q3 + whisker IQR] of their box plot; two unknown people (labels < 0) make no pair, and an example
    of unknown identity has no further negatives. Quartiles are interpolated; the authors' code takes elements, and the
    pairs of one GPU.

    Args:
        num_identities: See `PrototypeHead`.
        margin: The target function, a `Margin`; the paper has ArcFace and CosFace.
        scale: Multiplies the cosines; without unit, > 0.
        whisker: Length of the whiskers in interquartile ranges, >= 0. Paper: 1.5 on faces.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Jung et al. 2022, Unified Negative Pair Generation, https://arxiv.org/abs/2203.11593, equations 6 to 9
    """

    def __init__(
        self,
        num_identities: int,
        margin: Margin,
        scale: float = 64.0,
        whisker: float = 1.5,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(
            num_identities,
            margin,
            scale,
            num_sequences=num_sequences,
            initializer=initializer,
            ignored_label=ignored_label,
            **layer_settings,
        )
        if not whisker >= 0:
            raise ValueError(f"whisker must be at least 0, got {whisker}")
        self.whisker = whisker

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> HeadOutput:
        compared = self.compare(embeddings, labels)
        own = compared.own
        target_logits = self.scale * tf.where(own.known, self.target(compared, training), compared.cosine)
        loss = self.cross_entropy(compared.logits, target_logits, own)
        log_sum = loss + target_logits
        loss += tf.where(own.known, tf.math.softplus(self._pairs(embeddings, labels) - log_sum), 0.0)
        return HeadOutput(self.counted(loss, own), compared.cosine, is_highest(compared.logits, labels))

    def _pairs(self, embeddings: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Returns log(sum over pairs exp(scale cosine)), float32 scalar, very low if there is no pair."""
        units, labels, _ = gather_batch(unit(embeddings), tf.convert_to_tensor(labels))
        cosines = tf.matmul(units, units, transpose_b=True)
        impostors = (labels[:, tf.newaxis] != labels) & ((labels[:, tf.newaxis] >= 0) | (labels >= 0))
        if self.ignored_label is not None:
            counts = labels != self.ignored_label
            impostors &= counts[:, tf.newaxis] & counts
        each_once = tf.linalg.band_part(tf.ones_like(cosines), 0, -1) > 0
        impostors &= each_once
        lowest, highest = self._whiskers(tf.stop_gradient(cosines), impostors)
        kept = impostors & (cosines >= lowest) & (cosines <= highest)
        return tf.reduce_logsumexp(tf.where(kept, self.scale * cosines, -1e9))

    def _whiskers(self, cosines: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the ends of the whiskers of the masked cosines."""
        ordered = tf.sort(tf.reshape(tf.where(mask, cosines, 2.0), [-1]))
        last = tf.maximum(tf.reduce_sum(tf.cast(mask, tf.float32)) - 1.0, 0.0)

        def quantile(share: float) -> tf.Tensor:
            place = share * last
            below = tf.cast(tf.floor(place), tf.int32)
            above = tf.cast(tf.math.ceil(place), tf.int32)
            return ordered[below] + (place - tf.floor(place)) * (ordered[above] - ordered[below])

        first, third = quantile(0.25), quantile(0.75)
        reach = self.whisker * (third - first)
        return first - reach, third + reach

    def get_config(self) -> dict[str, Any]:
        config = super().get_config() | {"whisker": self.whisker}
        for fixed in ("scaling", "focal_gamma", "sub_centres"):
            del config[fixed]
        return config
