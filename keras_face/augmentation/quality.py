"""What cameras and files take from an image: resolution, sharpness, JPEG."""

import math

from keras_face.augmentation.colour import to_uint8
from keras_face.backend import tf
from keras_face.photos import images

_SHARPEST = 0.1  # pixels; below, the kernel is one pixel in float32


def low_resolution(image: tf.Tensor, draw: tf.Tensor, least_scale: float) -> tf.Tensor:
    """Returns the image at `least_scale` to all of its size, scaled up again: areas averaged down, bilinear up.

    Args:
        image: uint8 [height, width, 3], static shape.
        draw: Number in [0, 1): where the scale is in its range.
        least_scale: Smallest scale, (0, 1]; AdaFace: 0.2.
    """
    height, width = image.shape[:2]
    scale = least_scale + (1.0 - least_scale) * draw
    size = tf.cast(tf.maximum(tf.round(tf.constant([height, width], tf.float32) * scale), 1.0), tf.int32)
    small = tf.image.resize(image, size, method="area")
    return tf.ensure_shape(to_uint8(tf.image.resize(small, [height, width])), image.shape)


def blurred(image: tf.Tensor, draw: tf.Tensor, largest_sigma: float) -> tf.Tensor:
    """Returns the image under a Gaussian of up to `largest_sigma` pixels; the border is mirrored.

    Args:
        image: uint8 [height, width, 3], static shape.
        draw: Number in [0, 1): where the standard deviation is between none and the largest.
        largest_sigma: Pixels, > 0.
    """
    radius = min(math.ceil(3 * largest_sigma), min(image.shape[:2]) - 1)
    sigma = tf.maximum(largest_sigma * draw, _SHARPEST)
    weights = tf.exp(-0.5 * tf.square(tf.range(-radius, radius + 1, dtype=tf.float32) / sigma))
    weights = tf.tile((weights / tf.reduce_sum(weights))[:, tf.newaxis], [1, 3])
    padding = [[0, 0], [radius, radius], [radius, radius], [0, 0]]
    pixels = tf.pad(tf.cast(image, tf.float32)[tf.newaxis], padding, "REFLECT")
    for kernel in (weights[:, tf.newaxis, :, tf.newaxis], weights[tf.newaxis, :, :, tf.newaxis]):
        pixels = tf.nn.depthwise_conv2d(pixels, kernel, [1, 1, 1, 1], "VALID")
    return tf.ensure_shape(to_uint8(pixels[0]), image.shape)


def compressed(image: tf.Tensor, draw: tf.Tensor, lowest_quality: int) -> tf.Tensor:
    """Returns the image after JPEG of a quality from `lowest_quality` to 100 (chroma at half size).

    Args:
        image: uint8 [height, width, 3], static shape.
        draw: Number in [0, 1): where the quality is in its range.
        lowest_quality: libjpeg's scale, [1, 100].
    """
    quality = lowest_quality + tf.cast(tf.floor(draw * (101 - lowest_quality)), tf.int32)
    image_bytes = tf.raw_ops.EncodeJpegVariableQuality(images=image, quality=quality)
    return tf.ensure_shape(images.decode(image_bytes), image.shape)
