"""The steps of a run: trained, looked at, shown, measured and saved."""

import logging
import math
import time
from collections.abc import Iterator, Mapping

from keras_face.config import TrainingConfig
from keras_face.training.alarms import Alarm
from keras_face.training.checkpoints import Checkpoints
from keras_face.training.console import ConsoleLine
from keras_face.training.feed import Feed
from keras_face.training.step_summaries import StepSummaries
from keras_face.training.termination import TERMINATED
from keras_face.training.update import Seen, Update
from keras_face.training.validation import Validation

logger = logging.getLogger("keras_face")


def loop(
    training: TrainingConfig,
    *,
    steps: int,
    feed: Feed,
    update: Update,
    checkpoints: Checkpoints,
    validation: Validation,
    summaries: StepSummaries,
    alarm: Alarm | None = None,
    shown: bool = True,
    read_interval: int = 1,
) -> float | None:
    """Trains from the step of the checkpoints to the last, and returns the photos a second after the first step.

    What steps saw is read some steps late, since to read is to wait for the device, which has nothing to do meanwhile.
    Whatever comes later, nothing is measured, saved or shown of a step before all numbers up to it were read.

    Args:
        training: At which steps there is what, and how many are made in one go.
        steps: The last step.
        feed: Gives the batch of each step.
        update: Makes steps, and says whether they are to be the last for now.
        checkpoints: Count the steps and save.
        validation: Measures.
        summaries: Take in every step.
        alarm: Takes in every step.
        shown: Whether there is a line on the console.
        read_interval: After how many steps their numbers are read at the latest.

    Returns: None where fewer than two steps were left.
    Raises: FloatingPointError and SystemExit as `train`, ValueError as `Feed.take`.
    """
    start, begun = checkpoints.step, 0.0
    line = ConsoleLine(steps, start, training.batch_size, training.show_info_interval, shown=shown)
    unread: list[tuple[range, Seen]] = []

    def take_in() -> bool:
        """Reads what was not read yet, and returns whether the run is to end."""
        ending = update.asked
        for those, seen in unread:
            several, asked = seen.read()
            ending |= asked
            for step, numbers in zip(those, several, strict=True):
                _check_finite(step, numbers, checkpoints, feed, update)
                checkpoints.step = step
                line.update(step, numbers)
                if alarm is not None:
                    numbers["collapsed"] = float(alarm.update(step, numbers))
                summaries.add(step, numbers)
        unread.clear()
        return ending

    try:
        for those in _calls(training, start, steps):
            batches = [feed.take(step) for step in those]
            unread.append((those, update(batches)))
            step = those[-1]
            late = step - unread[0][0][0] + 1
            if not (late >= read_interval or update.asked or _is_stop(training, step, start, steps)):
                continue
            ending = take_in()
            if summaries.pictures_at(step):
                summaries.picture(step, batches[-1])
            if training.validate_interval and step % training.validate_interval == 0 and step < steps:
                validation.validate(step)
            if step % training.ckpt_interval == 0 or step == steps or ending:
                checkpoints.save(step)
            if ending:
                logger.info("terminated at step %d, saved", step)
                raise SystemExit(TERMINATED)
            begun = begun or time.perf_counter()  # the first call builds the graphs, those of the summaries too
    finally:
        line.close()
    counted = steps - start - 1
    if counted < 1:
        return None
    rate = counted * training.batch_size / (time.perf_counter() - begun)
    logger.info("trained %d steps, %.1f images/s", steps - start, rate)
    return rate


def _is_stop(training: TrainingConfig, step: int, start: int, steps: int) -> bool:
    """Returns whether something is shown, measured or saved after a step; and after the first there is a clock."""
    intervals = (training.summary_interval, training.validate_interval, training.ckpt_interval)
    return step in (start + 1, steps) or any(interval and step % interval == 0 for interval in intervals)


def _calls(training: TrainingConfig, start: int, steps: int) -> Iterator[range]:
    """Returns which steps are made in one go: as many as configured, but none beyond a stop."""
    first = start + 1
    for step in range(start + 1, steps + 1):
        if step - first + 1 == training.steps_per_call or _is_stop(training, step, start, steps):
            yield range(first, step + 1)
            first = step + 1


def _check_finite(
    step: int, numbers: Mapping[str, float], checkpoints: Checkpoints, feed: Feed, update: Update
) -> None:
    wrong = [name for name, value in numbers.items() if not math.isfinite(value)]
    if wrong:
        update.check_labels(feed.labels(step))
        raise FloatingPointError(
            f"step {step}: {', '.join(f'{name} is {numbers[name]}' for name in wrong)}; "
            f"the last checkpoint is {checkpoints.newest or 'none'}; "
            f"the batch's photos: {', '.join(feed.names(step))}"
        )
