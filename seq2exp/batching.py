"""Which windows make a batch; in training a pure function of seed and step, so it can resume."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

READ_AHEAD = 2
"""Batches that each thread which reads windows may be ahead of their use."""


def consecutive_batches(n_windows: int, batch_size: int) -> list[range]:
    """All windows in their order; the last batch may be smaller."""
    starts = range(0, n_windows, batch_size)
    return [range(start, min(start + batch_size, n_windows)) for start in starts]


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
    """

    def __init__(
        self, n_windows: int, batch_size: int, *, steps: int, seed: int, first_step: int = 0
    ) -> None:
        self.n_windows, self.batch_size = n_windows, min(batch_size, n_windows)
        self.steps, self.seed, self.first_step = steps, seed, first_step

    @property
    def steps_per_epoch(self) -> int:
        """Batches that pass over every window once."""
        return self.n_windows // self.batch_size

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.first_step, self.steps):
            epoch, batch = divmod(step, self.steps_per_epoch)
            if batch == 0 or step == self.first_step:
                order = np.random.default_rng([self.seed, epoch]).permutation(self.n_windows)
            start = batch * self.batch_size
            yield order[start : start + self.batch_size].tolist()
