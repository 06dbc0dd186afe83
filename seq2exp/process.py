"""Settings of a process that computes with large tensors; worth a third of the time on a CPU.

Only programs call this (workflow jobs, the command line, benchmarks): a library must not change
its caller's process.
"""

from __future__ import annotations

import ctypes
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt(3)
_LARGEST = 2**31 - 1


def prepare_process() -> None:
    """Set up threads and memory; before torch is imported.

    OpenMP's idle threads wait instead of spinning: a spinning one takes its core from the scan's
    own threads. glibc keeps freed memory: a fresh page costs about as much as the arithmetic on
    it. Where it must be fresh, torch asks for huge pages.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "gnu_get_libc_version"):
            libc.mallopt(_M_MMAP_THRESHOLD, 2**30)
            libc.mallopt(_M_TRIM_THRESHOLD, _LARGEST)
