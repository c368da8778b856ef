"""The random numbers of one augmented image: no option moves what another draws."""

from collections.abc import Callable
from typing import TypeAlias

from keras_face.backend import tf

# What a uniform number is drawn for; the order never changes.
NUMBERS = (
    "flip", "across", "down", "zoom", "turn", "brightness", "contrast", "saturation", "grey", "erase", "area", "shape",
    "top", "left",
)  # fmt: skip
# What has a seed of its own, beside the numbers; the order never changes, further ones go to the end.
SEEDS = (
    "noise", "mask", "move", "rotation", "colour", "hue", "rand_augment", "crop", "low_resolution", "blur", "jpeg",
)  # fmt: skip

Happens: TypeAlias = tf.Tensor | bool  # whether something is done to this image; True where it is always


def numbers(seed: tf.Tensor) -> tf.Tensor:
    """Returns a number in [0, 1) for each of NUMBERS: float32 [len(NUMBERS)]."""
    return tf.random.stateless_uniform([len(NUMBERS)], seed)


class Draws:
    """The random numbers of an image, given its seed, int64 [2]."""

    def __init__(self, seed: tf.Tensor):
        self._seed = seed
        self._numbers = numbers(seed)

    def number(self, purpose: str) -> tf.Tensor:
        """Returns a number in [0, 1) for one of NUMBERS."""
        return self._numbers[NUMBERS.index(purpose)]

    def within(self, limit: float, purpose: str, happens: Happens) -> tf.Tensor:
        """Returns a number in [-limit, limit) for one of NUMBERS; 0 if it does not happen."""
        value = (2.0 * self.number(purpose) - 1.0) * limit
        return value if isinstance(happens, bool) else tf.where(happens, value, 0.0)

    def seed(self, purpose: str) -> tf.Tensor:
        """Returns a seed for one of SEEDS: int64 [2]."""
        return tf.random.experimental.stateless_fold_in(self._seed, 1 + SEEDS.index(purpose))

    def happens(self, probability: float, purpose: str) -> Happens:
        """Returns whether something with one of SEEDS happens."""
        return True if probability >= 1 else self.of(purpose, 1)[0] < probability

    def of(self, purpose: str, count: int) -> tf.Tensor:
        """Returns numbers in [0, 1) of one of SEEDS, [count]; the first is the one that `happens` takes."""
        return tf.random.stateless_uniform([count], self.seed(purpose))

    def within_seed(self, purpose: str) -> tf.Tensor:
        """Returns a seed for what one of SEEDS draws by itself, apart from `happens`: int64 [2]."""
        return tf.random.experimental.stateless_fold_in(self.seed(purpose), 0)


def either(one: Happens, other: Happens) -> Happens:
    """Returns whether one of the two happens."""
    if isinstance(one, bool):
        return one or other
    return one if other is False else True if other is True else tf.logical_or(one, other)


def when(happens: Happens, change: Callable[[tf.Tensor], tf.Tensor], image: tf.Tensor) -> tf.Tensor:
    """Returns the changed image if it happens, else the image; a change that always happens needs no branch."""
    if happens is True:
        return change(image)
    return image if happens is False else tf.cond(happens, lambda: change(image), lambda: image)
