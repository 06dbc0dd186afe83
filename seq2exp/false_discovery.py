"""The mask value at which few bases are called that shuffled windows would call as well.

At a value v, the estimated false-discovery rate is the number of bases of the shuffled windows whose
mask is at least v, over the number of bases of the real ones. What is false by it is a base that is
called although its sequence says no more than any sequence of the same dinucleotides, with the same
signals, would. It says nothing of whether a base regulates its gene.

Bases of the promoter, whose mask is always 1, and off the chromosome do not count.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.bottleneck import promoter_slice
from seq2exp.errors import UserError
from seq2exp.masks import MaskStore, open_masks
from seq2exp.ranking import ScoreCounts
from seq2exp.schemas import FDR_COLUMNS, write_table

log = logging.getLogger(__name__)


class Cut(NamedTuple):
    """Where a mask is cut."""

    value: float
    """The smallest mask value that is called; infinite where nothing is."""
    fdr: float
    """Its false-discovery rate; where nothing is called, the lowest of all values."""


def choose_cut(
    masks_dir: Path, shuffled_dir: Path, rate: float, *, track: str, out_table: Path
) -> float:
    """Find the cut of one run, as :func:`cut_at_fdr`, say it in the log, and write its table.

    Returns
    -------
    float
        The smallest value that is called; infinite where nothing is.
    """
    cut, table = cut_at_fdr(open_masks(masks_dir), shuffled_dir, rate, track=track)
    write_table(table, out_table)
    if np.isfinite(cut.value):
        log.info("%s: called from %.4g on, false-discovery rate %.3g", track, cut.value, cut.fdr)
    else:
        log.warning(
            "%s: no value has a false-discovery rate of %g or less (the lowest is %.3g); no regions",
            *(track, rate, cut.fdr),
        )
    return cut.value


def cut_at_fdr(
    masks: MaskStore, shuffled_dir: Path, rate: float, *, track: str = "mask"
) -> tuple[Cut, pd.DataFrame]:
    """Find the smallest value of a track at which the false-discovery rate is at most ``rate``.

    Parameters
    ----------
    masks, shuffled_dir
        The run's masks, and those of :func:`seq2exp.null_masks.predict_shuffled_masks`: genes of the
        latter are compared.
    rate
        In [0, 1].
    track
        ``mask``, ``sequence_part`` or ``prior``.

    Returns
    -------
    Cut, DataFrame
        The table has FDR_COLUMNS: values from 0 to 1 in steps of 0.01, and the cut where there is
        one, with the bases at or above them, and the rate (empty where no base is).

    Raises
    ------
    UserError
        The two stores do not fit each other.
    """
    counts = _count(masks, open_masks(shuffled_dir), shuffled_dir, track)
    values, null, real = counts.at_least()
    rates = np.divide(null, real, out=np.full(len(real), np.nan), where=real > 0)
    observed = real > np.append(real[1:], 0)  # a value that some base has
    passing = np.flatnonzero(observed & (rates <= rate))
    if len(passing):
        cut = Cut(float(values[passing[0]]), float(rates[passing[0]]))
    else:
        cut = Cut(np.inf, float(np.min(rates[observed], initial=np.inf)))
    shown = np.linspace(0, 1, 101).astype(np.float16)
    chosen = np.unique(np.append(shown, np.float16(cut.value)) if len(passing) else shown)
    at = np.searchsorted(values, chosen)
    rows = zip(chosen, real[at], null[at], rates[at], chosen == cut.value, strict=True)
    table = pd.DataFrame(rows, columns=list(FDR_COLUMNS[1:]))
    table["cut"] = table["cut"].astype(int)
    return cut, table.assign(track=track)[list(FDR_COLUMNS)]


def _count(masks: MaskStore, shuffled: MaskStore, place: Path, track: str) -> ScoreCounts:
    """Count bases by their value: negatives are those of shuffled windows."""
    real_values, null_values = getattr(masks, track), getattr(shuffled, track)
    rows = {gene_id: row for row, gene_id in enumerate(masks.gene_ids)}
    missing = [gene_id for gene_id in shuffled.gene_ids if gene_id not in rows]
    if missing or masks.length != shuffled.length or real_values is None or null_values is None:
        raise UserError(f"{place}: does not belong to the masks of this run; predict again")
    eligible = np.ones(masks.length, dtype=bool)
    eligible[promoter_slice(masks.length, int(masks.meta["promoter_length"]))] = False
    counts = ScoreCounts()
    for row, gene_id in enumerate(shuffled.gene_ids):
        for positive, values in ((False, null_values[row]), (True, real_values[rows[gene_id]])):
            scores = values[eligible]
            counts.add(scores, np.full(len(scores), positive))
    return counts
