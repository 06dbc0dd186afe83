"""Random views of training windows: shifted by whole bases, or read on the other strand.

Views are a pure function of seed and step, so that a resumed run sees the same ones. They are drawn
on the CPU and applied to packed windows where these lie: no copy between the two. Axes: B batch,
L window length (bp), J largest shift (bp), K contact bins; B may be left out.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import torch

from seq2exp.base_codes import N_CODE
from seq2exp.packing import PackedBatch
from seq2exp.training_config import AugmentConfig

_STREAM = 1
"""Keeps these draws apart from those of the order and of the masks, which also start at a seed."""


class Views(NamedTuple):
    """How each window of a batch is seen."""

    shift: np.ndarray
    """int64 (B,): bases to the right along the genome, in [-J, J]."""
    flipped: np.ndarray
    """bool (B,): on the other strand, after the shift."""

    def part(self, positions: slice) -> Self:
        """Views of some windows of the batch."""
        return type(self)(self.shift[positions], self.flipped[positions])


def draw_views(windows: int, augment: AugmentConfig, *, seed: int, step: int) -> Views:
    """Draw the views of one step's batch; each setting leaves the draws of the other alone."""
    rng = np.random.default_rng([_STREAM, seed, step])
    flipped = rng.random(windows) < (0.5 if augment.reverse_complement else 0.0)
    shift = rng.integers(-augment.jitter, augment.jitter, windows, endpoint=True)
    return Views(shift, flipped)


def apply_views(
    packed: PackedBatch, views: Views, augment: AugmentConfig, *, contact_bin: int
) -> PackedBatch:
    """Cut every window out of one that reaches J further on both sides, and flip some.

    Parameters
    ----------
    packed
        Windows of L + 2 J bases.
    views
        From :func:`draw_views`.
    augment
        Gives J.
    contact_bin
        bp per contact bin of the store.

    Returns
    -------
    PackedBatch
        Windows of L bases.
    """
    length = packed.codes.shape[-1] - 2 * augment.jitter
    windows = []
    for parts, shift, flip in zip(zip(*packed, strict=True), *views, strict=True):
        window = crop(PackedBatch(*parts), augment.jitter + int(shift), length)
        windows.append(reverse_complement(window, contact_bin=contact_bin) if flip else window)
    return PackedBatch(*(torch.stack(parts) for parts in zip(*windows, strict=True)))


def crop(packed: PackedBatch, start: int, length: int) -> PackedBatch:
    """Bases [start, start + length) of each window."""
    return packed._replace(
        codes=packed.codes[..., start : start + length],
        signals=packed.signals[..., start : start + length, :],
        contact_phase=packed.contact_phase + start,
    )


def reverse_complement(packed: PackedBatch, *, contact_bin: int) -> PackedBatch:
    """Each window on the other strand: base i becomes base L - 1 - i, its letter the complement.

    Its own inverse. The promoter, in the middle of a window of even length, falls onto itself.
    The K bins cover the window and more; what they cover on its right becomes the phase.
    """
    letter = (packed.codes & N_CODE) == 0  # codes 0 to 3; N and bases off the chromosome stay
    codes = torch.where(letter, packed.codes ^ 3, packed.codes)
    length, covered = packed.codes.shape[-1], packed.contacts.shape[-1] * contact_bin
    return packed._replace(
        codes=codes.flip(-1),
        signals=packed.signals.flip(-2),
        contacts=packed.contacts.flip(-1),
        contact_phase=covered - length - packed.contact_phase,
    )
