"""Random changes of a training image, each a pure function of the image and a seed."""

import dataclasses
import math
from collections.abc import Callable

from keras_face.augmentation.colour import recoloured
from keras_face.augmentation.draws import NUMBERS, Draws, either, numbers, when
from keras_face.augmentation.erasing import SMALLEST_ERASED, erased
from keras_face.augmentation.geometry import cropped, mirrored_where, moved
from keras_face.augmentation.quality import blurred, compressed, low_resolution
from keras_face.augmentation.rand_augment import LARGEST_MAGNITUDE, rand_augmented
from keras_face.backend import tf
from keras_face.masks.online import wear_mask

_RANGES = {  # of what is not in [0, 1]
    "shift": (0, 0.5),
    "scale": (0, 0.5),
    "rotation": (0, math.pi),
    "contrast": (0, 0.99),  # at 1 an image could lose all of its contrast
    "saturation": (0, 0.99),
    "hue": (0, 0.5),
    "crop_area": (0.02, 1),
    "low_resolution_scale": (0.05, 1),
    "blur_sigma": (0.1, 16),
    "jpeg_quality": (1, 100),
    "erase_area": (SMALLEST_ERASED, 1),
    "rand_augment": (0, 16),
    "rand_augment_magnitude": (0, LARGEST_MAGNITUDE),
}


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What is done to a training image, in this order; what is off is no part of the graph.

    Args:
        mask: Probability of a drawn face mask, [0, 1]; before all else, because it is put where an aligned face is.
        flip: Probability of a horizontal mirror, [0, 1].
        move_probability: Probability that `shift` and `scale` are applied, [0, 1].
        shift: Largest translation, as a share of the side, [0, 0.5]; what comes in is mirrored.
        scale: Largest zoom in or out, as a share of the size, [0, 0.5].
        rotation_probability: Probability that `rotation` is applied, [0, 1].
        rotation: Largest rotation about the centre, radians, [0, pi].
        colour_probability: Probability that `hue`, `saturation`, `contrast` and `brightness` are applied, [0, 1].
        hue: Largest turn of the colour circle, as a share of it, [0, 0.5].
        saturation: Largest change of the distance from grey, as a share, [0, 0.99].
        grey: Probability of a grey image, [0, 1].
        contrast: Largest change of the distance from the mean, as a share, [0, 0.99].
        brightness: Largest amount added or taken away, as a share of full scale, [0, 1].
        rand_augment_probability: Probability of RandAugment, [0, 1].
        rand_augment: Operations of RandAugment, one after the other, [0, 16]; 0: none. Paper: 2.
        rand_augment_magnitude: Strength of these, [0, 10]. Paper: 9.
        crop: Probability that all but a random rectangle is black, [0, 1]. AdaFace: 0.2.
        crop_area: Smallest share of the image that such a crop leaves, [0.02, 1]. AdaFace: 0.2.
        low_resolution: Probability that the image is scaled down and up again, [0, 1]. AdaFace: 0.2.
        low_resolution_scale: Smallest scale of that, [0.05, 1]. AdaFace: 0.2.
        blur: Probability of a Gaussian blur, [0, 1].
        blur_sigma: Largest standard deviation of it, pixels, [0.1, 16].
        jpeg: Probability of a further JPEG compression, [0, 1].
        jpeg_quality: Lowest quality of it, libjpeg's scale, [1, 100].
        erase: Probability that a random rectangle of 2 % to `erase_area` of the image becomes noise, [0, 1].
        erase_area: Largest share of the image that is erased, [0.02, 1].

    Call arguments:
        image: uint8 [height, width, 3], static shape.
        seed: int64 [2].

    Returns: uint8 [height, width, 3].
    Raises: ValueError if an option is out of range.
    Reference: Kim et al. 2022, AdaFace, https://arxiv.org/abs/2204.00964 (crop, low resolution, colour, each with
        probability 0.2); the others' are with their functions.
    """

    flip: float = 0.5
    move_probability: float = 1.0
    shift: float = 0.0
    scale: float = 0.0
    rotation_probability: float = 1.0
    rotation: float = 0.0
    colour_probability: float = 1.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    rand_augment_probability: float = 1.0
    rand_augment: int = 0
    rand_augment_magnitude: float = 9.0
    crop: float = 0.0
    crop_area: float = 0.2
    low_resolution: float = 0.0
    low_resolution_scale: float = 0.2
    blur: float = 0.0
    blur_sigma: float = 2.0
    jpeg: float = 0.0
    jpeg_quality: int = 30
    erase: float = 0.0
    erase_area: float = 0.33
    mask: float = 0.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            low, high = _RANGES.get(name, (0, 1))
            if not low <= value <= high:
                raise ValueError(f"{name} must be in [{low:.4g}, {high:.4g}], got {value}")
            if name in ("rand_augment", "jpeg_quality") and value != int(value):
                raise ValueError(f"{name} must be a whole number, got {value}")

    def each(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Returns what the call makes of each image: uint8 [n, height, width, 3].

        Args:
            images: uint8 [n, height, width, 3], static shape.
            seeds: int64 [n, 2], one for each.
        """
        if self != Augmentation(flip=self.flip):
            result = tf.TensorSpec(images.shape[1:], tf.uint8)
            return tf.map_fn(lambda pair: self(*pair), (images, seeds), fn_output_signature=result)
        if not self.flip:
            return images
        # All at once, because one by one a mirror image costs a third of the decoding of its JPEG.
        draws = tf.stack([numbers(seed) for seed in tf.unstack(seeds, images.shape[0])])
        return mirrored_where(images, draws[:, NUMBERS.index("flip")] < self.flip)

    def __call__(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        draws = Draws(seed)
        if self.mask:
            worn = draws.happens(self.mask, "mask")
            image = when(worn, lambda now: wear_mask(now, draws.within_seed("mask")), image)
        if self.flip:
            image = when(draws.number("flip") < self.flip, lambda now: tf.reverse(now, [1]), image)
        if self.shift or self.scale or self.rotation:
            image = self._moved(image, draws)
        if self.brightness or self.contrast or self.saturation or self.hue or self.grey:
            image = self._recoloured(image, draws)
        if self.rand_augment:
            image = when(
                draws.happens(self.rand_augment_probability, "rand_augment"),
                lambda now: rand_augmented(
                    now, draws.within_seed("rand_augment"), self.rand_augment, self.rand_augment_magnitude
                ),
                image,
            )
        if self.crop:
            numbers = draws.of("crop", 5)
            image = when(numbers[0] < self.crop, lambda now: cropped(now, numbers[1:], self.crop_area), image)
        for name, change, strength in (
            ("low_resolution", low_resolution, self.low_resolution_scale),
            ("blur", blurred, self.blur_sigma),
            ("jpeg", compressed, self.jpeg_quality),
        ):
            if probability := getattr(self, name):
                image = _degraded(image, change, strength, probability, draws.of(name, 2))
        if self.erase:
            place = [draws.number(purpose) for purpose in ("area", "shape", "top", "left")]
            image = when(
                draws.number("erase") < self.erase,
                lambda now: erased(now, place, draws.seed("noise"), self.erase_area),
                image,
            )
        return image

    def _moved(self, image: tf.Tensor, draws: Draws) -> tf.Tensor:
        moves = bool(self.shift or self.scale) and draws.happens(self.move_probability, "move")
        turns = bool(self.rotation) and draws.happens(self.rotation_probability, "rotation")
        across, down = draws.within(self.shift, "across", moves), draws.within(self.shift, "down", moves)
        zoom, turn = 1.0 + draws.within(self.scale, "zoom", moves), draws.within(self.rotation, "turn", turns)
        return when(either(moves, turns), lambda now: moved(now, across, down, zoom, turn), image)

    def _recoloured(self, image: tf.Tensor, draws: Draws) -> tf.Tensor:
        other = bool(self.brightness or self.contrast or self.saturation or self.hue)
        changes = other and draws.happens(self.colour_probability, "colour")
        grey = bool(self.grey) and draws.number("grey") < self.grey
        hue = (2.0 * draws.of("hue", 1)[0] - 1.0) * self.hue if self.hue else None
        if hue is not None and changes is not True:
            hue = tf.where(changes, hue, 0.0)
        saturation = 1.0 + draws.within(self.saturation, "saturation", changes)
        return when(
            either(changes, grey),
            lambda now: recoloured(
                now,
                hue=hue,
                saturation=saturation if grey is False else tf.where(grey, 0.0, saturation),
                contrast=1.0 + draws.within(self.contrast, "contrast", changes),
                brightness=draws.within(self.brightness, "brightness", changes),
            ),
            image,
        )


def _degraded(image: tf.Tensor, change: Callable, strength: float, probability: float, draws: tf.Tensor) -> tf.Tensor:
    return when(draws[0] < probability, lambda now: change(now, draws[1], strength), image)
