"""Random changes of a training image, each a pure function of the image and a seed."""

import dataclasses
from collections.abc import Callable

from keras_face.augmentation.colour import recoloured
from keras_face.augmentation.draws import NUMBERS, Draws, either, numbers, when
from keras_face.augmentation.erasing import erased
from keras_face.augmentation.geometry import cropped, mirrored_where, moved
from keras_face.augmentation.quality import blurred, compressed, low_resolution
from keras_face.augmentation.rand_augment import rand_augmented
from keras_face.backend import tf
from keras_face.config import AugmentationConfig
from keras_face.config.setting import check_value
from keras_face.masks.online import wear_mask


@dataclasses.dataclass(frozen=True)
class Augmentation(AugmentationConfig):
    """Changes a training image as its settings say; what is off is no part of the graph.

    In this order: mask, flip, shift with scale and rotation, colour with grey, RandAugment, crop, low resolution, blur,
    JPEG, erase. The mask comes first because it is put where an aligned face is.

    Args: those of `AugmentationConfig`, where each has its default, its range and its comment.

    Call arguments:
        image: uint8 [height, width, 3], static shape.
        seed: int64 [2].

    Returns: uint8 [height, width, 3].
    Raises: ValueError if an option is out of range, or a number of operations or a quality is not whole.
    Reference: Kim et al. 2022, AdaFace, https://arxiv.org/abs/2204.00964 (crop, low resolution, colour, each with
        probability 0.2); the others' are with their functions.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            check_value(field, value, field.name)
            if field.type is int and value != int(value):
                raise ValueError(f"{field.name}: expected a whole number, got {value}")

    @classmethod
    def of(cls, settings: AugmentationConfig) -> "Augmentation":
        """Returns what the section [augmentation] of a configuration asks for."""
        return cls(**dataclasses.asdict(settings))

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
