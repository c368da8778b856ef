"""SIGTERM, as schedulers send it before they end a program: the run is saved first."""

import signal
from typing import Any

TERMINATED = 128 + signal.SIGTERM  # exit status, as a shell would report it


class Termination:
    """Within it SIGTERM ends nothing, but is noted for the loop to end after the step in work.

    Attributes:
        asked: Whether it came.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> "Termination":
        self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _note(self, *_: Any) -> None:
        self.asked = True
