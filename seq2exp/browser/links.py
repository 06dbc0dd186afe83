"""Elements with the promoters of their genes as bigInteract: arcs in the browser.

Format: https://genome.ucsc.edu/goldenPath/help/interact.html (bed5+13).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from seq2exp.browser.bigbed import Column, autosql, write_bigbed
from seq2exp.browser.colours import LOWERS, RAISES, UNSIGNED, shades
from seq2exp.errors import UserError
from seq2exp.reference import read_chrom_sizes
from seq2exp.regions import read_elements
from seq2exp.schemas import ELEMENT_COLUMNS, GENE_COLUMNS, numbers, read_table

BED_COLUMNS = 5
EFFECT = "effect_removed"
"""Column of element_scores.tsv: how much of the prediction an element holds; label units."""

INTERACT = (
    Column("string", "chrom", "Chromosome"),
    Column("uint", "chromStart", "Start of the lower of element and promoter"),
    Column("uint", "chromEnd", "End of the upper of element and promoter"),
    Column("string", "name", "Name of the element"),
    Column("uint", "score", "Strength of the link, 0 to 1000"),
    Column("double", "value", "Effect of the element on the prediction, or its mean mask"),
    Column("string", "exp", "What value is: effect_removed or mean_mask"),
    Column("string", "color", "r,g,b"),
    Column("string", "sourceChrom", "Chromosome of the element"),
    Column("uint", "sourceStart", "Start of the element"),
    Column("uint", "sourceEnd", "End of the element"),
    Column("string", "sourceName", "Name of the element"),
    Column("string", "sourceStrand", "Always . (elements have no strand)"),
    Column("string", "targetChrom", "Chromosome of the gene"),
    Column("uint", "targetStart", "Start of the gene's promoter"),
    Column("uint", "targetEnd", "End of the gene's promoter"),
    Column("string", "targetName", "Name of the gene"),
    Column("string", "targetStrand", "Strand of the gene"),
)
SQL = autosql("interact", "Regulatory elements and the promoters of their genes", INTERACT)


def export_links(
    bed_gz: Path,
    predictions_table: Path,
    chrom_sizes: Path,
    *,
    promoter_length: int,
    out: Path,
    element_scores: Path | None = None,
) -> None:
    """Write one link an element, to the promoter of the gene from whose window it was called.

    Parameters
    ----------
    bed_gz
        From :func:`seq2exp.regions.export_regions`.
    predictions_table
        predictions.tsv of the run: where each gene is.
    chrom_sizes
        Length of each chromosome, in two columns.
    promoter_length
        bp about the TSS.
    out
        The bigInteract.
    element_scores
        element_scores.tsv of the run. Links have the effects in it; without it, mean masks.

    Raises
    ------
    UserError
        A gene is not in ``predictions_table``, or an element not in ``element_scores``.
    """
    sizes = read_chrom_sizes(chrom_sizes)
    elements = read_elements(bed_gz)
    genes = read_table(predictions_table, GENE_COLUMNS)
    effects = None if element_scores is None else read_effects(element_scores, elements)
    table = links_table(elements, genes, sizes, promoter_length, effects)
    write_bigbed(table, sizes, out, sql=SQL, bed_columns=BED_COLUMNS)


def read_effects(element_scores: Path, elements: pd.DataFrame) -> np.ndarray:
    """Read the effect of each element, label units; NaN where it was not measured: float64 (n,)."""
    table = read_table(element_scores, [*ELEMENT_COLUMNS, EFFECT])
    effects = pd.Series(numbers(table, EFFECT, element_scores), index=table["name"])
    effects = effects[~effects.index.duplicated()]
    absent = elements.loc[~elements["name"].isin(effects.index), "name"]
    if len(absent):
        raise UserError(f"{element_scores}: no element {absent.iloc[0]}; score the elements again")
    return effects.loc[elements["name"]].to_numpy()


def links_table(
    elements: pd.DataFrame,
    genes: pd.DataFrame,
    sizes: Mapping[str, int],
    promoter_length: int,
    effects: np.ndarray | None = None,
) -> pd.DataFrame:
    """Lay links out in the columns of the interact format.

    Parameters
    ----------
    elements
        ``schemas.ELEMENT_COLUMNS``; 0-based half-open.
    genes
        ``schemas.GENE_COLUMNS``, the elements' genes among them.
    sizes
        Length of each chromosome; promoters are clipped to it.
    promoter_length
        bp about the TSS.
    effects
        One an element, label units; NaN becomes 0.

    Returns
    -------
    DataFrame
        ``score`` is 1000 times the mean mask or, of effects, 1000 times their size relative to
        the largest of the run. ``color`` is the paler the smaller a value is against the largest.

    Raises
    ------
    UserError
        An element's gene is not in ``genes``.
    """
    places = genes.drop_duplicates("gene_id").set_index("gene_id")
    unknown = elements.loc[~elements["gene_id"].isin(places.index), "gene_id"]
    if len(unknown):
        raise UserError(f"gene {unknown.iloc[0]} of an element has no prediction; predict again")
    gene = places.loc[elements["gene_id"]].reset_index()
    half, length = promoter_length // 2, gene["chrom"].map(sizes)
    target_start = (gene["tss"] - half).clip(lower=0).to_numpy()
    target_end = np.minimum((gene["tss"] + half).to_numpy(), length.to_numpy())
    starts, ends = elements["start"].to_numpy(), elements["end"].to_numpy()
    values, strengths, colours = _strengths(elements, effects)
    table = pd.DataFrame(
        {
            "chrom": elements["chrom"].to_numpy(),
            "chromStart": np.minimum(starts, target_start),
            "chromEnd": np.maximum(ends, target_end),
            "name": elements["name"].to_numpy(),
            "score": (1000 * strengths).round().astype(int),
            "value": [f"{value:.4g}" for value in values],
            "exp": "mean_mask" if effects is None else EFFECT,
            "color": colours,
            "sourceChrom": elements["chrom"].to_numpy(),
            "sourceStart": starts,
            "sourceEnd": ends,
            "sourceName": elements["name"].to_numpy(),
            "sourceStrand": ".",
            "targetChrom": gene["chrom"],
            "targetStart": target_start,
            "targetEnd": target_end,
            "targetName": gene["gene_name"].where(gene["gene_name"] != "", gene["gene_id"]),
            "targetStrand": gene["strand"],
        }
    )
    assert list(table.columns) == [column.name for column in INTERACT]
    return table


def _strengths(
    elements: pd.DataFrame, effects: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Value, strength in [0, 1] and colour of each link."""
    if effects is None:
        masks = elements["mean_mask"].to_numpy(np.float64)
        return masks, masks.clip(0, 1), shades(UNSIGNED, _of_largest(masks))
    values = np.nan_to_num(np.asarray(effects, dtype=np.float64))
    strengths = _of_largest(np.abs(values))
    pairs = zip(values, shades(RAISES, strengths), shades(LOWERS, strengths), strict=True)
    return values, strengths, [red if value >= 0 else blue for value, red, blue in pairs]


def _of_largest(sizes: np.ndarray) -> np.ndarray:
    largest = sizes.max(initial=0.0)
    return sizes / largest if largest > 0 else np.zeros_like(sizes)
