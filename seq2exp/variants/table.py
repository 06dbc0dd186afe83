"""Variants to a table: the predicted change of expression of every gene whose window holds them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch

from seq2exp.checkpoints import load_checkpoint
from seq2exp.prediction import check_features
from seq2exp.runs import check_peaks
from seq2exp.schemas import SCORE_COLUMNS, write_table
from seq2exp.store import open_store
from seq2exp.variants.edits import Edit, blanked
from seq2exp.variants.genome import Genome
from seq2exp.variants.pairs import Pair, chosen_genes, edits_of, named, pairs_of
from seq2exp.variants.records import Record, read_variants
from seq2exp.variants.score import Scores, score_pairs
from seq2exp.variants.windows import Windows

log = logging.getLogger(__name__)

Deletions = Literal["remove", "blank"]
SCORED, NO_GENE, TSS_DELETED, REFUSED = "scored", "no_gene", "tss_deleted", "refused"
"""Values of ``status``."""


def score_variants(
    checkpoint: Path,
    store_dir: Path,
    variants: Path,
    fasta: Path,
    *,
    out_table: Path,
    genes: Sequence[str] = (),
    deletions: Deletions = "remove",
    strict: bool = False,
    batch_size: int = 8,
    device: str | None = None,
) -> None:
    """Predict every gene without and with each allele in its window.

    Parameters
    ----------
    checkpoint, store_dir
        model.ckpt, and the window store of the cell line to predict.
    variants
        VCF, BCF, or BED of deletions.
    fasta
        The genome that the store was built from, plain or bgzipped.
    out_table
        ``schemas.SCORE_COLUMNS``: a row an allele and gene; an allele without a score has a row
        that says why.
    genes
        Ids or names to restrict the table to; all genes of the store if empty.
    deletions
        Whether deleted bases are gone (``remove``) or stay as N without signals (``blank``).
    strict
        Stop at the first allele that is refused.
    batch_size
        Windows per forward pass; does not change the result.
    device
        cuda where there is one, else cpu, when left out.

    Raises
    ------
    UserError
        A file is unreadable or does not go with the others, a gene is unknown, or every allele is
        refused.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    trained, store = load_checkpoint(checkpoint, device), open_store(store_dir)
    check_features(trained, store, checkpoint)
    check_peaks(trained.config, store)
    chosen = chosen_genes(store, genes)
    windows = Windows(store, Genome(fasta), trained.shape.window_length)
    records, skipped = read_variants(variants)
    edits, refusals = edits_of(records, windows.genome, strict=strict)
    if deletions == "blank":
        edits = {allele: blanked(edit) for allele, edit in edits.items()}
    pairs = pairs_of(edits, windows, chosen)
    kept = [pair for pair in pairs if not edits[pair.allele].deletes(windows.tss[pair.row])]
    scores = score_pairs(trained, windows, edits, kept, batch_size=batch_size)
    table = score_table(records, edits, refusals, pairs, windows)
    table = with_scores(table, kept, scores)
    write_table(table[list(SCORE_COLUMNS)], out_table)
    _report(table, records, refusals, skipped)
    log.info("%s: %d rows", out_table, len(table))


def score_table(
    records: Sequence[Record],
    edits: Mapping[int, Edit],
    refusals: Mapping[int, str],
    pairs: Sequence[Pair],
    windows: Windows,
) -> pd.DataFrame:
    """Make the table without its scores: a row a pair, and one an allele that is in none.

    Parameters
    ----------
    records
        All alleles.
    edits, refusals
        By position of the allele: every one is in one of them.
    pairs
        By allele.
    windows
        Of the genes.

    Returns
    -------
    DataFrame
        Its index is (allele, row of the store), row -1 for no gene.
    """
    alone = set(range(len(records))) - {pair.allele for pair in pairs}
    lines = sorted([*pairs, *(Pair(allele, -1) for allele in alone)], key=lambda line: line.allele)
    allele, row = np.array(lines).T
    shown = pd.DataFrame(records)[["chrom", "pos", "id", "ref", "alt"]]
    places = {number: (edit.start, edit.end) for number, edit in edits.items()}
    shown[["start", "end"]] = pd.DataFrame.from_dict(
        places, orient="index", columns=["start", "end"], dtype="Int64"
    )
    shown["reason"] = pd.Series(refusals, dtype="str")
    genes = windows.store.genes[["gene_id", "gene_name", "strand"]].reindex(row)
    table = pd.concat(
        [shown.iloc[allele].reset_index(drop=True), genes.reset_index(drop=True)], axis=1
    )
    downstream = np.where(table["strand"] == "-", -1, 1)
    distances = [edits[a].distance(int(windows.tss[r])) if r >= 0 else None for a, r in lines]
    table["distance_to_tss"] = pd.array(distances, dtype="Int64") * downstream
    has_gene, refused = row >= 0, np.isin(allele, list(refusals))
    # What is in a pair and gets no score (`with_scores`) lacks its TSS.
    table["status"] = np.select([refused, ~has_gene], [REFUSED, NO_GENE], TSS_DELETED)
    return table.set_index(_index(lines))


def with_scores(table: pd.DataFrame, kept: Sequence[Pair], scores: Scores) -> pd.DataFrame:
    """Add what the model says of the pairs that it was asked about."""
    found = pd.DataFrame(scores._asdict(), index=_index(kept))
    found["effect"] = found["predicted_alt"] - found["predicted_ref"]
    found["unmeasured_bp"] = found["unmeasured_bp"].astype("Int64")
    table = table.join(found)
    table.loc[found.index, "status"] = SCORED
    return table


def _index(pairs: Sequence[Pair]) -> pd.MultiIndex:
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return pd.MultiIndex.from_arrays(list(columns), names=Pair._fields)


def _report(
    table: pd.DataFrame, records: Sequence[Record], refusals: Mapping[int, str], skipped: int
) -> None:
    """Say how many alleles have a score, and why the others have none."""
    scored = table[table["status"] == SCORED]
    log.info(
        "scored %d of %d alleles with %d genes: %d changes of a prediction",
        scored.index.unique("allele").size,
        len(records),
        scored.index.unique("row").size,
        len(scored),
    )
    counts = table["status"].value_counts()
    if skipped:
        log.info("%d alternatives without a sequence (* and the like) are left out", skipped)
    if NO_GENE in counts:
        log.warning("%d alleles are in the window of no gene", counts[NO_GENE])
    if TSS_DELETED in counts:
        log.warning(
            "%d deletions take the TSS of a gene with them and have no score for it",
            counts[TSS_DELETED],
        )
    if refusals:
        first = min(refusals)
        log.warning(
            "%d alleles are refused, the first: %s: %s",
            *(len(refusals), named(records[first]), refusals[first]),
        )
    if len(scored) and not scored["effect"].any():
        log.warning("no allele changes any prediction; does this model read the sequence?")
