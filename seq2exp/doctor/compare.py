"""Cell lines against each other: labels that go with another's tracks, one file given twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.doctor.checkup import Checkup
from seq2exp.doctor.labels import FEWEST_GENES, LOW_RHO, spearman
from seq2exp.schemas import label_column

SIGNALS = ("h3k27ac", "dnase")
RHO_WITH = "rho_with_"
MARGIN = 0.05
"""By which the mean correlation with another's tracks must be higher. For K562 and GM12878 it is .10
(hg19, 715 genes: .80 and .79 with their own tracks, .70 and .69 with the other's)."""


class Promoters(NamedTuple):
    """Labels and promoter signals of a cell line, gene by gene."""

    cell_line: str
    table: pd.DataFrame
    """``gene_id``; where they could be read ``h3k27ac`` and ``dnase``, means over
    [tss - 500, tss + 500), and ``label_{assay}``, NaN where a gene has none."""

    def assays(self) -> list[str]:
        """Assays with labels."""
        start = label_column("")
        return [name.removeprefix(start) for name in map(str, self.table) if start in name]


def compare_cell_lines(promoters: Sequence[Promoters], checkups: Sequence[Checkup]) -> None:
    """Hold every cell line's labels against the tracks of the others.

    Parameters
    ----------
    promoters
        Of each cell line.
    checkups
        One a cell line, in the same order; each gets ``{assay}`` figures ``rho_with_{cell_line}``,
        the mean Spearman r of its labels with the two promoter signals of each cell line, and
        findings.
    """
    for own, checkup in zip(promoters, checkups, strict=True):
        for other in promoters:
            _find_copies(checkup, own, other)
        for assay in own.assays():
            rhos = {other.cell_line: _mean_rho(own, assay, other) for other in promoters}
            rhos = {name: rho for name, rho in rhos.items() if not np.isnan(rho)}
            if len(rhos) < 2 or own.cell_line not in rhos:
                continue
            checkup.note(assay, **{f"{RHO_WITH}{name}": rho for name, rho in rhos.items()})
            best = max(rhos, key=lambda name: rhos[name])
            if rhos[best] > rhos[own.cell_line] + MARGIN and rhos[own.cell_line] >= LOW_RHO:
                checkup.say(
                    "warning",
                    assay,
                    f"its labels go better with the tracks of {best} (Spearman r "
                    f"{rhos[best]:.2f}) than with its own ({rhos[own.cell_line]:.2f}); are files "
                    "swapped?",
                )


def _find_copies(checkup: Checkup, own: Promoters, other: Promoters) -> None:
    if own is other:
        return
    for name in own.table.columns.drop("gene_id"):
        if name not in other.table:
            continue
        both = own.table[["gene_id", name]].merge(other.table[["gene_id", name]], on="gene_id")
        x, y = both[f"{name}_x"].to_numpy(), both[f"{name}_y"].to_numpy()
        if len(both) >= FEWEST_GENES and np.array_equal(x, y, equal_nan=True) and np.nanstd(x) > 0:
            checkup.say(
                "warning",
                name.removeprefix(label_column("")),
                f"has the values of {other.cell_line} at every gene; give each its own file",
            )


def _mean_rho(own: Promoters, assay: str, other: Promoters) -> float:
    if not set(SIGNALS) <= set(other.table.columns):
        return float("nan")
    labels = own.table[["gene_id", label_column(assay)]].dropna()
    both = labels.merge(other.table[["gene_id", *SIGNALS]], on="gene_id")
    if len(both) < FEWEST_GENES:
        return float("nan")
    y = both[label_column(assay)].to_numpy()
    return float(np.mean([spearman(y, both[signal].to_numpy()) for signal in SIGNALS]))
