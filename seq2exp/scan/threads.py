"""Threads for the numba kernels, which release the interpreter lock.

A pool of our own, not numba's: its OpenMP layer kills the process when a DataLoader forks after a
scan, its built-in layer when two threads scan at once. It has torch.get_num_threads() threads.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import torch


@lru_cache(maxsize=1)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads of this process: a forked child inherits the object but not its threads."""
    return ThreadPoolExecutor(threads, thread_name_prefix="seq2exp-kernel")


def run(function: Callable[[Any], None], tasks: list[Any]) -> None:
    """Call a function on every task, several at a time."""
    threads = min(torch.get_num_threads(), len(tasks))
    if threads == 1:
        for task in tasks:
            function(task)
    else:
        pool = _pool(torch.get_num_threads(), os.getpid())
        for _ in pool.map(function, tasks):
            pass
