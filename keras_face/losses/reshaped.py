"""Heads that reshape all cosines, not only the own one: AirFace and the class-level circle loss."""

import math
from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.fused import fused
from keras_face.losses.geometry import angle, polynomial_angle
from keras_face.losses.softmax import Compared, CosineSoftmax


@fused
def _linear_in_angle(logits: tf.Tensor, scale: float) -> tf.Tensor:
    """Returns scale (1 - 2 angle / pi) of the angles of logits = scale cosine, float32 of their shape.

    Reference: Li et al. 2019, AirFace, https://arxiv.org/abs/1907.12256, equation 4
    """
    return scale - 2.0 * scale / math.pi * polynomial_angle(logits / scale)


@fused
def _circled(logits: tf.Tensor, scale: float, margin: float) -> tf.Tensor:
    """Returns scale max(0, cosine + margin) (cosine - margin) of logits = scale cosine, float32 of their shape.

    Reference: Sun et al. 2020, Circle loss, https://arxiv.org/abs/2002.10857, equation 8
    """
    cosine = logits / scale
    return scale * tf.nn.relu(tf.stop_gradient(cosine) + margin) * (cosine - margin)


@keras.utils.register_keras_serializable(package="keras_face")
class AirFace(CosineSoftmax):
    """Cross-entropy of values that are linear in the angle: 1 - 2 angle / pi, the own angle widened by a margin.

    For a label < 0 all values are without a margin and the target is uniform. `li_arcface` has the same target beside
    plain cosines.

    Args:
        num_identities: See `PrototypeHead`.
        margin: Added to the own angle; radians, [0, pi). Paper: 0.45.
        scale: Multiplies the values; without unit, > 0. Paper: 64.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Li et al. 2019, AirFace, https://arxiv.org/abs/1907.12256, equation 4
    """

    def __init__(
        self,
        num_identities: int,
        margin: float = 0.45,
        scale: float = 64.0,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, scale, num_sequences, initializer, ignored_label, **layer_settings)
        if not 0 <= margin < math.pi:
            raise ValueError(f"margin must be an angle in [0, pi) radians, got {margin}")
        self.margin = margin

    def losses_of(self, compared: Compared, training: bool) -> tf.Tensor:
        margins = tf.where(compared.own.known, self.margin, 0.0)
        target = self.scale - 2.0 * self.scale / math.pi * (angle(compared.cosine) + margins)
        return self.cross_entropy(_linear_in_angle(compared.logits, scale=self.scale), target, compared.own)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"margin": self.margin}


@keras.utils.register_keras_serializable(package="keras_face")
class ClassCircle(CosineSoftmax):
    """Circle loss with class labels: every cosine is weighed by how far it is from where it should be.

    own logit = scale max(0, 1 + margin - cosine) (cosine - (1 - margin)),
    other logits = scale max(0, cosine_j + margin) (cosine_j - margin); the factors max(0, ...) are constants to the
    gradient. For a label < 0 all logits are of the second form and the target is uniform.

    Args:
        num_identities: See `PrototypeHead`.
        margin: Relaxation; cosine units, (0, 1). Paper: 0.25.
        scale: gamma, without unit, > 0. Paper: 256.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Sun et al. 2020, Circle loss, https://arxiv.org/abs/2002.10857, equations 4 to 8
    """

    def __init__(
        self,
        num_identities: int,
        margin: float = 0.25,
        scale: float = 256.0,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, scale, num_sequences, initializer, ignored_label, **layer_settings)
        if not 0 < margin < 1:
            raise ValueError(f"margin must be a cosine in (0, 1), got {margin}")
        self.margin = margin

    def losses_of(self, compared: Compared, training: bool) -> tf.Tensor:
        cosine = compared.cosine
        genuine = tf.nn.relu(1.0 + self.margin - tf.stop_gradient(cosine)) * (cosine - (1.0 - self.margin))
        settings = {"scale": self.scale, "margin": self.margin}
        impostor = _circled(self.scale * cosine, **settings)
        target = tf.where(compared.own.known, self.scale * genuine, impostor)
        return self.cross_entropy(_circled(compared.logits, **settings), target, compared.own)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"margin": self.margin}
