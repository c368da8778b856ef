"""Light and colour of an image."""

from keras_face.backend import tf
from keras_face.photos.luminance import LUMINANCE


def to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """Returns floating-point pixels rounded to the nearest of 0 to 255."""
    return tf.cast(tf.round(tf.clip_by_value(pixels, 0.0, 255.0)), tf.uint8)


def luminance_of(pixels: tf.Tensor) -> tf.Tensor:
    """Returns the luminance of float32 RGB pixels: [..., 1]."""
    return tf.tensordot(pixels, tf.constant(LUMINANCE), 1)[..., tf.newaxis]


def recoloured(
    image: tf.Tensor, *, hue: tf.Tensor | None, saturation: tf.Tensor, contrast: tf.Tensor, brightness: tf.Tensor
) -> tf.Tensor:
    """Returns the image with another hue, then saturation, contrast and brightness.

    Args:
        image: uint8 [height, width, 3].
        hue: Turn of the colour circle, as a share of it, [-0.5, 0.5]; None: nothing is computed.
        saturation: Multiplies the distance from grey; 0: a grey image.
        contrast: Multiplies the distance from the mean luminance.
        brightness: Is added, as a share of full scale.
    """
    pixels = tf.cast(image, tf.float32)
    if hue is not None:
        pixels = tf.image.adjust_hue(pixels, hue)  # of any scale
    luminance = luminance_of(pixels)
    pixels = luminance + (pixels - luminance) * saturation
    mean = tf.reduce_mean(luminance)
    pixels = mean + (pixels - mean) * contrast
    return to_uint8(pixels + 255.0 * brightness)
