"""Random layers whose draws a resumed or distributed run makes again."""

from typing import Any

from keras_face import stateless
from keras_face.backend import keras, tf


class StatelessRandom(keras.layers.Layer):
    """A layer that draws numbers while training; they are a function of seed, step and place in the batch.

    The step is a variable, saved with the model, so a run that was killed goes on with the numbers it would have drawn.
    Every replica draws the numbers of the global batch and takes its own rows, so N replicas draw what one device
    would. All replicas must hold equally many examples.

    Args:
        seed: Chooses the sequence of numbers.
    """

    def __init__(self, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        # Every replica counts for itself (they count alike), so a step needs no exchange between replicas.
        self.step = self.add_weight(
            name="step",
            shape=(),
            dtype=tf.int64,
            initializer="zeros",
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        super().build(input_shape)

    def uniform(self, rows: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        """Returns float32 [rows, *shape], uniform in [0, 1), and moves the step on."""
        context = tf.distribute.get_replica_context()  # None where Keras traces under a strategy's scope
        replicas = context.num_replicas_in_sync if context else 1
        replica = context.replica_id_in_sync_group if context else 0
        step = self.step.read_value()
        numbers = stateless.uniform(
            tf.concat([[replicas * rows], shape], axis=0), tf.stack([tf.constant(self.seed, tf.int64), step])
        )
        if replicas > 1:
            numbers = numbers[replica * rows : (replica + 1) * rows]
        self.step.assign_add(1)
        return numbers

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


@keras.utils.register_keras_serializable(package="keras_face")
class StatelessDropout(StatelessRandom):
    """Zeroes a share of its inputs while training; see StatelessRandom for what the choice depends on.

    Args:
        rate: Share of the inputs that is dropped, [0, 1); the others are divided by 1 - rate.
        seed: Chooses the sequence of masks.
        whole_examples: Whether an example is dropped or kept as a whole: stochastic depth, where the inputs are one
            branch of a sum (Huang et al. 2016, https://arxiv.org/abs/1603.09382).

    Call arguments:
        inputs: float [replica_batch_size, ...].
        training: Drops, and moves the step on, only when true.

    Returns: as `inputs`.

    Raises: ValueError if rate is out of range.
    """

    def __init__(self, rate: float, seed: int = 0, whole_examples: bool = False, **kwargs: Any):
        super().__init__(seed, **kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"rate must be the dropped share in [0, 1), got {rate}")
        self.rate = rate
        self.whole_examples = whole_examples

    def call(self, inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        if training is None or self.rate == 0:
            return tf.identity(inputs)
        # `training` is a Python value, except while Keras traces a functional model: then it is a placeholder.
        return tf.__internal__.smart_cond.smart_cond(training, lambda: self._drop(inputs), lambda: tf.identity(inputs))

    def _drop(self, inputs: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(inputs)
        rest = tf.ones_like(shape[1:]) if self.whole_examples else shape[1:]
        kept = self.uniform(shape[0], rest) >= self.rate
        return inputs * tf.cast(kept, inputs.dtype) / (1 - self.rate)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "whole_examples": self.whole_examples}


def network_weights(backbone: keras.Model) -> list[tf.Variable]:
    """Returns the weights of a network in their order, without what its random layers count (training state)."""
    counts = {id(layer.step) for layer in backbone.submodules if isinstance(layer, StatelessRandom) and layer.built}
    return [weight for weight in backbone.weights if id(weight) not in counts]
