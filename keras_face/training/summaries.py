"""The TensorBoard event files of a run."""

import os
from collections.abc import Mapping

import numpy as np

from keras_face.backend import tf
from keras_face.photos.sheet import grid


class Summaries:
    """TensorBoard event files of a run: scalars, histograms and sheets of crops."""

    def __init__(self, folder: str | os.PathLike):
        self._writer = tf.summary.create_file_writer(os.fspath(folder))

    def scalars(self, step: int, numbers: Mapping[str, float], group: str) -> None:
        with self._writer.as_default(step):
            for name, value in numbers.items():
                tf.summary.scalar(f"{group}/{name}", value)

    def histogram(self, step: int, name: str, values: np.ndarray) -> None:
        with self._writer.as_default(step):
            tf.summary.histogram(name, values)

    def sheet(self, step: int, name: str, images: np.ndarray, columns: int = 8) -> None:
        """Writes crops, uint8 [n, height, width, 3], of which 64 at most are shown, as one picture."""
        with self._writer.as_default(step):
            tf.summary.image(name, grid(images[:64], columns, gap=0)[np.newaxis])

    def flush(self) -> None:
        self._writer.flush()
