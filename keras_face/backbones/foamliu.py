"""foamliu/InsightFace's LResNetE-IRs, which differ from InsightFace's own and from margin-centre-face's."""

from collections.abc import Sequence

from keras_face.backbones.layers import BatchNormalization, PReLU, embed
from keras_face.backbones.settings import Settings
from keras_face.backend import keras, tf


class _Parts:
    """Puts the parts of the network onto a tensor of [batch, height, width, channels]."""

    def __init__(self, squeeze: bool, synchronized: bool):
        self.squeeze, self.synchronized = squeeze, synchronized

    def normalise(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return BatchNormalization(momentum=0.9, epsilon=1e-5, synchronized=self.synchronized, name=name)(x)

    def convolve(self, x: tf.Tensor, filters: int, size: int, strides: int, name: str) -> tf.Tensor:
        if size == 3:  # as PyTorch pads; "same" would pad an even map below and right only at stride 2
            x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        kernel = keras.initializers.GlorotNormal()
        return keras.layers.Conv2D(filters, size, strides, use_bias=False, kernel_initializer=kernel, name=name)(x)

    def squeeze_and_excite(self, x: tf.Tensor, name: str) -> tf.Tensor:
        def dense(filters: int, activation: str | None, part: str) -> keras.layers.Layer:
            kernel = keras.initializers.GlorotNormal()
            return keras.layers.Conv2D(
                filters, 1, activation=activation, kernel_initializer=kernel, name=f"{name}_{part}"
            )

        channels = x.shape[-1]
        scale = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
        scale = dense(max(1, channels // 16), None, "reduce")(scale)
        scale = PReLU(0.25, shared=True, name=f"{name}_activation")(scale)
        scale = dense(channels, "sigmoid", "expand")(scale)
        return keras.layers.Multiply(name=f"{name}_scale")([x, scale])

    def unit(self, x: tf.Tensor, filters: int, strides: int, name: str) -> tf.Tensor:
        prelu = PReLU(0.25, shared=True, name=f"{name}_prelu")
        shortcut, before = x, x.shape[-1]
        if strides != 1 or before != filters:
            shortcut = self.convolve(x, filters, 1, strides, f"{name}_shortcut_conv")
            shortcut = self.normalise(shortcut, f"{name}_shortcut_norm")
        x = self.normalise(x, f"{name}_norm1")
        x = self.convolve(x, before, 3, 1, f"{name}_conv1")
        x = prelu(self.normalise(x, f"{name}_norm2"))
        x = self.convolve(x, filters, 3, strides, f"{name}_conv2")
        x = self.normalise(x, f"{name}_norm3")
        if self.squeeze:
            x = self.squeeze_and_excite(x, f"{name}_se")
        return prelu(keras.layers.Add(name=f"{name}_add")([shortcut, x]))


def foamliu_resnet(name: str, settings: Settings, *, units: Sequence[int], squeeze: bool) -> keras.Model:
    """Returns one of foamliu/InsightFace's networks, there called LResNet18E-IR ... SE-LResNet152E-IR.

    Unlike InsightFace's and margin-centre-face's of these names, the stem has no padding and ends in a 2x2
    max-pooling; the first stage keeps the size of the map; the first convolution of a unit keeps the channels; PReLUs
    have one slope for all channels, and that of a unit also follows its sum; half of the final map is dropped; the last
    gamma is trained. Depth 50 has the units of depth 34, (3, 4, 6, 3), where others have (3, 4, 14, 3).

    Args:
        name: Name of the model.
        settings: What the user chose.
        units: Units of each stage.
        squeeze: Whether units have squeeze-and-excitation.

    Reference: foamliu/InsightFace and foamliu/InsightFace-v2, models.py (ResNet of IRBlocks).
    """
    parts = _Parts(squeeze, settings.synchronized)
    images = settings.images()
    stem = keras.layers.Conv2D(
        settings.channels(64), 3, use_bias=False, kernel_initializer=keras.initializers.GlorotNormal(), name="stem_conv"
    )
    x = PReLU(0.25, shared=True, name="stem_prelu")(parts.normalise(stem(images), "stem_norm"))
    x = keras.layers.MaxPooling2D(2, name="stem_pool")(x)
    for stage, (count, filters) in enumerate(zip(units, (64, 128, 256, 512), strict=True), start=1):
        for unit in range(1, count + 1):
            strides = 2 if unit == 1 and stage > 1 else 1
            x = parts.unit(x, settings.channels(filters), strides, f"stage{stage}_unit{unit}")
    x = settings.drop(parts.normalise(x, "final_norm"), 0.5)
    dense = keras.layers.Dense(
        settings.embedding_size,
        kernel_initializer=keras.initializers.GlorotNormal(),
        dtype="float32",
        name="embedding_dense",
    )
    norm = BatchNormalization(
        momentum=0.9, epsilon=1e-5, synchronized=settings.synchronized, dtype="float32", name="embedding_norm"
    )
    return keras.Model(images, embed(x, dense, norm), name=name)
