"""Signals that ask a run to end: it is saved first."""

import signal
from typing import Any

# As schedulers send it before they end a program; Ctrl-C; and what is sent where a terminal closes.
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

TERMINATED = 128 + signal.SIGTERM  # exit status, as a shell would report it


class Termination:
    """Within it SIGTERM, SIGINT and SIGHUP end nothing, but are noted for the loop to end after the step in work.

    A second SIGINT ends at once. What is ignored from outside, as SIGHUP is under `nohup`, stays so.

    Attributes:
        asked: Whether one came.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> "Termination":
        handled = [each for each in _SIGNALS if signal.getsignal(each) != signal.SIG_IGN]
        self._before = {each: signal.signal(each, self._note) for each in handled}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def _note(self, number: int, _: Any) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True
