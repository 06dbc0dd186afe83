"""Batches come in the order asked for, whatever the number of threads."""

import threading
import time

import numpy as np
import pytest
import torch

from seq2exp.batching import READ_AHEAD, ShuffledBatches, consecutive_batches
from seq2exp.errors import UserError
from seq2exp.loader import WindowLoader
from seq2exp.windows import WindowDataset


class SlowDataset:
    """Batches are their items; every other one takes longer; notes what has been read."""

    def __init__(self):
        self.seen = []

    def read(self, items, *, pinned):
        assert not pinned
        time.sleep(0.02 * (items[0] % 2))
        if items[0] == 13:
            raise UserError("no window 13")
        self.seen.append(items)
        return items


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_same_batches_for_any_number_of_threads(toy_store_dir, workers):
    dataset = WindowDataset(toy_store_dir, np.array([6, 0, 3, 5, 1]), "CAGE", 1_000)
    for order in (ShuffledBatches(5, 2, steps=7, seed=1), consecutive_batches(5, 2)):
        loader = WindowLoader(dataset, order, workers=workers)
        assert len(loader) == len(order)
        for _ in range(2):  # every epoch iterates anew
            for items, loaded in zip(order, loader, strict=True):
                plain = dataset.read(items)
                assert all(torch.equal(a, b) for a, b in zip(plain, loaded, strict=True))


@pytest.mark.parametrize("workers", [1, 3])
def test_reads_ahead_but_not_without_bound(workers):
    dataset = SlowDataset()
    batches = iter(WindowLoader(dataset, [[i] for i in range(40)], workers=workers))
    assert next(batches) == [0]
    limit = READ_AHEAD * workers + 1
    deadline = time.monotonic() + 10
    while len(dataset.seen) < limit and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert sorted(dataset.seen) == [[i] for i in range(limit)]
    batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("windows")]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_failed_read_reaches_the_reader(workers):
    loader = WindowLoader(SlowDataset(), [[i] for i in range(10, 20)], workers=workers)
    batches = iter(loader)
    assert [next(batches) for _ in range(3)] == [[10], [11], [12]]
    with pytest.raises(UserError, match="no window 13"):
        next(batches)
