"""Where the pixels of a face are: mirrored, moved, cropped."""

from keras_face.augmentation.colour import to_uint8
from keras_face.augmentation.erasing import rectangle
from keras_face.backend import tf


def mirrored_where(images: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Returns the images, those that are chosen mirrored: uint8 [n, height, width, 3]; chosen is bool [n]."""
    count, height, width, channels = images.shape
    parts = tf.cast(chosen, tf.int32)
    kept, turned = tf.dynamic_partition(images, parts, 2)
    # As one tall image: tf.reverse is several times faster for three dimensions than for four.
    turned = tf.reverse(tf.reshape(turned, [-1, width, channels]), [1])
    places = tf.dynamic_partition(tf.range(count), parts, 2)
    together = tf.dynamic_stitch(places, [kept, tf.reshape(turned, [-1, height, width, channels])])
    return tf.ensure_shape(together, images.shape)


def moved(image: tf.Tensor, across: tf.Tensor, down: tf.Tensor, zoom: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Returns the image turned (counter-clockwise, radians) and zoomed about its centre, then shifted (in sides)."""
    cosine, sine = tf.cos(turn) / zoom, tf.sin(turn) / zoom
    return warped(image, [[cosine, -sine], [sine, cosine]], across, down)


def warped(image: tf.Tensor, inverse: list[list], across: tf.Tensor | float, down: tf.Tensor | float) -> tf.Tensor:
    """Returns the image under a linear map about its centre, then shifted; what comes in is mirrored.

    Args:
        image: uint8 [height, width, 3], static shape.
        inverse: 2 x 2 numbers, the inverse of the map: where each pixel of the result comes from.
        across: Shift to the right, as a share of the width.
        down: Shift downward, as a share of the height.
    """
    height, width = image.shape[:2]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    # Rows: x = a0 x' + a1 y' + a2; y = b0 x' + b1 y' + b2.
    (xx, xy), (yx, yy) = inverse
    to_x, to_y = middle_x + across * width, middle_y + down * height
    matrix = [xx, xy, middle_x - xx * to_x - xy * to_y, yx, yy, middle_y - yx * to_x - yy * to_y, 0.0, 0.0]
    pixels = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[tf.newaxis],  # float32, because for uint8 the op cuts the fractions off
        transforms=tf.stack(matrix)[tf.newaxis],
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="REFLECT",
        fill_value=0.0,
    )
    return tf.ensure_shape(to_uint8(pixels[0]), image.shape)


def cropped(image: tf.Tensor, draws: tf.Tensor, least_area: float) -> tf.Tensor:
    """Returns the image, black outside a random rectangle of `least_area` to all of it, of shapes 3:4 to 4:3.

    So a face looks that the edge of the photo cuts off.

    Args:
        image: uint8 [height, width, 3], static shape.
        draws: float32 [4], the place of the rectangle, in [0, 1).
        least_area: Share of the image, (0, 1].

    Reference: Kim et al. 2022, AdaFace, https://arxiv.org/abs/2204.00964: 0.2 to 1 of the area.
    """
    inside = rectangle(image.shape[:2], tf.unstack(draws), (least_area, 1.0), 4 / 3)
    return tf.where(inside, image, tf.zeros([], tf.uint8))
