"""Some updates of the model, on all replicas."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from keras_face.backend import tf
from keras_face.training.compiling import FORMS, NETWORK, NOTHING, STEP, WORDS, is_about_compiling, part_of, reason_of
from keras_face.training.hardware import out_of_memory
from keras_face.training.model import FaceModel
from keras_face.training.termination import Termination

logger = logging.getLogger("keras_face")

_STOP = "stop"


@dataclasses.dataclass(frozen=True)
class Seen:
    """What some steps saw, where it was computed: only who reads it waits for these steps.

    Attributes:
        names: What `FaceModel.update` returns.
        values: float32 [steps, names].
    """

    names: Sequence[str]
    values: tf.Tensor

    def read(self) -> tuple[list[dict[str, float]], bool]:
        """Returns the numbers of each step by their names, and whether a worker was asked to end."""
        steps = [dict(zip(self.names, line, strict=True)) for line in self.values.numpy().tolist()]
        asked = [step.pop(_STOP, 0.0) > 0 for step in steps]
        return steps, any(asked)


class Update:
    """Makes optimizer steps on all replicas, compiled at the first call.

    Where XLA cannot compile as much as was asked for, one line says which part is in the way, and less is compiled.

    Args:
        model: What is trained.
        strategy: Where.
        termination: Whether this process is asked to end.
        form: How much of a step is compiled by XLA, one of `compiling.FORMS`.

    Attributes:
        form: How much is.

    Call arguments:
        batches: One for each step, as `FaceModel.update` takes it, values of all replicas.

    Returns: What the steps saw; it says that the run is to end at the same step on all workers.
    Raises: ValueError if a batch does not fit into the memory; says which would.
    """

    def __init__(
        self, model: FaceModel, strategy: tf.distribute.Strategy, termination: Termination, form: str = NOTHING
    ):
        self.form = form
        self._model, self._strategy, self._termination = model, strategy, termination
        self._several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self._names: list[str] = []
        self._steps = self._build()
        self._works = False

    @property
    def asked(self) -> bool:
        """Whether this process alone is asked to end; one of several workers learns from what its steps saw."""
        return self._termination.asked and not self._several

    def __call__(self, batches: Sequence[Mapping[str, Any]]) -> Seen:
        stop = tf.constant(float(self._termination.asked))
        while True:
            try:
                values = self._steps(tuple(batches), stop)
            except tf.errors.ResourceExhaustedError as error:
                shares = self._strategy.experimental_local_results(batches[0]["labels"])
                multiple = self._strategy.num_replicas_in_sync * self._model.accumulation_steps
                batch_size = self._strategy.num_replicas_in_sync * len(shares[0])
                raise ValueError(out_of_memory(error, batch_size, multiple)) from None
            except Exception as error:
                if self._works or self.form == NOTHING or not is_about_compiling(error):
                    raise
                self._compile_less(error)
            else:
                self._works = True
                return Seen(self._names, values)

    def check_labels(self, labels: tf.Tensor) -> None:
        """Raises tf.errors.InvalidArgumentError if a loss lacks a label, of int64 [batch]: XLA only gives NaN."""
        for layer in self._model.loss_layers.values():
            if hasattr(layer, "find"):
                layer.find(labels)

    def _compile_less(self, error: Exception) -> None:
        form = FORMS[FORMS.index(self.form) + 1]
        message = str(error)
        logger.warning(
            "[run] jit: %s: %s cannot be compiled (%s); instead: %s",
            self.form,
            part_of(message),
            reason_of(message),
            WORDS[form],
        )
        self.form = form
        self._steps = self._build()

    def _build(self) -> Any:
        model, strategy, several = self._model, self._strategy, self._several
        model.compiles_network = self.form == NETWORK

        def replica_step(batch: Mapping[str, tf.Tensor], stop: tf.Tensor) -> dict[str, tf.Tensor]:
            seen = model.update(batch)
            if several:  # a worker that is told to end takes the others with it, at the same step
                context = tf.distribute.get_replica_context()
                # An argument is on no device; its copy is on the replica's.
                seen[_STOP] = context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(stop))
            return seen

        # The form in which a strategy reduces within what XLA compiles for several GPUs.
        step = tf.function(replica_step, jit_compile=self.form == STEP)

        @tf.function
        def steps(batches: Sequence[Mapping[str, Any]], stop: tf.Tensor) -> tf.Tensor:
            lines = []
            for batch in batches:
                seen = strategy.run(step, args=(batch, stop))
                here = {name: strategy.experimental_local_results(value)[0] for name, value in seen.items()}
                self._names[:] = list(here)
                lines.append(tf.stack(list(here.values())))
            return tf.stack(lines)

        return steps
