"""What Keras asks of a model: a step of `fit` and of `evaluate`, and what a `.keras` file holds."""

from collections.abc import Mapping
from typing import Any

from keras_face.backend import keras, tf
from keras_face.training import model_config
from keras_face.training.sums import OVER, batch_of


class Fitted(keras.Model):
    """Base of `FaceModel`, which says what an update is."""

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What `fit` and `evaluate` report, by the names of `update`."""
        return list(self._means().values())

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Makes one update for `fit`, and returns the means over the epoch until now, by the names of `update`."""
        return self._mean(self._update(batch_of(data)))

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Measures a batch for `evaluate`, and returns the means until now, by the names of `update`; nothing moves."""
        _, sums = self._sums(batch_of(data), training=False)
        return self._mean(tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, sums))

    def _mean(self, sums: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Takes the sums over a global batch in, and returns the means over all that came since the epoch began."""
        means = self._means()
        for name, mean in means.items():
            count = sums[OVER.get(name, "size")]
            mean.update_state(tf.math.divide_no_nan(sums[name], count), sample_weight=count)
        return {name: mean.result() for name, mean in means.items()}

    def get_config(self) -> dict[str, Any]:
        return model_config.of(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
        return model_config.build(cls, config)

    def save_own_variables(self, store: dict[str, Any]) -> None:
        super().save_own_variables(store)
        for number, average in enumerate(self.average.averages if self.average else ()):
            store[f"average_{number}"] = average.numpy()

    def load_own_variables(self, store: dict[str, Any]) -> None:
        averages = self.average.averages if self.average else ()
        for number, average in enumerate(averages):
            average.assign(store[f"average_{number}"])
        super().load_own_variables({key: store[key] for key in store if not key.startswith("average_")})
