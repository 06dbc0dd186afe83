"""Batches of windows: packed as they lie in the store, and expanded as models read them.

Needs torch alone, so that models do too. Axes: B batch, L window length (bp), K contact bins,
F gene features.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch

from seq2exp.base_codes import BASE_BITS, BLACKLIST_BIT, OUTSIDE_CODE, PEAK_BIT


class PackedBatch(NamedTuple):
    """Windows as stored: about 5 bytes a base."""

    codes: torch.Tensor
    """uint8 (B, L): see :mod:`seq2exp.base_codes`."""
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

    def to(self, device: torch.device | str) -> Self:
        """Move all tensors to a device; from pinned memory to a CUDA device without waiting."""
        ahead = torch.device(device).type == "cuda"
        return type(self)(*(part.to(device, non_blocking=ahead) for part in self))

    def pin_memory(self) -> Self:
        """Copy to memory from which a GPU can read while the program goes on."""
        return type(self)(*(part.pin_memory() for part in self))


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
    seeds: tuple[int, ...] | None = None
    """(B,): where each window's random draws start; torch's random state when None."""
    peaks: torch.Tensor | None = None
    """bool (B, L): in a DNase peak of the cell line; None where its peaks are not known."""


def unpack(packed: PackedBatch, *, contact_bin: int, has_peaks: bool = False) -> Batch:
    """Expand windows on the device where they are; exact, without rounding.

    Parameters
    ----------
    packed
        A batch (B, ...).
    contact_bin
        bp per contact bin of the store.
    has_peaks
        Whether the store knows the cell line's peaks.
    """
    codes = packed.codes
    phase = packed.contact_phase.int().unsqueeze(-1)
    position = torch.arange(codes.shape[1], dtype=torch.int32, device=codes.device)
    bins = torch.div(position + phase, contact_bin, rounding_mode="trunc")  # (B, L)
    contact = packed.contacts.gather(1, bins.long())  # (B, L)
    # A bin at the end of a chromosome covers bases that are not there.
    contact = contact.masked_fill((codes & BASE_BITS) == OUTSIDE_CODE, 0.0)
    sequence, blacklist, peaks = decode(codes, has_peaks=has_peaks)
    return Batch(
        sequence=sequence,
        signals=torch.cat([packed.signals.to(torch.float32), contact.unsqueeze(-1)], dim=-1),
        gene_features=packed.gene_features,
        blacklist=blacklist,
        label=packed.label,
        index=packed.index,
        peaks=peaks,
    )


def decode(
    codes: torch.Tensor, *, has_peaks: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """What codes (B, L) say: ``sequence``, ``blacklist`` and ``peaks`` of a :class:`Batch`."""
    onehot = torch.eye(BASE_BITS + 1, 4, device=codes.device)
    return (
        torch.nn.functional.embedding((codes & BASE_BITS).int(), onehot),  # (B, L, 4)
        (codes & BLACKLIST_BIT) != 0,
        (codes & PEAK_BIT) != 0 if has_peaks else None,
    )
