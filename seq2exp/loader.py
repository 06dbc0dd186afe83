"""Batches of windows, read ahead of the model that uses them.

By threads, not by the processes of torch's DataLoader: a batch is one copy out of the page cache,
during which the interpreter is free, so that processes would only add a second copy through shared
memory (2 threads read five to eight times as many windows a second as 2 processes did), a gigabyte
of memory each, and forks beside the scan's threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol

from seq2exp.batching import READ_AHEAD
from seq2exp.packing import PackedBatch
from seq2exp.windows import WindowDataset


class Batches(Protocol):
    """The items of each batch, as :mod:`seq2exp.batching` gives them."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Sequence[int]]: ...


class WindowLoader:
    """Iterate over given batches of a dataset, in their order, whatever the number of threads.

    Parameters
    ----------
    dataset
        Where to read.
    batches
        The items of each batch.
    workers
        Threads that read; with 0, each batch is read when it is asked for.
    pinned
        Read into memory from which a GPU can copy while the program goes on.
    """

    def __init__(
        self,
        dataset: WindowDataset,
        batches: Batches,
        *,
        workers: int,
        pinned: bool = False,
    ) -> None:
        self.dataset, self.batches = dataset, batches
        self.workers, self.pinned = workers, pinned

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[PackedBatch]:
        read = partial(self.dataset.read, pinned=self.pinned)
        if not self.workers:
            yield from map(read, self.batches)
            return
        pending: deque[Future[PackedBatch]] = deque()
        with ThreadPoolExecutor(self.workers, thread_name_prefix="windows") as pool:
            try:
                for items in self.batches:
                    pending.append(pool.submit(read, items))
                    if len(pending) > READ_AHEAD * self.workers:
                        yield pending.popleft().result()
                while pending:
                    yield pending.popleft().result()
            finally:
                for unread in pending:
                    unread.cancel()
