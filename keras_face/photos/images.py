"""One image: decoded, fitted to the size of the network, standardised."""

import math
import struct
from collections.abc import Mapping, Sequence

import numpy as np

from keras_face.backend import tf
from keras_face.photos.limit import max_pixels

_HEADER = 168  # bytes, a multiple of four: up to the size of a JPEG as most programs write it
_PNG = int.from_bytes(b"\x89PNG", "big", signed=True)


def decode(image_bytes: tf.Tensor) -> tf.Tensor:
    """Returns the RGB pixels of an encoded JPEG or PNG image.

    Grey images become three equal channels, and an alpha channel is dropped.

    Args:
        image_bytes: string scalar, a whole JPEG or PNG file.

    Returns: uint8 [height, width, 3], RGB.
    Raises: tf.errors.InvalidArgumentError if the bytes are no such image, or are cut off.
    """
    # decode_jpeg reads PNG too; decode_image would not know the rank of its result. Its default, INTEGER_FAST, is off
    # by up to 18 grey levels (mean 1.4 on LFW) and no faster; ACCURATE gives OpenCV's pixels exactly.
    return tf.io.decode_jpeg(image_bytes, channels=3, dct_method="INTEGER_ACCURATE")


def has_too_large(image_bytes: tf.Tensor, usual_sizes: Sequence[Sequence[int]] = ()) -> tf.Tensor:
    """Returns whether one of several encoded images has more pixels than `limit.max_pixels`, by its header alone.

    A file of a few kilobytes can be gigabytes. Where all begin as a JPEG of a usual size does, as most programs write
    it, nothing more is asked: that costs about 5 us an image, of 160 for decoding; JPEGs of other headers 40.

    Args:
        image_bytes: string [n], JPEG or PNG files.
        usual_sizes: (height, width) that most of them have, pixels.

    Returns: bool scalar.
    Raises: tf.errors.InvalidArgumentError if a large one is neither, or damaged.
    """
    # What is shorter is filled with zeros.
    words = tf.io.decode_raw(image_bytes, tf.int32, little_endian=False, fixed_length=_HEADER)
    usual = tf.zeros(tf.shape(image_bytes), tf.bool)
    for size in usual_sizes:
        if math.prod(size) <= max_pixels():
            value, mask = _words(_jpeg_header(size))
            usual |= tf.reduce_all(tf.bitwise.bitwise_and(words, mask) == value, axis=1)
    others = tf.logical_not(usual)

    def ask() -> tf.Tensor:
        left, header = tf.boolean_mask(image_bytes, others), tf.boolean_mask(words, others)
        is_png = header[:, 0] == _PNG
        large_png = is_png & (tf.reduce_prod(tf.cast(header[:, 4:6], tf.int64), axis=1) > max_pixels())
        # Not by the number of bytes: a few of an arithmetically coded JPEG stand for any number of pixels.
        shapes = tf.map_fn(
            tf.image.extract_jpeg_shape,
            tf.boolean_mask(left, tf.logical_not(is_png)),
            fn_output_signature=tf.TensorSpec([3], tf.int32),
        )
        large_jpeg = tf.reduce_prod(tf.cast(shapes[:, :2], tf.int64), axis=1) > max_pixels()
        return tf.reduce_any(large_png) | tf.reduce_any(large_jpeg)

    return tf.cond(tf.reduce_any(others), ask, lambda: tf.constant(False))


def _jpeg_header(size: Sequence[int]) -> dict[int, bytes]:
    """Returns what a JPEG in colour of a (height, width) begins with that libjpeg wrote, by place.

    So do Pillow, OpenCV and TensorFlow: JFIF's segment, two quantisation tables, a baseline frame of 8 bits. The
    lengths of the segments are among it, so no other frame can come before that one.
    """
    frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", *size)
    return {0: b"\xff\xd8\xff\xe0\0\x10", 20: b"\xff\xdb\0\x43", 89: b"\xff\xdb\0\x43", 158: frame}


def _words(pattern: Mapping[int, bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Returns int32 [_HEADER / 4] twice: the bytes of a pattern, and a mask of its places."""
    value, mask = bytearray(_HEADER), bytearray(_HEADER)
    for start, part in pattern.items():
        value[start : start + len(part)] = part
        mask[start : start + len(part)] = b"\xff" * len(part)
    return np.frombuffer(value, ">i4").astype(np.int32), np.frombuffer(mask, ">i4").astype(np.int32)


def fit(image: tf.Tensor, image_size: Sequence[int]) -> tf.Tensor:
    """Returns the images centre-cropped to the shape of `image_size`, then resized only if the scale still differs.

    112x112 to 112x96 is a crop alone, and 112x112 to 56x56 a resize alone: an aligned face stays on its template.
    Resizing averages areas.

    Args:
        image: uint8 [height, width, 3] or [batch, height, width, 3]; the size may be unknown until it runs.
        image_size: (height, width) of the result, pixels.

    Returns: uint8, of the same rank, height and width as `image_size` (in the static shape too).
    Raises: ValueError if `image_size` is not two positive integers.
    """
    size = tuple(image_size)
    if len(size) != 2 or not all(isinstance(side, int) and side >= 1 for side in size):
        raise ValueError(f"image_size must be (height, width) in whole pixels >= 1, got {image_size}")
    image = tf.convert_to_tensor(image)
    height, width = size
    static = image.shape[-3:-1].is_fully_defined()
    have_height, have_width = image.shape[-3:-1] if static else tf.unstack(tf.shape(image)[-3:-1])
    # The largest window with the proportions of `size`, rounded up so that it is never empty.
    least = min if static else tf.minimum
    crop_height = least(have_height, -(-have_width * height // width))
    crop_width = least(have_width, -(-have_height * width // height))
    top, left = (have_height - crop_height) // 2, (have_width - crop_width) // 2
    crop = image[..., top : top + crop_height, left : left + crop_width, :]

    def resized() -> tf.Tensor:
        batch = crop if crop.shape.rank == 4 else crop[tf.newaxis]
        pixels = tf.cast(tf.round(tf.image.resize(batch, size, method="area")), tf.uint8)
        return pixels if crop.shape.rank == 4 else pixels[0]

    if static:
        return crop if (crop_height, crop_width) == size else resized()
    same_scale = tf.logical_and(tf.equal(crop_height, height), tf.equal(crop_width, width))
    return tf.ensure_shape(tf.cond(same_scale, lambda: crop, resized), [*image.shape[:-3], height, width, 3])


def random_windows(images: tf.Tensor, image_size: Sequence[int], seeds: tf.Tensor) -> tf.Tensor:
    """Returns a window of each image, at a place that depends on its seed alone; all places are equally likely.

    Args:
        images: uint8 [n, height, width, 3], static shape.
        image_size: (height, width) of the windows, pixels, at most those of the images.
        seeds: int64 [n, 2], one for each.

    Returns: uint8 [n, *image_size, 3].
    """
    pairs = zip(tf.unstack(images), tf.unstack(seeds, images.shape[0]), strict=True)
    return tf.stack([tf.image.stateless_random_crop(image, [*image_size, 3], seed) for image, seed in pairs])


def standardise(images: tf.Tensor, dtype: tf.DType | str = "float32", divisor: float = 128.0) -> tf.Tensor:
    """Returns (images - 127.5) / divisor.

    Args:
        images: uint8 (or any number in [0, 255]), any shape.
        dtype: Floating type of the result.
        divisor: In grey levels. 128: SphereFace's, and that of most margin-softmax networks since; 127.5: that of
            arcface_torch and of what is trained with torchvision's Normalize(0.5, 0.5).

    Returns: `dtype`, the shape of `images`, within [-127.5 / divisor, 127.5 / divisor].
    """
    # In float32 first: pixel - 127.5 has up to 9 significant bits, and bfloat16 holds 8.
    return tf.cast((tf.cast(images, tf.float32) - 127.5) / divisor, dtype)
