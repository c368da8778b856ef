"""Target functions: from the cosine of an embedding with its own prototype to the one it is trained with."""

import math
from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.geometry import sine

_GRADIENTS = ("exact", "detached")
_BEYOND_PI = ("cosine", "reflect", "none")


class Margin:
    """Base of all margins; a subclass defines `target` and adds its settings to `get_config`.

    Args:
        gradient: "exact" is the derivative of the formula, as in the papers. "detached" keeps the margined value but
            takes the derivative of the plain cosine, 1; InsightFace's arcface_torch trains with it.

    Call arguments:
        cosine: Any floating type, [batch]; rounding may take it beyond [-1, 1].

    Returns: float32 [batch]; value and derivative are finite for every cosine.
    Raises: ValueError if a setting is out of range.
    Reference: for "detached", Liu et al. 2022, SphereFace Revived, https://arxiv.org/abs/2109.05565
    """

    def __init__(self, gradient: str = "exact"):
        if gradient not in _GRADIENTS:
            raise ValueError(f"gradient must be one of {_GRADIENTS}, got {gradient!r}")
        self.gradient = gradient

    def target(self, cosine: tf.Tensor) -> tf.Tensor:
        """Returns the margined cosine of a float32 cosine, differentiable."""
        raise NotImplementedError

    def __call__(self, cosine: tf.Tensor) -> tf.Tensor:
        cosine = tf.cast(cosine, tf.float32)
        if self.gradient == "detached":
            return tf.grad_pass_through(self.target)(cosine)
        return self.target(cosine)

    def get_config(self) -> dict[str, Any]:
        return {"gradient": self.gradient}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Margin":
        return cls(**config)


@keras.utils.register_keras_serializable(package="keras_face")
class NoMargin(Margin):
    """Leaves the cosine as it is (normalised softmax, NormFace).

    Reference: Wang et al. 2017, NormFace, https://arxiv.org/abs/1704.06369
    """

    def __init__(self):
        super().__init__()

    def target(self, cosine: tf.Tensor) -> tf.Tensor:
        return cosine

    def get_config(self) -> dict[str, Any]:
        return {}


@keras.utils.register_keras_serializable(package="keras_face")
class CosineMargin(Margin):
    """Lowers the target cosine by a constant (CosFace, AM-Softmax): cosine - margin.

    Its derivative is that of the plain cosine, so there is no choice of gradient.

    Args:
        margin: Taken off the target cosine; cosine units, [0, 1). Paper: 0.35.

    Returns: float32 [batch]; strictly increasing in the cosine.
    Raises: ValueError if margin is out of range.
    Reference: Wang et al. 2018, CosFace, https://arxiv.org/abs/1801.09414, equation 4
    """

    def __init__(self, margin: float = 0.35):
        super().__init__()
        if not 0 <= margin < 1:
            raise ValueError(f"margin must be a cosine in [0, 1), got {margin}")
        self.margin = margin

    def target(self, cosine: tf.Tensor) -> tf.Tensor:
        return cosine - self.margin

    def get_config(self) -> dict[str, Any]:
        return {"margin": self.margin}


@keras.utils.register_keras_serializable(package="keras_face")
class ArcMargin(Margin):
    """Widens the target angle by a constant (ArcFace): cos(angle + margin).

    The derivative with respect to the cosine is sin(angle + margin) / sin(angle), which grows without limit towards
    the cosines -1 and 1; it is clamped only at these two, see `keras_face.losses.geometry.sine`.

    Args:
        margin: Added to the angle; radians, [0, pi). Paper: 0.5; InsightFace's authors advise 0.3 on VGGFace2.
        beyond_pi: The value where angle + margin > pi, where cos(angle + margin) would rise again:
            "cosine": cosine - margin * sin(margin), as in InsightFace and margin-centre-face; has a step at the change.
            "reflect": -2 - cos(angle + margin), as in Keras_insightface; continuous and decreasing in the angle.
            "none": cos(angle + margin) everywhere.
        easy: Applies the margin only where the angle is below pi / 2, and leaves the cosine elsewhere
            (InsightFace's easy margin). With a margin of at most pi / 2, `beyond_pi` then never comes into play.
        gradient: "exact" or "detached", see `Margin`.

    Returns: float32 [batch].
    Raises: ValueError if a setting is out of range.
    Reference: Deng et al. 2019, ArcFace, https://arxiv.org/abs/1801.07698, equation 3
    """

    def __init__(self, margin: float = 0.5, beyond_pi: str = "cosine", easy: bool = False, gradient: str = "exact"):
        super().__init__(gradient)
        if not 0 <= margin < math.pi:
            raise ValueError(f"margin must be an angle in [0, pi) radians, got {margin}")
        if beyond_pi not in _BEYOND_PI:
            raise ValueError(f"beyond_pi must be one of {_BEYOND_PI}, got {beyond_pi!r}")
        self.margin = margin
        self.beyond_pi = beyond_pi
        self.easy = easy

    def target(self, cosine: tf.Tensor) -> tf.Tensor:
        widened = cosine * math.cos(self.margin) - sine(cosine) * math.sin(self.margin)
        margined = widened
        within_pi = cosine > -math.cos(self.margin)  # cos(pi - margin)
        if self.beyond_pi == "cosine":
            margined = tf.where(within_pi, widened, cosine - self.margin * math.sin(self.margin))
        elif self.beyond_pi == "reflect":
            margined = tf.where(within_pi, widened, -2.0 - widened)
        return tf.where(cosine > 0.0, margined, cosine) if self.easy else margined

    def get_config(self) -> dict[str, Any]:
        settings = {"margin": self.margin, "beyond_pi": self.beyond_pi, "easy": self.easy}
        return settings | super().get_config()
