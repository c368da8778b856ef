"""ElasticFace: margins that are drawn anew for every example."""

import math
from typing import Any

from keras_face import stateless
from keras_face.backend import keras, tf
from keras_face.losses.margins import widen
from keras_face.losses.replicas import gather, position
from keras_face.losses.softmax import Compared, CosineSoftmax
from keras_face.losses.state import add_state, count_call

_FORMS = ("arc", "cos")


@keras.utils.register_keras_serializable(package="keras_face")
class ElasticFace(CosineSoftmax):
    """ArcFace or CosFace whose margin, in training, is normal with a mean and a deviation.

    The margins are a function of the seed, the number of training calls and the place in the global batch, the same on
    one device and on many. When not training, every margin is the mean. Only known examples are ranked.

    Args:
        num_identities: See `PrototypeHead`.
        form: "arc": cos(angle + margin), with ArcFace's fallback beyond pi, where the authors' rises again: at angles
            above pi - margin, 151 degrees, alone. "cos": cosine - margin.
        margin: Mean; radians (arc; paper 0.5) or cosine (cos; paper 0.35).
        deviation: Standard deviation, in the same unit, >= 0. Paper: 0.05; ranked 0.0175 (arc) and 0.02 (cos).
        ranked: Gives the larger margins to the examples that are farther from their own prototype (the paper's "+").
            The authors' code sorts, but does not invert the permutation, so its margins are not ranked.
        scale: Multiplies the cosines; without unit, > 0.
        seed: Of the draws.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Boutros et al. 2022, ElasticFace, https://arxiv.org/abs/2109.09416, equations 4 to 6 and section 3.2
    """

    def __init__(
        self,
        num_identities: int,
        form: str = "arc",
        margin: float = 0.5,
        deviation: float = 0.05,
        ranked: bool = False,
        scale: float = 64.0,
        seed: int = 0,
        num_sequences: int = 0,
        initializer: str | float | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(num_identities, scale, num_sequences, initializer, ignored_label, **layer_settings)
        if form not in _FORMS:
            raise ValueError(f"form must be one of {_FORMS}, got {form!r}")
        largest = math.pi if form == "arc" else 1.0
        if not 0 <= margin < largest:
            raise ValueError(f"margin must be in [0, {largest:.4g}) for the form {form!r}, got {margin}")
        if not deviation >= 0:
            raise ValueError(f"deviation must be at least 0, got {deviation}")
        self.form = form
        self.margin = margin
        self.deviation = deviation
        self.ranked = ranked
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.calls = add_state(self, "calls", 0, "int64")

    def target(self, compared: Compared, training: bool) -> tf.Tensor:
        margins = self._draw(compared) if training else tf.fill(tf.shape(compared.cosine), self.margin)
        return widen(compared.cosine, margins) if self.form == "arc" else compared.cosine - margins

    def _draw(self, compared: Compared) -> tf.Tensor:
        everywhere = gather(tf.stop_gradient(compared.cosine))
        step = count_call(self.calls, training=True)
        margins = self.draws(step, tf.size(everywhere))
        if self.ranked:
            # Of the known examples, which come first, that with the k-th largest cosine gets the k-th smallest margin.
            known = gather(tf.cast(compared.own.known, tf.float32)) > 0
            rank = tf.argsort(tf.argsort(tf.where(known, everywhere, -2.0), direction="DESCENDING", stable=True))
            theirs = tf.range(tf.size(margins)) < tf.reduce_sum(tf.cast(known, tf.int32))
            margins = tf.gather(tf.sort(tf.where(theirs, margins, float("inf"))), rank)
            margins = tf.where(known, margins, self.margin)
        start = position(tf.size(compared.cosine))
        return margins[start : start + tf.size(compared.cosine)]

    def draws(self, step: int | tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
        """Returns the margins, float32 [count], of the training call with this number; the first is 0."""
        seed = tf.stack([tf.constant(self.seed, tf.int64), tf.cast(step, tf.int64)])
        return self.margin + self.deviation * stateless.normal(count, seed)

    def get_config(self) -> dict[str, Any]:
        settings = {
            "form": self.form,
            "margin": self.margin,
            "deviation": self.deviation,
            "ranked": self.ranked,
            "seed": self.seed,
        }
        return super().get_config() | settings
