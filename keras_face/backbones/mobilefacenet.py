"""MobileFaceNet, as InsightFace trains it."""

from functools import partial

from keras_face.backbones.layers import BatchNormalization, PairedConv2D, PReLU, embed
from keras_face.backbones.settings import Settings
from keras_face.backend import keras, tf

# Of each stage: channels; channels inside its first unit, which halves the map; channels inside the others, which have
# a shortcut; how many others.
_STAGES = ((128, 128, 128, 4), (256, 256, 256, 6), (256, 512, 256, 2))

_normalisation = partial(BatchNormalization, momentum=0.9, epsilon=1e-5)


def _kernel(fan_out: int) -> keras.initializers.Initializer:
    """Returns PyTorch's kaiming_normal_(mode="fan_out")."""
    return keras.initializers.RandomNormal(0.0, (2 / fan_out) ** 0.5)


class _Parts:
    """Puts the parts of the network onto a tensor of [batch, height, width, channels]."""

    def __init__(self, synchronized: bool):
        self.synchronized = synchronized

    def normalise(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return _normalisation(synchronized=self.synchronized, name=f"{name}_norm")(x)

    def activate(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return PReLU(0.25, name=f"{name}_prelu")(self.normalise(x, name))

    def pointwise(self, x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
        return keras.layers.Conv2D(filters, 1, use_bias=False, kernel_initializer=_kernel(filters), name=name)(x)

    def pad(self, x: tf.Tensor, name: str) -> tf.Tensor:
        # One pixel on each side, as PyTorch pads; "same" would pad an even map below and right only at stride 2.
        return keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)

    def unit(self, x: tf.Tensor, filters: int, inside: int, strides: int, name: str) -> tf.Tensor:
        inputs = x
        x = self.activate(self.pointwise(x, inside, f"{name}_expand"), f"{name}_expand")
        x = keras.layers.DepthwiseConv2D(
            3,
            strides,
            use_bias=False,
            # PyTorch's fan counts all channels, also where each sees only its own.
            depthwise_initializer=_kernel(9 * inside),
            name=f"{name}_depthwise",
        )(self.pad(x, f"{name}_depthwise"))
        x = self.activate(x, f"{name}_depthwise")
        x = self.normalise(self.pointwise(x, filters, f"{name}_project"), f"{name}_project")
        return x if strides == 2 else keras.layers.Add(name=f"{name}_add")([inputs, x])


def mobilefacenet(name: str, settings: Settings) -> keras.Model:
    """Returns InsightFace's `mbf`: MobileFaceNet of twice the width, 2.06 million weights at 112x112.

    Args:
        name: Name of the model.
        settings: What the user chose.

    Reference: Chen et al. 2018, https://arxiv.org/abs/1804.07573; deepinsight/insightface,
    recognition/arcface_torch/backbones/mobilefacenet.py (get_mbf).
    """
    parts = _Parts(settings.synchronized)
    images = settings.images()
    filters = settings.channels(128)
    x = parts.pad(images, "stem_conv")
    x = keras.layers.Conv2D(filters, 3, 2, use_bias=False, kernel_initializer=_kernel(9 * filters), name="stem_conv")(x)
    x = parts.activate(x, "stem")
    kernel = _kernel(9 * filters)
    x = PairedConv2D(3, padding="same", use_bias=False, depthwise_initializer=kernel, name="paired_conv")(x)
    x = parts.activate(x, "paired")
    for stage, (filters, first, others, count) in enumerate(_STAGES, start=1):
        for unit in range(1, count + 2):
            inside, strides = (first, 2) if unit == 1 else (others, 1)
            x = parts.unit(
                x, settings.channels(filters), settings.channels(inside), strides, f"stage{stage}_unit{unit}"
            )
    filters = settings.channels(512)
    x = parts.activate(parts.pointwise(x, filters, "last_conv"), "last")
    area = x.shape[1:3]  # the whole map, whatever the size of the crops
    kernel = _kernel(area[0] * area[1] * filters)
    x = keras.layers.DepthwiseConv2D(area, use_bias=False, depthwise_initializer=kernel, name="global_depthwise")(x)
    x = settings.drop(parts.normalise(x, "global"), 0.0)
    size = settings.embedding_size
    dense = keras.layers.Dense(
        size, use_bias=False, kernel_initializer=_kernel(size), dtype="float32", name="embedding_dense"
    )
    norm = _normalisation(synchronized=settings.synchronized, dtype="float32", name="embedding_norm")
    return keras.Model(images, embed(x, dense, norm), name=name)
