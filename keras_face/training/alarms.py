"""What watches the numbers of each step for a training that trains nothing."""

import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from keras_face.backend import keras
from keras_face.losses.entries import BETWEEN_EXAMPLES
from keras_face.training.collapse import CollapseAlarm, collapse_alarm

logger = logging.getLogger("keras_face")


class Alarm(Protocol):
    """Takes in the numbers of a step, and returns whether the embeddings look collapsed."""

    def update(self, step: int, numbers: Mapping[str, float]) -> bool: ...


class NothingCompared:
    """Warns, once, of a loss between examples that was 0 for many steps: it found nothing to compare, or to learn.

    Args:
        losses: The names that these losses are reported under.
        steps: After so many in a row.
    """

    def __init__(self, losses: Sequence[str], steps: int = 100):
        self._steps, self._zeros = steps, dict.fromkeys(losses, 0)

    def update(self, step: int, numbers: Mapping[str, float]) -> bool:
        """Takes in the numbers of a step."""
        for name in self._zeros:
            self._zeros[name] = self._zeros[name] + 1 if numbers[name] == 0.0 else 0
            if self._zeros[name] == self._steps:
                logger.warning(
                    "step %d: the loss %s was 0 for %d steps: no photo of their batches had both one of its own person "
                    "and one of another to be compared with, or there is nothing left to learn from them",
                    *(step, name, self._steps),
                )
        return False


class SkippedUpdates:
    """Ends a float16 training whose updates are skipped, as their gradients are infinite, one after the other.

    A few in a row are usual at the beginning, each of which halves the loss scale.

    Args:
        most: In a row; that of the first step is 2^15.
    """

    def __init__(self, most: int = 20):
        self._most, self._skipped = most, 0

    def update(self, step: int, numbers: Mapping[str, float]) -> bool:
        """Takes in the numbers of a step.

        Raises: FloatingPointError if too many were skipped.
        """
        self._skipped = self._skipped + 1 if numbers["skipped"] else 0
        if self._skipped >= self._most:
            raise FloatingPointError(
                f"step {step}: the last {self._skipped} updates were skipped, as gradients are infinite in float16, "
                f"even at a loss scale of {numbers['loss_scale']:g}: nothing is trained; try [run] precision bfloat16, "
                "which has the range of float32, or lower the weights of the losses"
            )
        return False


class Alarms:
    """Several as one."""

    def __init__(self, alarms: Sequence[Alarm]):
        self._alarms = list(alarms)

    def update(self, step: int, numbers: Mapping[str, float]) -> bool:
        """Takes in the numbers of a step, and returns whether the embeddings look collapsed."""
        collapsed = [alarm.update(step, numbers) for alarm in self._alarms]  # each of them sees every step
        return any(collapsed)


def alarm_for(loss_layers: Mapping[str, keras.layers.Layer], precision: str) -> Alarm | None:
    """Returns what watches a training; None if there is nothing to watch.

    Args:
        loss_layers: Those of its model, by name.
        precision: `[run] precision`.
    """
    collapse: CollapseAlarm | None = collapse_alarm(loss_layers)
    between = [name for name in loss_layers if name in BETWEEN_EXAMPLES]
    alarms: list[Alarm] = [] if collapse is None else [collapse]
    alarms += [NothingCompared(between)] if between else []
    alarms += [SkippedUpdates()] if precision == "float16" else []
    return Alarms(alarms) if alarms else None
