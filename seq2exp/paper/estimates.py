"""Accuracy of the matrix in numbers, one table a question; nothing is rounded, nothing filled in.

Every table has a row for everything that the config asks for: what is not there is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from seq2exp.comparison import (
    METRICS,
    Interval,
    bootstrap,
    clustered_t_p_value,
    gene_metrics,
    holm,
    interval,
    sign_p_value,
)
from seq2exp.matrix import Matrix
from seq2exp.paper.results import DONE, Pooled, RunResult, pool
from seq2exp.paper.views import view_table

MAIN = "models"
"""Group of comparisons between all models that are no variants."""
MASK_RATIO = "mask_ratio"
FIGURES = (*METRICS, MASK_RATIO)
PERCENTILES = np.arange(101)

NOWHERE = Interval(np.nan, np.nan)

Draws = dict[str, dict[str, np.ndarray]]
"""Metric -> model -> its values over the resamples (R,)."""


class Estimates(NamedTuple):
    """Tables of numbers; columns are those of the functions that make them."""

    runs: pd.DataFrame
    folds: pd.DataFrame
    seeds: pd.DataFrame
    accuracy: pd.DataFrame
    comparison: pd.DataFrame
    mask_ratio: pd.DataFrame
    views: pd.DataFrame


def estimate(runs: Sequence[RunResult], matrix: Matrix) -> Estimates:
    """Make all tables."""
    per_run = run_table(runs)
    parts: dict[str, list[pd.DataFrame]] = {}
    for cell_line, assay in product(matrix.cell_lines, matrix.assays):
        pooled = pool(runs, matrix, cell_line, assay)
        draws = resampled(pooled)
        made = {
            "seeds": seed_table(pooled),
            "accuracy": accuracy_table(pooled, draws, matrix),
            "comparison": comparison_table(pooled, draws, matrix),
            "mask_ratio": mask_ratio_table(pooled),
            "views": view_table(pooled, runs, matrix, cell_line, assay),
        }
        for name, table in made.items():
            table.insert(0, "cell_line", cell_line)
            table.insert(1, "assay", assay)
            parts.setdefault(name, []).append(table)
    tables = {name: _stacked(tables) for name, tables in parts.items()}
    tables["accuracy"] = _with_counts(tables["accuracy"], per_run, matrix)
    return Estimates(runs=per_run, folds=fold_table(per_run), **tables)


def _stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put tables of the same columns below each other; empty ones have no types to bring in."""
    filled = [table for table in tables if not table.empty]
    return pd.concat(filled or tables[:1], ignore_index=True)


def resampled(pooled: Pooled) -> Draws:
    """Each metric of each model over resampled genes and seeds."""
    if not pooled.predicted:
        return {name: {} for name in METRICS}
    observed = pooled.genes["observed"].to_numpy()
    found = bootstrap(observed, list(pooled.predicted.values()), pooled.blocks)
    return {
        name: dict(zip(pooled.predicted, values.T, strict=True)) for name, values in found.items()
    }


# --------------------------------------------------------------------------- runs and folds


def run_table(runs: Sequence[RunResult]) -> pd.DataFrame:
    """One row a run: its cell, ``status``, test ``genes`` and FIGURES."""
    return pd.DataFrame([_run_row(run) for run in runs])


def _run_row(run: RunResult) -> dict[str, Any]:
    row: dict[str, Any] = {**run.cell._asdict(), "status": run.status, "genes": len(run.test)}
    if run.status != DONE:
        return {**row, **dict.fromkeys(FIGURES, np.nan)}
    observed, predicted = (
        run.test[name].to_numpy(np.float64) for name in ("observed", "predicted")
    )
    found = gene_metrics(observed, predicted)
    return {
        **row,
        **{name: float(found[name]) for name in METRICS},
        MASK_RATIO: run.test[MASK_RATIO].astype(np.float64).mean(),
    }


def fold_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a model and fold: ``seeds`` done, ``genes``, mean and ``_sd`` of FIGURES over seeds."""
    keys = ["cell_line", "assay", "model", "fold"]
    groups = runs.groupby(keys, sort=False)
    table = groups.agg(
        seeds=("status", lambda status: int((status == DONE).sum())),
        genes=("genes", "max"),
        **{name: (name, "mean") for name in FIGURES},
        **{f"{name}_sd": (name, "std") for name in FIGURES},
    )
    return table.reset_index()


# --------------------------------------------------------------------------- pooled over folds


def seed_table(pooled: Pooled) -> pd.DataFrame:
    """One row a model and complete seed: FIGURES over the genes of all folds."""
    rows = []
    for model, seeds in pooled.seeds.items():
        found = gene_metrics(pooled.genes["observed"].to_numpy(), pooled.predicted[model])
        found |= {MASK_RATIO: pooled.mask_ratio[model].mean(axis=1)}
        rows += [
            {"model": model, "seed": seed, **{name: float(found[name][i]) for name in FIGURES}}
            for i, seed in enumerate(seeds)
        ]
    return pd.DataFrame(rows, columns=["model", "seed", *FIGURES])


def accuracy_table(pooled: Pooled, draws: Draws, matrix: Matrix) -> pd.DataFrame:
    """One row a model, pooled over folds.

    ``kind``; complete ``seeds``; ``genes``; of each metric the mean over seeds, ``_sd`` over seeds
    and the bootstrap interval ``_low`` to ``_high``; mask_ratio and mask_ratio_sd.
    """
    per_seed = seed_table(pooled)
    rows = []
    for model, config in matrix.models.items():
        own = per_seed[per_seed["model"] == model]
        row: dict[str, Any] = {"model": model, "kind": config.kind, "seeds": len(own)}
        row["genes"] = len(pooled.genes) if len(own) else 0
        for name in FIGURES:
            # A seed whose predictions are constant has no r: then the model has none.
            row[name] = own[name].mean(skipna=False)
            row[f"{name}_sd"] = own[name].std(skipna=False) if len(own) > 1 else np.nan
        for name in METRICS:
            known = np.isfinite(row[name])
            bounds = interval(draws[name][model]) if known else NOWHERE
            row[f"{name}_low"], row[f"{name}_high"] = bounds
        rows.append(row)
    return pd.DataFrame(rows)


def _with_counts(accuracy: pd.DataFrame, runs: pd.DataFrame, matrix: Matrix) -> pd.DataFrame:
    """Add ``runs`` (done) and ``runs_wanted`` to the accuracy table."""
    keys = ["cell_line", "assay", "model"]
    done = runs[runs["status"] == DONE].groupby(keys).size().rename("runs").reset_index()
    table = accuracy.merge(done, on=keys, how="left")
    table["runs"] = table["runs"].fillna(0).astype(int)
    return table.assign(runs_wanted=len(matrix.folds) * len(matrix.seeds))


# --------------------------------------------------------------------------- between models


def compared_pairs(matrix: Matrix) -> list[tuple[str, str, str]]:
    """Group, model and reference of every comparison: all models, and variants with their base."""
    pairs = [(MAIN, second, first) for first, second in combinations(matrix.main_models, 2)]
    for group, ablation in matrix.ablations.items():
        pairs += [(group, name, ablation.model) for name in ablation.names()]
    return pairs


def comparison_table(pooled: Pooled, draws: Draws, matrix: Matrix) -> pd.DataFrame:
    """One row a pair: ``group``, ``model``, ``reference``, ``genes``; model minus reference.

    Of each metric ``{metric}_difference``, with the ends ``_low`` and ``_high`` its bootstrap
    interval, and ``_p``: of r from the bootstrap, of MSE and MAE from the clustered paired t test
    on the genes' squared and absolute errors, averaged over seeds. ``_p_holm`` is adjusted within
    the group.
    """
    rows = [
        {"group": group, "model": model, "reference": reference}
        | _difference(pooled, draws, model, reference)
        for group, model, reference in compared_pairs(matrix)
    ]
    ends = ("", "_low", "_high", "_p", "_p_holm")
    names = [f"{name}_difference{end}" for name in METRICS for end in ends]
    table = pd.DataFrame(rows, columns=["group", "model", "reference", "genes", *names])
    for name in METRICS:
        for places in table.groupby("group").groups.values():
            p_values = table.loc[places, f"{name}_difference_p"].tolist()
            table.loc[places, f"{name}_difference_p_holm"] = holm(p_values)
    return table


def _difference(pooled: Pooled, draws: Draws, model: str, reference: str) -> dict[str, float]:
    if not {model, reference} <= set(pooled.predicted):
        return {"genes": 0}
    observed = pooled.genes["observed"].to_numpy()
    pair = [pooled.predicted[name] for name in (model, reference)]  # (S, n) each
    errors = [abs(predicted - observed) for predicted in pair]
    per_gene = {
        "mse": (errors[0] ** 2).mean(axis=0) - (errors[1] ** 2).mean(axis=0),
        "mae": errors[0].mean(axis=0) - errors[1].mean(axis=0),
    }
    row: dict[str, float] = {"genes": len(observed)}
    for name in METRICS:
        own, others = (gene_metrics(observed, predicted)[name].mean() for predicted in pair)
        differences = draws[name][model] - draws[name][reference]
        key = f"{name}_difference"
        row[key] = float(own - others)
        if not np.isfinite(row[key]):
            continue
        row[f"{key}_low"], row[f"{key}_high"] = interval(differences)
        if name in per_gene:
            row[f"{key}_p"] = clustered_t_p_value(per_gene[name], pooled.blocks)
        else:
            row[f"{key}_p"] = sign_p_value(differences)
    return row


# --------------------------------------------------------------------------- masks


def mask_ratio_table(pooled: Pooled) -> pd.DataFrame:
    """Percentiles of the genes' mask ratio, averaged over seeds, of each model with a mask."""
    tables = [pd.DataFrame(columns=["model", "percentile", MASK_RATIO])]
    for model, ratios in pooled.mask_ratio.items():
        if np.isfinite(ratios).all():
            values = np.percentile(ratios.mean(axis=0), PERCENTILES)
            tables.append(
                pd.DataFrame({"model": model, "percentile": PERCENTILES, MASK_RATIO: values})
            )
    return pd.concat(tables[1:] or tables, ignore_index=True)
