"""Candidate elements of a gene: the places in its window that may act on the promoter.

They follow the activity-by-contact (ABC) model (Fulco et al. 2019): open chromatin, ranked by its
activity, the geometric mean of H3K27ac and DNase, times its contact with the TSS. No loop over bases
or genes: everything is tensors on the batch's device.

Axes: B batch, L window length (bp), E candidate elements, T element length (bp).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seq2exp.model_config import SIGNALS, Signal
from seq2exp.packing import Batch


class Elements(NamedTuple):
    """Elements of each window, the highest score first; those that are not there come last."""

    present: Tensor
    """bool (B, E)."""
    centre: Tensor
    """int64 (B, E), in window coordinates; 0 where not present."""
    distance: Tensor
    """float32 (B, E): bp between the centre and the TSS; 0 where not present."""
    contact: Tensor
    """float32 (B, E): log10(1 + contact of the centre with the TSS); 0 where not present."""
    activity: Tensor
    """float32 (B, E): sqrt(mean H3K27ac x mean DNase) of the core, the mean of one of them where the
    other is left out; 0 without both, and where not present."""


def candidate_elements(
    batch: Batch,
    *,
    peaks: bool,
    signals: Sequence[Signal],
    most: int,
    core_length: int,
    min_distance: int,
    promoter: slice,
) -> Elements:
    """Choose the elements of each window.

    Parameters
    ----------
    batch
        Windows whose TSS is at L / 2. Blacklisted bases have no signal here and are in no peak.
    peaks
        Elements are the runs of ``batch.peaks``, around their middle. Otherwise they are where the
        activity is above 0 and the highest within ``core_length`` bp on both sides (of equal bases
        the first), so that their cores do not overlap.
    signals
        Those that may be read, which is all but in ablations.
    most
        E; of more candidates, those of the highest activity times contact are taken (what is left
        out counts as 1), and of equal ones the nearest.
    core_length
        bp around the centre over which signals are averaged; bases beyond the window count as 0.
    min_distance
        Least distance of a centre from the TSS, bp.
    promoter
        Bases where no element has its centre.
    """
    length = batch.signals.shape[1]
    activity = core_activity(_chromatin(batch, signals), core_length)  # (B, L)
    log_contact = batch.signals[..., 2] * ("hic" in signals)  # (B, L)
    position = torch.arange(length, device=activity.device)
    allowed = (position - length // 2).abs() >= min_distance  # (L,)
    allowed[promoter] = False
    if peaks:
        assert batch.peaks is not None, "the window store has no peaks, or unpack was not told"
        is_centre = run_middles(batch.peaks & ~batch.blacklist)  # (B, L)
    else:
        is_centre = (activity > 0) & is_highest(activity, core_length)
    is_centre = is_centre & allowed

    score = torch.ones_like(activity)
    if {"h3k27ac", "dnase"} & set(signals):
        score = score * activity
    if "hic" in signals:
        score = score * (10.0 ** log_contact.double() - 1)
    ranked, order = _ranked(torch.where(is_centre, score, -1.0))  # (B, L) each
    missing = max(most - length, 0)
    present = F.pad(ranked[:, :most] >= 0, (0, missing))  # (B, E)
    centre = F.pad(order[:, :most], (0, missing)) * present
    return Elements(
        present,
        centre,
        distance=((centre - length // 2).abs() * present).float(),
        contact=log_contact.gather(1, centre) * present,
        activity=activity.gather(1, centre).float() * present,
    )


def core_activity(signals: Tensor, core_length: int) -> Tensor:
    """Geometric mean of signals (B, L, n), each averaged over the core around every base.

    The core of base p is [p - core_length // 2, p - core_length // 2 + core_length).

    Returns
    -------
    float64 (B, L)
        0 without signals. Sums of float16 values are exact in float64, whatever their order.
    """
    if not signals.shape[-1]:
        return signals.new_zeros(signals.shape[:2], dtype=torch.float64)
    before = core_length // 2
    padded = F.pad(signals.double(), (0, 0, before + 1, core_length - before - 1))
    sums = padded.cumsum(dim=1)  # (B, L + core_length, n)
    length = signals.shape[1]
    mean = (sums[:, core_length:] - sums[:, :length]) / core_length  # (B, L, n)
    return mean.prod(dim=-1).pow(1 / signals.shape[-1])


def _chromatin(batch: Batch, signals: Sequence[Signal]) -> Tensor:
    """H3K27ac and DNase as far as they may be read, 0 on the blacklist; (B, L, 0 to 2)."""
    kept = [i for i, name in enumerate(SIGNALS[:2]) if name in signals]
    return batch.signals[..., kept].masked_fill(batch.blacklist.unsqueeze(-1), 0.0)


def _ranked(score: Tensor) -> tuple[Tensor, Tensor]:
    """Sort each row (B, L) from the highest down, of equal scores the nearest to the middle first."""
    length = score.shape[1]
    distance = (torch.arange(length, device=score.device) - length // 2).abs()
    nearest = distance.argsort(stable=True)  # (L,)
    ranked, order = score[:, nearest].sort(dim=1, descending=True, stable=True)
    return ranked, nearest[order]


def is_highest(values: Tensor, reach: int) -> Tensor:
    """Where a value (B, L) is the highest of those less than ``reach`` away: the first of equal ones."""
    if reach == 1:
        return torch.ones_like(values, dtype=torch.bool)
    after = _highest_after(values, reach - 1)
    before = _highest_after(values.flip(1), reach - 1).flip(1)
    return (values >= after) & (values > before)


def _highest_after(values: Tensor, count: int) -> Tensor:
    """Highest of the ``count`` values after each one (B, L), in log2(count) steps; -inf at the end."""
    highest, covered = _earlier(values, 1), 1
    while covered < count:
        step = min(covered, count - covered)
        highest = torch.maximum(highest, _earlier(highest, step))
        covered += step
    return highest


def _earlier(values: Tensor, step: int) -> Tensor:
    """Values (B, L) moved ``step`` places to the left; -inf from the right."""
    return F.pad(values[:, step:], (0, min(step, values.shape[1])), value=-torch.inf)


def run_middles(flags: Tensor) -> Tensor:
    """Mark the middle base, (start + end) // 2, of every run of true values; bool (B, L)."""
    starts, ends = run_edges(flags)
    length = flags.shape[1]
    position = torch.arange(length, device=flags.device)
    # At the last base of a run, the latest start is its own.
    start = torch.where(starts, position, 0).cummax(dim=1).values  # (B, L)
    middle = torch.where(ends, (start + position + 1) // 2, length)
    marks = F.pad(torch.zeros_like(flags), (0, 1))  # the last column takes what is no end
    return marks.scatter(1, middle, True)[:, :length]


def run_edges(flags: Tensor) -> tuple[Tensor, Tensor]:
    """First and last base of every run of true values; bool (B, L) each."""
    padded = F.pad(flags, (1, 1))
    return flags & ~padded[:, :-2], flags & ~padded[:, 2:]


def cut_sequences(sequence: Tensor, centre: Tensor, length: int) -> Tensor:
    """Cut [centre - T // 2, centre - T // 2 + T) out of windows; zeros beyond their ends.

    Parameters
    ----------
    sequence
        (B, L, 4).
    centre
        int64 (B, E).
    length
        T, bp.

    Returns
    -------
    (B, E, T, 4)
    """
    before = length // 2
    padded = F.pad(sequence, (0, 0, before, length - before))  # (B, L + T, 4)
    bases = centre.unsqueeze(-1) + torch.arange(length, device=centre.device)  # (B, E, T)
    window = torch.arange(len(centre), device=centre.device)[:, None, None]
    return padded[window, bases]
