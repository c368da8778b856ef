"""The batches of a training, and the names of the photos in one that went wrong."""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from keras_face.augmentation.augmentation import Augmentation
from keras_face.backend import said_by, tf
from keras_face.config import AugmentationConfig, DataConfig, TrainingConfig
from keras_face.records.faults import UNREADABLE, first_fault
from keras_face.records.streams import Mixture, train_stream, unreadable


class Batches:
    """How many batches a training has, and the photos of each; steps count from 0.

    The photos depend on datasets, configuration and step alone, so those of any step can be read again.

    Args:
        mixture: The datasets.
        training: How many photos there are in a batch, and how many batches.
        data: Which photos come together, and their size.
        augmentation: How they are changed.
        seed: Of their order and of the augmentation.
        num_replicas: What a batch is shared among.
        accumulation_steps: Parts that a replica computes its share in.

    Attributes:
        steps: Steps of the whole training.

    Raises: ValueError if there is nothing to train, or a batch cannot be shared out evenly.
    """

    def __init__(
        self,
        mixture: Mixture,
        training: TrainingConfig,
        data: DataConfig,
        augmentation: AugmentationConfig,
        *,
        seed: int,
        num_replicas: int,
        accumulation_steps: int = 1,
    ):
        self.steps = training.steps or math.ceil(training.epochs * mixture.num_images / training.batch_size)
        if self.steps < 1:
            raise ValueError("[training] expected steps or epochs above 0, got 0 of both")
        share = num_replicas * accumulation_steps * max(1, data.images_per_identity)
        if training.batch_size % share:
            raise ValueError(
                f"[training] batch_size: expected a multiple of {share} (replicas * accumulation_steps * "
                f"images_per_identity), got {training.batch_size}"
            )
        self._mixture, self._data = mixture, data
        self._augmentation = Augmentation.of(augmentation)
        self._order: dict[str, Any] = {
            "batch_size": training.batch_size,
            "seed": seed,
            "images_per_set": data.images_per_identity or None,
            "shuffle_buffer": data.shuffle_buffer,
        }

    def stream(self, start_step: int) -> tf.data.Dataset:
        """Returns the endless stream of batches from a step on, as `train_stream`."""
        return train_stream(
            self._mixture,
            start_step=start_step,
            augmentation=self._augmentation,
            image_size=self._data.image_size,
            crop_from=self._data.crop_from or None,
            **self._order,
        )

    def next_of(self, iterator: Iterator, step: int) -> Any:
        """Returns what an iterator over the stream gives for a step.

        Raises: ValueError that names the step, counted from 1 as in the log, and the photos that cannot be decoded, or
            the record that is damaged or none that training takes.
        """
        try:
            return next(iterator)
        except UNREADABLE as error:
            raise ValueError(f"step {step + 1}: {self._reason(step, error)}") from None

    def _reason(self, step: int, error: Exception) -> str:
        """Returns why there is no batch of a step."""
        with contextlib.suppress(*UNREADABLE):  # the records themselves cannot be read
            names = unreadable(self._mixture, step=step, **self._order)
            return f"photos that cannot be decoded: {', '.join(names)}" if names else said_by(error)
        return next(filter(None, map(first_fault, self._mixture.datasets)), None) or said_by(error)

    def labels(self, step: int) -> tf.Tensor:
        """Returns the labels of a step, int64 [batch]."""
        return next(iter(self.stream(step)))["labels"]

    def names(self, step: int) -> list[str]:
        """Returns the names of the photos of a step."""
        names = next(iter(self.stream(step)))["names"].numpy()
        return [name.decode(errors="replace") for name in names]
