"""GhostFaceNets: GhostNet and GhostNetV2 with PReLUs and a global depthwise convolution."""

from keras_face.backbones.layers import BatchNormalization, PReLU, embed
from keras_face.backbones.settings import Settings
from keras_face.backend import keras, tf

# Of each bottleneck: size of its depthwise kernels, channels inside, channels out, has squeeze-and-excitation, strides.
_BOTTLENECKS = (
    (3, 16, 16, False, 1),
    (3, 48, 24, False, 2),
    (3, 72, 24, False, 1),
    (5, 72, 40, True, 2),
    (5, 120, 40, True, 1),
    (3, 240, 80, False, 2),
    (3, 200, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 184, 80, False, 1),
    (3, 480, 112, True, 1),
    (3, 672, 112, True, 1),
    (5, 672, 160, True, 2),
    (5, 960, 160, False, 1),
    (5, 960, 160, True, 1),
    (5, 960, 160, False, 1),
    (5, None, 160, True, 1),  # as many inside as the last convolution has: 512 in V1, 960 in V2
)
_WIDTH = 1.3  # of GhostFaceNet-1.3, the published one of the best results


def _multiple_of_four(channels: float) -> int:
    """Returns the nearest multiple of 4, at least 4, or the next one if that lost more than a tenth."""
    channels = round(channels, 6)  # so that 1.3 * (1 / 1.3) is 1
    nearest = max(4, int(channels + 2) // 4 * 4)
    return nearest + 4 if nearest < 0.9 * channels else nearest


@keras.utils.register_keras_serializable(package="keras_face")
class HardSigmoid(keras.layers.Layer):
    """Gives min(max(x / 6 + 1 / 2, 0), 1), PyTorch's form; Keras 2 has a slope of 1 / 5.

    A layer, as a function of this name is not found again in an `.h5` file.

    Call arguments:
        inputs: float tensor of any shape.

    Returns: The same shape and dtype, in [0, 1].
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.relu6(inputs + 3.0) / 6.0


@keras.utils.register_keras_serializable(package="keras_face")
class ResizeAs(keras.layers.Layer):
    """Resizes maps bilinearly.

    Call arguments:
        inputs: (maps, like), float [batch, height, width, channels] and [batch, new height, new width, any].

    Returns: [batch, new height, new width, channels], in the dtype of the maps.
    """

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        maps, like = inputs
        return tf.cast(tf.image.resize(maps, like.shape[1:3]), maps.dtype)


class _Parts:
    """Puts the parts of the network onto a tensor of [batch, height, width, channels]."""

    def __init__(self, version: int, settings: Settings):
        self.version, self.settings = version, settings

    def channels(self, channels: int) -> int:
        return _multiple_of_four(channels * _WIDTH * self.settings.width)

    def kernel(self) -> keras.initializers.Initializer:
        return keras.initializers.VarianceScaling(2.0, "fan_out", "truncated_normal")

    def normalise(self, x: tf.Tensor, name: str) -> tf.Tensor:
        synchronized = self.settings.synchronized
        return BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=synchronized, name=f"{name}_norm")(x)

    def activate(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return PReLU(0.25, name=f"{name}_prelu")(x)

    def convolve(self, x: tf.Tensor, filters: int, name: str, size: int = 1, strides: int = 1) -> tf.Tensor:
        x = keras.layers.Conv2D(
            filters, size, strides, padding="same", use_bias=False, kernel_initializer=self.kernel(), name=name
        )(x)
        return self.normalise(x, name)

    def depthwise(self, x: tf.Tensor, size: int | tuple[int, int], name: str, strides: int = 1) -> tf.Tensor:
        x = keras.layers.DepthwiseConv2D(
            size, strides, padding="same", use_bias=False, depthwise_initializer=self.kernel(), name=name
        )(x)
        return self.normalise(x, name)

    def squeeze_and_excite(self, x: tf.Tensor, name: str) -> tf.Tensor:
        def dense(filters: int, part: str) -> keras.layers.Layer:
            return keras.layers.Conv2D(filters, 1, kernel_initializer=self.kernel(), name=f"{name}_{part}")

        channels = x.shape[-1]
        scale = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
        scale = self.activate(dense(_multiple_of_four(channels / 4), "reduce")(scale), name)
        if self.version == 1:
            gate = keras.layers.Activation("hard_sigmoid", name=f"{name}_gate")
        else:
            gate = HardSigmoid(name=f"{name}_gate")
        scale = gate(dense(channels, "expand")(scale))
        return keras.layers.Multiply(name=f"{name}_scale")([x, scale])

    def attention(self, x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
        """Returns V2's gates in (0, 1): rows and columns of half the map, seen through long thin kernels."""
        height, width = x.shape[1:3]
        gate = keras.layers.AveragePooling2D((min(2, height), min(2, width)), name=f"{name}_pool")(x)
        gate = self.convolve(gate, filters, f"{name}_conv")
        gate = self.depthwise(gate, (1, 5), f"{name}_rows")
        gate = self.depthwise(gate, (5, 1), f"{name}_columns")
        gate = keras.layers.Activation("sigmoid", name=f"{name}_gate")(gate)
        return ResizeAs(name=f"{name}_resize")([gate, x])

    def ghost(self, x: tf.Tensor, filters: int, name: str, activates: bool, attends: bool) -> tf.Tensor:
        """Returns half of the channels from a convolution and half from a cheap depthwise one of those."""
        first = self.convolve(x, filters // 2, f"{name}_primary")
        first = self.activate(first, f"{name}_primary") if activates else first
        second = self.depthwise(first, 3, f"{name}_cheap")
        second = self.activate(second, f"{name}_cheap") if activates else second
        both = keras.layers.Concatenate(name=f"{name}_concatenate")([first, second])
        if attends:
            gate = self.attention(x, filters, f"{name}_attention")
            both = keras.layers.Multiply(name=f"{name}_attend")([both, gate])
        return both

    def bottleneck(
        self, x: tf.Tensor, size: int, inside: int, filters: int, squeeze: bool, strides: int, attends: bool, name: str
    ) -> tf.Tensor:
        shortcut = x
        if x.shape[-1] != filters or strides != 1:
            shortcut = self.depthwise(x, size, f"{name}_shortcut_depthwise", strides)
            shortcut = self.convolve(shortcut, filters, f"{name}_shortcut_conv")
        x = self.ghost(x, inside, f"{name}_ghost1", activates=True, attends=attends)
        if strides != 1:
            x = self.depthwise(x, size, f"{name}_depthwise", strides)
        if squeeze:
            x = self.squeeze_and_excite(x, f"{name}_se")
        x = self.ghost(x, filters, f"{name}_ghost2", activates=False, attends=False)
        return keras.layers.Add(name=f"{name}_add")([shortcut, x])


def ghostfacenet(name: str, settings: Settings, *, version: int, strides: int) -> keras.Model:
    """Returns GhostFaceNetV1-1.3 or GhostFaceNetV2-1.3, with PReLUs.

    `width` is a factor on the published 1.3 (1 / 1.3 gives GhostFaceNet-1), and channels are multiples of 4.

    Args:
        name: Name of the model.
        settings: What the user chose.
        version: 1, or 2: with attention over long distances in all but the first two bottlenecks.
        strides: Of the first convolution: 1, the better one, or 2.

    Reference: Alansari et al. 2023, https://doi.org/10.1109/ACCESS.2023.3266068; HamadYA/GhostFaceNets. GhostNet:
        Han et al. 2020, https://arxiv.org/abs/1911.11907; V2: Tang et al. 2022, https://arxiv.org/abs/2211.12905.
    """
    parts = _Parts(version, settings)
    last = 512 if version == 1 else 960
    images = settings.images()
    x = parts.activate(parts.convolve(images, parts.channels(16), "stem", 3, strides), "stem")
    for index, (size, inside, filters, squeeze, stride) in enumerate(_BOTTLENECKS, start=1):
        x = parts.bottleneck(
            x,
            size,
            parts.channels(inside or last),
            parts.channels(filters),
            squeeze,
            stride,
            attends=version == 2 and index > 2,
            name=f"bottleneck{index}",
        )
    x = parts.activate(parts.convolve(x, parts.channels(last), "last"), "last")
    # The whole map, whatever the size of the crops.
    x = keras.layers.DepthwiseConv2D(x.shape[1:3], use_bias=False, name="global_depthwise")(x)
    x = settings.drop(parts.normalise(x, "global"), 0.0)
    dense = keras.layers.Dense(
        settings.embedding_size,
        use_bias=False,
        kernel_initializer=keras.initializers.GlorotNormal(),
        dtype="float32",
        name="embedding_dense",
    )
    norm = BatchNormalization(
        momentum=0.9, epsilon=1e-5, synchronized=settings.synchronized, dtype="float32", name="embedding_norm"
    )
    return keras.Model(images, embed(x, dense, norm), name=name)
