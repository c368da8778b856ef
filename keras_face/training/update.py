"""One update of the model, on all replicas."""

from collections.abc import Mapping
from typing import Any

from keras_face.backend import tf
from keras_face.training.model import FaceModel
from keras_face.training.termination import Termination

_STOP = "stop"


class Update:
    """Makes one optimizer step on all replicas, compiled into a graph at its first call.

    Args:
        model: What is trained.
        strategy: Where.
        termination: Whether this process is asked to end.

    Call arguments:
        batch: As `FaceModel.update` takes it, values of all replicas.

    Returns: What `FaceModel.update` saw, as numbers; and whether the run is to end after this step, which is the
        same on all workers.
    """

    def __init__(self, model: FaceModel, strategy: tf.distribute.Strategy, termination: Termination):
        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)

        def replica_step(batch: Mapping[str, tf.Tensor], stop: tf.Tensor) -> dict[str, tf.Tensor]:
            seen = model.update(batch)
            if several:  # a worker that is told to end takes the others with it, at the same step
                context = tf.distribute.get_replica_context()
                # An argument is on no device; its copy is on the replica's.
                seen[_STOP] = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(stop))
            return seen

        @tf.function
        def one_step(batch: Mapping[str, Any], stop: tf.Tensor) -> dict[str, tf.Tensor]:
            seen = strategy.run(replica_step, args=(batch, stop))
            return {name: strategy.experimental_local_results(value)[0] for name, value in seen.items()}

        self._one_step, self._termination = one_step, termination

    def __call__(self, batch: Mapping[str, Any]) -> tuple[dict[str, float], bool]:
        seen = self._one_step(batch, tf.constant(float(self._termination.asked)))
        numbers = {name: float(value) for name, value in seen.items()}
        return numbers, bool(numbers.pop(_STOP, self._termination.asked))
