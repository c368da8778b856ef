"""Improved residual networks for faces: InsightFace's iResNets, LATSE's, and margin-centre-face's LResNetE-IRs.

All are a stem, four stages that each halve the map, and a dense layer between two batch normalisations. A unit is
norm, 3x3, norm, PReLU or ReLU, 3x3 (with the stride), norm, [squeeze-and-excitation], + shortcut.
"""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial

from keras_face.backbones.layers import BatchNormalization, FrozenGammaBatchNormalization, PReLU, embed
from keras_face.backbones.settings import Settings
from keras_face.backend import keras, tf

# Makes a new one each time: one unseeded initializer gives all its variables the same values.
Initializer = Callable[[], keras.initializers.Initializer]


@dataclasses.dataclass(frozen=True)
class Family:
    """What the families do differently.

    Attributes:
        epsilon: Added to the variance by every batch normalisation.
        gamma: Initialises the gammas.
        kernel: Initialises the convolutions and the squeeze-and-excitation.
        dense_kernel: Initialises the dense layer that gives the embedding.
        slope: Where PReLU slopes start; None: ReLU in their place.
        projects_always: Whether the shortcut of a stage's first unit is a convolution even if the channels agree;
            if not, it is then every second pixel, without parameters.
        squeeze_activation: Makes the layer between the two of a squeeze-and-excitation, from its name.
        relu_after_squeeze_unit: Whether a unit with squeeze-and-excitation ends in a ReLU, after the sum.
        last_norm: Makes the normalisation that gives the embedding; its gamma is not trained.
        dropout: Share dropped before the dense layer.
    """

    epsilon: float
    gamma: Initializer
    kernel: Initializer
    dense_kernel: Initializer
    slope: float | None
    projects_always: bool
    squeeze_activation: Callable[[str], keras.layers.Layer]
    relu_after_squeeze_unit: bool
    last_norm: Callable[..., keras.layers.Layer]
    dropout: float


# deepinsight/insightface, recognition/arcface_torch/backbones/iresnet.py; the squeeze-and-excitation, which that file
# lacks, is that of recognition/arcface_mxnet/symbol/fresnet.py (residual_unit_v3). The dense kernel is PyTorch's
# default. Its bias, random there, starts at 0 here: the normalisation after it takes any bias away.
INSIGHTFACE = Family(
    epsilon=1e-5,
    gamma=keras.initializers.Ones,
    kernel=partial(keras.initializers.RandomNormal, 0.0, 0.1),
    dense_kernel=partial(keras.initializers.VarianceScaling, 1 / 3, "fan_in", "uniform"),
    slope=0.25,
    projects_always=True,
    squeeze_activation=lambda name: PReLU(0.25, name=name),
    relu_after_squeeze_unit=False,
    last_norm=partial(BatchNormalization, scale=False),  # no gamma is a gamma of 1
    dropout=0.0,
)

# cnzeki/margin-centre-face, nets/L_Resnet_E_IR_fix_issue9.py, with what train_centre.py feeds it: dropout_rate 0.4 is
# there the share that is kept, and fix_gamma=False leaves the last gamma as it was drawn.
MARGIN_CENTRE = Family(
    epsilon=2e-5,
    gamma=partial(keras.initializers.RandomNormal, 1.0, 0.002),
    kernel=keras.initializers.GlorotNormal,
    dense_kernel=keras.initializers.GlorotNormal,
    slope=0.0,
    projects_always=False,
    squeeze_activation=lambda name: keras.layers.ReLU(name=name),
    relu_after_squeeze_unit=True,
    last_norm=FrozenGammaBatchNormalization,
    dropout=0.6,
)


# HuyaInc/huya_face, analysis/symbol/fresnet.py (residual_unit_v3, ReLU), and mx.init.Xavier(gaussian, out, 2).
LATSE = dataclasses.replace(
    INSIGHTFACE,
    epsilon=2e-5,
    kernel=partial(keras.initializers.VarianceScaling, 2.0, "fan_out", "untruncated_normal"),
    dense_kernel=partial(keras.initializers.VarianceScaling, 2.0, "fan_out", "untruncated_normal"),
    slope=None,
    dropout=0.4,
)


class _Parts:
    """Puts the parts of one family's networks onto a tensor of [batch, height, width, channels]."""

    def __init__(self, family: Family, squeeze: bool, synchronized: bool):
        self.family, self.squeeze, self.synchronized = family, squeeze, synchronized

    def normalise(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return BatchNormalization(
            momentum=0.9,
            epsilon=self.family.epsilon,
            gamma_initializer=self.family.gamma(),
            synchronized=self.synchronized,
            name=name,
        )(x)

    def convolve(self, x: tf.Tensor, filters: int, size: int, strides: int, name: str) -> tf.Tensor:
        if size == 3 and strides == 2:
            # One pixel on each side, as PyTorch and slim pad; "same" would pad an even map below and right only.
            x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        return keras.layers.Conv2D(
            filters,
            size,
            strides,
            padding="same" if strides == 1 else "valid",
            use_bias=False,
            kernel_initializer=self.family.kernel(),
            name=name,
        )(x)

    def activate(self, x: tf.Tensor, name: str) -> tf.Tensor:
        if self.family.slope is None:
            return keras.layers.ReLU(name=f"{name}_relu")(x)
        return PReLU(self.family.slope, name=f"{name}_prelu")(x)

    def squeeze_and_excite(self, x: tf.Tensor, name: str) -> tf.Tensor:
        channels = x.shape[-1]
        kernel = self.family.kernel
        scale = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
        scale = keras.layers.Conv2D(max(1, channels // 16), 1, kernel_initializer=kernel(), name=f"{name}_reduce")(
            scale
        )
        scale = self.family.squeeze_activation(f"{name}_activation")(scale)
        scale = keras.layers.Conv2D(
            channels, 1, activation="sigmoid", kernel_initializer=kernel(), name=f"{name}_expand"
        )(scale)
        return keras.layers.Multiply(name=f"{name}_scale")([x, scale])

    def shortcut(self, x: tf.Tensor, filters: int, strides: int, name: str) -> tf.Tensor:
        if x.shape[-1] != filters or (strides == 2 and self.family.projects_always):
            x = self.convolve(x, filters, 1, strides, f"{name}_conv")
            return self.normalise(x, f"{name}_norm")
        return keras.layers.MaxPooling2D(1, strides, name=name)(x) if strides == 2 else x

    def unit(self, x: tf.Tensor, filters: int, strides: int, name: str) -> tf.Tensor:
        shortcut = self.shortcut(x, filters, strides, f"{name}_shortcut")
        x = self.normalise(x, f"{name}_norm1")
        x = self.convolve(x, filters, 3, 1, f"{name}_conv1")
        x = self.normalise(x, f"{name}_norm2")
        x = self.activate(x, name)
        x = self.convolve(x, filters, 3, strides, f"{name}_conv2")
        x = self.normalise(x, f"{name}_norm3")
        if self.squeeze:
            x = self.squeeze_and_excite(x, f"{name}_se")
        x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
        if self.squeeze and self.family.relu_after_squeeze_unit:
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        return x


def residual_network(
    name: str, settings: Settings, *, family: Family, units: Sequence[int], channels: Sequence[int], squeeze: bool
) -> keras.Model:
    """Returns a network of the family.

    Args:
        name: Name of the model.
        settings: What the user chose.
        family: INSIGHTFACE, LATSE or MARGIN_CENTRE.
        units: Units of each stage.
        channels: Channels of each stage; the stem has 64.
        squeeze: Whether units have squeeze-and-excitation.
    """
    parts = _Parts(family, squeeze, settings.synchronized)
    images = settings.images()
    x = parts.convolve(images, settings.channels(64), 3, 1, "stem_conv")
    x = parts.normalise(x, "stem_norm")
    x = parts.activate(x, "stem")
    for stage, (count, filters) in enumerate(zip(units, channels, strict=True), start=1):
        for unit in range(1, count + 1):
            strides = 2 if unit == 1 else 1
            x = parts.unit(x, settings.channels(filters), strides, f"stage{stage}_unit{unit}")
    x = parts.normalise(x, "final_norm")
    x = settings.drop(x, family.dropout)
    dense = keras.layers.Dense(
        settings.embedding_size, kernel_initializer=family.dense_kernel(), dtype="float32", name="embedding_dense"
    )
    norm = family.last_norm(
        momentum=0.9,
        epsilon=family.epsilon,
        gamma_initializer=family.gamma(),
        synchronized=settings.synchronized,
        dtype="float32",
        name="embedding_norm",
    )
    return keras.Model(images, embed(x, dense, norm), name=name)
