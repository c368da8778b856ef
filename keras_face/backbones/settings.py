"""What is chosen for a backbone, whatever its architecture."""

import dataclasses
import math
from collections.abc import Sequence

from keras_face.backbones.dropout import StatelessDropout
from keras_face.backend import keras, tf

SMALLEST = 16  # pixels: every backbone halves its map four times


def is_whole(value: object) -> bool:
    """Returns whether the value is a whole number (True and False are none)."""
    return isinstance(value, int) and not isinstance(value, bool)


def scaled(channels: float, width: float) -> int:
    """Returns `channels * width` as a multiple of 8, at least 8."""
    return max(8, 8 * round(channels * width / 8))


@dataclasses.dataclass(frozen=True)
class Settings:
    """The choices that `build` takes, checked; ValueError for one out of range.

    Attributes: as the arguments of `build`.

    Examples:
        >>> settings = Settings((112, 96, 3), 512, width=0.5, dropout=None, dropout_seed=0, synchronized=False)
        >>> settings.input_shape
        (112, 96, 3)
    """

    input_shape: Sequence[int]
    embedding_size: int
    width: float
    dropout: float | None
    dropout_seed: int
    synchronized: bool
    mask_ratio: float | None = None

    def __post_init__(self) -> None:
        shape = self.input_shape
        if (
            not isinstance(shape, Sequence)
            or len(shape) != 3
            or not all(map(is_whole, shape))
            or min(shape[:2]) < SMALLEST
            or shape[2] < 1
        ):
            raise ValueError(
                f"input_shape must be (height, width, channels), at least {SMALLEST} pixels high and wide, got {shape}"
            )
        if not is_whole(self.embedding_size) or self.embedding_size < 1:
            raise ValueError(f"embedding_size must be a whole number above 0, got {self.embedding_size}")
        if not 0 < self.width < math.inf:
            raise ValueError(f"width must be a finite factor above 0, got {self.width}")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be the dropped share in [0, 1), or None, got {self.dropout}")
        if self.mask_ratio is not None and not 0 <= self.mask_ratio < 1:
            raise ValueError(f"mask_ratio must be the masked share in [0, 1), or None, got {self.mask_ratio}")

    def images(self) -> tf.Tensor:
        """Returns the model's input, in the dtype that the global mixed-precision policy computes in."""
        dtype = keras.mixed_precision.global_policy().compute_dtype
        return keras.Input(tuple(self.input_shape), dtype=dtype, name="images")

    def channels(self, channels: int) -> int:
        """Returns a channel count of the published network times `width`: a multiple of 8, at least 8."""
        return scaled(channels, self.width)

    def drop(self, x: tf.Tensor, rate: float) -> tf.Tensor:
        """Returns `x` after the chosen dropout, or else after the architecture's own `rate`."""
        rate = rate if self.dropout is None else self.dropout
        return StatelessDropout(rate, self.dropout_seed, name="dropout")(x) if rate else x
