"""What a run shows: a live console line, TensorBoard and a log file."""

import logging
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tqdm

from keras_face.backend import tf

logger = logging.getLogger("keras_face")

_SMOOTHING = 0.99  # margin-centre-face's console average


class ConsoleLine:
    """A progress bar with smoothed numbers, examples per second and the time left.

    Args:
        steps: Steps of the whole training.
        start: Step that this run starts from.
        batch_size: Examples in a step.
        interval: Steps between updates of the numbers.
        shown: Whether anything is drawn.
    """

    def __init__(self, steps: int, start: int, batch_size: int, interval: int, shown: bool = True):
        live = sys.stderr.isatty()
        self._bar = tqdm.tqdm(
            total=steps,
            initial=start,
            unit="step",
            dynamic_ncols=live,
            disable=not shown,
            mininterval=0.5 if live else 20,
            maxinterval=20,
        )
        self._interval, self._batch_size = interval, batch_size
        self._smoothed: dict[str, float] = {}
        self._since, self._examples = time.perf_counter(), 0

    def update(self, step: int, numbers: Mapping[str, float]) -> None:
        """Takes in the numbers of a step; steps count from 1."""
        for name, value in numbers.items():
            last = self._smoothed.get(name, value)
            self._smoothed[name] = _SMOOTHING * last + (1 - _SMOOTHING) * value
        self._examples += self._batch_size
        if step % self._interval == 0:
            shown = {name: f"{value:.4g}" for name, value in self._smoothed.items()}
            now = time.perf_counter()
            rate = self._examples / (now - self._since)
            self._since, self._examples = now, 0
            self._bar.set_postfix({**shown, "images/s": f"{rate:.1f}"}, refresh=False)
        self._bar.update()

    def close(self) -> None:
        self._bar.close()


class CollapseAlarm:
    """Warns when a triplet loss draws all embeddings to one point, which nothing in its loss alone would show.

    There every distance is 0, so that the loss is that of a difference of 0 (the margin, in batch-hard) and every
    triplet is active. The alarm is raised where the smoothed loss is within a tenth of that, more than 95 % of the
    triplets are active and the mean distance to the hardest negative is less than half of the most it was.

    Args:
        loss: Name that the loss is reported under.
        collapsed_loss: Its value where all embeddings are one.
    """

    _SHARE = 0.1  # of the newest step in the smoothed numbers

    def __init__(self, loss: str, collapsed_loss: float):
        self._loss, self._collapsed_loss = loss, collapsed_loss
        self._smoothed: dict[str, float] = {}
        self._largest_distance = 0.0
        self._raised = False

    def update(self, step: int, numbers: Mapping[str, float]) -> bool:
        """Takes in the numbers of a step, and returns whether the embeddings look collapsed."""
        for name in (self._loss, "active_triplets", "negative_distance"):
            last = self._smoothed.get(name, numbers[name])
            self._smoothed[name] = (1 - self._SHARE) * last + self._SHARE * numbers[name]
        distance = self._smoothed["negative_distance"]
        self._largest_distance = max(self._largest_distance, distance)
        near = abs(self._smoothed[self._loss] - self._collapsed_loss) < 0.1 * self._collapsed_loss
        collapsed = near and self._smoothed["active_triplets"] > 0.95 and distance < self._largest_distance / 2
        if collapsed and not self._raised:
            logger.warning(
                "step %d: the embeddings collapse: the loss %s is %.3g, near the %.3g of a network that gives all "
                "photos one embedding, %.0f %% of the triplets are active, and the hardest negatives are at %.3g, "
                "once at %.3g; start from a trained network, with a lower learning rate, or with batch_all_triplet",
                step,
                self._loss,
                self._smoothed[self._loss],
                self._collapsed_loss,
                100 * self._smoothed["active_triplets"],
                distance,
                self._largest_distance,
            )
        self._raised = collapsed
        return collapsed


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
            tf.summary.image(name, contact_sheet(images[:64], columns)[np.newaxis])

    def flush(self) -> None:
        self._writer.flush()


def contact_sheet(images: np.ndarray, columns: int = 8) -> np.ndarray:
    """Returns crops side by side, uint8 [rows * height, columns * width, 3]; missing ones are black."""
    rows = -(-len(images) // columns)
    _, height, width, channels = images.shape
    sheet = np.zeros([rows * columns, height, width, channels], images.dtype)
    sheet[: len(images)] = images
    sheet = sheet.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width, channels)


def log_to(folder: str | os.PathLike) -> logging.Handler:
    """Adds `train.log` of a folder to the places that the log goes to, and returns the handler."""
    handler = logging.FileHandler(Path(folder) / "train.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    return handler


def show_log() -> None:
    """Sends the log to standard output, plain; for entry points."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for library in (None, "absl", "tensorflow"):  # they tell of each file they write
        logging.getLogger(library).setLevel(logging.WARNING)
