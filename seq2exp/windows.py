"""TSS windows for torch: packed as they lie in the store, expanded on the device.

Axes: B batch, L window length (bp), K contact bins, F gene features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from torch.utils.data import Dataset, default_collate

from seq2exp.errors import UserError
from seq2exp.reference import OUTSIDE_CODE
from seq2exp.schemas import SPLITS, fold_column
from seq2exp.store import WindowStore, open_store
from seq2exp.store_bases import BASE_BITS, BLACKLIST_BIT


class PackedBatch(NamedTuple):
    """Windows as stored: about 5 bytes a base. Without the axis B where it is one item."""

    codes: torch.Tensor
    """uint8 (B, L): bits 0-2 the base, bit 3 the blacklist (see ``WindowStore.codes``)."""
    signals: torch.Tensor
    """float16 (B, L, 2): H3K27ac, DNase."""
    contacts: torch.Tensor
    """float32 (B, K): log10(1 + contact) per bin."""
    contact_phase: torch.Tensor
    """int64 (B,): bases between the first bin's start and the window's start."""
    gene_features: torch.Tensor
    """float32 (B, F)."""
    label: torch.Tensor
    """float32 (B,)."""
    index: torch.Tensor  # type: ignore[assignment]
    """int64 (B,): rows of the store's genes."""

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """Move all tensors to a device."""
        return type(self)(*(part.to(device, non_blocking=non_blocking) for part in self))


class Batch(NamedTuple):
    """Windows as models read them."""

    sequence: torch.Tensor
    """float32 (B, L, 4): one-hot A, C, G, T; N and bases off the chromosome are zeros."""
    signals: torch.Tensor
    """float32 (B, L, 3): H3K27ac, DNase (raw), log10(1 + contact with the TSS)."""
    gene_features: torch.Tensor
    """float32 (B, F)."""
    blacklist: torch.Tensor
    """bool (B, L)."""
    label: torch.Tensor
    """float32 (B,)."""
    index: torch.Tensor  # type: ignore[assignment]
    """int64 (B,): rows of the store's genes."""

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """Move all tensors to a device."""
        return type(self)(*(part.to(device, non_blocking=non_blocking) for part in self))


class WindowDataset(Dataset[PackedBatch]):
    """Windows of some genes of a store with their labels, in the order given.

    Parameters
    ----------
    store_dir
        A window store.
    gene_rows
        Rows of the store's genes, from :func:`split_rows`.
    assay
        Whose labels to give.
    window_length
        Centre crop in bp; the stored length if None.
    """

    def __init__(
        self, store_dir: Path, gene_rows: np.ndarray, assay: str, window_length: int | None = None
    ) -> None:
        self.store = open_store(store_dir)
        self.gene_rows = np.asarray(gene_rows, dtype=np.int64)
        self.window_length = window_length or self.store.window_length
        _crop(self.store, self.window_length)
        self.labels = self.store.labels(assay)[self.gene_rows]
        """float32 (len(self),)."""

    def __len__(self) -> int:
        return len(self.gene_rows)

    def __getitem__(self, item: int) -> PackedBatch:
        row = int(self.gene_rows[item])
        return _read(self.store, row, self.window_length, float(self.labels[item]))


def collate(items: Sequence[PackedBatch]) -> PackedBatch:
    """Stack items into a batch (in a worker straight into shared memory)."""
    return default_collate(list(items))


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
    return collate([_read(store, row, window_length or store.window_length, float("nan"))])


def _read(store: WindowStore, row: int, length: int, label: float) -> PackedBatch:
    crop = _crop(store, length)
    start = int(store.offsets[row]) + crop
    stored = slice(start, start + length)
    return PackedBatch(
        codes=torch.from_numpy(store.codes[stored].copy()),
        signals=torch.from_numpy(store.signals[stored].copy()),
        contacts=torch.from_numpy(store.contacts[row].copy()),
        # Bins stay as they are stored: the crop only begins further inside them.
        contact_phase=torch.tensor(int(store.contact_phases[row]) + crop),
        gene_features=torch.from_numpy(store.features[row].copy()),
        label=torch.tensor(label, dtype=torch.float32),
        index=torch.tensor(row),
    )


def _crop(store: WindowStore, length: int) -> int:
    """Bases to leave out at the left so that the TSS stays the centre."""
    if not 0 < length <= store.window_length or length % 2:
        raise UserError(
            f"window_length {length} must be even and at most {store.window_length}, the length of "
            f"the windows in {store.path}"
        )
    return (store.window_length - length) // 2


def unpack(packed: PackedBatch, *, contact_bin: int) -> Batch:
    """Expand windows on the device where they are; exact, without rounding.

    Parameters
    ----------
    packed
        A batch (B, ...).
    contact_bin
        bp per contact bin of the store.
    """
    base = (packed.codes & BASE_BITS).int()  # (B, L)
    onehot = torch.eye(BASE_BITS + 1, 4, device=base.device)
    sequence = torch.nn.functional.embedding(base, onehot)  # (B, L, 4)
    phase = packed.contact_phase.int().unsqueeze(-1)
    position = torch.arange(base.shape[1], dtype=torch.int32, device=base.device)
    bins = torch.div(position + phase, contact_bin, rounding_mode="trunc")  # (B, L)
    contact = packed.contacts.gather(1, bins.long())  # (B, L)
    # A bin at the end of a chromosome covers bases that are not there.
    contact = contact.masked_fill(base == OUTSIDE_CODE, 0.0)
    return Batch(
        sequence=sequence,
        signals=torch.cat([packed.signals.to(torch.float32), contact.unsqueeze(-1)], dim=-1),
        gene_features=packed.gene_features,
        blacklist=(packed.codes & BLACKLIST_BIT) != 0,
        label=packed.label,
        index=packed.index,
    )


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
