"""Elements of one cell line and not of another, and whether the signals say so too."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.evidence.intervals import overlapping_rows
from seq2exp.masks import MaskStore, open_masks
from seq2exp.regions import read_elements
from seq2exp.schemas import ELEMENT_COLUMNS, write_table
from seq2exp.store import WindowStore, open_store

SIGNALS = ("h3k27ac", "dnase")
"""In the order of the store."""
FOLDS = tuple(f"{name}_log2_fold" for name in SIGNALS)
SPECIFICITY_COLUMNS = ("cell_line", "other", *ELEMENT_COLUMNS, "other_mask", "shared", *FOLDS)
SUMMARY_COLUMNS = (
    *("cell_line", "other", "elements", "specific"),
    *(f"{fold}_{kind}" for fold in FOLDS for kind in ("specific", "shared")),
)


class CellLineFiles(NamedTuple):
    """One run in one cell line."""

    elements: Path
    masks: Path
    store: Path


class _CellLine(NamedTuple):
    elements: pd.DataFrame
    masks: MaskStore
    store: WindowStore
    background: np.ndarray
    """Mean of each signal over the windows of the genes with a mask: float64 (2,)."""


def write_specificity(
    cell_lines: Mapping[str, CellLineFiles], *, out_elements: Path, out_summary: Path
) -> None:
    """Hold the elements of every cell line against those of every other, gene by gene.

    Parameters
    ----------
    cell_lines
        The runs of one assay, model, fold and seed.
    out_elements
        SPECIFICITY_COLUMNS; see :func:`compared`.
    out_summary
        SUMMARY_COLUMNS: elements, how many of them are specific (not a base is shared), and the
        median log2 folds of these and of the others.
    """
    opened = {name: _open(files) for name, files in cell_lines.items()}
    tables = [
        compared(opened[name], opened[other]).assign(cell_line=name, other=other)
        for name, other in permutations(opened, 2)
    ]
    table = pd.concat(tables, ignore_index=True)[list(SPECIFICITY_COLUMNS)]
    write_table(table, out_elements)
    rows = [
        (name, other, *_summary(part))
        for (name, other), part in table.groupby(["cell_line", "other"], sort=False)
    ]
    write_table(pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS)), out_summary)


def compared(own: _CellLine, other: _CellLine) -> pd.DataFrame:
    """Add to the elements of a cell line what another one has there.

    Returns
    -------
    DataFrame
        The elements of genes with a mask in both: ``other_mask``, the other's mean mask over the
        same bases; ``shared``, the share of bases in the other's elements of the same gene; and the
        log2 fold of each signal, own over other, each as 1 + signal / its mean over all windows,
        so that neither depth nor unit matters.
    """
    elements = own.elements[own.elements["gene_id"].isin(other.masks.gene_ids)]
    elements = elements.reset_index(drop=True)
    rows, others = overlapping_rows(elements, other.elements, keys=("chrom", "gene_id"))
    bases = np.zeros(len(elements))
    low = np.maximum(_column(elements, "start", rows), _column(other.elements, "start", others))
    high = np.minimum(_column(elements, "end", rows), _column(other.elements, "end", others))
    np.add.at(bases, rows, high - low)
    signals = [
        1 + _mean_signals(elements, cell_line) / cell_line.background for cell_line in (own, other)
    ]
    folds = pd.DataFrame(np.log2(signals[0] / signals[1]), columns=list(FOLDS))
    shared = bases / (elements["end"] - elements["start"])
    return elements.assign(other_mask=_mean_masks(elements, other), shared=shared).join(folds)


def _open(files: CellLineFiles) -> _CellLine:
    elements, masks = read_elements(files.elements), open_masks(files.masks)
    store = open_store(files.store)
    chosen = store.genes["gene_id"].isin(masks.gene_ids).to_numpy()
    crop = (store.window_length - masks.length) // 2
    sums = np.zeros(len(SIGNALS))
    for first in store.offsets[chosen] + crop:
        sums += store.signals[first : first + masks.length].sum(axis=0, dtype=np.float64)
    means = sums / max(chosen.sum() * masks.length, 1)
    return _CellLine(elements, masks, store, np.where(means > 0, means, 1))


def _column(table: pd.DataFrame, name: str, rows: np.ndarray) -> np.ndarray:
    return table[name].to_numpy(np.int64)[rows]


def _mean_signals(elements: pd.DataFrame, cell_line: _CellLine) -> np.ndarray:
    """Mean of each signal over each element, in the window of its gene: float64 (n, 2)."""
    store = cell_line.store
    first = store.genes["tss"].to_numpy(np.int64) - store.window_length // 2
    row_of = {gene_id: row for row, gene_id in enumerate(store.genes["gene_id"])}
    means = np.empty((len(elements), len(SIGNALS)))
    places = zip(elements["gene_id"], elements["start"], elements["end"], strict=True)
    for i, (gene_id, start, end) in enumerate(places):
        shift = int(store.offsets[row_of[gene_id]] - first[row_of[gene_id]])
        means[i] = store.signals[start + shift : end + shift].mean(axis=0, dtype=np.float64)
    return means


def _mean_masks(elements: pd.DataFrame, other: _CellLine) -> np.ndarray:
    tss = dict(zip(other.store.genes["gene_id"], other.store.genes["tss"], strict=True))
    row_of = {gene_id: row for row, gene_id in enumerate(other.masks.gene_ids)}
    places = zip(elements["gene_id"], elements["start"], elements["end"], strict=True)
    means = []
    for gene_id, start, end in places:
        first = int(tss[gene_id]) - other.masks.length // 2
        bases = other.masks.mask[row_of[gene_id], start - first : end - first]
        means.append(bases.mean(dtype=np.float64))
    return np.array(means, dtype=np.float64)


def _summary(table: pd.DataFrame) -> tuple[float, ...]:
    specific = table["shared"] == 0
    medians = [
        table.loc[chosen, fold].median() for fold in FOLDS for chosen in (specific, ~specific)
    ]
    return (len(table), int(specific.sum()), *medians)
