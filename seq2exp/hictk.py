"""The Hi-C reader, loaded when it is first needed and kept out of everybody's way.

hictkpy 1.4 starts a thread for its log messages that polls without a pause: from its import on it
takes a whole core. (Version 1.3 has no such thread, and crashes on pandas 3.)
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from types import ModuleType


def load_hictkpy() -> ModuleType:
    """Import hictkpy; its threads get a core only while nothing else wants it (Linux)."""
    before = _threads()
    import hictkpy

    for thread in _threads() - before:
        # OSError: it has ended, or a container forbids it; then it only costs time.
        with suppress(OSError):
            os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
    return hictkpy


def _threads() -> set[int]:
    if sys.platform != "linux":
        return set()
    return {int(name) for name in os.listdir("/proc/self/task")}
