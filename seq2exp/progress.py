"""How far a long job is, in its log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
EVERY_SECONDS = 60.0


def logged(steps: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield the steps, and say once a minute how many of ``total`` are done."""
    said = time.monotonic()
    for done, step in enumerate(steps):
        now = time.monotonic()
        if now - said >= EVERY_SECONDS:
            log.info("%s: batch %d of %d", what, done, total)
            said = now
        yield step
