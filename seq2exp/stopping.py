"""Signals that ask a training to stop: it ends after its step, with everything saved.

Slurm sends SIGTERM when a job is cancelled, preempted or out of time, and any other signal some
time before with ``--signal``; SIGUSR1 is the usual one.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType
from typing import Any, Self

from seq2exp.errors import Stopped

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
SAME_REQUEST = 2.0
"""Seconds in which further signals count as one: a request may come by way of Slurm, of Snakemake
and of a parent process."""


class StopSignals:
    """Notes the first signal; a later one ends the process at once.

    A context manager, in the main thread: the caller's handlers are in force again afterwards.
    Elsewhere signals cannot be caught, and nothing is changed.
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self._first = 0.0
        self._callers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._callers = {number: signal.getsignal(number) for number in SIGNALS}
            self.listen()
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._callers.items():
            signal.signal(number, handler)

    def listen(self) -> None:
        """Take the signals (back, from a library that put its own handlers in place)."""
        for number in self._callers:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested is None:
            self.requested, self._first = signal.Signals(number), now
            self.on_request()
        elif now - self._first > SAME_REQUEST:
            self.on_repeat()
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def on_request(self) -> None:
        """Do more at the first signal."""

    def on_repeat(self) -> None:
        """Do more before a later signal ends the process."""

    def stopped(self, step: int, steps: int) -> Stopped:
        """Say where training ends; its state there must be on disk."""
        name = self.requested.name if self.requested else "a signal to another process"
        return Stopped(
            f"stopped by {name} at step {step} of {steps}; started again, training goes on there"
        )
