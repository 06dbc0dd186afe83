"""How far a long copy is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

log = logging.getLogger(__name__)

LINE_EVERY = 15.0
"""Seconds between two lines in a log."""


@contextmanager
def progress(name: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """Yield a function to be called with the number of bytes of every block.

    Parameters
    ----------
    name
        What is copied.
    total
        Bytes in all, 0 if unknown.
    done
        Bytes that were there before.
    """
    with tqdm(
        total=total or None,
        initial=done,
        unit="B",
        unit_scale=True,
        desc=name,
        disable=None,
        leave=False,
    ) as bar:
        if not bar.disable:
            yield lambda size: bar.update(size) and None
            return
        lines = _Lines(name, total, done)
        yield lines.update


class _Lines:
    """Progress as lines of the log."""

    def __init__(self, name: str, total: int, done: int) -> None:
        self.name, self.total, self.first, self.done = name, total, done, done
        self.start = self.said = time.monotonic()

    def update(self, size: int) -> None:
        self.done += size
        now = time.monotonic()
        if now - self.said < LINE_EVERY:
            return
        self.said = now
        speed = (self.done - self.first) / (now - self.start)
        line = f"{self.name}: {shown_bytes(self.done)}"
        if self.total:
            line += f" of {shown_bytes(self.total)} ({self.done / self.total:.0%})"
        line += f", {shown_bytes(speed)}/s"
        if self.total and speed:
            line += f", {_shown_time((self.total - self.done) / speed)} left"
        log.info("%s", line)


def shown_bytes(size: float) -> str:
    """Write a number of bytes for people: ``983.7 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.95:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _shown_time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
