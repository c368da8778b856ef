"""Optimizers and learning-rate schedules by name, and the moving average of weights."""

import contextlib
import math
from collections.abc import Iterator, Sequence

from keras_face.backend import addons, keras, tf
from keras_face.config import OptimizerConfig, ScheduleConfig
from keras_face.training.momentum import VelocitySGD

_EPSILON = 1e-8  # of adam and adamw, as in torch and TensorFlow 1; Keras has 1e-7
BATCH_OF_LR_STEPS = 512  # margin-centre-face gives its boundaries for this batch size


@keras.utils.register_keras_serializable(package="keras_face")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Learning rate of a step: linear warm-up, then piecewise, cosine, polynomial or constant.

    With a warm-up, step s has learning_rate * s / warmup_steps until step warmup_steps, and step 0 what step 1 has.
    The polynomial with a warm-up is arcface_torch's PolynomialLRWarmup but for step 0, which there has the whole rate.

    Args:
        kind: `piecewise`, `cosine`, `polynomial` or `constant`.
        learning_rate: Value after the warm-up.
        steps: Steps of the whole training; cosine and polynomial end there.
        warmup_steps: Steps of the warm-up; 0: there is none.
        boundaries: piecewise: steps from which on the next factor holds.
        factors: piecewise: learning rates after each boundary, as shares of `learning_rate`.
        end_learning_rate: cosine, polynomial: value at `steps`.
        power: polynomial: its power.

    Call arguments:
        step: int scalar, number of updates made before this one.

    Returns: float32 scalar, the learning rate.
    """

    def __init__(
        self,
        kind: str,
        learning_rate: float,
        steps: int,
        warmup_steps: int = 0,
        boundaries: Sequence[int] = (),
        factors: Sequence[float] = (),
        end_learning_rate: float = 0.0,
        power: float = 2.0,
    ):
        super().__init__()
        if kind not in ("piecewise", "cosine", "polynomial", "constant"):
            raise ValueError(f"kind must be piecewise, cosine, polynomial or constant, got {kind!r}")
        if len(boundaries) != len(factors):
            raise ValueError(f"expected as many factors as boundaries, got {len(factors)} and {len(boundaries)}")
        self.kind, self.learning_rate, self.steps, self.warmup_steps = kind, learning_rate, steps, warmup_steps
        self.boundaries, self.factors = tuple(boundaries), tuple(factors)
        self.end_learning_rate, self.power = end_learning_rate, power

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        span = max(1, self.steps - self.warmup_steps)
        progress = tf.clip_by_value((step - self.warmup_steps) / span, 0.0, 1.0)
        if self.kind == "cosine":
            share = 0.5 * (1.0 + tf.cos(math.pi * progress))
        elif self.kind == "polynomial":
            share = (1.0 - progress) ** self.power
        else:
            share = tf.constant(1.0)
            for boundary, factor in zip(self.boundaries, self.factors, strict=True):
                share = tf.where(step >= boundary, factor, share)
        end = self.end_learning_rate if self.kind in ("cosine", "polynomial") else 0.0
        rate = end + (self.learning_rate - end) * share
        if not self.warmup_steps:
            return rate
        return rate * tf.minimum(1.0, tf.maximum(1.0, step) / self.warmup_steps)

    def get_config(self) -> dict:
        return {
            "kind": self.kind,
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "boundaries": self.boundaries,
            "factors": self.factors,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
        }


def schedule(config: ScheduleConfig, steps: int, batch_size: int) -> Schedule:
    """Returns the configured schedule; `lr_steps` are scaled from batches of 512 to `batch_size`."""
    piecewise = config.kind == "piecewise"
    return Schedule(
        config.kind,
        config.learning_rate,
        steps,
        config.warmup_steps,
        [round(boundary * BATCH_OF_LR_STEPS / batch_size) for boundary in config.lr_steps] if piecewise else (),
        config.lr_factors if piecewise else (),
        config.end_learning_rate,
        config.power,
    )


def decays(variable: tf.Variable, scope: str = "weights") -> bool:
    """Returns whether weight decay holds for a variable.

    Args:
        variable: One that is trained.
        scope: `all`: of every variable, as in torch unless told otherwise. `weights`: of kernels, prototypes, gammas
            and PReLU slopes; not of biases and betas, nor of the small dense layers of squeeze-and-excitation
            (margin-centre-face, train_centre.py:183-197).
    """
    if scope == "all":
        return True
    layer, _, kind = variable.name.split(":")[0].rpartition("/")
    if "se" in layer.rsplit("/", 1)[-1].split("_"):
        return False
    return kind in ("kernel", "depthwise_kernel", "prototypes", "gamma", "alpha")


def optimizer(
    config: OptimizerConfig, learning_rate: Schedule, variables: Sequence[tf.Variable]
) -> tuple[keras.optimizers.Optimizer, float]:
    """Returns the configured optimizer, and the weight decay that is left to be added to the gradients.

    `sgd` and `adam` take the decay as part of the gradient, weight_decay * variable, which is margin-centre-face's loss
    term weight_decay / 2 * |variable|^2; `adamw`, `sgdw` and `lamb` decay the weights themselves.

    Args:
        config: Names and numbers.
        learning_rate: Schedule on the optimizer's own steps.
        variables: All that is trained; those for which `decays` holds decay.

    Raises:
        ImportError: `lamb` without tensorflow-addons (Python 3.12 and later).
    """
    kept = [variable for variable in variables if not decays(variable, config.decay_scope)]
    sgd = VelocitySGD if config.momentum_form == "velocity" else keras.optimizers.SGD
    if config.name == "sgd":
        return sgd(learning_rate, config.momentum, config.nesterov), config.weight_decay
    if config.name == "adam":
        return keras.optimizers.Adam(learning_rate, epsilon=_EPSILON), config.weight_decay
    if config.name == "lamb":
        lamb = addons().optimizers.LAMB(
            learning_rate,
            weight_decay=config.weight_decay,
            exclude_from_weight_decay=[_exactly(variable) for variable in kept],
        )
        return lamb, 0.0
    if config.name == "adamw":
        decoupled = keras.optimizers.AdamW(learning_rate, weight_decay=config.weight_decay, epsilon=_EPSILON)
    else:
        decoupled = sgd(learning_rate, config.momentum, config.nesterov, weight_decay=config.weight_decay)
    decoupled.exclude_from_weight_decay(var_list=kept)
    return decoupled, 0.0


def make_slots(optimizer: keras.optimizers.Optimizer, variables: Sequence[tf.Variable]) -> None:
    """Makes the variables of an optimizer, which what XLA compiles cannot make at its first update."""
    if hasattr(optimizer, "build"):
        optimizer.build(variables)
    else:  # an addon's
        optimizer._create_all_weights(variables)


def _exactly(variable: tf.Variable) -> str:
    """Returns a pattern that matches only this variable's name (addons choose variables by pattern)."""
    return f"^{variable.name.split(':')[0]}(:0)?$"


@contextlib.contextmanager
def slow_down(factors: Sequence[tuple[tf.Variable, float]]) -> Iterator[None]:
    """Within it, an update moves these variables by a share of its way, as a share of the learning rate would.

    Whatever the optimizer: its moments see the gradients as they are, and decoupled weight decay is slowed too. All
    replicas must enter it, and update alike.

    Args:
        factors: Variables, and how much of the way each goes.
    """
    before = [variable + 0.0 for variable, _ in factors]
    yield
    if not factors:
        return

    def go_back(strategy: tf.distribute.Strategy, *starts: tf.Tensor) -> None:
        for (variable, factor), start in zip(factors, starts, strict=True):
            strategy.extended.update(variable, part_of_the_way, (start, factor))

    def part_of_the_way(variable: tf.Variable, start: tf.Tensor, factor: float) -> tf.Operation:
        return variable.assign(start + factor * (variable - start))

    # A variable of several replicas is assigned from outside of them, where they are not compiled.
    context = tf.distribute.get_replica_context()
    tf.__internal__.distribute.interim.maybe_merge_call(go_back, context.strategy, *before)


class WeightAverage(tf.Module):
    """Exponential moving average of variables: average <- decay * average + (1 - decay) * variable.

    Early in training the decay is min(decay, (1 + step) / (10 + step)), so that the random start is soon forgotten.

    Args:
        variables: Trained variables to follow.
        decay: In (0, 1).
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float):
        super().__init__(name="weight_average")
        self.decay = decay
        self._followed = list(variables)
        self.averages = [
            tf.Variable(variable, trainable=False)  # each replica moves its own copy, as all have the same weights
            for variable in variables
        ]

    def restart(self) -> None:
        """Sets the averages to the present weights."""
        for average, variable in zip(self.averages, self._followed, strict=True):
            average.assign(variable)

    def update(self, step: tf.Tensor) -> None:
        """Moves the averages after the update number `step`, counted from 0."""
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self.decay, (1.0 + step) / (10.0 + step))
        for average, variable in zip(self.averages, self._followed, strict=True):
            average.assign(decay * average + (1.0 - decay) * variable)
