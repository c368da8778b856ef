"""What TensorBoard shows of the steps of a run."""

from collections.abc import Mapping
from typing import Any

from keras_face.backend import tf
from keras_face.config import TrainingConfig
from keras_face.losses.prototypes import PrototypeHead
from keras_face.training.model import FaceModel
from keras_face.training.optimizers import Schedule
from keras_face.training.summaries import Summaries


class StepSummaries:
    """Shows steps in TensorBoard: their numbers, and less often crops, angles to the prototypes and reconstructions.

    Args:
        summaries: Where they go; None: nowhere, on a worker that only takes part.
        training: At which steps.
        schedule: Learning rate of each step, counted from 0.
        model: What is trained.
        strategy: Where.
    """

    def __init__(
        self,
        summaries: Summaries | None,
        training: TrainingConfig,
        schedule: Schedule,
        model: FaceModel,
        strategy: tf.distribute.Strategy,
    ):
        self._summaries, self._training, self._schedule = summaries, training, schedule
        self._model, self._strategy = model, strategy
        self._has_head = any(isinstance(layer, PrototypeHead) for layer in model.loss_layers.values())

    def add(self, step: int, numbers: Mapping[str, float]) -> None:
        """Shows what was seen at a step, counted from 1."""
        if self._summaries is not None and step % self._training.show_info_interval == 0:
            with tf.device("CPU:0"):  # where nothing waits for it
                rate = float(self._schedule(step - 1))
            self._summaries.scalars(step, {**numbers, "learning_rate": rate}, "train")

    def pictures_at(self, step: int) -> bool:
        """Returns whether a step's batch is shown too."""
        return step % self._training.summary_interval == 0 or step == 1

    def picture(self, step: int, batch: Mapping[str, Any]) -> None:
        """Shows the batch of a step, as values of all replicas, and what the model makes of it after this step."""
        share = {key: self._strategy.experimental_local_results(value)[0] for key, value in batch.items()}
        # On every worker: reading a variable of all workers takes all of them.
        angles = self._model.target_angles(share["images"], share["labels"]) if self._has_head else None
        reconstruction = self._model.loss_layers.get("reconstruction")
        drawn = None if reconstruction is None else reconstruction.compared(self._model, share)
        if self._summaries is not None:
            self._summaries.sheet(step, "train/crops", share["images"].numpy())
            if drawn is not None:
                self._summaries.sheet(step, "train/reconstructions", drawn)
            if angles is not None:
                self._summaries.histogram(step, "train/target_angle", angles.numpy())
