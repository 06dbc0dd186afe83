"""TSS windows of a store, read as packed batches.

Axes: B batch, L window length (bp), K contact bins, F gene features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from seq2exp.errors import UserError
from seq2exp.packing import PackedBatch
from seq2exp.schemas import SPLITS, fold_column
from seq2exp.store import WindowStore, open_store


class WindowDataset:
    """Windows of some genes of a store with their labels, in the order given.

    Parameters
    ----------
    store_dir
        A window store.
    gene_rows
        Rows of the store's genes, from :func:`split_rows`.
    assay
        Whose labels to give; NaN if None.
    window_length
        Centre crop in bp; the stored length if None.
    """

    def __init__(
        self,
        store_dir: Path,
        gene_rows: np.ndarray,
        assay: str | None,
        window_length: int | None = None,
    ) -> None:
        self.store = open_store(store_dir)
        self.gene_rows = np.asarray(gene_rows, dtype=np.int64)
        self.window_length = window_length or self.store.window_length
        _crop(self.store, self.window_length)
        labels = np.full(len(self.store.genes), np.nan, np.float32)
        self.labels = (labels if assay is None else self.store.labels(assay))[self.gene_rows]
        """float32 (len(self),)."""

    def __len__(self) -> int:
        return len(self.gene_rows)

    def read(self, items: Sequence[int], *, pinned: bool = False) -> PackedBatch:
        """Read a batch of windows, given by their places in the dataset; safe in any thread.

        Parameters
        ----------
        items
            (B,), each below ``len(self)``.
        pinned
            Into memory from which a GPU can read while the program goes on.
        """
        rows = self.gene_rows[items]
        return _read(self.store, rows, self.window_length, self.labels[items], pinned=pinned)


def read_window(store: WindowStore, row: int, window_length: int | None = None) -> PackedBatch:
    """Read one window as a batch of 1; its label is NaN.

    Parameters
    ----------
    store
        From :func:`seq2exp.store.open_store`.
    row
        Row of ``store.genes``.
    window_length
        Centre crop in bp; the stored length if None.
    """
    length = window_length or store.window_length
    return _read(store, np.array([row]), length, np.array([np.nan], dtype=np.float32))


def _read(
    store: WindowStore, rows: np.ndarray, length: int, labels: np.ndarray, *, pinned: bool = False
) -> PackedBatch:
    """Windows of genes; codes and signals, nearly all of the bytes, are copied once."""
    crop = _crop(store, length)
    codes = torch.empty(len(rows), length, dtype=torch.uint8, pin_memory=pinned)
    signals = torch.empty(len(rows), length, 2, dtype=torch.float16, pin_memory=pinned)
    starts = store.offsets[rows] + crop
    store.codes_file.read_into(codes.numpy(), starts)
    store.signals_file.read_into(signals.numpy(), starts)
    batch = PackedBatch(
        codes=codes,
        signals=signals,
        contacts=torch.from_numpy(store.contacts[rows]),
        # Bins stay as they are stored: the crop only begins further inside them.
        contact_phase=torch.from_numpy(store.contact_phases[rows] + crop),
        gene_features=torch.from_numpy(store.features[rows]),
        label=torch.from_numpy(labels),
        index=torch.from_numpy(rows),
    )
    return batch.pin_memory() if pinned else batch


def _crop(store: WindowStore, length: int) -> int:
    """Bases to leave out at the left so that the TSS stays the centre."""
    if not 0 < length <= store.window_length or length % 2:
        raise UserError(
            f"window_length {length} must be even and at most {store.window_length}, the length of "
            f"the windows in {store.path}"
        )
    return (store.window_length - length) // 2


def split_rows(
    store: WindowStore, folds_table: pd.DataFrame, fold: int, split: str, assay: str
) -> np.ndarray:
    """Rows of the store's genes that are in a split and have a label for the assay.

    Parameters
    ----------
    store
        From :func:`seq2exp.store.open_store`.
    folds_table
        ``folds.tsv``: ``gene_id`` and a column per fold.
    fold, split
        Fold number; ``train``, ``valid`` or ``test``.
    assay
        Whose labels are needed.

    Returns
    -------
    int64 (n,), ascending
    """
    assert split in SPLITS
    column = fold_column(fold)
    if column not in folds_table:
        raise UserError(
            f"folds table: no column {column!r}; the columns are {', '.join(folds_table.columns)}; "
            "add the fold to folds.run"
        )
    members = folds_table["gene_id"][folds_table[column] == split]
    chosen = store.genes["gene_id"].isin(members).to_numpy() & ~np.isnan(store.labels(assay))
    return np.flatnonzero(chosen)
