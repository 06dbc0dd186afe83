"""Sequences of called regions, and of random regions that match them.

A random region lies in the window of any of the genes, has the same length and tenth of GC as its
region, and no base that is called, N, blacklisted, off the chromosome or of the promoter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.evidence.enrichment import Ground, gc_bins, grounds
from seq2exp.evidence.intervals import union
from seq2exp.evidence.references import by_chromosome, cover
from seq2exp.store import WindowStore

RANDOM_REGIONS = 5
"""Drawn for each region."""
ROUNDS = 20
"""Windows that are tried for each random region; a region that lacks one after that is left out."""


class Sequences(NamedTuple):
    """Base codes of regions, and of the random regions that match them; uint8 each."""

    regions: list[np.ndarray]
    background: list[np.ndarray]
    """RANDOM_REGIONS for each region, in their order."""
    unmatched: int
    """Regions left out: with a base that none may have, or without a match in ROUNDS windows."""


class _Region(NamedTuple):
    codes: np.ndarray
    gc_bin: int


def draw_sequences(
    chosen: pd.DataFrame,
    called: pd.DataFrame,
    store: WindowStore,
    gene_ids: Sequence[str],
    *,
    window_length: int,
    promoter_length: int,
    seed: int,
) -> Sequences:
    """Give the sequences of regions, and of random ones beside them.

    Parameters
    ----------
    chosen
        The regions: ``chrom``, ``start``, ``end``, ``gene_id``; what several genes' windows share
        is one.
    called
        All called regions, which random ones keep clear of.
    store, gene_ids
        The cell line's windows, and the genes in whose windows random regions lie.
    window_length, promoter_length
        Of the model, bp.
    seed
        Random regions are drawn from it.
    """
    regions: list[_Region] = []
    left_out = 0
    for ground, starts, ends in grounds(chosen, store, window_length, promoter_length):
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            if ground.usable_before[end] - ground.usable_before[start] < end - start:
                left_out += 1
                continue
            (gc_bin,) = gc_bins(ground, start, end, end - start)
            regions.append(_Region(ground.bases[start:end], int(gc_bin)))
    rows = {gene_id: row for row, gene_id in enumerate(store.genes["gene_id"])}
    windows = np.array([rows[gene_id] for gene_id in gene_ids], dtype=np.int64)
    taken = by_chromosome(union(called))
    rng = np.random.default_rng(seed)
    drawn: list[list[np.ndarray]] = [[] for _ in regions]
    for _ in range(ROUNDS if len(windows) else 0):
        # A window for each random region that is still to be found; each window is read once.
        lacking = np.repeat(np.arange(len(regions)), [RANDOM_REGIONS - len(d) for d in drawn])
        where = rng.choice(windows, len(lacking))
        for row in np.unique(where).tolist():
            ground = _free(Ground.of_gene(store, row, window_length, promoter_length), taken)
            for i in lacking[where == row].tolist():
                drawn[i] += _draw(ground, regions[i], rng)
    whole = [i for i, found in enumerate(drawn) if len(found) == RANDOM_REGIONS]
    return Sequences(
        [regions[i].codes for i in whole],
        [one for i in whole for one in drawn[i]],
        left_out + len(regions) - len(whole),
    )


def _free(ground: Ground, taken: dict[str, np.ndarray]) -> Ground:
    """The same window without what is called."""
    called = np.diff(cover(taken, ground.chrom, ground.start, ground.length)) > 0
    usable = ground.usable & ~called
    before = np.concatenate([[0], np.cumsum(usable, dtype=np.int32)])
    return ground._replace(usable=usable, usable_before=before)


def _draw(ground: Ground, region: _Region, rng: np.random.Generator) -> list[np.ndarray]:
    """Draw one stretch that matches a region, if the window has any."""
    length = len(region.codes)
    if length > ground.length:
        return []
    free = ground.usable_before[length:] - ground.usable_before[:-length] == length
    alike = gc_bins(ground, 0, ground.length, length) == region.gc_bin
    places = np.flatnonzero(free & alike)
    if not len(places):
        return []
    start = int(rng.choice(places))
    return [ground.bases[start : start + length]]
