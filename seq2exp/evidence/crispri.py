"""Element-gene pairs tested by CRISPRi, and what predictions say of them.

Matching follows the ENCODE benchmark: pairs whose ``ValidConnection`` is TRUE, a positive is one
that is ``Regulated``, and a prediction belongs to a pair by cell line, chromosome, gene symbol and
overlap. Where several predicted elements overlap a tested one, their scores are added; where none
does, the pair gets ``FILL``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.errors import UserError
from seq2exp.evidence.intervals import overlapping_rows
from seq2exp.masks import MaskStore
from seq2exp.reference import match_chromosome, shown
from seq2exp.schemas import (
    CRISPRI_COLUMNS,
    LINK_COLUMNS,
    PAIR_COLUMNS,
    PLAIN_CRISPRI_COLUMNS,
    numbers,
    read_header,
    read_table,
    require_pair_columns,
)
from seq2exp.store import WindowStore

log = logging.getLogger(__name__)

FILL = 0.0
"""Score of a pair whose element no prediction overlaps: the lowest there is."""
PREDICTED = "predicted_"
"""How the columns of other methods' scores begin; the name of the method follows."""
PLACE = ["chrom", "start", "end"]
PAIR_KEY = [*PLACE, "gene_name"]
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


# --------------------------------------------------------------------------- reading


def read_pairs(table: Path, cell_type: str, chroms: Collection[str]) -> pd.DataFrame:
    """Read the valid pairs of one cell type.

    Parameters
    ----------
    table
        ENCODE's columns (``schemas.CRISPRI_COLUMNS``) or plain ones
        (``schemas.PLAIN_CRISPRI_COLUMNS``); coordinates 0-based half-open.
    cell_type
        As the table names it.
    chroms
        The genome's; the table may say ``1`` for ``chr1``. Pairs elsewhere are left out, aloud.

    Returns
    -------
    DataFrame
        ``schemas.PAIR_COLUMNS`` and ``gene_tss`` (one 0-based base), sorted by place and gene.

    Raises
    ------
    UserError
        The columns are neither's, a cell is not what its column says, a pair occurs twice, or the
        table has no pair of this cell type.
    """
    rows = _read_columns(table)
    chosen = rows[(rows["cell_line"] == cell_type) & rows["valid"]].copy()
    if chosen.empty:
        raise UserError(
            f"{table}: no valid pair of cell type {cell_type!r}; it has "
            f"{shown(sorted(set(rows['cell_line'])))}; correct crispri.cell_type"
        )
    for column in ("start", "end", "tss_start", "tss_end"):
        chosen[column] = numbers(chosen, column, table, whole=True)
    chosen["regulated"] = _truth(chosen["regulated"], "regulated", table)
    found = {chrom: match_chromosome(chrom, chroms) for chrom in chosen["chrom"].unique()}
    chosen["chrom"] = chosen["chrom"].map(found)
    elsewhere = chosen["chrom"].isna()
    if elsewhere.any():
        log.warning("%s: %d pairs are on chromosomes that the genome lacks", table, elsewhere.sum())
        chosen = chosen[~elsewhere]
    twice = chosen.duplicated(PAIR_KEY)
    if twice.any():
        row = chosen[twice].iloc[0]
        raise UserError(
            f"{table}: {row['chrom']}:{row['start']}-{row['end']} with {row['gene_name']} occurs "
            "twice; remove one"
        )
    middle_of_tss = (chosen["tss_start"] + chosen["tss_end"]) / 2
    chosen["distance"] = ((chosen["start"] + chosen["end"]) / 2 - middle_of_tss).abs()
    chosen["gene_tss"] = middle_of_tss.astype(np.int64)
    return chosen.sort_values(PAIR_KEY, ignore_index=True)[[*PAIR_COLUMNS, "gene_tss"]]


def _read_columns(table: Path) -> pd.DataFrame:
    """Our columns of all rows, as text but for coordinates."""
    text = {"chrom", "gene_name", "cell_line", "valid", "regulated"}
    if require_pair_columns(read_header(table), table):
        rows = read_table(
            table, CRISPRI_COLUMNS.values(), text=[CRISPRI_COLUMNS[name] for name in text]
        ).rename(columns={theirs: ours for ours, theirs in CRISPRI_COLUMNS.items()})
        rows["valid"] = rows["valid"].str.lower() == "true"  # else it says why not
    else:
        rows = read_table(table, PLAIN_CRISPRI_COLUMNS, text=text)
        rows["tss_start"] = numbers(rows, "gene_tss", table, whole=True)
        rows["tss_end"] = rows["tss_start"] + 1
        rows["valid"] = _truth(rows["valid"], "valid", table) if "valid" in rows else True
    return rows[list(CRISPRI_COLUMNS)]


def _truth(values: pd.Series, column: str, table: Path) -> pd.Series:
    found = values.str.lower().map(_TRUTH)
    if found.isna().any():
        wrong = values[found.isna()].iloc[0]
        raise UserError(f"{table}: column {column!r} holds {wrong!r}; write TRUE or FALSE")
    return found.astype(bool)


class LinkInputs(NamedTuple):
    """Element-gene scores of another method; see :class:`seq2exp.evaluation_config.LinkSource`."""

    path: Path
    columns: Mapping[str, str]
    """Our name of each of ``schemas.LINK_COLUMNS`` -> its name in the table."""


def read_links(inputs: LinkInputs, chroms: Collection[str]) -> pd.DataFrame:
    """Read element-gene scores: ``schemas.LINK_COLUMNS``; rows without a score are left out.

    Parameters
    ----------
    inputs
        A table with a header line; 0-based half-open.
    chroms
        The genome's; the table may say ``1`` for ``chr1``. Rows elsewhere are left out.

    Raises
    ------
    UserError
        A column is missing, or a cell is not a number.
    """
    path, columns = inputs
    text = [columns["chrom"], columns["gene_name"]]
    table = read_table(path, columns.values(), text=text)
    links = table.rename(columns={theirs: ours for ours, theirs in columns.items()})
    links = links[list(LINK_COLUMNS)].copy()
    for column in ("start", "end"):
        links[column] = numbers(links, column, path, whole=True)
    links["score"] = numbers(links, "score", path)
    names = {chrom: match_chromosome(chrom, chroms) for chrom in links["chrom"].unique()}
    links["chrom"] = links["chrom"].map(names)
    return links.dropna(subset=["chrom", "score"]).reset_index(drop=True)


# --------------------------------------------------------------------------- matching


def link_scores(pairs: pd.DataFrame, links: pd.DataFrame, *, gene: str = "gene_name") -> np.ndarray:
    """Score (n,) of each pair: the sum over the predicted elements that overlap it, or FILL.

    Parameters
    ----------
    pairs
        ``chrom``, ``start``, ``end``, and the gene.
    links
        The same and ``score``, of the same cell line.
    gene
        Column by which genes are matched: the symbol, as in the benchmark, or ``gene_id``.
    """
    rows, predicted = overlapping_rows(pairs, links, keys=("chrom", gene))
    scores = np.full(len(pairs), FILL)
    np.add.at(scores, rows, links["score"].to_numpy(np.float64)[predicted])
    return scores


def genes_of_pairs(pairs: pd.DataFrame, genes: pd.DataFrame) -> np.ndarray:
    """Row of ``genes`` (int64 (n,)) that each pair's gene is, -1 where there is none.

    A gene is found by symbol and chromosome; of several with one symbol, that with the nearest TSS.

    Parameters
    ----------
    pairs
        From :func:`read_pairs`.
    genes
        ``chrom``, ``gene_name``, ``tss``.
    """
    known = genes[["chrom", "gene_name", "tss"]].reset_index(drop=True).reset_index(names="gene")
    tested = pairs[["chrom", "gene_name", "gene_tss"]].reset_index(drop=True)
    both = tested.reset_index(names="row").merge(known, on=["chrom", "gene_name"])
    both["off"] = (both["tss"] - both["gene_tss"]).abs()
    nearest = both.sort_values(["row", "off"]).drop_duplicates("row")
    rows = np.full(len(pairs), -1, dtype=np.int64)
    rows[nearest["row"]] = nearest["gene"]
    return rows


def mask_scores(
    pairs: pd.DataFrame, gene_rows: np.ndarray, store: WindowStore, masks: MaskStore
) -> pd.DataFrame:
    """Mean of each mask track over each tested element, in the window of its gene.

    The mean, not the sum: tested elements are from a few dozen to thousands of bases long, every
    base has some mask, and a sum would rank them by their length. An element that is partly within
    the window has the mean over that part; one outside has FILL.

    Parameters
    ----------
    pairs
        From :func:`read_pairs`.
    gene_rows : int64 (n,)
        From :func:`genes_of_pairs` on ``store.genes``.
    store, masks
        The cell line's windows, and the masks of a model.

    Returns
    -------
    DataFrame
        A column a track; NaN where the gene has no mask.
    """
    names = [name for name, _ in masks.tracks()]
    scores = np.full((len(pairs), len(names)), np.nan)
    mask_rows = {gene_id: row for row, gene_id in enumerate(masks.gene_ids)}
    gene_ids, centres = store.genes["gene_id"].to_numpy(), store.genes["tss"].to_numpy()
    starts, ends = pairs["start"].to_numpy(), pairs["end"].to_numpy()
    for i in np.flatnonzero(gene_rows >= 0):
        row = mask_rows.get(gene_ids[gene_rows[i]])
        if row is None:
            continue
        first = int(centres[gene_rows[i]]) - masks.length // 2
        bases = slice(max(starts[i] - first, 0), min(max(ends[i] - first, 0), masks.length))
        for column, (_, values) in enumerate(masks.tracks()):
            track = values[row, bases]
            scores[i, column] = track.mean(dtype=np.float64) if len(track) else FILL
    return pd.DataFrame(scores, index=pairs.index, columns=names)


def inside_windows(
    pairs: pd.DataFrame, gene_rows: np.ndarray, genes: pd.DataFrame, length: int
) -> np.ndarray:
    """Whether each element shares a base with the window of its gene: bool (n,)."""
    tss = genes["tss"].to_numpy()[gene_rows]
    first = tss - length // 2
    touches = (pairs["end"] > first) & (pairs["start"] < first + length)
    return touches.to_numpy() & (gene_rows >= 0)


def in_any_window(pairs: pd.DataFrame, genes: pd.DataFrame, length: int) -> np.ndarray:
    """Whether each element shares a base with the window of any of these genes: bool (n,)."""
    found = np.zeros(len(pairs), dtype=bool)
    for chrom, rows in pairs.groupby("chrom").indices.items():
        tss = np.sort(genes.loc[genes["chrom"] == chrom, "tss"].to_numpy())
        # A window [tss - l/2, tss + l/2) meets [start, end) where tss is in (start - l/2, end + l/2).
        low = pairs["start"].to_numpy()[rows] - length // 2
        high = pairs["end"].to_numpy()[rows] + length // 2
        found[rows] = np.searchsorted(tss, high, "left") > np.searchsorted(tss, low, "right")
    return found
