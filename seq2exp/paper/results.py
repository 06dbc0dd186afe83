"""What each run of the matrix predicted for its test genes, and all folds of a model together."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from seq2exp.comparison import gene_blocks
from seq2exp.errors import UserError
from seq2exp.matrix import Cell, Matrix
from seq2exp.schemas import PREDICTION_COLUMNS, VIEW_COLUMNS, read_table

log = logging.getLogger(__name__)

DONE, NOT_RUN, FAILED = "done", "not run", "failed"


class RunFiles(NamedTuple):
    """Where a run's results are, or will be."""

    cell: Cell
    metrics: Path
    """metrics.json."""
    predictions: Path
    """predictions.tsv."""
    views: Path | None = None
    """views.tsv, where the config has views."""


class RunResult(NamedTuple):
    """One run, done or not."""

    cell: Cell
    status: str
    """DONE, NOT_RUN, or FAILED: a prediction is not a finite number."""
    test: pd.DataFrame
    """Rows of predictions.tsv that are in test; none unless done."""
    metrics: dict[str, Any]
    """metrics.json; empty unless done."""
    views: pd.DataFrame
    """views.tsv; none unless done with views."""


class Pooled(NamedTuple):
    """All models on the same genes of one cell line and assay, each gene tested once.

    Axes: n genes, S complete seeds of a model: those with every fold of the matrix.
    """

    genes: pd.DataFrame
    """gene_id, chrom, tss, observed; (n, 4)."""
    blocks: np.ndarray
    """Block of each gene, (n,): see :func:`seq2exp.comparison.gene_blocks`."""
    predicted: dict[str, np.ndarray]
    """Of each model with a complete seed: (S, n)."""
    mask_ratio: dict[str, np.ndarray]
    """The same; NaN of models without a mask."""
    seeds: dict[str, tuple[int, ...]]
    """The complete seeds of each of these models."""


def run_files(
    matrix: Matrix,
    metrics: Sequence[str | Path],
    predictions: Sequence[str | Path],
    views: Sequence[str | Path] = (),
) -> list[RunFiles]:
    """Files of every run, in the order of the matrix; ``views`` of :meth:`Matrix.viewed` alone."""
    seen = {cell: Path(path) for cell, path in zip(matrix.viewed(), views, strict=bool(views))}
    return [
        RunFiles(cell, Path(figures), Path(table), seen.get(cell))
        for cell, figures, table in zip(matrix.cells(), metrics, predictions, strict=True)
    ]


def files_in_results(results: Path, matrix: Matrix) -> list[RunFiles]:
    """Where the workflow writes the runs of a matrix below its results folder."""
    folders = [cell.folder for cell in matrix.cells()]
    return run_files(
        matrix,
        [results / "models" / folder / "metrics.json" for folder in folders],
        [results / "predictions" / folder / "predictions.tsv" for folder in folders],
        [results / "evaluation" / cell.folder / "views.tsv" for cell in matrix.viewed()],
    )


def read_runs(files: Sequence[RunFiles]) -> list[RunResult]:
    """Read the runs that are there; the others are NOT_RUN."""
    runs = [_read_run(run) for run in files]
    counts = {status: sum(run.status == status for run in runs) for status in (DONE, FAILED)}
    log.info("%d runs: %s", len(runs), counts)
    return runs


def _read_run(files: RunFiles) -> RunResult:
    nothing = pd.DataFrame(columns=list(PREDICTION_COLUMNS))
    no_views = pd.DataFrame(columns=list(VIEW_COLUMNS))
    if not (files.metrics.exists() and files.predictions.exists()):
        return RunResult(files.cell, NOT_RUN, nothing, {}, no_views)
    table = read_table(files.predictions, PREDICTION_COLUMNS)
    test = table[table["split"] == "test"].reset_index(drop=True)
    if test.empty:
        raise UserError(f"{files.predictions}: no gene in test; change folds")
    if not np.isfinite(test["predicted"].to_numpy(np.float64)).all():
        log.warning("%s: predictions are not finite; counted as failed", files.predictions)
        return RunResult(files.cell, FAILED, nothing, {}, no_views)
    try:
        metrics = json.loads(files.metrics.read_text())
    except ValueError as error:
        raise UserError(f"{files.metrics}: not JSON ({error}); train the run again") from None
    views = no_views
    if files.views is not None and files.views.exists():
        views = read_table(files.views, VIEW_COLUMNS)
    return RunResult(files.cell, DONE, test, metrics, views)


# --------------------------------------------------------------------------- over folds


def pool(runs: Sequence[RunResult], matrix: Matrix, cell_line: str, assay: str) -> Pooled:
    """Put the folds of every model and seed together; no model and no gene where none is complete.

    A gene that several folds test counts in the first of them. Genes that not all models predict
    are left out, aloud.
    """
    done = {run.cell: run.test for run in runs if run.status == DONE}
    columns: dict[str, list[pd.DataFrame]] = {}
    seeds: dict[str, tuple[int, ...]] = {}
    for model in matrix.models:
        cells = {
            seed: [Cell(cell_line, assay, model, fold, seed) for fold in sorted(matrix.folds)]
            for seed in matrix.seeds
        }
        complete = [seed for seed in matrix.seeds if all(cell in done for cell in cells[seed])]
        if complete:
            seeds[model] = tuple(complete)
            columns[model] = [_one_seed([done[cell] for cell in cells[seed]]) for seed in complete]
    genes = _common_genes(columns, f"{cell_line} {assay}")
    ids = genes.index
    return Pooled(
        genes=genes.reset_index(),
        blocks=gene_blocks(genes["chrom"].tolist(), genes["tss"].to_numpy(), matrix.window_length),
        predicted=_arrays(columns, "predicted", ids),
        mask_ratio=_arrays(columns, "mask_ratio", ids),
        seeds=seeds,
    )


def _one_seed(folds: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Test predictions of all folds, by gene_id, each gene once."""
    return pd.concat(folds).drop_duplicates("gene_id").set_index("gene_id")


def _common_genes(columns: Mapping[str, Sequence[pd.DataFrame]], title: str) -> pd.DataFrame:
    """Genes that every seed of every model has: chrom, tss, observed."""
    tables = [table for seeds in columns.values() for table in seeds]
    if not tables:
        return pd.DataFrame(
            {"chrom": [], "tss": [], "observed": []}, index=pd.Index([], name="gene_id")
        )
    genes = tables[0]
    for table in tables[1:]:
        genes = genes[genes.index.isin(table.index)]
    most = max(len(table) for table in tables)
    if genes.empty:
        raise UserError(f"{title}: the models have no test gene in common; predict them again")
    if len(genes) < most:
        log.warning("%s: %d of %d test genes are predicted by all", title, len(genes), most)
    return genes[["chrom", "tss", "observed"]]


def _arrays(
    columns: Mapping[str, Sequence[pd.DataFrame]], column: str, ids: pd.Index
) -> dict[str, np.ndarray]:
    return {
        model: np.stack([table.loc[ids, column].to_numpy(np.float64) for table in tables])
        for model, tables in columns.items()
    }
