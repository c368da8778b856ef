"""Caffe's residual networks for faces, without batch normalisation: SphereFace's and SeqFace's.

A unit is x + PReLU(conv(PReLU(conv(x)))); nothing follows the sum. The biases of its convolutions are variables, as in
the Caffe models, but stay 0: their learning rate there is 0. What is not carried over is that the other biases learn at
twice the learning rate there.
"""

from collections.abc import Sequence

from keras_face.backbones.layers import FrozenBiasConv2D, PReLU
from keras_face.backbones.settings import Settings
from keras_face.backend import keras, tf

_CHANNELS = (64, 128, 256, 512)
_RESNET27_UNITS = (1, 2, 5, 3)


def _xavier() -> keras.initializers.Initializer:
    """Returns Caffe's "xavier": uniform with a variance of 1 / fan_in."""
    return keras.initializers.VarianceScaling(1.0, "fan_in", "uniform")


def _activate(x: tf.Tensor, name: str) -> tf.Tensor:
    return PReLU(0.25, name=name)(x)


def _convolve(x: tf.Tensor, filters: int, strides: int, name: str) -> tf.Tensor:
    """Returns a 3x3 convolution with a trained bias, without padding, and its PReLU."""
    x = keras.layers.Conv2D(filters, 3, strides, kernel_initializer=_xavier(), name=f"{name}_conv")(x)
    return _activate(x, f"{name}_prelu")


def _unit(x: tf.Tensor, name: str) -> tf.Tensor:
    inputs, filters = x, x.shape[-1]
    for index in (1, 2):
        kernel = keras.initializers.RandomNormal(0.0, 0.01)
        layer = FrozenBiasConv2D(filters, 3, padding="same", kernel_initializer=kernel, name=f"{name}_conv{index}")
        x = _activate(layer(x), f"{name}_prelu{index}")
    return keras.layers.Add(name=f"{name}_add")([inputs, x])


def _units(x: tf.Tensor, count: int, stage: int) -> tf.Tensor:
    for unit in range(1, count + 1):
        x = _unit(x, f"stage{stage}_unit{unit}")
    return x


def _embed(images: tf.Tensor, x: tf.Tensor, settings: Settings, name: str) -> keras.Model:
    """Returns the model that ends in the dense layer fc5, in float32 whatever the policy."""
    x = keras.layers.Flatten(name="flatten")(settings.drop(x, 0.0))
    size = settings.embedding_size
    dense = keras.layers.Dense(size, kernel_initializer=_xavier(), dtype="float32", name="embedding_dense")
    return keras.Model(images, dense(x), name=name)


def sphereface(name: str, settings: Settings, *, units: Sequence[int]) -> keras.Model:
    """Returns a SphereFace network: four stages that begin with a convolution of stride 2.

    Args:
        name: Name of the model.
        settings: What the user chose.
        units: Residual units of each stage.

    Reference: Liu et al. 2017, https://arxiv.org/abs/1704.08063, table 2; wy1iu/sphereface, train/code/*.prototxt.
        SphereFace-64 has (3, 8, 16, 3) units in the paper and (3, 7, 16, 3) in the released file, which is
        `sphereface64_released` here. SeqFace's ResNet-64 is taken to be SphereFace-64; its own file is lost.
    """
    images = settings.images()
    x = images
    for stage, (count, filters) in enumerate(zip(units, _CHANNELS, strict=True), start=1):
        # One pixel on each side, as Caffe pads; "same" would pad an even map below and right only at stride 2.
        x = keras.layers.ZeroPadding2D(1, name=f"stage{stage}_pad")(x)
        x = _convolve(x, settings.channels(filters), 2, f"stage{stage}")
        x = _units(x, count, stage)
    return _embed(images, x, settings, name)


def seqface_resnet27(name: str, settings: Settings) -> keras.Model:
    """Returns SeqFace's ResNet-27: four stages of convolutions without padding, 2x2 max-pooling and units.

    Args:
        name: Name of the model.
        settings: What the user chose.

    Raises: ValueError if images are too small for its ten unpadded convolutions and poolings.
    Reference: Hu et al. 2018, https://arxiv.org/abs/1803.06524. The released file is lost; this is the network of 27
        convolutions of ydwen/caffe-face (face_example/face_train_test.prototxt), which SeqFace's instructions build on.
    """
    smallest = 33  # pixels, of which one is left
    if min(settings.input_shape[:2]) < smallest:
        raise ValueError(f"{name} needs images of at least {smallest} x {smallest} pixels, got {settings.input_shape}")
    images = settings.images()
    x = _convolve(images, settings.channels(32), 1, "stem")
    for stage, (count, filters) in enumerate(zip(_RESNET27_UNITS, _CHANNELS, strict=True), start=1):
        x = _convolve(x, settings.channels(filters), 1, f"stage{stage}")
        # Caffe pools the last row and column of an odd map too, as "same" does.
        x = keras.layers.MaxPooling2D(2, padding="same", name=f"stage{stage}_pool")(x)
        x = _units(x, count, stage)
    return _embed(images, x, settings, name)
