"""Layers of vision transformers: tokens that know their place, are left out at random, and attend to each other."""

from typing import Any

from keras_face.backbones.dropout import StatelessRandom
from keras_face.backend import keras, tf


def _initializer() -> keras.initializers.Initializer:
    """Returns arcface_torch's trunc_normal_(std=0.02), which cuts at 2, not at 2 standard deviations: nowhere."""
    return keras.initializers.RandomNormal(0.0, 0.02)


@keras.utils.register_keras_serializable(package="keras_face")
class Positions(keras.layers.Layer):
    """Adds a trained vector to every token, by its place.

    Call arguments:
        inputs: float [batch, tokens, size].

    Returns: as `inputs`.
    """

    def build(self, input_shape: Any) -> None:
        self.positions = self.add_weight(name="positions", shape=input_shape[1:], initializer=_initializer())
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs + tf.cast(self.positions, inputs.dtype)


@keras.utils.register_keras_serializable(package="keras_face")
class Attend(keras.layers.Layer):
    """Self-attention between given queries, keys and values, in float32 inside.

    Args:
        heads: Parts that the vectors are split into; each attends by itself.

    Call arguments:
        inputs: float [batch, tokens, 3 * size], queries, keys and values side by side; size a multiple of `heads`.

    Returns: [batch, tokens, size], in the dtype of the inputs.

    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, equation 1
    """

    def __init__(self, heads: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads = heads

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        batch, tokens = tf.unstack(tf.shape(inputs)[:2])
        size = inputs.shape[-1] // 3
        parts = tf.reshape(tf.cast(inputs, tf.float32), [batch, tokens, 3, self.heads, size // self.heads])
        queries, keys, values = tf.unstack(tf.transpose(parts, [2, 0, 3, 1, 4]), num=3)  # [batch, heads, tokens, part]
        attention = tf.nn.softmax(tf.matmul(queries, keys, transpose_b=True) * (size // self.heads) ** -0.5)
        outputs = tf.transpose(tf.matmul(attention, values), [0, 2, 1, 3])
        outputs = tf.cast(tf.reshape(outputs, [batch, tokens, size]), inputs.dtype)
        return tf.ensure_shape(outputs, [*inputs.shape[:2], size])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:2], input_shape[2] // 3)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads}


@keras.utils.register_keras_serializable(package="keras_face")
class MaskTokens(StatelessRandom):
    """Leaves out a share of each example's tokens while training; see StatelessRandom for what the choice depends on.

    Args:
        ratio: Share of the tokens that is left out, [0, 1).
        seed: Chooses the sequence of choices.

    Call arguments:
        inputs: float [batch, tokens, size].
        training: Leaves tokens out, and moves the step on, only when true.

    Returns: (the tokens that stay, [batch, floor(tokens * (1 - ratio)), size], in random order; int32 [batch, tokens],
        where each token of `inputs` is in there: numbers past the end are tokens that were left out).

    Raises: ValueError if ratio is out of range.
    Reference: He et al. 2021, https://arxiv.org/abs/2111.06377; deepinsight/insightface,
        recognition/arcface_torch/backbones/vit.py (random_masking).
    """

    def __init__(self, ratio: float, seed: int = 0, **kwargs: Any):
        super().__init__(seed, **kwargs)
        if not 0 <= ratio < 1:
            raise ValueError(f"ratio must be the masked share in [0, 1), got {ratio}")
        self.ratio = ratio

    def call(self, inputs: tf.Tensor, training: Any = None) -> tuple[tf.Tensor, tf.Tensor]:
        if training is None or self.ratio == 0:
            return self._all(inputs)
        # `training` is a Python value, except while Keras traces a functional model: then it is a placeholder.
        return tf.__internal__.smart_cond.smart_cond(training, lambda: self._some(inputs), lambda: self._all(inputs))

    def _all(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        places = tf.range(inputs.shape[1])[tf.newaxis]
        return tf.identity(inputs), tf.tile(places, [tf.shape(inputs)[0], 1])

    def _some(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        tokens = inputs.shape[1]
        order = tf.argsort(self.uniform(tf.shape(inputs)[0], tf.constant([tokens])))
        kept = order[:, : int(tokens * (1 - self.ratio))]
        return tf.gather(inputs, kept, batch_dims=1), tf.argsort(order)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "ratio": self.ratio}


@keras.utils.register_keras_serializable(package="keras_face")
class RestoreTokens(keras.layers.Layer):
    """Puts tokens back into their places, and a trained vector into the places of those that were left out.

    Call arguments:
        inputs: what MaskTokens returned, the tokens after whatever was made of them.

    Returns: float [batch, tokens, size], all of them.
    """

    def build(self, input_shape: Any) -> None:
        self.mask_token = self.add_weight(
            name="mask_token", shape=(1, 1, input_shape[0][-1]), initializer=_initializer()
        )
        super().build(input_shape)

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        kept, places = inputs
        batch, tokens = tf.unstack(tf.shape(places))
        mask_tokens = tf.tile(tf.cast(self.mask_token, kept.dtype), [batch, tokens - tf.shape(kept)[1], 1])
        restored = tf.gather(tf.concat([kept, mask_tokens], axis=1), places, batch_dims=1)
        return tf.ensure_shape(restored, [None, places.shape[1], kept.shape[2]])
