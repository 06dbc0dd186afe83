"""How many genes and bases a config is about: from its results where they are there, or assumed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.config import Config
from seq2exp.schemas import SPLITS, fold_column, read_table

PAPER_GENES = 18_377
PAPER_SHARE = 1 / 12
"""Of the genes in a split other than train: the paper has 12 folds."""
WINDOW_SPACE = 1.8e9
"""bp over which the union of random windows has the size of the paper's: 18,377 of 200 kb (3.68 Gb)
cover 1.57 Gb."""


class Genes(NamedTuple):
    """Genes of one cell line, as means over the folds that are run."""

    total: float
    """In the window store."""
    train: float
    valid: float
    test: float
    covered: float
    """bp in the union of their windows."""
    source: str
    """Where the numbers come from, in words."""

    def of(self, splits: tuple[str, ...]) -> float:
        """Genes in some splits."""
        return sum(getattr(self, split) for split in set(splits))


def genes_of(config: Config, assumed: int | None = None) -> Genes:
    """Count the genes of a config.

    Parameters
    ----------
    config
        From :func:`seq2exp.config.parse_config`.
    assumed
        Number of genes to assume instead of counting.
    """
    reference = Path(config.results) / "reference" / config.genome.name
    genes, folds = reference / "genes.tsv", reference / "folds.tsv"
    if assumed is None and genes.exists() and folds.exists():
        return counted(read_table(genes), read_table(folds), config)
    total = assumed or PAPER_GENES
    share = PAPER_SHARE * total
    length = config.window.length
    covered = WINDOW_SPACE * -math.expm1(-total * length / WINDOW_SPACE)
    source = "as given" if assumed else "assumed: the paper's; --genes N changes it"
    return Genes(total, total - 2 * share, share, share, covered, source)


def counted(genes: pd.DataFrame, folds: pd.DataFrame, config: Config) -> Genes:
    """Count the genes of genes.tsv and folds.tsv; labels may be missing for some of them."""
    splits = [
        np.mean([(folds[fold_column(fold)] == split).sum() for fold in config.folds.run])
        for split in SPLITS
    ]
    covered = sum(
        _union(np.sort(of_chrom["tss"].to_numpy()), config.window.length)
        for _, of_chrom in genes.groupby("chrom")
    )
    train, valid, test = map(float, splits)
    return Genes(len(genes), train, valid, test, covered, "counted in genes.tsv and folds.tsv")


def _union(centres: np.ndarray, length: int) -> float:
    """Bases in the union of windows of one length about sorted centres."""
    return float(np.minimum(np.diff(centres), length).sum() + length)
