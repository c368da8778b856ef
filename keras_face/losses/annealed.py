"""A margin that is mixed in gradually: SphereFace's A-Softmax and its parent, L-Softmax."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.margins import Margin
from keras_face.losses.softmax import Compared, MarginSoftmax
from keras_face.losses.state import add_state, count_call

_LAMBDAS = ("lambda_base", "lambda_gamma", "lambda_power", "lambda_min")


@keras.utils.register_keras_serializable(package="keras_face")
class AnnealedSoftmax(MarginSoftmax):
    """Margin softmax whose target is (lambda cosine + margin(cosine)) / (1 + lambda), with a lambda that falls.

    lambda = max(lambda_min, lambda_base * (1 + lambda_gamma * step)^-lambda_power); the first optimizer step is 1. The
    step is state of the layer: it is saved, and training goes on from it (in the original it starts again).
    The gradient is that of the formula; the original's layer normalises its part of the margin for the embedding and
    has none for the prototypes, and its authors say that the true one may want other lambdas.

    Args:
        num_identities: See `PrototypeHead`.
        margin: The target function, a `Margin`; for SphereFace and L-Softmax a `MultipliedMargin`.
        scale: See `MarginSoftmax`.
        scaling: See `MarginSoftmax`; SphereFace: "norm"; L-Softmax: "inner_product".
        lambda_base: >= 0; 0, with lambda_min 0: the margin alone from the start. SphereFace: 1000.
        lambda_gamma: >= 0. SphereFace: 0.12.
        lambda_power: >= 0. SphereFace: 1.
        lambda_min: >= 0. SphereFace: 5, reached at step 1659. L-Softmax: 0 on MNIST, 5 to 10 on hard data.
        accumulation_steps: Training calls that make one optimizer step.
        focal_gamma: See `MarginSoftmax`.
        num_sequences: See `PrototypeHead`.
        initializer: See `PrototypeHead`.
        ignored_label: See `PrototypeHead`.

    Call arguments, returns, raises: see `PrototypeHead`.
    Reference: Liu et al. 2017, SphereFace, https://arxiv.org/abs/1704.08063, appendix on annealing; wy1iu/sphereface,
        margin_inner_product_layer.cpp; Liu et al. 2016, L-Softmax, https://arxiv.org/abs/1612.02295
    """

    def __init__(
        self,
        num_identities: int,
        margin: Margin,
        scale: float = 1.0,
        scaling: str = "norm",
        lambda_base: float = 1000.0,
        lambda_gamma: float = 0.12,
        lambda_power: float = 1.0,
        lambda_min: float = 5.0,
        accumulation_steps: int = 1,
        focal_gamma: float = 0.0,
        num_sequences: int = 0,
        initializer: str | keras.initializers.Initializer | None = None,
        ignored_label: int | None = None,
        **layer_settings: Any,
    ):
        super().__init__(
            num_identities,
            margin,
            scale,
            scaling,
            focal_gamma,
            num_sequences=num_sequences,
            initializer=initializer,
            ignored_label=ignored_label,
            **layer_settings,
        )
        self.lambda_base = lambda_base
        self.lambda_gamma = lambda_gamma
        self.lambda_power = lambda_power
        self.lambda_min = lambda_min
        for name in _LAMBDAS:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")
        if accumulation_steps < 1:
            raise ValueError(f"accumulation_steps must be at least 1, got {accumulation_steps}")
        self.accumulation_steps = accumulation_steps

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.calls = add_state(self, "calls", 0, "int64")

    def target(self, compared: Compared, training: bool) -> tf.Tensor:
        mixed = self.mixture(count_call(self.calls, training) // self.accumulation_steps + 1)
        return (mixed * compared.cosine + self.margin(compared.cosine)) / (1.0 + mixed)

    def mixture(self, step: int | tf.Tensor) -> tf.Tensor:
        """Returns lambda, float32, at an optimizer step; the first is 1."""
        falling = tf.pow(1.0 + self.lambda_gamma * tf.cast(step, tf.float32), -self.lambda_power)
        return tf.maximum(self.lambda_min, self.lambda_base * falling)

    def get_config(self) -> dict[str, Any]:
        config = (
            super().get_config()
            | {name: getattr(self, name) for name in _LAMBDAS}
            | {"accumulation_steps": self.accumulation_steps}
        )
        del config["sub_centres"]
        return config
