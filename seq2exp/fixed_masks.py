"""Masks that are made from a mask: its top bases, or the same mask at another place.

Axes: B batch, L window length (bp).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_STREAM = 2
"""Keeps the draws of :func:`shift_mask` apart from those of the order and of the views."""


def free_bases(blacklist: Tensor, promoter: slice) -> Tensor:
    """Bases whose mask is not fixed: neither blacklisted (bool (B, L)) nor promoter; bool (B, L)."""
    free = ~blacklist
    free[:, promoter] = False
    return free


def top_bases(scores: Tensor, fraction: float) -> Tensor:
    """1 on the highest ``fraction`` of each window's scores (B, L), the first ones of equals."""
    count = round(fraction * scores.shape[-1])
    order = scores.argsort(dim=-1, descending=True, stable=True)  # (B, L)
    return torch.zeros_like(scores).scatter(-1, order[:, :count], 1.0)


def shift_mask(mask: Tensor, free: Tensor, genes: Sequence[int]) -> Tensor:
    """Move each window's mask along its free bases, round the end.

    Parameters
    ----------
    mask
        (B, L).
    free
        bool (B, L): where it may be; elsewhere it stays as it is.
    genes
        (B,): numbers that decide how far each is moved, between a quarter and three quarters of
        the free bases.

    Returns
    -------
    Tensor
        (B, L), with the same sum in each window.
    """
    shifted = mask.clone()
    for row, gene in enumerate(genes):
        share = np.random.default_rng([_STREAM, gene]).uniform(0.25, 0.75)
        bases = mask[row][free[row]]
        shifted[row, free[row]] = bases.roll(int(share * len(bases)))
    return shifted
