"""Labels of genes (summed CAGE, or a table's columns) and their promoter activity."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from seq2exp.errors import UserError
from seq2exp.reference import shown
from seq2exp.schemas import numbers, read_table, strip_version
from seq2exp.tracks import (
    Missing,
    Track,
    check_assembly,
    check_chromosomes,
    open_bigwig,
    read_signal,
)

log = logging.getLogger(__name__)

PROMOTER_REACH = 500

Transform = Literal["log10_1p", "none"]
Strand = Literal["both", "own"]
IdKind = Literal["gene_id", "gene_name"]


@dataclass(frozen=True)
class LabelInputs:
    """Where the labels of one assay come from: CAGE tracks or columns of a table."""

    replicates: tuple[tuple[Path, ...], ...] = ()
    """bigWigs whose sums are averaged; of each replicate one, or its forward and reverse strand."""
    span: int = 384
    """bp around the TSS over which the bigWigs are summed."""
    strand: Strand = "both"
    """own: of a pair of strands, only that of the gene."""
    table: Path | None = None
    column: tuple[str, ...] = ()
    """Averaged where there are several."""
    id_column: str = "gene_id"
    id_kind: IdKind = "gene_id"
    transform: Transform = "log10_1p"


class Labels(NamedTuple):
    """Labels of genes, and why some have none."""

    per_gene: np.ndarray
    """float64 (genes,), NaN where there is none."""
    lacking: dict[str, int]
    """Reason -> genes; together all that have no label."""


def read_labels(
    inputs: LabelInputs, genes: pd.DataFrame, chrom_sizes: dict[str, int], missing: Missing
) -> Labels:
    """Read the label of every gene.

    Parameters
    ----------
    inputs
        The source, and how it is read.
    genes
        ``schemas.GENE_COLUMNS``.
    chrom_sizes
        Of the genome, with which tracks must agree.
    missing
        What to do where a track lacks the chromosome of a gene.
    """
    if inputs.table is not None:
        return labels_from_table(inputs, genes)
    replicates = [[open_bigwig(path) for path in paths] for paths in inputs.replicates]
    for track in (track for tracks in replicates for track in tracks):
        check_assembly(track.sizes, chrom_sizes, track.path)
        check_chromosomes(genes["chrom"], track.sizes, track.path, missing=missing)
    sums = sums_of_tracks(replicates, genes, inputs.span, missing, strand=inputs.strand)
    place = shown([path.name for paths in inputs.replicates for path in paths])
    return Labels(_transformed(sums.mean(axis=0), inputs.transform, place), {})


# --------------------------------------------------------------------------- CAGE tracks


def sums_of_tracks(
    replicates: Sequence[Sequence[Track]],
    genes: pd.DataFrame,
    span: int,
    missing: Missing,
    *,
    strand: Strand = "both",
) -> np.ndarray:
    """Sum tracks over [tss - span // 2, tss - span // 2 + span) of every gene.

    Parameters
    ----------
    replicates
        Of each replicate one track, or its forward and reverse strand.
    genes
        ``chrom``, ``tss``, ``strand``.
    span
        In bp; the paper's CAGE label is over 384.
    missing
        What to do where a track lacks the chromosome of a gene.
    strand
        ``both`` adds the two tracks of a pair, as the paper does; ``own`` takes the gene's.

    Returns
    -------
    float64 (replicates, genes)
        NaN in a track counts as 0; base values are added exactly, not by the file's summaries. Of
        pairs the absolute values are added: FANTOM5 and ENCODE give reverse strands as positive or
        negative numbers.
    """
    sums = np.zeros((len(replicates), len(genes)))
    negative = set()
    places = zip(genes["chrom"], genes["tss"], genes["strand"], strict=True)
    for gene, (chrom, tss, own) in enumerate(places):
        start = int(tss) - span // 2
        for replicate, tracks in enumerate(replicates):
            paired = len(tracks) > 1
            chosen = tracks
            if paired and strand == "own":
                chosen = tracks[:1] if own == "+" else tracks[1:]
            for track in chosen:
                values = read_signal(track, chrom, start, start + span, missing=missing)
                if paired and (values < 0).any():
                    negative.add(track.path)
                    values = np.abs(values)
                sums[replicate, gene] += values.sum(dtype=np.float64)
    for path in sorted(negative):
        log.info("%s: holds negative values; as one of two strands it is read without sign", path)
    return sums


# --------------------------------------------------------------------------- tables


def labels_from_table(inputs: LabelInputs, genes: pd.DataFrame) -> Labels:
    """Look every gene up in a table (.tsv or .csv, .gz or not), average the columns, transform.

    Gene ids are compared without their version (``ENSG00000000003.15``), symbols as they are. A
    symbol in several rows, or of several genes, belongs to nobody: such genes have no label. Rows
    without id are passed over, and a gene needs a number in every column.

    Raises
    ------
    UserError
        A column is missing (lists those there are), an id occurs twice, a cell is not a number,
        a value is negative under log10, or no gene is found.
    """
    assert inputs.table is not None
    path = inputs.table
    keys, values = _keyed_values(inputs, path)
    wanted = genes[inputs.id_kind]
    if inputs.id_kind == "gene_id":
        wanted = wanted.map(strip_version)
    in_table = wanted.isin(keys).to_numpy()
    if len(genes) and not in_table.any():
        raise UserError(
            f"{path}: none of the genes is in column {inputs.id_column!r} ({_example(keys)} against "
            f"{_example(wanted)}); set id_column to the column with gene ids (id_kind: gene_id) or "
            "symbols (id_kind: gene_name)"
        )
    doubled = keys.duplicated(keep=False)
    if doubled.any() and inputs.id_kind == "gene_id":
        raise UserError(
            f"{path}: gene {keys[doubled].iloc[0]!r} occurs twice in {inputs.id_column!r}; keep one"
        )
    shared = wanted.duplicated(keep=False) | wanted.isin(keys[doubled])
    ambiguous = shared.to_numpy() & in_table
    labels = pd.Series(values, index=keys)[~doubled.to_numpy()].reindex(wanted).to_numpy(copy=True)
    labels[ambiguous] = np.nan
    lacking = {
        "not in the table": ~in_table,
        "symbol of several genes or rows": ambiguous,
        "empty cell": in_table & ~ambiguous & np.isnan(labels),
    }
    counts = {reason: int(which.sum()) for reason, which in lacking.items() if which.any()}
    for reason, count in counts.items():
        log.warning("%s: %d of %d genes have no label: %s", path, count, len(genes), reason)
    place = f"{path}: column {', '.join(map(repr, inputs.column))}"
    return Labels(_transformed(labels, inputs.transform, place), counts)


def _keyed_values(inputs: LabelInputs, path: Path) -> tuple[pd.Series, np.ndarray]:
    """Ids and mean values of the rows that have an id."""
    table = read_table(path, [inputs.id_column, *inputs.column], text=[inputs.id_column])
    values = np.stack([numbers(table, column, path) for column in inputs.column]).mean(axis=0)
    keys = table[inputs.id_column]
    if inputs.id_kind == "gene_id":
        keys = keys.map(strip_version)
    return keys[keys != ""], values[keys != ""]


def _transformed(values: np.ndarray, transform: Transform, place: str) -> np.ndarray:
    if np.isinf(values).any():
        raise UserError(f"{place}: holds an infinite value; correct the data")
    if transform == "none":
        return values
    if (values < 0).any():
        raise UserError(
            f"{place}: holds {np.nanmin(values):.4g}, and log10(x + 1) is for values from 0 up; "
            "set transform: none if the values are log-scaled already"
        )
    return np.log10(values + 1)


def _example(ids: pd.Series) -> str:
    return repr(ids.iloc[0]) if len(ids) else "no rows"


# --------------------------------------------------------------------------- promoters


def promoter_activity(h3k27ac: np.ndarray, dnase: np.ndarray) -> float:
    """Geometric mean of two signals around the TSS: sqrt(mean H3K27ac * mean DNase).

    In the tracks' own units per base. The paper takes reads per million (RPM) in the same 1 kb, from
    ABC's tables of counted reads. A bigWig has no reads to count; of a track that is normalised by
    read depth, the mean over a fixed 1 kb is RPM up to one factor a track.

    Parameters
    ----------
    h3k27ac, dnase
        Values per base of [tss - 500, tss + 500) (ABC's promoter; paper, section 4.1).
    """
    return float(np.sqrt(h3k27ac.mean(dtype=np.float64) * dnase.mean(dtype=np.float64)))
