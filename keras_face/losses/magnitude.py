"""MagFace: the length of an embedding learns to say how good the photo is."""

import math
from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.margins import widen
from keras_face.losses.softmax import Compared, CosineSoftmax


@keras.utils.register_keras_serializable(package="keras_face")
class MagFace(CosineSoftmax):
    """ArcFace whose margin grows with the length of the embedding, and a term that asks for long embeddings.

    With a = clip(length, lower_length, upper_length), the margin is linear in a, from lower_margin to upper_margin, and
    loss = cross-entropy + length_weight (a / upper_length^2 + 1 / a). Both depend on the length for the gradient too,
    which is 0 where it is clipped. An example of unknown identity (label < 0) has the length term as well.

    Args:
        num_identities: See `PrototypeHead`.
        lower_length: Length with the smallest margin, > 0.
        upper_length: Length with the largest margin.
        lower_margin: Smallest margin; radians.
        upper_margin: Largest margin; radians.
        length_weight: Weight of the length term; the paper's lambda_g, for which it gives a lower bound, 22.59 here.
        easy: As in `ArcMargin`; the authors' scripts train with it.
        scale: Multiplies the cosines; without unit, > 0.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Meng et al. 2021, MagFace, https://arxiv.org/abs/2103.06627, equation 2 and section 4
    """

    def __init__(
        self,
        num_identities: int,
        lower_length: float = 10.0,
        upper_length: float = 110.0,
        lower_margin: float = 0.45,
        upper_margin: float = 0.8,
        length_weight: float = 35.0,
        easy: bool = True,
        scale: float = 64.0,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, scale, num_sequences, initializer, ignored_label, **layer_settings)
        if not 0 < lower_length < upper_length:
            raise ValueError(
                f"lengths must be 0 < lower_length < upper_length, got lower_length {lower_length} and "
                f"upper_length {upper_length}"
            )
        if not 0 <= lower_margin <= upper_margin < math.pi:
            raise ValueError(
                f"margins must be angles with 0 <= lower_margin <= upper_margin < pi radians, got lower_margin "
                f"{lower_margin} and upper_margin {upper_margin}"
            )
        if not length_weight >= 0:
            raise ValueError(f"length_weight must be at least 0, got {length_weight}")
        self.lower_length = lower_length
        self.upper_length = upper_length
        self.lower_margin = lower_margin
        self.upper_margin = upper_margin
        self.length_weight = length_weight
        self.easy = easy

    def losses_of(self, compared: Compared, training: bool) -> tf.Tensor:
        clipped = self._clipped(compared)
        terms = clipped / self.upper_length**2 + 1.0 / clipped
        return super().losses_of(compared, training) + self.length_weight * terms

    def target(self, compared: Compared, training: bool) -> tf.Tensor:
        growth = (self.upper_margin - self.lower_margin) / (self.upper_length - self.lower_length)
        margins = self.lower_margin + growth * (self._clipped(compared) - self.lower_length)
        return widen(compared.cosine, margins, "cosine", self.easy)

    def _clipped(self, compared: Compared) -> tf.Tensor:
        return tf.clip_by_value(compared.lengths, self.lower_length, self.upper_length)

    def get_config(self) -> dict[str, Any]:
        settings = {
            "lower_length": self.lower_length,
            "upper_length": self.upper_length,
            "lower_margin": self.lower_margin,
            "upper_margin": self.upper_margin,
            "length_weight": self.length_weight,
            "easy": self.easy,
        }
        return super().get_config() | settings
