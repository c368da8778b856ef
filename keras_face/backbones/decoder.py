"""From embeddings back to crops: the decoder of Huya's LATSE."""

import math
from collections.abc import Sequence

from keras_face.backbones.layers import BatchNormalization, PReLU
from keras_face.backbones.settings import is_whole, scaled
from keras_face.backend import keras, tf

_HALVINGS = 4  # each stage doubles the map


def _kernel(transposed: bool = False) -> keras.initializers.Initializer:
    """Returns He's normal initialisation by outputs; Keras takes those of a transposed kernel for its inputs."""
    return keras.initializers.VarianceScaling(2.0, "fan_in" if transposed else "fan_out", "untruncated_normal")


class _Parts:
    """Puts the parts of the network onto a tensor of [batch, height, width, channels]."""

    def __init__(self, activation: str, synchronized: bool):
        self.activation, self.synchronized = activation, synchronized

    def normalise(self, x: tf.Tensor, name: str) -> tf.Tensor:
        return BatchNormalization(momentum=0.9, epsilon=2e-5, synchronized=self.synchronized, name=f"{name}_norm")(x)

    def activate(self, x: tf.Tensor, name: str) -> tf.Tensor:
        if self.activation == "relu":
            return keras.layers.ReLU(name=f"{name}_relu")(x)
        return PReLU(0.25, name=f"{name}_prelu")(x)

    def grow(self, x: tf.Tensor, filters: int, size: Sequence[int], name: str) -> tf.Tensor:
        """Returns an activated deconvolution to maps of `size`; published: 1 -> 2 -> 3 -> 7, 1 -> 7."""
        sides = list(zip(x.shape[1:3], size, strict=True))
        strides = [2 if before > 1 and after >= 2 * before else 1 for before, after in sides]
        kernel = [after - stride * (before - 1) for (before, after), stride in zip(sides, strides, strict=True)]
        x = keras.layers.Conv2DTranspose(
            filters, kernel, strides, use_bias=False, kernel_initializer=_kernel(transposed=True), name=name
        )(x)
        return self.activate(self.normalise(x, name), name)

    def stem(self, x: tf.Tensor, filters: int, size: Sequence[int]) -> tf.Tensor:
        """Returns the first map, of `size`, of a single pixel: at once, and over maps of 2 and 3 pixels."""
        shortcut = self.grow(x, filters, size, "stem_shortcut")
        for step, side in enumerate((2, 3, max(size)), start=1):
            x = self.grow(x, filters, [min(side, whole) for whole in size], f"stem_deconv{step}")
        return keras.layers.Add(name="stem_add")([x, shortcut])

    def double(self, x: tf.Tensor, filters: int, size: int, name: str) -> tf.Tensor:
        return keras.layers.Conv2DTranspose(
            filters,
            size,
            2,
            padding="same",
            use_bias=False,
            kernel_initializer=_kernel(transposed=True),
            name=name,
        )(x)

    def convolve(self, x: tf.Tensor, filters: int, name: str) -> tf.Tensor:
        # A deconvolution of stride 1 there, which is the same with the kernel turned round.
        return keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=_kernel(), name=name)(
            x
        )

    def unit(self, x: tf.Tensor, filters: int, doubles: bool, name: str) -> tf.Tensor:
        shortcut = x
        if doubles:
            shortcut = self.normalise(self.double(x, filters, 2, f"{name}_shortcut"), f"{name}_shortcut")
        x = self.convolve(self.normalise(x, f"{name}_first"), filters, f"{name}_conv1")
        x = self.activate(self.normalise(x, f"{name}_conv1"), f"{name}_conv1")
        x = self.double(x, filters, 4, f"{name}_deconv2") if doubles else self.convolve(x, filters, f"{name}_conv2")
        return keras.layers.Add(name=f"{name}_add")([shortcut, self.normalise(x, f"{name}_last")])


def decoder(
    embedding_size: int,
    image_size: Sequence[int] = (112, 112),
    width: float = 1.0,
    *,
    units: Sequence[int] = (2, 2, 2, 2),
    activation: str = "prelu",
    synchronized: bool = False,
) -> keras.Model:
    """Returns a freshly initialised network from embeddings to the crops they might be of.

    The model takes float32 [batch, embedding_size], of any length (it sees the direction only), and gives float32
    [batch, height, width, 3], RGB in [0, 1]. It computes in the global mixed-precision policy.

    A sigmoid makes the pixels. The original normalises each image to a mean of 0 and clips it to [0, 1], so that about
    half of all pixels start at 0 without a gradient and no image is lighter than another; for the latter reason also
    the shortcuts are normalised over the batch here, not each image by itself.

    Args:
        embedding_size: Numbers in an embedding.
        image_size: (height, width) of the crops, multiples of 16 pixels; published: (112, 112).
        width: Factor on every channel count, which is then rounded to a multiple of 8, at least 8; published: 1.
        units: Residual units of each of the four stages, each of which doubles the map; published: (2, 2, 2, 2), the
            default "decode layer" 18, and up to (3, 30, 13, 3).
        activation: `relu`, as published, or `prelu`.
        synchronized: Whether batch-normalisation statistics in training are of the global batch.

    Raises: ValueError if a value is out of range.
    Reference: Huang et al. 2020, https://arxiv.org/abs/2006.04518; HuyaInc/huya_face, analysis/symbol/fgan_resnet.py.

    Examples:
        >>> network = keras_face.backbones.decoder(8, (16, 16), width=0.1, units=(1, 1, 1, 1))
        >>> network(np.ones((2, 8), np.float32)).shape
        TensorShape([2, 16, 16, 3])
    """
    if not is_whole(embedding_size) or embedding_size < 1:
        raise ValueError(f"embedding_size must be a whole number above 0, got {embedding_size}")
    unit = 2**_HALVINGS
    if len(image_size) != 2 or not all(is_whole(side) and side > 0 and side % unit == 0 for side in image_size):
        raise ValueError(f"image_size must be (height, width), multiples of {unit} pixels, got {image_size}")
    if not 0 < width < math.inf:
        raise ValueError(f"width must be a finite factor above 0, got {width}")
    if len(units) != _HALVINGS or not all(is_whole(count) and count > 0 for count in units):
        raise ValueError(f"units must be {_HALVINGS} whole numbers above 0, got {units}")
    if activation not in ("relu", "prelu"):
        raise ValueError(f"activation must be relu or prelu, got {activation!r}")
    parts = _Parts(activation, synchronized)
    embeddings = keras.Input((embedding_size,), dtype="float32", name="embeddings")
    x = keras.layers.UnitNormalization(dtype="float32", name="direction")(embeddings)
    x = keras.layers.Reshape((1, 1, embedding_size), dtype="float32", name="pixel")(x)
    x = parts.stem(x, scaled(512, width), [side // unit for side in image_size])
    for stage, (count, filters) in enumerate(zip(units, (256, 128, 64, 64), strict=True), start=1):
        for index in range(1, count + 1):
            x = parts.unit(x, scaled(filters, width), index == 1, f"stage{stage}_unit{index}")
    # In float32: 8 bits a pixel are more than bfloat16 has. Small enough that the sigmoid starts where it has a slope.
    kernel = keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")
    pixels = keras.layers.Conv2D(3, 1, activation="sigmoid", kernel_initializer=kernel, dtype="float32", name="pixels")
    return keras.Model(embeddings, pixels(x), name="decoder")
