"""A simulated genome's planted truth, and how well scores of bases and elements find it.

Everything is asked of the test genes of one run, in one cell line. Only elements that are open
there count: what is closed cannot act.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.base_codes import BASE_BITS, BLACKLIST_BIT, N_CODE
from seq2exp.errors import UserError
from seq2exp.masks import TRACKS, MaskStore
from seq2exp.ranking import ScoreCounts
from seq2exp.schemas import numbers, read_table
from seq2exp.store import WindowStore

BED_COLUMNS = (
    *("chrom", "start", "end", "name", "score", "strand"),
    *("kind", "open_in", "motif", "copies"),
)
PAIR_COLUMNS = (
    *("cell_line", "element", "kind", "open", "chrom", "start", "end"),
    *("gene_id", "gene_name", "distance", "effect"),
)
EXPRESSION_COLUMNS = ("cell_line", "gene_id", "promoter", "noiseless")
SCORES = (*TRACKS, "dnase")


class PlantedTruth(NamedTuple):
    """Files of a simulated genome (:mod:`seq2exp.simulate`)."""

    elements: Path
    """BED6 + kind (active, decoy), cell lines where open (comma-separated), motif, copies."""
    pairs: Path
    """Elements with each gene whose window holds them: distance and effect per cell line."""
    expression: Path
    """Promoter part and noiseless value of each label, per cell line."""


# --------------------------------------------------------------------------- windows


class Window(NamedTuple):
    """One gene's window with what is known of its bases; arrays have shape (L,)."""

    gene_id: str
    chrom: str
    start: int
    """First base, 0-based; negative where the window begins before the chromosome."""
    usable: np.ndarray
    """bool: on the chromosome, not N, not blacklisted."""
    scores: dict[str, np.ndarray]
    """float16, one array a score: DNase, and the tracks of the mask store."""


def windows(
    store: WindowStore, masks: MaskStore | None, gene_ids: list[str], length: int
) -> Iterator[Window]:
    """Yield the windows of some genes; with masks, only those that have one.

    Parameters
    ----------
    store, masks
        The cell line's windows, and the model's masks where it has any.
    gene_ids
        Genes of the store.
    length
        Window length of the model, bp.
    """
    crop = (store.window_length - length) // 2
    store_rows = {gene_id: row for row, gene_id in enumerate(store.genes["gene_id"])}
    mask_rows = {} if masks is None else {g: row for row, g in enumerate(masks.gene_ids)}
    chroms, centres = store.genes["chrom"].to_numpy(), store.genes["tss"].to_numpy()
    for gene_id in gene_ids:
        if masks is not None and gene_id not in mask_rows:
            continue
        row = store_rows[gene_id]
        first = int(store.offsets[row]) + crop
        codes = store.codes[first : first + length]
        tracks = () if masks is None else masks.tracks()
        scores = {name: values[mask_rows[gene_id]] for name, values in tracks}
        scores["dnase"] = store.signals[first : first + length, 1]
        yield Window(
            gene_id=gene_id,
            chrom=str(chroms[row]),
            start=int(centres[row]) - length // 2,
            usable=((codes & BASE_BITS) < N_CODE) & ((codes & BLACKLIST_BIT) == 0),
            scores=scores,
        )


# --------------------------------------------------------------------------- bases


def planted_elements(path: Path, cell_line: str | None) -> pd.DataFrame:
    """Read the elements that are open in a cell line: ``chrom``, ``start``, ``end``, ``kind``.

    Without a cell line, all of them.

    Raises
    ------
    UserError
        The file is no such BED.
    """
    try:
        table = pd.read_csv(path, sep="\t", header=None, names=list(BED_COLUMNS), dtype="str")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a BED of planted elements ({error})") from None
    names = table["open_in"].fillna("").str.split(",")
    chosen = names.map(lambda names: cell_line is None or cell_line in names).astype(bool)
    for column in ("start", "end"):
        table[column] = numbers(table, column, path, whole=True)
    found = table.loc[chosen, ["chrom", "start", "end", "kind"]]
    return found.sort_values(["chrom", "start"], ignore_index=True)


def active_elements(path: Path, cell_line: str) -> dict[str, np.ndarray]:
    """Places of the active elements that are open in a cell line: int64 (n, 2) a chromosome."""
    elements = planted_elements(path, cell_line)
    active = elements[elements["kind"] == "active"]
    return {
        str(chrom): part[["start", "end"]].to_numpy() for chrom, part in active.groupby("chrom")
    }


def base_counts(
    found: Iterator[Window], active: dict[str, np.ndarray], promoter: slice
) -> dict[str, ScoreCounts]:
    """Count scores of all usable bases outside the promoter; positive are those of ``active``."""
    counts: dict[str, ScoreCounts] = {}
    for window in found:
        eligible = window.usable.copy()
        eligible[promoter] = False
        positive = np.zeros(len(eligible), dtype=bool)
        places = active.get(window.chrom, np.empty((0, 2), dtype=np.int64)) - window.start
        touching = (places[:, 0] < len(positive)) & (places[:, 1] > 0)
        for start, end in places[touching]:
            positive[max(start, 0) : end] = True
        for name, scores in window.scores.items():
            counts.setdefault(name, ScoreCounts()).add(scores[eligible], positive[eligible])
    return counts


# --------------------------------------------------------------------------- elements


def planted_pairs(path: Path, cell_line: str, gene_ids: list[str]) -> pd.DataFrame:
    """Read the element-gene pairs of some genes; ``open``: whether the element is in the cell line."""
    table = read_table(path, PAIR_COLUMNS)
    here = table[table["cell_line"] == cell_line]
    if here.empty:
        raise UserError(f"{path}: no cell line {cell_line!r}; correct evaluation.truth.pairs")
    chosen = here[here["gene_id"].isin(gene_ids)].astype({"open": bool})
    pairs = chosen[list(PAIR_COLUMNS)].drop(columns="cell_line")
    return pairs.rename(columns={"effect": "planted_effect"}).reset_index(drop=True)


def within_windows(pairs: pd.DataFrame, store: WindowStore, length: int) -> pd.DataFrame:
    """Keep the pairs whose element lies wholly in the gene's window of ``length`` bp."""
    tss = store.genes.set_index("gene_id")["tss"].reindex(pairs["gene_id"]).to_numpy()
    first = tss - length // 2
    inside = (pairs["start"] >= first) & (pairs["end"] <= first + length)
    return pairs[inside.to_numpy()].reset_index(drop=True)


def element_scores(
    pairs: pd.DataFrame, store: WindowStore, masks: MaskStore | None, length: int
) -> pd.DataFrame:
    """Mean of every score over each element, in the window of its gene; NaN where it has none."""
    rows = pairs.groupby("gene_id").indices
    starts, ends = pairs["start"].to_numpy(), pairs["end"].to_numpy()
    means = np.full((len(pairs), len(SCORES)), np.nan)
    for window in windows(store, masks, [str(gene_id) for gene_id in rows], length):
        for row in rows[window.gene_id]:
            bases = slice(starts[row] - window.start, ends[row] - window.start)
            for name, scores in window.scores.items():
                means[row, SCORES.index(name)] = scores[bases].mean(dtype=np.float64)
    return pd.DataFrame(means, index=pairs.index, columns=list(SCORES))


# --------------------------------------------------------------------------- expression


def planted_expression(path: Path, cell_line: str, gene_ids: list[str]) -> pd.DataFrame:
    """Read ``promoter`` and ``noiseless`` of genes in one cell line, in the order given."""
    table = read_table(path, EXPRESSION_COLUMNS)
    here = table[table["cell_line"] == cell_line].set_index("gene_id")
    missing = [gene_id for gene_id in gene_ids if gene_id not in here.index]
    if missing:
        raise UserError(
            f"{path}: no row of gene {missing[0]} in cell line {cell_line}; "
            "correct evaluation.truth.expression"
        )
    return here.loc[gene_ids, ["promoter", "noiseless"]].reset_index()
