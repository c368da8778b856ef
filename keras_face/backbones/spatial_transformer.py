"""Spatial transformers: a network chooses where to look, and differentiable sampling looks there."""

from typing import Any

import numpy as np

from keras_face.backend import keras, tf


@keras.utils.register_keras_serializable(package="keras_face")
class AffineSampler(keras.layers.Layer):
    """Samples images bilinearly at affinely transformed places, differentiably in both; in float32 inside.

    Coordinates go from -1 at the centre of the first pixel of a row or column to 1 at that of the last. The output at
    (x, y) is the input at (t00 x + t01 y + t02, t10 x + t11 y + t12). Outside there are zeros, which the values at the
    border blend into over one pixel (PyTorch's grid_sample with align_corners=True).

    Call arguments:
        inputs: (images, transforms), float [batch, height, width, channels], at least 2 pixels high and wide, and
            float32 [batch, 2, 3], t.

    Returns: as the images, in the compute dtype; exactly the images where a transform is the identity.

    Raises: ValueError if the images are not of a fixed size of at least 2 pixels.
    Reference: Jaderberg et al. 2015, https://arxiv.org/abs/1506.02025, equations 1 and 5
    """

    def __init__(self, **kwargs: Any):
        # The transforms stay float32 whatever the policy: in bfloat16 a place is off by up to a quarter of a pixel.
        super().__init__(autocast=False, **kwargs)

    def build(self, input_shape: Any) -> None:
        size = tuple(input_shape[0][1:3])
        if None in size or min(size) < 2:
            raise ValueError(f"expected images of a fixed size of at least 2 x 2 pixels, got (height, width) {size}")
        super().build(input_shape)

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        images, transforms = inputs
        height, width, channels = images.shape[1:]
        # In pixels from the middle, so that the identity takes every pixel as it is, without rounding.
        half = np.array([width - 1, height - 1], np.float32) / 2
        units = np.stack([half / half[0], half / half[1], half], axis=1)  # of t in pixels
        columns, rows = np.meshgrid(
            np.arange(width, dtype=np.float32) - half[0], np.arange(height, dtype=np.float32) - half[1]
        )
        # Products one by one: a GPU's matrix product would round places to 10 bits.
        pixel_transforms = tf.cast(transforms, tf.float32) * units
        by_column, by_row, shift = (pixel_transforms[:, :, index, tf.newaxis] for index in range(3))  # [batch, 2, 1]
        places = by_column * columns.ravel() + by_row * rows.ravel() + shift + half[:, np.newaxis]  # [batch, 2, places]
        x = tf.clip_by_value(places[:, 0], -1.0, width)  # further out there are only zeros
        y = tf.clip_by_value(places[:, 1], -1.0, height)
        left, top = tf.floor(x), tf.floor(y)
        padded_width = width + 3
        pixels = tf.pad(tf.cast(images, tf.float32), [[0, 0], [1, 2], [1, 2], [0, 0]])
        pixels = tf.reshape(pixels, [-1, (height + 3) * padded_width, channels])
        # If the transform is NaN, so are the weights below and the output; the index must be valid nevertheless.
        column = tf.clip_by_value(tf.cast(left, tf.int32), -1, width) + 1
        row = tf.clip_by_value(tf.cast(top, tf.int32), -1, height) + 1
        outputs = 0.0
        for down, vertical in ((0, 1.0 - (y - top)), (1, y - top)):
            for right, horizontal in ((0, 1.0 - (x - left)), (1, x - left)):
                corner = tf.gather(pixels, (row + down) * padded_width + column + right, batch_dims=1)
                outputs += (vertical * horizontal)[..., tf.newaxis] * corner
        return tf.cast(tf.reshape(outputs, [-1, height, width, channels]), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]


@keras.utils.register_keras_serializable(package="keras_face")
class Window(keras.layers.Layer):
    """Makes the transform of an upright window of four numbers; zeros make the identity.

    Call arguments:
        inputs: float32 [batch, 4]: a, b, c, d.

    Returns: float32 [batch, 2, 3]: the window is 1 + tanh(a) times as wide and 1 + tanh(b) times as high as the image,
        and its centre is tanh(d) right and tanh(c) below that of the image, whose half width and height are 1.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        width, height, down, right = tf.unstack(tf.tanh(inputs), num=4, axis=-1)
        none = tf.zeros_like(width)
        return tf.stack([tf.stack([1 + width, none, right], -1), tf.stack([none, 1 + height, down], -1)], axis=-2)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], 2, 3)
