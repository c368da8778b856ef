"""GuGuGirls' two views of a face: the whole crop, and a window that a spatial transformer chooses."""

from keras_face.backbones.layers import BatchNormalization
from keras_face.backbones.settings import Settings
from keras_face.backbones.spatial_transformer import AffineSampler, Window
from keras_face.backend import keras, tf

# Of each stage: bottlenecks, channels inside them (a quarter of those outside), strides of the first.
_STAGES = ((3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 1))


class _Parts:
    """Puts the parts of the network onto a tensor of [batch, height, width, channels]."""

    def __init__(self, settings: Settings):
        self.settings = settings

    def normalise(self, x: tf.Tensor, name: str, gamma_spread: float = 0.0, dtype: str | None = None) -> tf.Tensor:
        return BatchNormalization(
            momentum=0.9,
            epsilon=1e-5,
            gamma_initializer=keras.initializers.RandomNormal(1.0, gamma_spread) if gamma_spread else "ones",
            synchronized=self.settings.synchronized,
            dtype=dtype,
            name=name,
        )(x)

    def convolve(self, x: tf.Tensor, filters: int, size: int, strides: int, name: str) -> tf.Tensor:
        if size > 1:  # as PyTorch pads; "same" would pad an even map more below and right at stride 2
            x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x)
        kernel = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        x = keras.layers.Conv2D(filters, size, strides, use_bias=False, kernel_initializer=kernel, name=name)(x)
        return self.normalise(x, f"{name}_norm")

    def bottleneck(self, x: tf.Tensor, inside: int, filters: int, strides: int, name: str) -> tf.Tensor:
        shortcut = x
        if strides != 1 or x.shape[-1] != filters:
            shortcut = self.convolve(x, filters, 1, strides, f"{name}_shortcut")
        x = keras.layers.ReLU(name=f"{name}_relu1")(self.convolve(x, inside, 1, 1, f"{name}_conv1"))
        x = keras.layers.ReLU(name=f"{name}_relu2")(self.convolve(x, inside, 3, strides, f"{name}_conv2"))
        x = self.convolve(x, filters, 1, 1, f"{name}_conv3")
        return keras.layers.ReLU(name=f"{name}_relu3")(keras.layers.Add(name=f"{name}_add")([shortcut, x]))

    def resnet50(self) -> keras.Model:
        """Returns a ResNet-50 from images to maps; its last stage keeps the size of the map."""
        images = self.settings.images()
        x = self.convolve(images, self.settings.channels(64), 7, 2, "stem_conv")
        x = keras.layers.ReLU(name="stem_relu")(x)
        x = keras.layers.ZeroPadding2D(1, name="stem_pool_pad")(x)  # nothing is below 0 here
        x = keras.layers.MaxPooling2D(3, 2, name="stem_pool")(x)
        for stage, (count, inside, strides) in enumerate(_STAGES, start=1):
            inside, filters = self.settings.channels(inside), self.settings.channels(4 * inside)
            for unit in range(1, count + 1):
                x = self.bottleneck(x, inside, filters, strides if unit == 1 else 1, f"stage{stage}_unit{unit}")
        return keras.Model(images, x, name="resnet50")

    def window(self, images: tf.Tensor) -> tf.Tensor:
        """Returns the transform of each image's window, float32 [batch, 2, 3], at first the identity."""
        height, width, channels = images.shape[1:]
        # In float32: places are wanted to a fraction of a pixel.
        x = keras.layers.Reshape((height * width, channels), dtype="float32", name="window_pixels")(images)
        x = keras.layers.GlobalAveragePooling1D("channels_first", dtype="float32", name="window_grey")(x)
        x = keras.layers.Reshape((1, 1, height * width), dtype="float32", name="window_pixel")(x)
        # Without a bias, which the normalisation would take away.
        x = keras.layers.Dense(
            32, use_bias=False, kernel_initializer=keras.initializers.HeNormal(), dtype="float32", name="window_dense1"
        )(x)
        x = self.normalise(x, "window_norm", gamma_spread=0.02, dtype="float32")
        x = keras.layers.ReLU(dtype="float32", name="window_relu")(x)
        x = keras.layers.Dense(4, kernel_initializer="zeros", dtype="float32", name="window_dense2")(x)
        x = keras.layers.Flatten(dtype="float32", name="window_numbers")(x)
        return Window(dtype="float32", name="window")(x)


def two_view_resnet50(name: str, settings: Settings) -> keras.Model:
    """Returns GuGuGirls' network: one ResNet-50 sees the crop and a window of it; both together make the embedding.

    The spatial transformer is mended: the window starts as the whole crop, where it had a width around 0 and a height
    of 0.6, and is never mirrored. Each view is max-pooled and normalised over the batch as there; a dense layer of both
    views comes before the normalisation unless the embedding has the published size, 4096, where there is none. There
    each view has a classifier and a loss of its own, here one head sees both. The weights that it starts from there,
    trained on ImageNet, are not at hand.

    Args:
        name: Name of the model.
        settings: What the user chose.

    Reference: ffeiDing/GuGuGirls, FaceRecognition/tri_loss/model; Jaderberg et al. 2015,
        https://arxiv.org/abs/1506.02025.
    """
    parts = _Parts(settings)
    images = settings.images()
    resnet50 = parts.resnet50()
    views = {"crop": images, "window": AffineSampler(name="window_view")([images, parts.window(images)])}
    pooled = [
        keras.layers.GlobalMaxPooling2D(keepdims=True, dtype="float32", name=f"{view}_pool")(resnet50(seen))
        for view, seen in views.items()
    ]
    x = settings.drop(keras.layers.Concatenate(dtype="float32", name="views")(pooled), 0.0)
    if x.shape[-1] != settings.embedding_size:
        kernel = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        x = keras.layers.Dense(
            settings.embedding_size, use_bias=False, kernel_initializer=kernel, dtype="float32", name="embedding_dense"
        )(x)
    x = parts.normalise(x, "embedding_norm", gamma_spread=0.02, dtype="float32")
    return keras.Model(images, keras.layers.Flatten(dtype="float32", name="embedding")(x), name=name)
