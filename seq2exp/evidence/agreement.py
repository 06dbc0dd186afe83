"""Do several trainings of one model find the same: seed against seed, fold, cell line.

Axes: R runs, n usable bases of a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.errors import UserError
from seq2exp.masks import MaskStore, open_masks
from seq2exp.planted import Window, windows
from seq2exp.regions import read_elements
from seq2exp.schemas import write_table
from seq2exp.store import WindowStore, open_store

VARIED = ("cell_line", "fold", "seed")
"""Two runs are compared where they differ in one of these."""
AGREEMENT_COLUMNS = (
    "differs",
    *(f"{name}_{side}" for name in VARIED for side in ("a", "b")),
    *("genes", "spearman", "jaccard", "jaccard_by_chance"),
)


class RunFiles(NamedTuple):
    """Masks and regions of one run."""

    masks: Path
    elements: Path


class OpenRun(NamedTuple):
    """Masks and regions of one run, read."""

    masks: MaskStore
    row_of: dict[str, int]
    """Row of each gene in the masks."""
    regions: dict[str, np.ndarray]
    """Start and end of the regions of each gene: int64 (n, 2)."""


def write_agreement(runs: Sequence[RunFiles], stores: Mapping[str, Path], out_table: Path) -> None:
    """Write how much every two runs of one model agree that differ in one thing.

    Parameters
    ----------
    runs
        Of one assay and model.
    stores
        Window store of each cell line.
    out_table
        From :func:`agreement`.
    """
    opened = [_open(run) for run in runs]
    write_table(
        agreement(opened, {name: open_store(path) for name, path in stores.items()}), out_table
    )


def agreement(runs: Sequence[OpenRun], stores: Mapping[str, WindowStore]) -> pd.DataFrame:
    """Compare runs over the genes that both have a mask of.

    N, blacklisted bases, those off the chromosome and the promoter, where all masks are alike, do
    not count.

    Returns
    -------
    DataFrame
        AGREEMENT_COLUMNS: ``spearman`` is the mean over genes of the rank correlation of the two
        masks, base by base; ``jaccard`` the bases in regions of both over those in regions of
        either, and ``jaccard_by_chance`` what is expected of as many bases anywhere. NaN without a
        gene in common.
    """
    pairs = [
        (i, j, name)
        for i, j in combinations(range(len(runs)), 2)
        if (name := _differs(runs[i], runs[j]))
    ]
    size = (len(runs), len(runs))
    genes, known, rho = np.zeros(size), np.zeros(size), np.zeros(size)
    both, either, by_chance = np.zeros(size), np.zeros(size), np.zeros(size)
    for window, members in _common_windows(runs, stores):
        at = np.ix_(members, members)
        usable, found = _values(window, [runs[i] for i in members])
        correlation = _rank_correlation(found.masks)
        known[at] += np.isfinite(correlation)
        rho[at] += np.nan_to_num(correlation)
        regions = found.regions.astype(np.float32)
        shared = (regions @ regions.T).astype(np.float64)
        sizes = np.diag(shared)
        expected = np.outer(sizes, sizes) / max(usable, 1)
        genes[at] += 1
        both[at] += shared
        either[at] += sizes[:, None] + sizes - shared
        by_chance[at] += expected
    called = both + either  # bases of the one and of the other
    figures = [_ratio(rho, known), _ratio(both, either), _ratio(by_chance, called - by_chance)]
    rows = [
        (
            name,
            *_sides(runs[i], runs[j]),
            int(genes[i, j]),
            *(figure[i, j] for figure in figures),
        )
        for i, j, name in pairs
    ]
    return pd.DataFrame(rows, columns=list(AGREEMENT_COLUMNS))


def _open(run: RunFiles) -> OpenRun:
    masks = open_masks(run.masks)
    table = read_elements(run.elements)
    regions = {
        str(gene_id): part[["start", "end"]].to_numpy(np.int64)
        for gene_id, part in table.groupby("gene_id")
    }
    return OpenRun(masks, {gene_id: row for row, gene_id in enumerate(masks.gene_ids)}, regions)


def _differs(first: OpenRun, second: OpenRun) -> str | None:
    """Name the one thing in which two runs differ; None where it is more."""
    names = [name for name in VARIED if first.masks.meta[name] != second.masks.meta[name]]
    return names[0] if len(names) == 1 else None


def _sides(first: OpenRun, second: OpenRun) -> Iterator[object]:
    for name in VARIED:
        yield from (first.masks.meta[name], second.masks.meta[name])


def _common_windows(
    runs: Sequence[OpenRun], stores: Mapping[str, WindowStore]
) -> Iterator[tuple[Window, list[int]]]:
    """Yield the window of every gene that two runs or more have, and these runs.

    A window is that of the first cell line that has it: only its bases count, which all share.
    """
    lengths = {run.masks.length for run in runs}
    if len(lengths) > 1:
        raise UserError(f"masks of windows of {sorted(lengths)} bp; compare runs of one model")
    (length,) = lengths
    members: dict[str, list[int]] = {}
    for i, run in enumerate(runs):
        for gene_id in run.masks.gene_ids:
            members.setdefault(gene_id, []).append(i)
    wanted: dict[str, list[str]] = {}
    for gene_id, having in members.items():
        if len(having) > 1:
            wanted.setdefault(runs[having[0]].masks.meta["cell_line"], []).append(gene_id)
    for cell_line, gene_ids in wanted.items():
        for window in windows(stores[cell_line], None, gene_ids, length):
            yield window, members[window.gene_id]


class _Values(NamedTuple):
    masks: np.ndarray
    """float16 (R, n)"""
    regions: np.ndarray
    """bool (R, n)"""


def _values(window: Window, runs: Sequence[OpenRun]) -> tuple[int, _Values]:
    """Count the usable bases of a window; masks and regions of some runs there."""
    length = len(window.usable)
    half = int(runs[0].masks.meta["promoter_length"]) // 2
    usable = window.usable.copy()
    usable[length // 2 - half : length // 2 + half] = False
    masks = np.stack([run.masks.mask[run.row_of[window.gene_id]] for run in runs])
    regions = np.zeros(masks.shape, dtype=bool)
    for row, run in enumerate(runs):
        for start, end in run.regions.get(window.gene_id, np.empty((0, 2), int)) - window.start:
            regions[row, max(start, 0) : max(end, 0)] = True
    return int(usable.sum()), _Values(masks[:, usable], regions[:, usable])


def _rank_correlation(masks: np.ndarray) -> np.ndarray:
    """Spearman's rho (R, R) of masks (R, n); NaN where one of the two is constant."""
    ranks = np.stack([_ranks(mask) for mask in masks])
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    size = np.sqrt((centred**2).sum(axis=1))
    return _ratio(centred @ centred.T, np.outer(size, size))


def _ranks(mask: np.ndarray) -> np.ndarray:
    """Rank float16 values (n,), none negative, from 1; equal ones have the mean of their ranks."""
    bits = (mask + np.float16(0)).view(np.uint16)  # few, and of the same order: no need to sort
    counts = np.bincount(bits)
    return (np.cumsum(counts) - (counts - 1) / 2)[bits]


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
