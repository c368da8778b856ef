"""Settings that would train nothing, or not what they say: refused, or told before the first step."""

import logging

from keras_face.config import Config
from keras_face.losses.entries import BETWEEN_EXAMPLES
from keras_face.training.optimizers import BATCH_OF_LR_STEPS, Schedule

logger = logging.getLogger("keras_face")


def check_comparisons(config: Config) -> None:
    """Raises ValueError if a loss between examples would find nobody to compare in a batch.

    It needs two photos of a person, and two people, in each part that a batch is computed in.
    """
    names = [name for name in config.loss_weights if name in BETWEEN_EXAMPLES]
    if not names:
        return
    photos, parts = config.data.images_per_identity, config.optimizer.accumulation_steps
    if photos < 2:
        raise ValueError(
            f"[data] images_per_identity: expected 2 or more for [loss {names[0]}], which compares photos of one "
            f"person, got {photos}"
        )
    if config.training.batch_size // parts < 2 * photos:
        raise ValueError(
            f"[training] batch_size: expected two people or more in each part of a batch for [loss {names[0]}], which "
            f"compares them: {2 * photos * parts} or more ([data] images_per_identity {photos} * [optimizer] "
            f"accumulation_steps {parts} * 2), got {config.training.batch_size}"
        )


def tell_schedule(schedule: Schedule, steps: int, batch_size: int, average_decay: float) -> None:
    """Logs the learning rates of a run, and warns of what it ends too early for.

    Args:
        schedule: Learning rate of each step, counted from 0.
        steps: Of the run.
        batch_size: Of the run.
        average_decay: `[optimizer] ema`.
    """
    told = {0, schedule.warmup_steps, *schedule.boundaries, steps - 1}
    rates = {step: float(schedule(step)) for step in sorted(told) if step < steps}
    logger.info("learning rate: %s", ", ".join(f"{rate:.3g} at step {step + 1}" for step, rate in rates.items()))
    last = f"at the last step, {steps}, the learning rate is {rates[steps - 1]:.3g}"
    changes = schedule.boundaries
    if late := sum(boundary >= steps for boundary in changes):
        logger.warning(
            "[schedule] lr_steps, which are for batches of %d, are %s in batches of %d: %s of the changes come after "
            "the end; %s",
            *(BATCH_OF_LR_STEPS, ", ".join(map(str, changes)), batch_size),
            *("all" if late == len(changes) else late, last),
        )
    if schedule.warmup_steps >= steps:
        logger.warning("[schedule] warmup_steps: %d are more than the run has; %s", *(schedule.warmup_steps, last))
    reached = steps / (steps + 9)  # at the last step, see WeightAverage
    if average_decay > reached:
        logger.warning(
            "[optimizer] ema: the run is too short for %g: at its last step, %d, the decay of the average is %.3g",
            *(average_decay, steps, reached),
        )
