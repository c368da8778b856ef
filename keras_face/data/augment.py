"""Random changes of a training image, each a pure function of the image and a seed."""

import dataclasses
import math

from keras_face.backend import tf

_ERASED_AREA = (0.02, 0.33)  # share of the image; shapes from 1:3 to 3:1
_ERASED_SHAPE = math.log(3.0)
# What a uniform number is drawn for, in an order that never changes: so no option moves what another draws.
_DRAWS = (
    "flip", "across", "down", "zoom", "turn", "brightness", "contrast", "saturation", "grey", "erase", "area", "shape",
    "top", "left",
)  # fmt: skip
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, the luminance of JPEG


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What is done to a training image.

    Args:
        flip: Probability of a horizontal mirror, [0, 1].
        shift: Largest translation, as a share of the side, [0, 0.5]; what comes in is mirrored.
        scale: Largest zoom in or out, as a share of the size, [0, 0.5].
        rotation: Largest rotation about the centre, radians, [0, pi].
        brightness: Largest amount added or taken away, as a share of full scale, [0, 1].
        contrast: Largest change of the distance from the mean, as a share, [0, 1).
        saturation: Largest change of the distance from grey, as a share, [0, 1).
        grey: Probability of a grey image, [0, 1].
        erase: Probability that a random rectangle of 2 to 33 % of the image becomes noise, [0, 1].

    Call arguments:
        image: uint8 [height, width, 3], static shape.
        seed: int64 [2].

    Returns: uint8 [height, width, 3].
    Raises: ValueError if an option is out of range.
    Reference: erase: Zhong et al. 2017, Random Erasing, https://arxiv.org/abs/1708.04896
    """

    flip: float = 0.5
    shift: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    grey: float = 0.0
    erase: float = 0.0

    def __post_init__(self) -> None:
        limits = {"shift": 0.5, "scale": 0.5, "rotation": math.pi}
        for name, value in dataclasses.asdict(self).items():
            limit = limits.get(name, 1.0)
            below = name in ("contrast", "saturation")  # at 1 an image could lose all of its contrast
            if not 0 <= value <= limit or (below and value == limit):
                raise ValueError(f"{name} must be in [0, {limit:.4g}{')' if below else ']'}, got {value}")

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = tf.random.stateless_uniform([len(_DRAWS)], seed)

        def draw(purpose: str) -> tf.Tensor:
            """Returns a number in [0, 1)."""
            return draws[_DRAWS.index(purpose)]

        def within(limit: float, purpose: str) -> tf.Tensor:
            """Returns a number in [-limit, limit)."""
            return (2.0 * draw(purpose) - 1.0) * limit

        if self.flip:
            image = tf.cond(draw("flip") < self.flip, lambda: tf.reverse(image, [1]), lambda: image)
        if self.shift or self.scale or self.rotation:
            across, down = within(self.shift, "across"), within(self.shift, "down")
            image = _moved(image, across, down, 1.0 + within(self.scale, "zoom"), within(self.rotation, "turn"))
        if self.brightness or self.contrast or self.saturation or self.grey:
            pixels = tf.cast(image, tf.float32)
            luminance = tf.tensordot(pixels, tf.constant(_GREY), 1)[..., tf.newaxis]
            colour = tf.where(draw("grey") < self.grey, 0.0, 1.0 + within(self.saturation, "saturation"))
            pixels = luminance + (pixels - luminance) * colour
            mean = tf.reduce_mean(luminance)
            pixels = mean + (pixels - mean) * (1.0 + within(self.contrast, "contrast"))
            image = _to_uint8(pixels + 255.0 * within(self.brightness, "brightness"))
        if self.erase:
            place = [draw(purpose) for purpose in ("area", "shape", "top", "left")]
            image = tf.cond(draw("erase") < self.erase, lambda: _erased(image, place, seed), lambda: image)
        return image


def _to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(tf.clip_by_value(pixels, 0.0, 255.0)), tf.uint8)


def _moved(image: tf.Tensor, across: tf.Tensor, down: tf.Tensor, zoom: tf.Tensor, turn: tf.Tensor) -> tf.Tensor:
    """Returns the image turned (counter-clockwise, radians) and zoomed about its centre, then shifted (in sides)."""
    height, width = image.shape[:2]
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    # The op wants the inverse: where each pixel of the result comes from. Rows: x = a0 x' + a1 y' + a2; y = b0 ... .
    cosine, sine = tf.cos(turn) / zoom, tf.sin(turn) / zoom
    to_x, to_y = middle_x + across * width, middle_y + down * height
    matrix = [
        cosine, -sine, middle_x - cosine * to_x + sine * to_y,
        sine, cosine, middle_y - sine * to_x - cosine * to_y,
        0.0, 0.0,
    ]  # fmt: skip
    pixels = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[tf.newaxis],  # float32, because for uint8 the op cuts the fractions off
        transforms=tf.stack(matrix)[tf.newaxis],
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="REFLECT",
        fill_value=0.0,
    )
    return tf.ensure_shape(_to_uint8(pixels[0]), image.shape)


def _erased(image: tf.Tensor, place: list[tf.Tensor], seed: tf.Tensor) -> tf.Tensor:
    """Returns the image with noise in a rectangle whose area, shape, top and left come from numbers in [0, 1)."""
    area, shape, top, left = place
    height, width = image.shape[:2]
    low, high = _ERASED_AREA
    pixels = (low + (high - low) * area) * height * width
    ratio = tf.exp((2.0 * shape - 1.0) * _ERASED_SHAPE)  # height over width
    sides = tf.minimum(tf.round(tf.sqrt(tf.stack([pixels * ratio, pixels / ratio]))), [height, width])
    corner = tf.floor(tf.stack([top, left]) * (tf.constant([height, width], tf.float32) - sides + 1.0))
    rows, columns = (
        tf.logical_and(place >= corner[axis], place < corner[axis] + sides[axis])
        for axis, place in enumerate((tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32)))
    )
    inside = tf.logical_and(rows[:, tf.newaxis], columns[tf.newaxis])[..., tf.newaxis]
    noise_seed = tf.random.experimental.stateless_fold_in(seed, 1)
    noise = tf.random.stateless_uniform(image.shape, noise_seed, 0, 256, tf.int32)
    return tf.where(inside, tf.cast(noise, tf.uint8), image)
