"""Which genes are held out: whole chromosomes, or blocks of them; a gene belongs by its TSS."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from seq2exp.config import FoldsConfig
from seq2exp.errors import UserError
from seq2exp.reference import match_chromosome, shown
from seq2exp.schemas import SPLITS, fold_column

log = logging.getLogger(__name__)

PAPER_TEST = {
    1: ("chr2", "chr12"),
    **{fold: (f"chr{fold + 1}", f"chr{fold + 11}") for fold in range(2, 11)},
    11: ("chr22", "chrX"),
    12: ("chr1",),
}
"""Test chromosomes of the paper's folds: each of 1 to 22 and X once."""
PAPER_VALID = {
    1: ("chr1", "chr11"),
    **{fold: PAPER_TEST[fold - 1] for fold in range(2, 11)},
    11: ("chr3", "chr21"),
    12: ("chr2", "chr22"),
}

Sets = Mapping[str, Collection[str] | None]
"""Regions of each split; None for train: every other gene."""


def assign_folds(genes: pd.DataFrame, folds: FoldsConfig) -> pd.DataFrame:
    """Put every gene into train, valid, test or (empty) none of them, for every fold there is.

    Parameters
    ----------
    genes
        ``gene_id``, ``chrom``, ``tss`` (0-based).
    folds
        The paper's scheme, or sets of chromosomes (``chr20``; ``20`` is the same) and blocks
        (``chr20:0-45000000``, 0-based half-open).

    Returns
    -------
    DataFrame
        ``gene_id`` and a column per fold, in the order of ``genes``.

    Raises
    ------
    UserError
        For a fold to be run: a split without genes, or a gene in two splits; for explicit sets also
        a region without genes.
    """
    table = {"gene_id": genes["gene_id"].to_numpy()}
    for fold, sets in _all_sets(folds).items():
        if fold in folds.run:
            _check_regions(genes, fold, sets, explicit=folds.scheme == "explicit")
        table[fold_column(fold)] = _splits(genes, sets)
    assigned = pd.DataFrame(table)
    for fold in folds.run:
        counts = assigned[fold_column(fold)].value_counts()
        for split in SPLITS:
            if not counts.get(split):
                raise UserError(
                    f"fold {fold}: no gene is in {split} (genes are on "
                    f"{shown(list(genes['chrom'].unique()))}); change folds.sets or folds.run"
                )
        log.info("fold %d: %s", fold, ", ".join(f"{s} {counts[s]} genes" for s in SPLITS))
    return assigned


def overlapping_windows(
    genes: pd.DataFrame, folds_table: pd.DataFrame, fold: int, window_length: int
) -> int:
    """Count valid and test genes whose window shares bases with the window of a train gene.

    Parameters
    ----------
    genes
        ``gene_id``, ``chrom``, ``tss``.
    folds_table
        From :func:`assign_folds`.
    fold, window_length
        Fold number; bp.
    """
    table = genes.merge(folds_table, on="gene_id")
    split = table[fold_column(fold)]
    count = 0
    for chrom, held_out in table[split.isin(["valid", "test"])].groupby("chrom"):
        train = np.sort(table.loc[(table["chrom"] == chrom) & (split == "train"), "tss"])
        # The first train TSS that is near enough on the left must also be so on the right.
        first = np.searchsorted(train, held_out["tss"] - window_length, side="right")
        near = np.append(train, np.iinfo(np.int64).max)[first] < held_out["tss"] + window_length
        count += int(near.sum())
    return count


def _all_sets(folds: FoldsConfig) -> dict[int, Sets]:
    if folds.scheme == "explicit":
        return {
            fold: {split: getattr(sets, split) for split in SPLITS}
            for fold, sets in folds.sets.items()
        }
    return {
        fold: {"train": None, "valid": PAPER_VALID[fold], "test": PAPER_TEST[fold]}
        for fold in PAPER_TEST
    }


def _splits(genes: pd.DataFrame, sets: Sets) -> np.ndarray:
    splits = np.full(len(genes), "train" if sets["train"] is None else "", dtype=object)
    for split in SPLITS:
        for region in sets[split] or ():
            splits[_inside(genes, region)] = split
    return splits


def _check_regions(genes: pd.DataFrame, fold: int, sets: Sets, *, explicit: bool) -> None:
    """Report a region without its chromosome, and a gene in two splits."""
    taken = np.full(len(genes), "", dtype=object)
    for split in SPLITS:
        for region in sets[split] or ():
            inside = _inside(genes, region)
            twice = inside & (taken != "") & (taken != split)
            if twice.any():
                gene = genes[twice].iloc[0]
                raise UserError(
                    f"fold {fold}: gene {gene.gene_id!r} at {gene.chrom}:{gene.tss} is in "
                    f"{taken[twice][0]} and in {split} ({region}); make the sets disjoint"
                )
            taken[inside] = split
            # The paper's folds are also used on genomes with fewer chromosomes.
            if explicit and not inside.any():
                raise UserError(
                    f"folds.sets.{fold}.{split}: no gene is in {region!r} (genes are on "
                    f"{shown(list(genes['chrom'].unique()))}); correct the name or the block"
                )


def _inside(genes: pd.DataFrame, region: str) -> np.ndarray:
    """Tell which genes have their TSS in a region: bool (genes,)."""
    match = re.fullmatch(r"([^:]+)(?::(\d+)-(\d+))?", region)
    if match is None:
        raise UserError(
            f"folds.sets: {region!r} is neither a chromosome nor a block like chr20:0-45000000"
        )
    chrom = match_chromosome(match[1], set(genes["chrom"]))
    inside = (genes["chrom"] == chrom).to_numpy()
    if match[2]:
        start, end = int(match[2]), int(match[3])
        if start >= end:
            raise UserError(
                f"folds.sets: block {region!r} is empty; its start must be below its end"
            )
        inside = inside & genes["tss"].between(start, end, inclusive="left").to_numpy()
    return inside
