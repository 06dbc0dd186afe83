"""Enrichment of called regions in reference regions, against random regions that match them.

A random region lies in the window of the same gene, has the same length, the same stratum of
distances to the TSS and the same bin of GC, and no base that is N, blacklisted, off the chromosome
or of the promoter. Strata and bins are fixed, not centred on the region, so that a region that was
itself placed at random is one draw among the others: for such regions fold 1 is within the
interval as often as the interval says.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.base_codes import BASE_BITS, BLACKLIST_BIT, N_CODE
from seq2exp.evidence.intervals import cluster
from seq2exp.evidence.references import by_chromosome, cover
from seq2exp.store import WindowStore

log = logging.getLogger(__name__)

RANDOM_SETS = 1_000
GC_BINS = 10
"""So that GC differs by at most 1 / GC_BINS."""
FEWEST_PLACES = 50
"""Regions that fewer places match than this, or than they have bases, are left out: they would be
compared with themselves."""
ENRICHMENT_COLUMNS = (
    *("reference", "regions", "unmatched", "bases", "observed", "expected"),
    *("fold", "fold_low", "fold_high", "p"),
)


# --------------------------------------------------------------------------- one window


class Ground(NamedTuple):
    """Where regions may lie in one gene's window of L bases, whose middle is the TSS."""

    chrom: str
    start: int
    """First base of the window, 0-based; may be negative."""
    half_promoter: int
    usable: np.ndarray
    """bool (L,)"""
    usable_before: np.ndarray
    """int32 (L + 1,): usable bases before each base."""
    gc_before: np.ndarray
    """int32 (L + 1,): G and C before each base."""
    bases: np.ndarray
    """uint8 (L,): letters, without their flags."""

    @classmethod
    def of_codes(cls, codes: np.ndarray, chrom: str, start: int, promoter_length: int) -> Ground:
        """From the base codes (L,) of a window (:mod:`seq2exp.base_codes`)."""
        bases, half = codes & BASE_BITS, promoter_length // 2
        usable = (bases < N_CODE) & ((codes & BLACKLIST_BIT) == 0)
        usable[len(codes) // 2 - half : len(codes) // 2 + half] = False
        sums = [np.cumsum(flags, dtype=np.int32) for flags in (usable, (bases == 1) | (bases == 2))]
        usable_before, gc_before = (np.concatenate([[0], s]) for s in sums)
        return cls(chrom, start, half, usable, usable_before, gc_before, bases)

    @classmethod
    def of_gene(
        cls, store: WindowStore, row: int, window_length: int, promoter_length: int
    ) -> Ground:
        """Of the window of a row of the store's genes."""
        first = int(store.offsets[row]) + (store.window_length - window_length) // 2
        start = int(store.genes["tss"].iloc[row]) - window_length // 2
        codes = store.codes[first : first + window_length]
        return cls.of_codes(codes, str(store.genes["chrom"].iloc[row]), start, promoter_length)

    @property
    def length(self) -> int:
        """Bases of the window."""
        return len(self.usable)


def matched_places(ground: Ground, start: int, end: int) -> np.ndarray:
    """First bases (n,) of all places in the window that match a region, its own among them.

    Parameters
    ----------
    start, end
        The region, from the first base of the window, 0-based half-open.

    Returns
    -------
    int64 (n,), ascending
        None where the region itself holds a base that is not usable.
    """
    length = end - start
    if ground.usable_before[end] - ground.usable_before[start] < length:
        return np.empty(0, dtype=np.int64)
    own_bin = gc_bins(ground, start, end, length)
    found = []
    for low, high in _stratum(ground, start, length):
        first, last = max(low, 0), min(high, ground.length - length + 1)
        if first < last:
            usable = ground.usable_before
            free = usable[first + length : last + length] - usable[first:last] == length
            alike = gc_bins(ground, first, last + length - 1, length) == own_bin
            found.append(np.flatnonzero(free & alike) + first)
    return np.concatenate(found)


def gc_bins(ground: Ground, start: int, end: int, length: int) -> np.ndarray:
    """Bin of GC, of GC_BINS, of every stretch of ``length`` bases in [start, end)."""
    gc = ground.gc_before[start : end + 1]
    return (gc[length:] - gc[:-length]) * GC_BINS // length


def _stratum(ground: Ground, start: int, length: int) -> list[tuple[int, int]]:
    """First bases of regions as far from the TSS as this one, on both sides: [low, high).

    Strata begin at the promoter's edge, and each is twice as wide as the one before.
    """
    # Twice the distance of the middle, which may lie between two bases.
    twice = abs(2 * start + length - ground.length)
    near = 2 * ground.half_promoter
    while 2 * near <= twice:
        near *= 2
    # near <= |2 s + length - L| < 2 near
    left = ground.length - length
    ranges = [(left - 2 * near + 1, left - near + 1), (left + near, left + 2 * near)]
    return [(-(-low // 2), -(-high // 2)) for low, high in ranges]


# --------------------------------------------------------------------------- all regions


def enrichment(
    regions: pd.DataFrame,
    store: WindowStore,
    references: Mapping[str, pd.DataFrame],
    *,
    window_length: int,
    promoter_length: int,
    random_sets: int = RANDOM_SETS,
    seed: int = 0,
) -> pd.DataFrame:
    """Overlap of regions with each reference, over that of random regions that match them.

    Parameters
    ----------
    regions
        ``chrom``, ``start``, ``end``, ``gene_id``; what several genes' windows share is one region,
        of the gene with the nearest TSS.
    store
        The cell line's windows; all these genes are in it.
    references
        Regions by name, from :func:`seq2exp.evidence.references.read_regions`.
    window_length, promoter_length
        Of the model, bp.
    random_sets, seed
        How many random sets are drawn, and from which seed.

    Returns
    -------
    DataFrame
        ENRICHMENT_COLUMNS, a row a reference: ``regions`` compared and ``unmatched`` ones left out,
        ``bases`` of the former; ``observed`` and ``expected`` share of these bases in the
        reference, the latter the mean over the random sets; ``fold`` of the two, with the interval
        that 95% of the random sets leave it; and ``p``, the share of sets (the observed one among
        them) that overlap as much.
    """
    rng = np.random.default_rng(seed)
    places_of = {name: by_chromosome(table) for name, table in references.items()}
    observed = dict.fromkeys(references, 0)
    drawn = {name: np.zeros(random_sets, dtype=np.int64) for name in references}
    matched, unmatched, bases = 0, 0, 0
    for ground, starts, ends in grounds(regions, store, window_length, promoter_length):
        covers = {
            name: cover(places, ground.chrom, ground.start, ground.length)
            for name, places in places_of.items()
        }
        for start, end in zip(starts, ends, strict=True):
            places = matched_places(ground, start, end)
            if len(places) < max(FEWEST_PLACES, end - start):
                unmatched += 1
                continue
            matched, bases = matched + 1, bases + end - start
            chosen = places[rng.integers(len(places), size=random_sets)]
            for name, before in covers.items():
                observed[name] += int(before[end] - before[start])
                drawn[name] += before[chosen + end - start] - before[chosen]
    log.info("%d regions compared, %d matched by too few places", matched, unmatched)
    rows = [
        (name, matched, unmatched, bases, *_compared(observed[name], drawn[name], bases))
        for name in references
    ]
    return pd.DataFrame(rows, columns=list(ENRICHMENT_COLUMNS))


def _compared(observed: int, drawn: np.ndarray, bases: int) -> tuple[float, ...]:
    """From overlaps in bases to shares, fold, its interval and p; NaN without bases."""
    if not bases:
        return (np.nan,) * 6
    expected = drawn.mean()
    few, many = np.quantile(drawn, [0.025, 0.975])
    # Of random sets that may have no overlap at all, any fold is within what they leave.
    folds = (
        observed / expected if expected else np.nan,
        observed / many if many else 0.0,
        observed / few if few else np.inf,
    )
    p = (1 + int((drawn >= observed).sum())) / (1 + len(drawn))
    return observed / bases, expected / bases, *folds, p


def grounds(
    regions: pd.DataFrame, store: WindowStore, window_length: int, promoter_length: int
) -> Iterator[tuple[Ground, np.ndarray, np.ndarray]]:
    """Yield the window of each gene that has regions, and starts and ends of its regions there."""
    distinct = distinct_regions(regions, store.genes)
    gene_rows = distinct["gene_row"].to_numpy(np.int64)
    for row in np.unique(gene_rows).tolist():
        part = distinct[gene_rows == row]
        ground = Ground.of_gene(store, row, window_length, promoter_length)
        # What reaches beyond the window comes from another gene's, and is left to it.
        starts = np.maximum(part["start"].to_numpy() - ground.start, 0)
        yield ground, starts, np.minimum(part["end"].to_numpy() - ground.start, window_length)


def distinct_regions(regions: pd.DataFrame, genes: pd.DataFrame) -> pd.DataFrame:
    """Merge regions that overlap: ``chrom``, ``start``, ``end``, and ``gene_row`` in ``genes``.

    The gene is, of those whose regions were merged, the one whose TSS is nearest to the middle.
    """
    row_of = {gene_id: row for row, gene_id in enumerate(genes["gene_id"])}
    table = regions[["chrom", "start", "end"]].copy()
    table["gene_row"] = regions["gene_id"].map(row_of)
    table["run"] = cluster(table)
    runs = table.groupby("run").agg(low=("start", "min"), high=("end", "max"))
    table = table.join(runs, on="run")
    tss = genes["tss"].to_numpy()[table["gene_row"].to_numpy(np.int64)]
    table["away"] = ((table["low"] + table["high"]) / 2 - tss).abs()
    nearest = table.sort_values(["run", "away", "gene_row"]).drop_duplicates("run")
    found = nearest.assign(start=nearest["low"], end=nearest["high"])
    return found[["chrom", "start", "end", "gene_row"]].sort_values(
        ["gene_row", "start"], ignore_index=True
    )
