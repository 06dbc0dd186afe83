"""Which windows make a batch; in training a pure function of seed and step, so it can resume."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

READ_AHEAD = 2
"""Batches that each thread which reads windows may be ahead of their use."""


def consecutive_batches(n_windows: int, batch_size: int) -> list[range]:
    """All windows in their order; the last batch may be smaller."""
    return share_batches(n_windows, batch_size, Share())


class Share(NamedTuple):
    """What one of several processes computes of each batch, in one or more passes."""

    rank: int = 0
    processes: int = 1
    passes: int = 1

    def positions(self, batch_size: int, index: int) -> slice:
        """Positions in the batch of its pass ``index`` (counted on over batches)."""
        windows = batch_size // (self.processes * self.passes)
        start = (index % self.passes * self.processes + self.rank) * windows
        return slice(start, start + windows)


def share_batches(n_windows: int, batch_size: int, share: Share) -> list[range]:
    """Every window once over all processes: this one's, in their order; the last may be fewer.

    Process r has the windows r, r + processes, and so on.
    """
    own = range(share.rank, n_windows, share.processes)
    return [own[start : start + batch_size] for start in range(0, len(own), batch_size)]


class ShuffledBatches:
    """All batches of a training run: one permutation of the windows after another.

    Parameters
    ----------
    n_windows, batch_size
        The last, smaller batch of a permutation is dropped unless it is the only one.
    steps
        Number of batches of the whole run.
    seed
        The permutation of epoch e is drawn from (seed, e).
    first_step
        Steps done by an earlier part of the run; iteration starts there, the length stays.
    share
        Part of each batch to give, pass by pass. The batches themselves are the same for all.
    """

    def __init__(
        self,
        n_windows: int,
        batch_size: int,
        *,
        steps: int,
        seed: int,
        first_step: int = 0,
        share: Share | None = None,
    ) -> None:
        self.n_windows, self.batch_size = n_windows, min(batch_size, n_windows)
        self.steps, self.seed, self.first_step = steps, seed, first_step
        self.share = share or Share()

    @property
    def steps_per_epoch(self) -> int:
        """Batches that pass over every window once."""
        return self.n_windows // self.batch_size

    def __len__(self) -> int:
        return self.steps * self.share.passes

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.steps):
            epoch, batch = divmod(step, self.steps_per_epoch)
            if batch == 0 or step == self.first_step:
                order = np.random.default_rng([self.seed, epoch]).permutation(self.n_windows)
            start = batch * self.batch_size
            windows = order[start : start + self.batch_size]
            for index in range(self.share.passes):
                yield windows[self.share.positions(self.batch_size, index)].tolist()
