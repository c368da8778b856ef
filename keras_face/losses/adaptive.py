"""Heads that follow statistics of the training: AdaCos, CurricularFace and AdaFace."""

import math
from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.fused import compiled, fused
from keras_face.losses.geometry import angle, sine
from keras_face.losses.margins import check_beyond_pi, widen
from keras_face.losses.prototypes import entries
from keras_face.losses.replicas import gather, sum_over_replicas
from keras_face.losses.softmax import Compared, CosineSoftmax
from keras_face.losses.state import add_state, check_share, moving_mean


def _log_sum_of_others(logits: tf.Tensor, scale: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """Returns log(sum_{j != row} exp(scale logit_j)) of each line, float32 [batch]."""
    removed = tf.fill(tf.shape(rows), -float("inf"))
    return tf.reduce_logsumexp(tf.tensor_scatter_nd_update(scale * logits, entries(rows), removed), axis=1)


@fused
def _hardened(logits: tf.Tensor, thresholds: tf.Tensor, curriculum: tf.Tensor, scale: float) -> tf.Tensor:
    """Returns logits = scale cosine with cosine (curriculum + cosine) in place of the cosines that are hard.

    Args:
        logits: float32 [batch, identities].
        thresholds: float32 [batch], above which logits are hard; a constant to the gradient.
        curriculum: float32 scalar, a constant to the gradient.
        scale: By keyword.

    Reference: Huang et al. 2020, CurricularFace, https://arxiv.org/abs/2004.00288, equation 6
    """
    hard = logits > thresholds[:, tf.newaxis]
    return tf.where(hard, logits * (tf.stop_gradient(curriculum) + logits / scale), logits)


@keras.utils.register_keras_serializable(package="keras_face")
class AdaCos(CosineSoftmax):
    """Normalised softmax without a margin, whose scale adapts to the angles of the training.

    In training, over the known examples of the global batch and before the loss is taken:
    scale <- log(mean_i sum_{j != label} exp(scale cosine_ij)) / cos(min(pi / 4, median angle to the own prototype)).
    Nothing in this keeps the scale above 0; with a handful of identities whose prototypes have met, it can fall below.

    Args:
        num_identities: See `PrototypeHead`; at least 3. The scale starts at sqrt(2) log(num_identities - 1).
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Zhang et al. 2019, AdaCos, https://arxiv.org/abs/1905.00292, equations 11 and 15
    """

    def __init__(
        self,
        num_identities: int,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        if num_identities < 3:
            raise ValueError(f"num_identities must be at least 3 for AdaCos, got {num_identities}")
        # The logits are then plain cosines; their scale is `moving_scale`.
        super().__init__(num_identities, 1.0, num_sequences, initializer, ignored_label, **layer_settings)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.moving_scale = add_state(self, "scale", math.sqrt(2.0) * math.log(self.num_identities - 1))

    def losses_of(self, compared: Compared, training: bool) -> tf.Tensor:
        scale = self.moving_scale + 0.0
        if training:
            scale = self._follow(compared, scale)
        return self.cross_entropy(scale * compared.logits, scale * compared.cosine, compared.own)

    def _follow(self, compared: Compared, scale: tf.Tensor) -> tf.Tensor:
        own = compared.own
        others = compiled(_log_sum_of_others)(tf.stop_gradient(compared.logits), tf.stop_gradient(scale), own.rows)
        known = gather(tf.cast(own.known, tf.float32)) > 0
        count = tf.reduce_sum(tf.cast(known, tf.int32))
        log_sums = tf.where(known, gather(others), -float("inf"))
        log_mean = tf.reduce_logsumexp(log_sums) - tf.math.log(tf.cast(tf.maximum(count, 1), tf.float32))
        # Of the sorted angles the first `count` are of known examples.
        angles = tf.sort(tf.where(known, gather(angle(tf.stop_gradient(compared.cosine))), 4.0))
        median = (angles[tf.maximum(count - 1, 0) // 2] + angles[tf.minimum(count // 2, tf.size(angles) - 1)]) / 2.0
        adapted = log_mean / tf.cos(tf.minimum(math.pi / 4, median))
        return moving_mean(self.moving_scale, adapted, 1.0, moves=count > 0)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["scale"]
        return config


@keras.utils.register_keras_serializable(package="keras_face")
class CurricularFace(CosineSoftmax):
    """ArcFace that weighs hard rivals more as training goes on.

    A rival with cosine_j > cos(angle + margin) counts as cosine_j (curriculum + cosine_j). In training, before the loss
    is taken, curriculum moves towards the mean cosine to the own prototype over the known examples of the global batch.

    Args:
        num_identities: See `PrototypeHead`.
        margin: Added to the angle; radians, [0, pi).
        scale: Multiplies the cosines; without unit, > 0.
        momentum: Share by which curriculum, which starts at 0, moves each step. The authors' code: 0.01, and the mean
            cosine, as here; their paper has 0.99, and the sum.
        beyond_pi: Of the target, see `ArcMargin`.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Huang et al. 2020, CurricularFace, https://arxiv.org/abs/2004.00288, equations 5 to 7 and 9
    """

    def __init__(
        self,
        num_identities: int,
        margin: float = 0.5,
        scale: float = 64.0,
        momentum: float = 0.01,
        beyond_pi: str = "cosine",
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, scale, num_sequences, initializer, ignored_label, **layer_settings)
        if not 0 <= margin < math.pi:
            raise ValueError(f"margin must be an angle in [0, pi) radians, got {margin}")
        self.margin = margin
        self.momentum = check_share("momentum", momentum)
        self.beyond_pi = check_beyond_pi(beyond_pi)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.curriculum = add_state(self, "curriculum", 0.0)

    def target(self, compared: Compared, training: bool) -> tf.Tensor:
        return widen(compared.cosine, self.margin, self.beyond_pi)

    def rivals(self, compared: Compared, training: bool) -> tf.Tensor:
        curriculum = self.curriculum + 0.0
        if training:
            known = tf.cast(compared.own.known, tf.float32)
            cosine = tf.stop_gradient(compared.cosine)
            total, count = tf.unstack(
                sum_over_replicas(tf.stack([tf.reduce_sum(known * cosine), tf.reduce_sum(known)]))
            )
            mean = tf.math.divide_no_nan(total, count)
            curriculum = moving_mean(self.curriculum, mean, self.momentum, moves=count > 0)
        thresholds = self.scale * widen(tf.stop_gradient(compared.cosine), self.margin, "none")
        thresholds = tf.where(compared.own.known, thresholds, float("inf"))
        return _hardened(compared.logits, thresholds, curriculum, scale=self.scale)

    def get_config(self) -> dict[str, Any]:
        settings = {"margin": self.margin, "momentum": self.momentum, "beyond_pi": self.beyond_pi}
        return super().get_config() | settings


@keras.utils.register_keras_serializable(package="keras_face")
class AdaFace(CosineSoftmax):
    """Margins that depend on the length of the embedding, which stands for the quality of the photo.

    quality = clip(concentration (length - mean) / (deviation + 0.001), -1, 1) and the target is
    cos(clip(angle - margin quality, 0, pi)) - margin (1 + quality). The lengths, clipped to [0.001, 100], are constants
    to the gradient. In training, before the loss is taken, mean and deviation (of the sample, unbiased) move towards
    those of the global batch, unknown identities too; one example alone has no deviation and moves none. The authors'
    code also keeps all cosines 0.001 away from -1 and 1; nothing needs it here.

    Args:
        num_identities: See `PrototypeHead`.
        margin: Of the angle in radians and of the cosine, [0, 1).
        concentration: The paper's h, > 0: quality reaches -1 and 1 at deviation / concentration from the mean.
        scale: Multiplies the cosines; without unit, > 0.
        momentum: Share by which mean (starts at 20) and deviation (at 100) move each step. Paper: 0.01 (t_alpha; the
            default of the authors' class is 1, their training script's is 0.01).
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Kim et al. 2022, AdaFace, https://arxiv.org/abs/2204.00964, equations 13 to 16
    """

    def __init__(
        self,
        num_identities: int,
        margin: float = 0.4,
        concentration: float = 0.333,
        scale: float = 64.0,
        momentum: float = 0.01,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, scale, num_sequences, initializer, ignored_label, **layer_settings)
        if not 0 <= margin < 1:
            raise ValueError(f"margin must be in [0, 1) radians and cosine, got {margin}")
        if not concentration > 0:
            raise ValueError(f"concentration must be above 0, got {concentration}")
        self.margin = margin
        self.concentration = concentration
        self.momentum = check_share("momentum", momentum)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.mean_length = add_state(self, "mean_length", 20.0)
        self.length_deviation = add_state(self, "length_deviation", 100.0)

    def target(self, compared: Compared, training: bool) -> tf.Tensor:
        lengths = tf.clip_by_value(tf.stop_gradient(compared.lengths), 1e-3, 100.0)
        mean, deviation = self.mean_length + 0.0, self.length_deviation + 0.0
        if training:
            ignored = compared.own.ignored
            counts = gather(tf.ones_like(lengths) if ignored is None else tf.cast(~ignored, tf.float32))
            everywhere, count = gather(lengths), tf.reduce_sum(counts)
            batch_mean = tf.math.divide_no_nan(tf.reduce_sum(counts * everywhere), count)
            squares = tf.reduce_sum(counts * tf.math.squared_difference(everywhere, batch_mean))
            batch_deviation = tf.sqrt(squares / tf.maximum(count - 1.0, 1.0))
            mean = moving_mean(self.mean_length, batch_mean, self.momentum, moves=count > 0)
            deviation = moving_mean(self.length_deviation, batch_deviation, self.momentum, moves=count > 1)
        quality = tf.clip_by_value(self.concentration * (lengths - mean) / (deviation + 1e-3), -1.0, 1.0)
        shift = -self.margin * quality
        shifted = compared.cosine * tf.cos(shift) - sine(compared.cosine) * tf.sin(shift)
        shifted_angle = tf.stop_gradient(angle(compared.cosine)) + shift
        clipped = tf.where(shifted_angle < 0.0, 1.0, tf.where(shifted_angle > math.pi, -1.0, shifted))
        return clipped - self.margin * (1.0 + quality)

    def get_config(self) -> dict[str, Any]:
        settings = {"margin": self.margin, "concentration": self.concentration, "momentum": self.momentum}
        return super().get_config() | settings
