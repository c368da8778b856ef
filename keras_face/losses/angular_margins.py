"""Target functions of the angle: multiplied (SphereFace), combined, and straight or curved lines (Huya, li-ArcFace)."""

import math
from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.geometry import SMALLEST_SINE, angle, sine
from keras_face.losses.margins import Margin

LINEAR_INTERCEPT = math.cos(0.5)
LINEAR_SLOPE = (1.0 + 2.0 * math.cos(0.5)) / math.pi


def monotone_cosine(cosine: tf.Tensor, multiplier: float, margin: float) -> tf.Tensor:
    """Returns the cosine of multiplier * angle + margin, continued beyond pi so that it never rises.

    (-1)^k cos(x) - 2k for x in [k pi, (k + 1) pi]: SphereFace's psi. The derivative is exact, and at the cosines -1, 1
    and beyond that of the nearest float32 inside, as in `geometry.sine`.

    Args:
        cosine: float, any shape; rounding may take it beyond [-1, 1].
        multiplier: >= 1 in use.
        margin: radians, >= 0.
    """

    def psi(angles: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the value and minus its derivative by multiplier * angle + margin."""
        widened = multiplier * angles + margin
        # At the angle pi itself the piece before counts, so that rounding cannot open a new one.
        last = math.ceil(multiplier + margin / math.pi - 1e-6) - 1.0
        piece = tf.clip_by_value(tf.floor(widened / math.pi), 0.0, last)
        sign = 1.0 - 2.0 * tf.math.floormod(piece, 2.0)
        return sign * tf.cos(widened) - 2.0 * piece, sign * tf.sin(widened)

    @tf.custom_gradient
    def compute(cosine: tf.Tensor) -> tuple:
        angles = tf.atan2(sine(cosine), cosine)

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            inside = tf.clip_by_value(angles, SMALLEST_SINE, math.pi - SMALLEST_SINE)
            return upstream * multiplier * psi(inside)[1] / tf.sin(inside)

        return psi(angles)[0], gradient

    return compute(cosine)


@keras.utils.register_keras_serializable(package="keras_face")
class MultipliedMargin(Margin):
    """Multiplies the target angle (SphereFace's psi): (-1)^k cos(m angle) - 2k, angle in [k pi / m, (k + 1) pi / m].

    Args:
        multiplier: Of the angle, m; without unit, >= 1, need not be whole. A-Softmax, L-Softmax: 4; SphereFace-R: 1.7.
        gradient: "exact" or "detached", see `Margin`; or, in an `AnnealedSoftmax` with scaling "norm" only, "caffe",
            the backward pass of SphereFace's own layer, which has multipliers 1, 2, 3 and 4.

    Returns: float32 [batch]; strictly increasing in the cosine.
    Raises: ValueError if a setting is out of range.
    Reference: Liu et al. 2017, SphereFace, https://arxiv.org/abs/1704.08063, equation 7
    """

    gradients = ("exact", "detached", "caffe")

    def __init__(self, multiplier: float = 4.0, gradient: str = "exact"):
        super().__init__(gradient)
        if not multiplier >= 1:
            raise ValueError(f"multiplier must be at least 1, got {multiplier}")
        if gradient == "caffe" and multiplier not in (1, 2, 3, 4):
            raise ValueError(f'multiplier must be 1, 2, 3 or 4 with gradient "caffe", got {multiplier}')
        self.multiplier = multiplier

    def target(self, cosine: tf.Tensor) -> tf.Tensor:
        return monotone_cosine(cosine, self.multiplier, 0.0)

    def tangent(self, cosine: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns slope and intercept, both [batch], of the tangent at each cosine; of multipliers 1, 2, 3 and 4 only.

        For a whole multiplier m psi is (-1)^k T_m(cosine) - 2k, T_m being Chebyshev's polynomial, so nothing is divided
        by a sine. Both are continuous where one piece meets the next.

        Args:
            cosine: float [batch]; rounding may take it beyond [-1, 1].
        """
        multiplier = int(self.multiplier)
        piece = tf.zeros_like(cosine)
        for k in range(1, multiplier):
            piece += tf.cast(cosine < math.cos(k * math.pi / multiplier), cosine.dtype)
        sign = 1.0 - 2.0 * tf.math.floormod(piece, 2.0)
        square = tf.square(cosine)
        # T_m' and T_m - cosine T_m'.
        slope, intercept = {
            1: lambda: (tf.ones_like(cosine), tf.zeros_like(cosine)),
            2: lambda: (4.0 * cosine, -2.0 * square - 1.0),
            3: lambda: (12.0 * square - 3.0, -8.0 * cosine * square),
            4: lambda: (16.0 * cosine * (2.0 * square - 1.0), 8.0 * square * (1.0 - 3.0 * square) + 1.0),
        }[multiplier]()
        return sign * slope, sign * intercept - 2.0 * piece

    def get_config(self) -> dict[str, Any]:
        return {"multiplier": self.multiplier} | super().get_config()


@keras.utils.register_keras_serializable(package="keras_face")
class CombinedMargin(Margin):
    """All three margins of InsightFace at once: cos(multiplier * angle + angle_margin) - cosine_margin.

    All three count in every combination. Beyond pi the cosine is continued without rising again, as SphereFace's psi;
    with a multiplier of 1 that is ArcFace's reflected branch.

    Args:
        multiplier: m1, of the angle; without unit, >= 1.
        angle_margin: m2, added to the angle; radians, [0, pi).
        cosine_margin: m3, taken off the cosine; [0, 1).
        easy: Applies the margins only where the angle is below pi / 2, and leaves the cosine elsewhere.
        gradient: "exact" or "detached", see `Margin`.

    The defaults 1, 0.3, 0.2 are InsightFace's "combined" setting.

    Returns: float32 [batch].
    Raises: ValueError if a setting is out of range.
    Reference: Deng et al. 2019, ArcFace, https://arxiv.org/abs/1801.07698, equation 4
    """

    def __init__(
        self,
        multiplier: float = 1.0,
        angle_margin: float = 0.3,
        cosine_margin: float = 0.2,
        easy: bool = False,
        gradient: str = "exact",
    ):
        super().__init__(gradient)
        if not multiplier >= 1:
            raise ValueError(f"multiplier must be at least 1, got {multiplier}")
        if not 0 <= angle_margin < math.pi:
            raise ValueError(f"angle_margin must be an angle in [0, pi) radians, got {angle_margin}")
        if not 0 <= cosine_margin < 1:
            raise ValueError(f"cosine_margin must be a cosine in [0, 1), got {cosine_margin}")
        self.multiplier = multiplier
        self.angle_margin = angle_margin
        self.cosine_margin = cosine_margin
        self.easy = easy

    def target(self, cosine: tf.Tensor) -> tf.Tensor:
        margined = monotone_cosine(cosine, self.multiplier, self.angle_margin) - self.cosine_margin
        return tf.where(cosine > 0.0, margined, cosine) if self.easy else margined

    def get_config(self) -> dict[str, Any]:
        settings = {
            "multiplier": self.multiplier,
            "angle_margin": self.angle_margin,
            "cosine_margin": self.cosine_margin,
            "easy": self.easy,
        }
        return settings | super().get_config()


@keras.utils.register_keras_serializable(package="keras_face")
class LinearMargin(Margin):
    """A straight line in the target angle: intercept - slope * angle.

    The default is Huya's linear phi, which meets cos(0.5) at angle 0 and -1 - cos(0.5) at pi. Others by their
    (intercept, slope): Huya's smooth (0.6, 0.7) and large (0.5, 0.877), her phi_large_linear (cos(pi / 4), 0.877), and
    li-ArcFace of margin m, (pi - 2 (angle + m)) / pi, (1 - 2 m / pi, 2 / pi) with m = 0.45.

    Args:
        intercept: Value at angle 0.
        slope: Fall per radian, > 0.
        gradient: "exact" or "detached", see `Margin`.

    Returns: float32 [batch]; strictly increasing in the cosine.
    Raises: ValueError if a setting is out of range.
    Reference: HuyaInc/huya_face, parall_module_local.py (`nd_phi_linear`); Li et al. 2019, AirFace,
        https://arxiv.org/abs/1907.12256
    """

    def __init__(self, intercept: float = LINEAR_INTERCEPT, slope: float = LINEAR_SLOPE, gradient: str = "exact"):
        super().__init__(gradient)
        if not slope > 0:
            raise ValueError(f"slope must be above 0 per radian, got {slope}")
        self.intercept = intercept
        self.slope = slope

    def target(self, cosine: tf.Tensor) -> tf.Tensor:
        return self.intercept - self.slope * angle(cosine)

    def get_config(self) -> dict[str, Any]:
        return {"intercept": self.intercept, "slope": self.slope} | super().get_config()


@keras.utils.register_keras_serializable(package="keras_face")
class SineMargin(Margin):
    """Falls with the sine of half the target angle: 1 - factor * sin(angle / 2), Huya's `phi_theta_fun`.

    Args:
        factor: Without unit, > 0; Huya: 3.
        gradient: "exact" or "detached", see `Margin`.

    Returns: float32 [batch]; strictly increasing in the cosine.
    Raises: ValueError if factor is out of range.
    Reference: HuyaInc/huya_face, face_symbol_factory.py
    """

    def __init__(self, factor: float = 3.0, gradient: str = "exact"):
        super().__init__(gradient)
        if not factor > 0:
            raise ValueError(f"factor must be above 0, got {factor}")
        self.factor = factor

    def target(self, cosine: tf.Tensor) -> tf.Tensor:
        return 1.0 - self.factor * tf.sin(0.5 * angle(cosine))

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor} | super().get_config()


@keras.utils.register_keras_serializable(package="keras_face")
class LogarithmMargin(Margin):
    """Falls with the logarithm of the target angle: 1 - log(angle + 1), of Huya's loss_view notebook.

    It lies above the cosine for more than half of [0, pi], so it is no penalty there.

    Args:
        gradient: "exact" or "detached", see `Margin`.

    Returns: float32 [batch]; strictly increasing in the cosine.
    Reference: HuyaInc/huya_face, loss_view.ipynb
    """

    def target(self, cosine: tf.Tensor) -> tf.Tensor:
        return 1.0 - tf.math.log1p(angle(cosine))
