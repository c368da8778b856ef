"""The TensorBoard event files of a run."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_face.backend import tf
from keras_face.evaluation.results import VerificationResult
from keras_face.photos.sheet import grid


class Summaries:
    """TensorBoard event files of a run: scalars, histograms, sheets of crops and texts."""

    def __init__(self, folder: str | os.PathLike):
        Path(folder).mkdir(parents=True, exist_ok=True)  # TensorFlow would not say which folder it cannot make
        self._writer = tf.summary.create_file_writer(os.fspath(folder))

    def scalars(self, step: int, numbers: Mapping[str, float], group: str) -> None:
        with self._writer.as_default(step):
            for name, value in numbers.items():
                tf.summary.scalar(f"{group}/{name}", value)

    def histogram(self, step: int, name: str, values: np.ndarray) -> None:
        with self._writer.as_default(step):
            tf.summary.histogram(name, values)

    def text(self, step: int, name: str, text: str) -> None:
        """Writes lines that are shown as they are: TensorBoard takes texts for Markdown, where these are code."""
        with self._writer.as_default(step):
            tf.summary.text(name, "".join(f"    {line}\n" for line in text.splitlines()))

    def sheet(self, step: int, name: str, images: np.ndarray, columns: int = 8) -> None:
        """Writes crops, uint8 [n, height, width, 3], of which 64 at most are shown, as one picture."""
        with self._writer.as_default(step):
            tf.summary.image(name, grid(images[:64], columns, gap=0)[np.newaxis])

    def final(self, step: int, rate: float | None, results: Mapping[str, VerificationResult]) -> None:
        """Writes what came of a run, and whatever waits to be written.

        Args:
            step: The last.
            rate: Photos a second; None: nothing was trained.
            results: Of the exported model, by test set.
        """
        if rate is not None:
            self.scalars(step, {"images_per_second": rate}, "run")
        for name, result in results.items():
            self.scalars(step, figures_of(result), f"final/{name}")
        self.flush()

    def flush(self) -> None:
        self._writer.flush()


def figures_of(result: VerificationResult) -> dict[str, float]:
    """Returns the figures of a result by their names; those that are not measurable are left out."""
    figures = {"auc": result.auc, "equal_error_rate": result.equal_error_rate}
    if result.accuracy is not None:
        figures["accuracy"] = result.accuracy.mean
    if result.d_prime is not None:
        figures["d_prime"] = result.d_prime
    return figures | {f"tar_at_far_{point.far:g}": point.tar for point in result.tar_at_far if point.tar is not None}
