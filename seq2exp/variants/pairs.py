"""Which alleles are scored with which genes, and why the others are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from seq2exp.errors import UserError
from seq2exp.store import WindowStore
from seq2exp.variants.edits import Edit, Refused, edit_of
from seq2exp.variants.genome import Genome
from seq2exp.variants.records import Record
from seq2exp.variants.windows import Windows


class Pair(NamedTuple):
    """An allele in the window of a gene."""

    allele: int
    """Position among the file's alleles."""
    row: int
    """Of the store's genes."""


def edits_of(
    records: Sequence[Record], genome: Genome, *, strict: bool
) -> tuple[dict[int, Edit], dict[int, str]]:
    """Hold every allele against the genome.

    Returns
    -------
    edits, refusals
        By position: the edit of an allele, or the reason why there is none.

    Raises
    ------
    UserError
        All are refused, or one is and ``strict``.
    """
    edits, refusals = {}, {}
    for number, record in enumerate(records):
        try:
            edits[number] = edit_of(record, genome)
        except Refused as refusal:
            if strict:
                raise UserError(f"{named(record)}: {refusal}; correct or remove it") from None
            refusals[number] = str(refusal)
    if not edits:
        raise UserError(
            f"{named(records[0])}: {refusals[0]}; none of {len(records)} alleles can be scored; "
            "give variants of this genome"
        )
    return edits, refusals


def named(record: Record) -> str:
    """Name a record for a message: file, number, place and alleles."""
    return f"{record.place}, {record.chrom}:{record.pos} {record.ref[:20]}>{record.alt[:20]}"


def chosen_genes(store: WindowStore, wanted: Sequence[str]) -> np.ndarray:
    """Rows of the store's genes that are wanted by id or name, all if none is named.

    Raises
    ------
    UserError
        The store has no such gene.
    """
    if not wanted:
        return np.arange(len(store.genes))
    names = store.genes[["gene_id", "gene_name"]]
    for gene in wanted:
        if not (names == gene).any(axis=None):
            raise UserError(f"--genes: no gene {gene!r} in {store.path}; correct or remove it")
    return np.flatnonzero(names.isin(list(wanted)).any(axis=1))


def pairs_of(edits: Mapping[int, Edit], windows: Windows, rows: np.ndarray) -> list[Pair]:
    """Find every gene whose window an edit touches; by allele, then along the chromosome.

    Parameters
    ----------
    edits
        By position of the allele.
    windows, rows
        Of the store, and the genes to look at.
    """
    length = 2 * windows.half
    chroms, starts = np.array(windows.chroms)[rows], windows.tss[rows] - windows.half
    order = np.argsort(starts, kind="stable")
    on_chrom = {str(chrom): order[chroms[order] == chrom] for chrom in np.unique(chroms)}
    pairs = []
    for allele, edit in edits.items():
        here = on_chrom.get(edit.chrom, order[:0])
        first = np.searchsorted(starts[here], edit.start - length)
        last = np.searchsorted(starts[here], edit.end, "right")
        near = here[first:last]
        pairs += [
            Pair(allele, int(row))
            for row, start in zip(rows[near], starts[near], strict=True)
            if edit.touches(int(start), int(start) + length)
        ]
    return pairs
