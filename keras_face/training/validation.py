"""Validation while training: figures of the weights as they are now, and the best of them kept."""

import logging
from collections.abc import Mapping
from typing import Any

from keras_face.export import ServedModel
from keras_face.training.checkpoints import Best, Checkpoints
from keras_face.training.evaluation_sets import EvaluationSets, Validated
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
        checkpoints: Keep the best model, and its figures.
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
        self._keep_best(step, figures, {name: _test_set(each) for name, each in found.items()})

    def _keep_best(self, step: int, figures: Mapping[str, float], test_sets: Mapping[str, Any]) -> None:
        """Saves the model if it is the best by what is asked for; figures of another test set do not count."""
        chosen = {name: value for name, value in figures.items() if self._best in (name, "either")}
        kept = self._checkpoints.best
        before = {} if kept is None else dict(kept.figures)
        before = {name: value for name, value in before.items() if kept and kept.test_sets[name] == test_sets.get(name)}
        if kept is not None and chosen and not before:
            logger.warning("the best kept before, of step %d, does not count: its test set was another", kept.step)
        improved = {name: value for name, value in chosen.items() if value > before.get(name, -1.0)}
        if improved:
            best = before | improved
            self._checkpoints.save_best(Best(step, best, {name: test_sets[name] for name in best}))


def _test_set(found: Validated) -> list[Any]:
    """Returns what a figure was measured on, JSON values."""
    result = found.measured.result
    return [result.data, result.protocol_hash, result.flip]
