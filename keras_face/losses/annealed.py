"""A margin that is mixed in gradually: SphereFace's A-Softmax and its parent, L-Softmax."""

from typing import Any

from keras_face.backend import keras, tf
from keras_face.losses.angular_margins import MultipliedMargin
from keras_face.losses.geometry import dot, length
from keras_face.losses.margins import Margin
from keras_face.losses.products import products
from keras_face.losses.prototypes import HeadOutput
from keras_face.losses.softmax import Compared, MarginSoftmax, is_highest
from keras_face.losses.state import add_state, count_call

_LAMBDAS = ("lambda_base", "lambda_gamma", "lambda_power", "lambda_min")


def margin_products(
    margin: MultipliedMargin, vectors: tf.Tensor, own_prototypes: tf.Tensor, own_products: tf.Tensor
) -> tf.Tensor:
    """Returns |x| margin(cosine), float32 [batch], with the gradient that SphereFace's layer gives it.

    To a vector x, with its own prototype w of unit length and upstream gradient g, goes
        g (c_w w + c_x x) / sqrt(c_w^2 + c_x^2), where c_w = margin'(c) and c_x = (margin(c) - c margin'(c)) / |x|.
    c_w w + c_x x is the true gradient; it would be of unit length if x were one and at a right angle to w, but x is not
    normalised, so the length is between 0 (x = 0) and about |x| (where margin'(c) = 0). To the prototypes goes what the
    product without a margin sends there.

    Args:
        margin: Of multiplier 1, 2, 3 or 4.
        vectors: float32 [batch, size], x, not normalised.
        own_prototypes: float32 [batch, size], w; a constant to the gradient.
        own_products: float32 [batch], x . w; upstream gradients go on to these.
    """
    if margin.multiplier == 1:
        return own_products

    @tf.custom_gradient
    def compute(vectors: tf.Tensor, own_products: tf.Tensor) -> tuple:
        lengths = length(vectors)
        cosine = tf.math.divide_no_nan(own_products, lengths)

        def gradient(upstream: tf.Tensor) -> tuple:
            slope, intercept = margin.tangent(cosine)
            # Both coefficients times |x|, so that x = 0 divides nothing; then by the larger one, so that no square of
            # a huge one overflows. They are never 0 together.
            by_prototype = lengths * slope
            largest = tf.maximum(tf.abs(by_prototype), tf.abs(intercept))
            by_prototype, by_vector = by_prototype / largest, intercept / largest
            norm = tf.sqrt(tf.square(by_prototype) + tf.square(by_vector))[:, tf.newaxis]
            direction = (by_prototype[:, tf.newaxis] * own_prototypes + by_vector[:, tf.newaxis] * vectors) / norm
            # The own products send upstream * own_prototypes to the vectors themselves.
            return upstream[:, tf.newaxis] * (direction - own_prototypes), upstream

        return lengths * margin.target(cosine), gradient

    return compute(vectors, own_products)


@keras.utils.register_keras_serializable(package="keras_face")
class AnnealedSoftmax(MarginSoftmax):
    """Margin softmax whose target is (lambda cosine + margin(cosine)) / (1 + lambda), with a lambda that falls.

    lambda = max(lambda_min, lambda_base * (1 + lambda_gamma * step)^-lambda_power); the first optimizer step is 1. The
    step is state of the layer: it is saved, and training goes on from it (in the original it starts again).

    The gradient is that of the margin. With a `MultipliedMargin` of gradient "caffe" values are the same, and the
    gradients are those of SphereFace's published layer, whose lambdas were chosen for them; its authors say that the
    true gradient wants others. With g the gradient of the loss by a logit, x the embedding, w_j the unit prototypes:
        by x: g_j w_j of every other identity; of the own one g lambda / (1 + lambda) w, and g / (1 + lambda) of a
            direction near that of the true gradient, but of another length, see `margin_products`;
        by w_j: g_j x of every identity, without the margin.
    The original adds the gradient by w_j to its prototypes and makes them unit vectors again in the next forward pass.
    Here that gradient goes through the division of each prototype by its length, as in all heads, so what reaches the
    prototype is the part across it, divided by the length; the part along it, which the original's projection undoes,
    is left out. A small step turns a prototype of length 1 as the original's does, a longer one more slowly. That keeps
    prototypes ordinary weights: only the optimizer changes them, and decay and momentum mean what they mean elsewhere.
    `a_softmax` starts them at length 1 (initializer "unit"), which turns them as the original does.

    Args:
        num_identities: See `PrototypeHead`.
        margin: The target function, a `Margin`; for SphereFace and L-Softmax a `MultipliedMargin`. Its gradient may be
            "caffe" only with scaling "norm": L-Softmax's own layer has the true gradient.
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

    gradients = ("exact", "detached", "caffe")

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
        initializer: str | float | keras.initializers.Initializer | None = None,
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
        if margin.gradient == "caffe" and scaling != "norm":
            raise ValueError(f'scaling must be "norm" with gradient "caffe", got {scaling!r}')
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

    def forward(self, embeddings: tf.Tensor, labels: tf.Tensor, training: bool = False) -> HeadOutput:
        if not isinstance(self.margin, MultipliedMargin) or self.margin.gradient != "caffe":
            return super().forward(embeddings, labels, training)
        own, vectors = self.find(labels), tf.cast(embeddings, tf.float32)
        lengths = length(vectors)
        scale = tf.fill(tf.shape(lengths), self.scale)
        logits, own_prototypes = products(vectors, self.prototypes, own.rows, True, scale, self.compute)
        own_products = dot(vectors, own_prototypes)
        margined = margin_products(self.margin, vectors, tf.stop_gradient(own_prototypes), own_products)
        margined = self.mix(own_products, margined, training)
        target = tf.where(own.known, margined, own_products)
        loss = self.focused(self.cross_entropy(logits, scale * target, own), own)
        cosine = tf.math.divide_no_nan(own_products, lengths)
        return HeadOutput(self.counted(loss, own), cosine, is_highest(logits, labels))

    def target(self, compared: Compared, training: bool) -> tf.Tensor:
        return self.mix(compared.cosine, self.margin(compared.cosine), training)

    def mix(self, plain: tf.Tensor, margined: tf.Tensor, training: bool) -> tf.Tensor:
        """Returns the mixture, float32 [batch], of the present lambda, and counts the call if it is one of training."""
        mixed = self.mixture(count_call(self.calls, training) // self.accumulation_steps + 1)
        return (mixed * plain + margined) / (1.0 + mixed)

    def mixture(self, step: int | tf.Tensor) -> tf.Tensor:
        """Returns lambda, float32, at an optimizer step; the first is 1."""
        falling = tf.pow(1.0 + self.lambda_gamma * tf.cast(step, tf.float32), -self.lambda_power)
        return tf.maximum(float(self.lambda_min), self.lambda_base * falling)

    def get_config(self) -> dict[str, Any]:
        config = (
            super().get_config()
            | {name: getattr(self, name) for name in _LAMBDAS}
            | {"accumulation_steps": self.accumulation_steps}
        )
        del config["sub_centres"]
        return config
