"""What differs between cell lines: the difference of two models' predictions against the labels'.

A model may rank genes well in each cell line and know nothing of what makes them differ: most of the
variance of expression is the same everywhere. Axes: n genes, S seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.comparison import bootstrap, gene_blocks, gene_metrics, interval
from seq2exp.matrix import Cell
from seq2exp.schemas import PREDICTION_COLUMNS, read_table, write_table

DIFFERENCE_COLUMNS = (
    *("assay", "model", "cell_line", "other", "runs", "genes"),
    *("pearson", "pearson_low", "pearson_high", "mse", "observed_sd"),
)


class _Pair(NamedTuple):
    """Two cell lines less one another, over the test genes of all folds."""

    observed: np.ndarray
    """(n,)."""
    predicted: np.ndarray
    """(S, n)."""
    blocks: np.ndarray
    """(n,): genes that share most of their windows."""


def write_differences(
    runs: Sequence[Cell], predictions: Sequence[Path], *, window_length: int, out_table: Path
) -> None:
    """Hold every pair of cell lines against each other, for each assay and model.

    Parameters
    ----------
    runs, predictions
        All runs of the matrix, and predictions.tsv of each.
    window_length
        bp; genes whose TSSs lie in the same stretch as long are drawn together.
    out_table
        DIFFERENCE_COLUMNS. ``pearson`` and ``mse`` are of (``cell_line`` - ``other``), predicted
        against observed, over genes that are test genes in both, in units of the label; means over
        seeds, test genes of all folds together, with a 95% bootstrap interval over genes and seeds.
        ``observed_sd`` is the standard deviation of the observed difference.
    """
    tests = {run: _test_genes(path) for run, path in zip(runs, predictions, strict=True)}
    cell_lines = list(dict.fromkeys(run.cell_line for run in runs))
    rows = []
    for assay, model in dict.fromkeys((run.assay, run.model) for run in runs):
        own = {run: t for run, t in tests.items() if (run.assay, run.model) == (assay, model)}
        for first, second in combinations(cell_lines, 2):
            pair = _pair(own, first, second, window_length)
            if pair is not None:
                seeds = len(pair.predicted)
                rows.append((assay, model, first, second, seeds, *_figures(pair)))
    write_table(pd.DataFrame(rows, columns=list(DIFFERENCE_COLUMNS)), out_table)


def _test_genes(path: Path) -> pd.DataFrame:
    table = read_table(path, PREDICTION_COLUMNS)
    return table[table["split"] == "test"].set_index("gene_id")


def _pair(
    tests: dict[Cell, pd.DataFrame], first: str, second: str, window_length: int
) -> _Pair | None:
    """Put the folds of two cell lines together; None without a common gene."""
    seeds: dict[int, list[pd.DataFrame]] = {}
    for run, mine in tests.items():
        other = tests.get(run._replace(cell_line=second))
        if run.cell_line == first and other is not None:
            theirs = other[["observed", "predicted"]].add_suffix("_other")
            seeds.setdefault(run.seed, []).append(mine.join(theirs, how="inner"))
    tables = [pd.concat(folds) for folds in seeds.values()]
    if not tables or tables[0].empty:
        return None
    genes = tables[0]
    assert all(table.index.equals(genes.index) for table in tables)  # they are in the store's order
    observed = (genes["observed"] - genes["observed_other"]).to_numpy(np.float64)
    predicted = [(t["predicted"] - t["predicted_other"]).to_numpy(np.float64) for t in tables]
    blocks = gene_blocks(genes["chrom"].tolist(), genes["tss"].to_numpy(), window_length)
    return _Pair(observed, np.stack(predicted), blocks)


def _figures(pair: _Pair) -> tuple[float, ...]:
    means = {name: v.mean() for name, v in gene_metrics(pair.observed, pair.predicted).items()}
    drawn = bootstrap(pair.observed, [pair.predicted], pair.blocks)["pearson"][:, 0]
    return (
        *(len(pair.observed), means["pearson"], *interval(drawn)),
        *(means["mse"], pair.observed.std()),
    )
