"""The batches of a run, dealt out to the replicas."""

from typing import Any

from keras_face.backend import tf
from keras_face.records.batches import Batches
from keras_face.training.latse import MeanImages


class Feed:
    """The batches from where a run begins, each in its turn, shared out among the replicas; steps count from 1.

    Args:
        batches: The photos of each step.
        strategy: Where they go.
        start: Steps that are trained already.
        mean_images: What a decoder is to draw of each identity; None: the batches have no aims.
    """

    def __init__(
        self, batches: Batches, strategy: tf.distribute.Strategy, start: int, mean_images: MeanImages | None = None
    ):
        self._batches, self._strategy, self._mean_images = batches, strategy, mean_images
        # A strategy copies the next batch to its GPUs while a step is computed.
        # Names are strings, which no GPU takes; the stream gives them again if they are ever asked for.
        stream = batches.stream(start).map(lambda batch: {key: batch[key] for key in ("images", "labels")})
        self._iterator = iter(strategy.experimental_distribute_dataset(stream))

    def take(self, step: int) -> dict[str, Any]:
        """Returns the batch of the next step.

        Args:
            step: Its number.

        Returns: `images`, `labels`, and `aims` where there are mean images, as values of all replicas.
        Raises: ValueError that names the step and the photos that cannot be decoded.
        """
        batch = self._batches.next_of(self._iterator, step - 1)
        return batch if self._mean_images is None else self._mean_images.with_aims(step, batch, self._strategy)

    def labels(self, step: int) -> tf.Tensor:
        """Returns the labels of any step, int64 [batch]."""
        return self._batches.labels(step - 1)

    def names(self, step: int) -> list[str]:
        """Returns the names of the photos of any step."""
        return self._batches.names(step - 1)
