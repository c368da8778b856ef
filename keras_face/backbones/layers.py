"""Layers of the backbones that Keras lacks, or has slower."""

from typing import Any

from keras_face.backend import keras, tf


@keras.utils.register_keras_serializable(package="keras_face")
class PReLU(keras.layers.PReLU):
    """Keras' PReLU of [batch, height, width, channels] with one slope a channel, and a cheaper gradient.

    An iResNet-18 trains some 3 % faster on a CPU than with Keras' own.

    Args:
        slope: What the slopes of negative inputs start from.
        shared: Whether all channels have one slope in common, as PyTorch's PReLU() has.

    Call arguments:
        inputs: float [batch, height, width, channels].

    Returns: as `inputs`.

    Reference: He et al. 2015, https://arxiv.org/abs/1502.01852, equation 1
    """

    def __init__(self, slope: float, shared: bool = False, **kwargs: Any):
        axes = [1, 2, 3] if shared else [1, 2]
        super().__init__(alpha_initializer=keras.initializers.Constant(slope), shared_axes=axes, **kwargs)
        self.slope = slope
        self.shared = shared

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return _prelu(inputs, tf.convert_to_tensor(self.alpha))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for implied in ("alpha_initializer", "alpha_regularizer", "alpha_constraint", "shared_axes"):
            del config[implied]
        return {**config, "slope": self.slope, "shared": self.shared}


@tf.custom_gradient
def _prelu(inputs: tf.Tensor, slopes: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Returns PReLU of [batch, height, width, channels] for slopes [1, 1, channels or 1]; its derivative at 0 is 1."""
    negative = tf.nn.relu(-inputs)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # The sum over pixels as a product with ones: several times faster than reduce_sum, and in float32 inside.
        pixels = tf.reshape(upstream * negative, [-1, inputs.shape[-1]])
        total = tf.matmul(tf.ones([1, tf.shape(pixels)[0]], pixels.dtype), pixels)
        if slopes.shape[-1] == 1:
            total = tf.cast(tf.reduce_sum(tf.cast(total, tf.float32)), total.dtype)
        return tf.where(negative > 0, slopes * upstream, upstream), -tf.reshape(total, slopes.shape)

    # Written as Keras does, which converters know as one PReLU.
    return tf.nn.relu(inputs) + -slopes * negative, gradient


@keras.utils.register_keras_serializable(package="keras_face")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' batch normalisation, whose statistics can be those of the global batch.

    Keras' own `synchronized` keeps moving variances without the factor n / (n - 1) of its fused form, and subtracts
    squares that nearly cancel; here N replicas compute, and keep, what the fused form does on one device.

    Args:
        synchronized: Take the statistics over all replicas, equal shares each. Not fused, so slower.
        **settings: See keras.layers.BatchNormalization.

    Call arguments:
        inputs: float [replica_batch_size, ..., channels].

    Returns: as `inputs`.
    """

    def __init__(self, synchronized: bool = False, **settings: Any):
        super().__init__(**settings)
        self.over_replicas = synchronized

    def call(self, inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        if not (self.over_replicas and self.trainable) or training is None:  # a frozen layer normalises as in inference
            return super().call(inputs, training=training)
        # `training` is a Python value, except while Keras traces a functional model: then it is a placeholder.
        return tf.__internal__.smart_cond.smart_cond(
            training, lambda: self._normalise_together(inputs), lambda: super(BatchNormalization, self).call(inputs)
        )

    def _normalise_together(self, inputs: tf.Tensor) -> tf.Tensor:
        values = tf.cast(inputs, tf.float32)
        axes = list(range(values.shape.rank - 1))
        context = tf.distribute.get_replica_context()  # None where Keras traces under a strategy's scope

        def over_replicas(value: tf.Tensor) -> tf.Tensor:
            return context.all_reduce(tf.distribute.ReduceOp.SUM, value) if context else value

        replicas = context.num_replicas_in_sync if context else 1
        count = tf.cast(replicas * tf.size(values) // values.shape[-1], tf.float32)
        mean = over_replicas(tf.reduce_sum(values, axes)) / count
        variance = over_replicas(tf.reduce_sum(tf.math.squared_difference(values, mean), axes)) / count
        unbiased = variance * count / tf.maximum(count - 1.0, 1.0)
        for moving, now in ((self.moving_mean, mean), (self.moving_variance, unbiased)):
            moving.assign(self.momentum * moving + (1.0 - self.momentum) * now)
        outputs = tf.nn.batch_normalization(values, mean, variance, self.beta, self.gamma, self.epsilon)
        return tf.cast(outputs, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "synchronized": self.over_replicas}


@keras.utils.register_keras_serializable(package="keras_face")
class FrozenGammaBatchNormalization(BatchNormalization):
    """Batch normalisation whose gamma keeps its initial value while beta is trained."""

    def add_weight(self, name: str | None = None, **kwargs: Any) -> tf.Variable:
        if name == "gamma":
            kwargs["trainable"] = False
        return super().add_weight(name=name, **kwargs)


@keras.utils.register_keras_serializable(package="keras_face")
class FrozenBiasConv2D(keras.layers.Conv2D):
    """Convolution whose bias keeps its initial value, 0, while the kernel is trained (Caffe: lr_mult 0)."""

    def add_weight(self, name: str | None = None, **kwargs: Any) -> tf.Variable:
        if name == "bias":
            kwargs["trainable"] = False
        return super().add_weight(name=name, **kwargs)


@keras.utils.register_keras_serializable(package="keras_face")
class PairedConv2D(keras.layers.DepthwiseConv2D):
    """Convolution in groups of two channels: each pair of outputs sees one pair of inputs.

    Keras' Conv2D(channels, groups=channels // 2), for which TensorFlow has no gradient on a CPU.

    Args: as DepthwiseConv2D, without depth_multiplier and bias.

    Call arguments:
        inputs: float [batch, height, width, channels], channels even.

    Returns: [batch, new height, new width, channels].
    """

    def __init__(self, kernel_size: int | tuple[int, int], **kwargs: Any):
        super().__init__(kernel_size, **{**kwargs, "depth_multiplier": 2})

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        outputs = super().call(inputs)  # channels in the order (pair, input of the pair, output of the pair)
        height, width, channels = outputs.shape[1:]
        by_input = tf.reshape(outputs, [-1, height, width, channels // 4, 2, 2])
        return tf.reshape(tf.reduce_sum(by_input, axis=4), [-1, height, width, channels // 2])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*super().compute_output_shape(input_shape)[:3], input_shape[3])


def embed(x: tf.Tensor, dense: keras.layers.Dense, norm: keras.layers.BatchNormalization) -> tf.Tensor:
    """Returns the embedding of the final map: flattened, through the dense layer, normalised over the batch.

    Args:
        x: float [batch, height, width, channels].
        dense: To the embedding size. In float32 whatever the policy, as InsightFace has it: the embedding takes its
            precision from this product, and it is a 200th of the work of even iresnet18.
        norm: In float32 too.
    """
    x = dense(keras.layers.Flatten(name="flatten")(x))
    # As a map of one pixel: so the last normalisation runs fused and estimates the variance as all others do.
    x = keras.layers.Reshape((1, 1, dense.units), dtype="float32", name="embedding_pixel")(x)
    return keras.layers.Flatten(dtype="float32", name="embedding")(norm(x))
