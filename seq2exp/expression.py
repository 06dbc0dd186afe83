"""Labels of genes (summed CAGE, or a table's column) and their promoter activity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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

PROMOTER_REACH = 500

Transform = Literal["log10_1p", "none"]


@dataclass(frozen=True)
class LabelInputs:
    """Where the labels of one assay come from: ``bigwigs`` (added up) or a column of ``table``."""

    bigwigs: tuple[Path, ...] = ()
    span: int = 384
    """bp around the TSS over which the bigWigs are summed."""
    table: Path | None = None
    column: str = ""
    id_column: str = "gene_id"
    transform: Transform = "log10_1p"


def read_labels(
    inputs: LabelInputs, genes: pd.DataFrame, chrom_sizes: dict[str, int], missing: Missing
) -> np.ndarray:
    """Read the label of every gene: float64 (genes,), NaN where there is none."""
    if inputs.table is not None:
        return label_from_table(
            inputs.table, genes, inputs.column, inputs.id_column, inputs.transform
        )
    tracks = [open_bigwig(path) for path in inputs.bigwigs]
    for track in tracks:
        check_assembly(track.sizes, chrom_sizes, track.path)
        check_chromosomes(genes["chrom"], track.sizes, track.path, missing=missing)
    return label_from_bigwig(tracks, genes, inputs.span, inputs.transform, missing)


def label_from_bigwig(
    bigwigs: Sequence[Track],
    genes: pd.DataFrame,
    span: int,
    transform: Transform,
    missing: Missing,
) -> np.ndarray:
    """Sum tracks over [tss - span/2, tss + span/2) of every gene, then transform.

    Returns
    -------
    float64 (genes,)
        NaN in a track counts as 0; base values are added exactly, not by the file's summaries.
    """
    sums = np.zeros(len(genes))
    for row, (chrom, tss) in enumerate(zip(genes["chrom"], genes["tss"], strict=True)):
        start = int(tss) - span // 2
        for track in bigwigs:
            values = read_signal(track, chrom, start, start + span, missing=missing)
            sums[row] += values.sum(dtype=np.float64)
    return _transformed(sums, transform, shown([track.path.name for track in bigwigs]))


def label_from_table(
    path: Path, genes: pd.DataFrame, column: str, id_column: str, transform: Transform
) -> np.ndarray:
    """Look every gene up in a table (.tsv or .csv, .gz or not), then transform.

    Version suffixes (``ENSG00000000003.15``) are stripped on both sides.

    Returns
    -------
    float64 (genes,)
        NaN for genes that the table lacks or leaves empty.

    Raises
    ------
    UserError
        A column is missing (lists those there are), an id occurs twice, a cell is not a number,
        a value is negative under log10, or no gene is found.
    """
    table = read_table(path, [id_column, column], text=[id_column])
    ids = table[id_column].map(strip_version)
    doubled = ids[ids.duplicated()]
    if len(doubled):
        raise UserError(f"{path}: gene {doubled.iloc[0]!r} occurs twice in {id_column!r}; keep one")
    values = pd.Series(numbers(table, column, path), index=ids)
    wanted = genes["gene_id"].map(strip_version)
    labels = values.reindex(wanted).to_numpy()
    if len(genes) and not ids.isin(wanted).any():
        raise UserError(
            f"{path}: none of the genes is in column {id_column!r} ({_example(ids)} against "
            f"{_example(genes['gene_id'])}); give the column with gene ids as id_column"
        )
    return _transformed(labels, transform, f"{path}: column {column!r}")


def promoter_activity(h3k27ac: np.ndarray, dnase: np.ndarray) -> float:
    """Geometric mean of two signals around the TSS: sqrt(mean H3K27ac * mean DNase).

    Parameters
    ----------
    h3k27ac, dnase
        Values per base of [tss - 500, tss + 500) (ABC's promoter; paper, section 4.1).
    """
    return float(np.sqrt(h3k27ac.mean(dtype=np.float64) * dnase.mean(dtype=np.float64)))


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
