"""The alarm for embeddings that become one."""

import logging
from collections.abc import Mapping

from keras_face.backend import keras, tf
from keras_face.losses.triplet import HardestTriplet

logger = logging.getLogger("keras_face")


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


def collapse_alarm(loss_layers: Mapping[str, keras.layers.Layer]) -> CollapseAlarm | None:
    """Returns the alarm for the first triplet loss among those of a model, by name; None if there is none."""
    for name, layer in loss_layers.items():
        if isinstance(layer, HardestTriplet):
            return CollapseAlarm(name, float(layer.cost(tf.constant(0.0))))
    return None
