"""The line on the console that says how far a run is."""

import sys
import time
from collections.abc import Mapping

import tqdm

_SMOOTHING = 0.99  # margin-centre-face's console average


class ConsoleLine:
    """A progress bar with smoothed numbers, examples per second and the time left.

    Args:
        steps: Steps of the whole training.
        start: Step that this run starts from.
        batch_size: Examples in a step.
        interval: Steps between updates of the numbers.
        shown: Whether anything is drawn.
    """

    def __init__(self, steps: int, start: int, batch_size: int, interval: int, shown: bool = True):
        live = sys.stderr.isatty()
        self._bar = tqdm.tqdm(
            total=steps,
            initial=start,
            unit="step",
            dynamic_ncols=live,
            disable=not shown,
            mininterval=0.5 if live else 20,
            maxinterval=20,
        )
        self._interval, self._batch_size = interval, batch_size
        self._smoothed: dict[str, float] = {}
        self._since, self._examples = time.perf_counter(), 0

    def update(self, step: int, numbers: Mapping[str, float]) -> None:
        """Takes in the numbers of a step; steps count from 1."""
        for name, value in numbers.items():
            last = self._smoothed.get(name, value)
            self._smoothed[name] = _SMOOTHING * last + (1 - _SMOOTHING) * value
        self._examples += self._batch_size
        if step % self._interval == 0:
            shown = {name: f"{value:.4g}" for name, value in self._smoothed.items()}
            now = time.perf_counter()
            rate = self._examples / (now - self._since)
            self._since, self._examples = now, 0
            self._bar.set_postfix({**shown, "images/s": f"{rate:.1f}"}, refresh=False)
        self._bar.update()

    def close(self) -> None:
        self._bar.close()
