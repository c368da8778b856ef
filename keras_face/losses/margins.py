"""Target functions: from the cosine of an embedding with its own prototype to the one it is trained with."""

import math
from typing import Any, NamedTuple

import numpy as np

from keras_face.backend import keras, tf
from keras_face.losses.geometry import sine

_BEYOND_PI = ("cosine", "reflect", "none")


class Principles(NamedTuple):
    """What holds for a target function on a grid over [0, pi]; gaps are cosine - target.

    Attributes:
        decreasing: Whether it falls strictly as the angle grows (Huya's first principle).
        penalises: Whether it is never above the cosine (Huya's second principle: margin probability penalty).
        smallest_gap: Smallest gap.
        largest_gap: Largest gap.
        share_above: Share of [0, pi] where it is above the cosine.
    """

    decreasing: bool
    penalises: bool
    smallest_gap: float
    largest_gap: float
    share_above: float


class Margin:
    """Base of all margins; a subclass defines `target` and adds its settings to `get_config`.

    `target` chooses by `tf.where`: Python's `if` on a tensor is not translated in it.

    Args:
        gradient: "exact" is the derivative of the formula, as in the papers. "detached" keeps the margined value but
            takes the derivative of the plain cosine, 1; InsightFace's arcface_torch trains with it.

    Attributes:
        gradients: What `gradient` may be.

    Call arguments:
        cosine: Any floating type, [batch]; rounding may take it beyond [-1, 1].

    Returns: float32 [batch]; value and derivative are finite for every cosine.
    Raises: ValueError if a setting is out of range.
    Reference: for "detached", Liu et al. 2022, SphereFace Revived, https://arxiv.org/abs/2109.05565
    """

    gradients: tuple[str, ...] = ("exact", "detached")

    def __init__(self, gradient: str = "exact"):
        if gradient not in self.gradients:
            raise ValueError(f"gradient must be one of {self.gradients}, got {gradient!r}")
        self.gradient = gradient

    def target(self, cosine: tf.Tensor) -> tf.Tensor:
        """Returns the margined cosine of a float32 or float64 cosine, differentiable."""
        raise NotImplementedError

    def curve(self, angles: np.ndarray) -> np.ndarray:
        """Returns the margined cosines, float64, of angles in [0, pi] radians."""
        return self.target(tf.constant(np.cos(angles), tf.float64)).numpy()

    def principles(self, points: int = 100_001) -> Principles:
        """Returns which of Huya's two principles hold, on as many evenly spaced angles of [0, pi].

        That the principles mean these two tests is our reading of
        https://arxiv.org/abs/2006.04518, of which only the abstract and the code were at hand.
        """
        angles = np.linspace(0.0, math.pi, points)
        targets = self.curve(angles)
        gaps = np.cos(angles) - targets
        above = gaps < -1e-9  # rounding
        return Principles(
            bool((np.diff(targets) < 0).all()),
            not above.any(),
            float(gaps.min()),
            float(gaps.max()),
            float(above.mean()),
        )

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


def widen(cosine: tf.Tensor, margin: float | tf.Tensor, beyond_pi: str = "cosine", easy: bool = False) -> tf.Tensor:
    """Returns cos(angle + margin), as `ArcMargin` describes.

    Args:
        cosine: float [batch].
        margin: radians; one, or one for each cosine, and then differentiable.
        beyond_pi: See `ArcMargin`.
        easy: See `ArcMargin`.
    """
    margin = tf.convert_to_tensor(margin, cosine.dtype)
    cosine_of_margin, sine_of_margin = tf.cos(margin), tf.sin(margin)
    widened = cosine * cosine_of_margin - sine(cosine) * sine_of_margin
    margined = widened
    within_pi = cosine > -cosine_of_margin  # cos(pi - margin)
    if beyond_pi == "cosine":
        margined = tf.where(within_pi, widened, cosine - margin * sine_of_margin)
    elif beyond_pi == "reflect":
        margined = tf.where(within_pi, widened, -2.0 - widened)
    return tf.where(cosine > 0.0, margined, cosine) if easy else margined


def check_beyond_pi(beyond_pi: str) -> str:
    """Returns the setting `beyond_pi` of `ArcMargin` if it is one, else raises ValueError."""
    if beyond_pi not in _BEYOND_PI:
        raise ValueError(f"beyond_pi must be one of {_BEYOND_PI}, got {beyond_pi!r}")
    return beyond_pi


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
            "none": cos(angle + margin) everywhere, as arcface_torch has it with the gradient "detached".
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
        self.margin = margin
        self.beyond_pi = check_beyond_pi(beyond_pi)
        self.easy = easy

    def target(self, cosine: tf.Tensor) -> tf.Tensor:
        return widen(cosine, self.margin, self.beyond_pi, self.easy)

    def get_config(self) -> dict[str, Any]:
        settings = {"margin": self.margin, "beyond_pi": self.beyond_pi, "easy": self.easy}
        return settings | super().get_config()
