"""Heads made of one binary problem per identity: SphereFace2 and UniFace."""

import math
from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.fused import fused
from keras_face.losses.geometry import dot, unit
from keras_face.losses.products import products
from keras_face.losses.prototypes import HeadOutput, OwnPrototypes, PrototypeHead, entries
from keras_face.losses.softmax import is_highest

# A logit whose softplus, and its derivative, are 0.
_NEVER = -1e30


def _softplus_of_others(logits: tf.Tensor, rows: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """Returns the sums of softplus(logit) over the identities that are not the own one, float32 [batch].

    Args:
        logits: float32 [batch, identities].
        rows: integer [batch], the own identities.
        known: bool [batch]; False: there is no own identity.
    """
    places = entries(rows)
    own = tf.where(known, _NEVER, tf.gather_nd(logits, places))
    return tf.reduce_sum(tf.math.softplus(tf.tensor_scatter_nd_update(logits, places, own)), axis=1)


class BinaryHead(PrototypeHead):
    """Base of the heads that ask of every identity whether the embedding is of it; they share one trained bias.

    loss = positive_weight softplus(-own logit) + negative_weight sum over the others softplus(logit). An example of
    unknown identity (label < 0) is a negative of all identities.
    """

    positive_weight: float
    negative_weight: float

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.bias = self.add_weight("bias", (), initializer=keras.initializers.Constant(self.initial_bias()))

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> HeadOutput:
        own = self.find(labels)
        units = unit(embeddings)
        cosines, own_prototypes = products(units, self.prototypes, own.rows, normalise=True, compute=self.compute)
        cosine = dot(units, own_prototypes)
        missed = tf.where(own.known, tf.math.softplus(-self.genuine_logits(cosine)), 0.0)
        impostor_loss = self.impostor_loss(cosines, own)
        loss = self.counted(self.positive_weight * missed + self.negative_weight * impostor_loss, own)
        return HeadOutput(loss, cosine, is_highest(cosines, labels))

    def initial_bias(self) -> float:
        """Returns what the bias starts from."""
        raise NotImplementedError

    def genuine_logits(self, cosine: tf.Tensor) -> tf.Tensor:
        """Returns the logits of cosines with the own prototypes."""
        raise NotImplementedError

    def impostor_loss(self, cosines: tf.Tensor, own: OwnPrototypes) -> tf.Tensor:
        """Returns the sums of softplus(logit) over the prototypes of others, float32 [batch]."""
        raise NotImplementedError


def _sphereface2_logits(cosine: tf.Tensor, bias: tf.Tensor, margin: float, scale: float, power: float) -> tf.Tensor:
    """Returns scale (2 ((cosine + 1) / 2)^power - 1 + margin) + bias; its gradient is that of scale cosine + bias."""

    def similarity(cosine: tf.Tensor) -> tf.Tensor:
        # Rounding may take a cosine below -1, of which a power may not exist.
        return 2.0 * tf.pow((tf.maximum(cosine, -1.0) + 1.0) / 2.0, power) - 1.0 + margin

    return scale * tf.grad_pass_through(similarity)(cosine) + bias


@fused
def _sphereface2_impostor_loss(
    cosines: tf.Tensor, bias: tf.Tensor, rows: tf.Tensor, known: tf.Tensor, **settings: float
) -> tf.Tensor:
    """Returns `_softplus_of_others` of `_sphereface2_logits`."""
    return _softplus_of_others(_sphereface2_logits(cosines, bias, **settings), rows, known)


@fused
def _uniface_impostor_loss(
    cosines: tf.Tensor, bias: tf.Tensor, rows: tf.Tensor, known: tf.Tensor, scale: float
) -> tf.Tensor:
    """Returns `_softplus_of_others` of the logits scale cosine - bias."""
    return _softplus_of_others(scale * cosines - bias, rows, known)


@keras.utils.register_keras_serializable(package="keras_face")
class SphereFace2(BinaryHead):
    """Binary logistic losses with a margin on both sides.

    g(cosine) = 2 ((cosine + 1) / 2)^power - 1; own logit scale (g - margin) + bias, other logits scale (g + margin) +
    bias, of which the gradient is taken as of scale cosine + bias (in the authors' code, opensphere); positives weigh
    loss_weight balance / scale and negatives loss_weight (1 - balance) / scale. The bias starts where, at all cosines
    0, positives and negatives pull equally.

    Args:
        num_identities: See `PrototypeHead`; at least 2.
        margin: Cosine units, [0, 1).
        scale: Without unit, > 0; the paper's r.
        power: The paper's t, >= 1.
        balance: Share of the weight that positives have, (0, 1); the paper's lambda, opensphere's alpha.
        loss_weight: > 0. opensphere: 50.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    The defaults are of opensphere's class; its recipe for MS1M has balance 0.8, scale 64, margin 0.5.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Wen et al. 2022, SphereFace2, https://arxiv.org/abs/2108.01513, equation 7; opensphere, sphereface2.py
    """

    def __init__(
        self,
        num_identities: int,
        margin: float = 0.4,
        scale: float = 40.0,
        power: float = 3.0,
        balance: float = 0.7,
        loss_weight: float = 50.0,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, num_sequences, initializer, ignored_label, **layer_settings)
        if num_identities < 2:
            raise ValueError(f"num_identities must be at least 2 for SphereFace2, got {num_identities}")
        if not 0 <= margin < 1:
            raise ValueError(f"margin must be a cosine in [0, 1), got {margin}")
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be above 0 and finite, got {scale}")
        if not power >= 1:
            raise ValueError(f"power must be at least 1, got {power}")
        if not 0 < balance < 1:
            raise ValueError(f"balance must be a share in (0, 1), got {balance}")
        if not loss_weight > 0:
            raise ValueError(f"loss_weight must be above 0, got {loss_weight}")
        self.margin = margin
        self.scale = float(scale)
        self.power = power
        self.balance = balance
        self.loss_weight = loss_weight
        self.positive_weight = loss_weight * balance / scale
        self.negative_weight = loss_weight * (1.0 - balance) / scale

    def initial_bias(self) -> float:
        # balance sigmoid(-(genuine + b)) = (1 - balance) (identities - 1) sigmoid(impostor + b), solved for b.
        ratio = self.balance / ((1.0 - self.balance) * (self.num_identities - 1))
        middle = 2.0 * 0.5**self.power - 1.0
        genuine, impostor = self.scale * (middle - self.margin), self.scale * (middle + self.margin)
        root = math.sqrt((1.0 - ratio) ** 2 + 4.0 * ratio * math.exp(genuine - impostor))
        if ratio <= 1:
            return math.log(2.0 * ratio) - impostor - math.log(1.0 - ratio + root)
        return math.log((ratio - 1.0 + root) / 2.0) - genuine

    def genuine_logits(self, cosine: tf.Tensor) -> tf.Tensor:
        return _sphereface2_logits(cosine, self.bias, -self.margin, self.scale, self.power)

    def impostor_loss(self, cosines: tf.Tensor, own: OwnPrototypes) -> tf.Tensor:
        settings = {"margin": self.margin, "scale": self.scale, "power": self.power}
        return _sphereface2_impostor_loss(cosines, tf.convert_to_tensor(self.bias), own.rows, own.known, **settings)

    def get_config(self) -> dict[str, Any]:
        settings = {
            "margin": self.margin,
            "scale": self.scale,
            "power": self.power,
            "balance": self.balance,
            "loss_weight": self.loss_weight,
        }
        return super().get_config() | settings


@keras.utils.register_keras_serializable(package="keras_face")
class UniFace(BinaryHead):
    """Unified cross-entropy: one threshold for all identities between genuine and impostor cosines.

    loss = softplus(-(scale (cosine_label - margin) - bias))
        + negative_weight sum_{j != label} softplus(scale cosine_j - bias).
    The bias is trained and starts at log(10 num_identities); bias / scale is the threshold. The authors clamp both
    exponents to +-scale, so that a genuine cosine below margin - 1 + bias / scale (-0.4 at the start) has no gradient
    there; here it has the formula's.

    Args:
        num_identities: See `PrototypeHead`.
        margin: Taken off the own cosine; cosine units, [0, 1).
        scale: Multiplies the cosines; without unit, > 0.
        negative_weight: Of the impostors, > 0; the paper's l.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Zhou et al. 2023, UniFace, ICCV (unified cross-entropy loss); CVI-SZU/UniFace, head.py
    """

    positive_weight = 1.0

    def __init__(
        self,
        num_identities: int,
        margin: float = 0.4,
        scale: float = 64.0,
        negative_weight: float = 1.0,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, num_sequences, initializer, ignored_label, **layer_settings)
        if not 0 <= margin < 1:
            raise ValueError(f"margin must be a cosine in [0, 1), got {margin}")
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be above 0 and finite, got {scale}")
        if not negative_weight > 0:
            raise ValueError(f"negative_weight must be above 0, got {negative_weight}")
        self.margin = margin
        self.scale = float(scale)
        self.negative_weight = negative_weight

    def initial_bias(self) -> float:
        return math.log(10.0 * self.num_identities)

    def genuine_logits(self, cosine: tf.Tensor) -> tf.Tensor:
        return self.scale * (cosine - self.margin) - self.bias

    def impostor_loss(self, cosines: tf.Tensor, own: OwnPrototypes) -> tf.Tensor:
        return _uniface_impostor_loss(cosines, tf.convert_to_tensor(self.bias), own.rows, own.known, scale=self.scale)

    def get_config(self) -> dict[str, Any]:
        settings = {"margin": self.margin, "scale": self.scale, "negative_weight": self.negative_weight}
        return super().get_config() | settings
