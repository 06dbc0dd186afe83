"""Genes: from a GTF or a table to ``genes.tsv``, checked against the genome."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd
import pyfaidx

from seq2exp.base_codes import N_CODE
from seq2exp.errors import UserError
from seq2exp.gtf import choose_transcript, read_gtf
from seq2exp.mrna_features import standardise_lengths, transcript_features
from seq2exp.reference import (
    match_chromosome,
    open_fasta,
    read_chrom_sizes,
    read_codes,
    shown,
)
from seq2exp.schemas import (
    DROPPED_COLUMNS,
    GENE_COLUMNS,
    MRNA_FEATURES,
    N_FRACTION,
    numbers,
    read_table,
    strip_version,
    write_table,
)

log = logging.getLogger(__name__)

UNUSED = "on a chromosome that is not used"
TOO_MANY_N = "more N than window.max_n_fraction"


def prepare_genes(
    out: Path,
    out_dropped: Path,
    *,
    fasta: Path,
    chrom_sizes: Path,
    annotation: Path | None = None,
    genes: Path | None = None,
    features: Path | None = None,
    features_id: str = "gene_id",
    gene_types: Collection[str] = ("protein_coding",),
    n_fraction_span: int,
    max_n_fraction: float = 1.0,
) -> None:
    """Write ``genes.tsv``: the genes on the genome's chromosomes, in genomic order.

    Parameters
    ----------
    out
        Table to write: ``schemas.GENE_COLUMNS``, ``n_fraction``, and the mRNA features where the
        input allows them (a GTF with CDS, or a table that has their columns).
    out_dropped
        Table to write: the genes that were not kept (``schemas.DROPPED_COLUMNS``), and why.
    fasta, chrom_sizes
        From :func:`seq2exp.reference.prepare_genome`.
    annotation, genes
        One of them: a GTF, or a table (``tss`` 0-based).
    features, features_id
        A table of the mRNA features, in place of those of the annotation or of the table of genes,
        and its column of gene ids. Genes that it lacks are dropped, and counted aloud.
    gene_types
        Of the GTF; all if empty.
    n_fraction_span, max_n_fraction
        bp around the TSS over which N and bases off the chromosome are counted, and the largest
        share of them that a gene may have.

    Raises
    ------
    UserError
        A gene twice, a TSS beyond its chromosome, or no gene left: names the file and the gene.
    """
    sizes = read_chrom_sizes(chrom_sizes)
    sequence = open_fasta(fasta)
    if annotation is not None:
        source, table = annotation, read_gtf_genes(annotation, sequence, gene_types)
    else:
        assert genes is not None
        source, table = genes, read_gene_table(genes)
    if features is not None:
        table = _with_features(table, read_features(features, features_id), features)
    kept, elsewhere = _on_genome(table, sizes, source)
    _check_tss(kept, sizes, source)
    kept[N_FRACTION] = n_fractions(kept, sequence, n_fraction_span)
    known = kept[kept[N_FRACTION] <= max_n_fraction]
    log.info(
        "%s: %d genes; dropped: %d on chromosomes that are not used, %d with more than %g N in "
        "%d bp around the TSS; kept: %d",
        *(source, len(table), len(table) - len(kept), len(kept) - len(known)),
        *(max_n_fraction, n_fraction_span, len(known)),
    )
    if known.empty:
        raise UserError(
            f"{source}: none of {len(table)} genes is left ({len(table) - len(kept)} on other "
            f"chromosomes, {len(kept) - len(known)} with too many N); check genome.chromosomes and "
            "window.max_n_fraction"
        )
    too_many_n = kept.drop(index=known.index)
    dropped = [elsewhere.assign(reason=UNUSED), too_many_n.assign(reason=TOO_MANY_N)]
    write_table(pd.concat(dropped).reindex(columns=list(DROPPED_COLUMNS)), out_dropped)
    write_table(_ordered(_standardised(known), sizes), out)


def read_gtf_genes(
    gtf: Path, fasta: pyfaidx.Fasta, gene_types: Collection[str] = ("protein_coding",)
) -> pd.DataFrame:
    """Read one row per gene of a GTF.

    The TSS is the 5' end of the gene's transcript as :func:`seq2exp.gtf.choose_transcript` chooses
    it (MANE Select, then Ensembl canonical, then APPRIS principal, then the longest).

    Returns
    -------
    DataFrame
        ``schemas.GENE_COLUMNS``; chromosomes keep the GTF's names. If any chosen transcript has
        CDS: also the features of :func:`seq2exp.mrna_features.transcript_features` (lengths in bp),
        NaN for genes on chromosomes that the FASTA lacks.
    """
    rows, features = [], []
    with_cds = False
    for gene in read_gtf(gtf, gene_types).values():
        chosen = choose_transcript(gene)
        name = gene.name or gene.gene_id
        rows.append((gene.gene_id, name, chosen.chrom, chosen.tss, chosen.strand))
        chrom = match_chromosome(chosen.chrom, fasta.keys())
        features.append({} if chrom is None else transcript_features(chosen, fasta[chrom]))
        with_cds |= bool(chosen.coding)
    table = pd.DataFrame(rows, columns=list(GENE_COLUMNS))
    return table.join(pd.DataFrame(features, index=table.index)) if with_cds else table


def read_gene_table(path: Path) -> pd.DataFrame:
    """Read genes from a table: ``schemas.GENE_COLUMNS`` and any of the mRNA features.

    Raises
    ------
    UserError
        A column is missing, a ``tss`` is not a whole number from 0 up, or a strand not + or -.
    """
    table = read_table(path, GENE_COLUMNS)
    table["tss"] = numbers(table, "tss", path, whole=True)
    table["gene_id"] = table["gene_id"].map(strip_version)
    for column, wrong, remedy in (
        ("strand", ~table["strand"].isin(["+", "-"]), "give + or -"),
        ("gene_id", table["gene_id"] == "", "give every gene an id"),
    ):
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            value = table[column].iloc[row]
            raise UserError(f"{path}: line {row + 2}, column {column!r}: {value!r}; {remedy}")
    features = [name for name in MRNA_FEATURES if name in table]
    for name in features:
        table[name] = numbers(table, name, path)
    return table[[*GENE_COLUMNS, *features]]


def read_features(path: Path, id_column: str = "gene_id") -> pd.DataFrame:
    """Read the mRNA features of genes from a table.

    Returns
    -------
    DataFrame
        ``schemas.MRNA_FEATURES`` as they are in the table, by gene id without version.

    Raises
    ------
    UserError
        A column is missing, a cell is no number, or a gene occurs twice.
    """
    table = read_table(path, [id_column, *MRNA_FEATURES], text=[id_column])
    ids = pd.Index(table[id_column].map(strip_version))
    doubled = ids[ids.duplicated()]
    if len(doubled):
        raise UserError(f"{path}: gene {doubled[0]!r} occurs twice in {id_column!r}; keep one")
    return pd.DataFrame({name: numbers(table, name, path) for name in MRNA_FEATURES}, index=ids)


def n_fractions(genes: pd.DataFrame, fasta: pyfaidx.Fasta, span: int) -> np.ndarray:
    """Share of N and of bases off the chromosome in [tss - span // 2, + span): (genes,) float64."""
    shares = []
    for chrom, tss in zip(genes["chrom"], genes["tss"].astype(int), strict=True):
        start = tss - span // 2
        shares.append((read_codes(fasta, chrom, start, start + span) >= N_CODE).mean())
    return np.array(shares)


def _with_features(genes: pd.DataFrame, features: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Give genes the features of a table in place of any others; drop those that it lacks."""
    given = features.dropna().reindex(genes["gene_id"]).reset_index(drop=True)
    found = given.notna().all(axis=1)
    if not found.any():
        raise UserError(
            f"{path}: has none of the {len(genes)} genes ({shown(list(features.index))} against "
            f"{shown(list(genes['gene_id']))}); correct genome.features, or remove it to compute the "
            "features from the annotation"
        )
    log.info("%s: mRNA features; dropped: %d genes without", path, (~found).sum())
    kept = genes[list(GENE_COLUMNS)].reset_index(drop=True).join(given)
    return kept[found].reset_index(drop=True)


def _on_genome(
    table: pd.DataFrame, sizes: dict[str, int], source: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part genes on the genome's chromosomes, under the genome's names, from all others."""
    names = {chrom: match_chromosome(chrom, sizes) for chrom in table["chrom"].unique()}
    renamed = table.assign(chrom=table["chrom"].map(names))
    on_genome = renamed["chrom"].notna()
    kept = renamed[on_genome].reset_index(drop=True)
    if kept.empty:
        raise UserError(
            f"{source}: no gene on the genome's chromosomes (genes on {shown(list(names))}; genome "
            f"{shown(sizes)}); give the annotation of this genome"
        )
    doubled = kept["gene_id"][kept["gene_id"].duplicated()]
    if len(doubled):
        raise UserError(
            f"{source}: gene {doubled.iloc[0]!r} occurs twice (versions are ignored); keep one row"
        )
    return kept, table[~on_genome]


def _check_tss(genes: pd.DataFrame, sizes: dict[str, int], source: Path) -> None:
    outside = (genes["tss"] < 0) | (genes["tss"] >= genes["chrom"].map(sizes))
    if outside.any():
        gene = genes[outside].iloc[0]
        raise UserError(
            f"{source}: the TSS of gene {gene.gene_id!r}, {gene.chrom}:{gene.tss}, is not within "
            f"the {sizes[gene.chrom]} bp of {gene.chrom}; give the annotation of this genome"
        )


def _standardised(genes: pd.DataFrame) -> pd.DataFrame:
    if "CDSLEN" not in genes:
        return genes
    return genes[[*GENE_COLUMNS, N_FRACTION]].join(standardise_lengths(genes))


def _ordered(genes: pd.DataFrame, sizes: dict[str, int]) -> pd.DataFrame:
    rank = {chrom: position for position, chrom in enumerate(sizes)}
    order = np.lexsort((genes["gene_id"], genes["tss"], genes["chrom"].map(rank)))
    features = [name for name in MRNA_FEATURES if name in genes]
    return genes.iloc[order][[*GENE_COLUMNS, N_FRACTION, *features]]
