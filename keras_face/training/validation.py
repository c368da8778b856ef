"""Validation while training: figures of the weights as they are now, and the best of them kept."""

import logging

import numpy as np

from keras_face.export import ServedModel
from keras_face.training.checkpoints import Checkpoints
from keras_face.training.evaluation_sets import EvaluationSets
from keras_face.training.model import FaceModel
from keras_face.training.summaries import Summaries

logger = logging.getLogger("keras_face")

_ERRORS_SHOWN = 8  # false accepts, and false rejects, of a set


class Validation:
    """Measures the model as it is, logs its figures, shows the worst errors, and keeps the best.

    Args:
        sets: What it is measured on.
        model: What is trained.
        served: Takes its averaged weights, and is measured.
        checkpoints: Keep the best figures, and the model that they are of.
        best: Whose best model is kept: a name of the figures; either; or last, and none is.
        summaries: Where figures and errors are shown; None: nowhere.
    """

    def __init__(
        self,
        sets: EvaluationSets,
        model: FaceModel,
        served: ServedModel,
        checkpoints: Checkpoints,
        *,
        best: str,
        summaries: Summaries | None,
    ):
        self._sets, self._model, self._served = sets, model, served
        self._checkpoints, self._best, self._summaries = checkpoints, best, summaries

    def validate(self, step: int) -> None:
        """Measures after a step; on every worker, as reading a variable of all workers takes all of them."""
        self._served.assign(self._model.averaged_weights())
        found = self._sets.measure(self._served)
        accuracies = {name: each.measured.result.accuracy for name, each in found.items()}
        figures = {name: accuracy.mean for name, accuracy in accuracies.items() if accuracy is not None}
        if not figures:
            return
        drawn = {name: " (drawn people)" if each.measured.result.drawn else "" for name, each in found.items()}
        logger.info(
            "step %d: %s", step, ", ".join(f"{name} {value:.4f}{drawn[name]}" for name, value in figures.items())
        )
        if self._summaries is not None:
            self._summaries.scalars(step, figures, "validation")
            for name, each in found.items():
                for kind, photos in each.worst_errors(self._served.image_size, _ERRORS_SHOWN).items():
                    self._summaries.sheet(step, f"validation/{name}_{kind}", photos, columns=2)
        before = self._checkpoints.best_figures
        improved = {name: value for name, value in figures.items() if np.float32(value) > before[name]}
        self._checkpoints.best_figures = before | improved
        if self._best in improved or (self._best == "either" and improved):
            self._checkpoints.save_best(step)
