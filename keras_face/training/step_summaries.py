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

    def add(self, step: int, numbers: Mapping[str, float], batch: Mapping[str, Any]) -> None:
        """Shows a step, counted from 1, with what was seen and the batch on all replicas."""
        if self._summaries is not None and step % self._training.show_info_interval == 0:
            rate = float(self._schedule(step - 1))
            self._summaries.scalars(step, {**numbers, "learning_rate": rate}, "train")
        if step % self._training.summary_interval == 0 or step == 1:
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
