"""SGD with momentum in the form of torch and TensorFlow 1; Keras's own has that of Caffe and MXNet."""

from collections.abc import Sequence

from keras_face.backend import keras, tf

_SLOT = "velocity"  # what the variables are called that hold the sums, in checkpoints too


@keras.utils.register_keras_serializable(package="keras_face")
class VelocitySGD(keras.optimizers.SGD):
    """SGD whose momentum sums up gradients, and whose steps are the present learning rate times that sum.

    velocity <- momentum * velocity + gradient, variable <- variable - rate * velocity. Keras's SGD, Caffe's and MXNet's
    sum up steps instead, each at the rate of its own time. Both are the same at a constant rate; after a fall to a
    tenth, at momentum 0.9, their next step is up to 9.1 times as long as this one's.

    With `nesterov` the step is rate * (gradient + momentum * velocity). Args as for `keras.optimizers.SGD`; a
    `weight_decay` is decoupled: rate * weight_decay * variable is taken off the variable before the step.

    Reference: torch.optim.SGD; tf.compat.v1.train.MomentumOptimizer
    """

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        # Not SGD's own, whose slots have another name, as they hold something else.
        super(keras.optimizers.SGD, self).build(var_list)
        if getattr(self, "_built", False):
            return
        self.momentums = [self.add_variable_from_reference(variable, _SLOT) for variable in var_list]
        self._built = True

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Moves a variable, and its velocity; rows that a sparse gradient leaves out have a gradient of 0."""
        if isinstance(gradient, tf.IndexedSlices):
            gradient = tf.math.unsorted_segment_sum(gradient.values, gradient.indices, variable.shape[0])
        velocity = self.momentums[self._index_dict[self._var_key(variable)]]
        velocity.assign(self.momentum * velocity + gradient)
        way = gradient + self.momentum * velocity if self.nesterov else velocity
        variable.assign_sub(tf.cast(self.learning_rate, variable.dtype) * way)


def check_form(checkpoint: str, optimizer: keras.optimizers.Optimizer | None) -> None:
    """Raises ValueError if the momentum in a checkpoint is of the other form than an SGD's.

    Args:
        checkpoint: Its prefix. Runs of versions that knew one form have Keras's.
        optimizer: What it is to be restored into; only SGD is looked at.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of float16's loss scale
    if not isinstance(optimizer, keras.optimizers.SGD):
        return
    asked = "velocity" if isinstance(optimizer, VelocitySGD) else "keras"
    names = tf.train.load_checkpoint(checkpoint).get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH")
    found = "velocity" if f"{_SLOT}/".encode() in names else "keras"
    if found != asked:
        raise ValueError(
            f"{checkpoint}: expected [optimizer] momentum_form = {found}, with which it was made, got {asked}; go on "
            f"with --set optimizer.momentum_form={found}, or begin a new run from it by [model] model_path"
        )
