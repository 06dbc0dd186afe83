"""Test-time ablations in numbers: what trained models lose when they are shown less of a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from seq2exp.comparison import METRICS, bootstrap, gene_metrics, holm, interval, sign_p_value
from seq2exp.errors import UserError
from seq2exp.evaluation_config import FULL_VIEW
from seq2exp.matrix import Matrix
from seq2exp.paper.results import Pooled, RunResult

MASK_RATIO = "mask_ratio"
ENDS = ("", "_low", "_high", "_p", "_p_holm")
COLUMNS = [
    *("model", "view", "seeds", "genes", "skipped", MASK_RATIO, f"{MASK_RATIO}_sd"),
    *(f"{name}{end}" for name in METRICS for end in ("", "_sd", "_low", "_high")),
    *(f"{name}_difference{end}" for name in METRICS for end in ENDS),
]


def view_table(
    pooled: Pooled, runs: Sequence[RunResult], matrix: Matrix, cell_line: str, assay: str
) -> pd.DataFrame:
    """One row a model that is no variant and view, the full one first.

    ``seeds`` complete; ``genes``; why the view is ``skipped``; mean of each metric over seeds, its
    ``_sd``, and its bootstrap interval ``_low`` to ``_high``; mask_ratio; and the difference to the
    full view of the same trained models, ``{metric}_difference``, with interval and p-value (from
    the resamples, ``_p_holm`` adjusted for the model's views).
    """
    if not matrix.views:
        return pd.DataFrame(columns=COLUMNS)
    rows: list[dict[str, Any]] = []
    for model in matrix.main_models:
        own = [run for run in runs if run.cell[:3] == (cell_line, assay, model)]
        rows += _model_rows(model, own, pooled, matrix)
    return pd.DataFrame(rows, columns=COLUMNS)


def _model_rows(
    model: str, runs: Sequence[RunResult], pooled: Pooled, matrix: Matrix
) -> list[dict[str, Any]]:
    names = [FULL_VIEW, *matrix.views]
    rows: list[dict[str, Any]] = [
        {"model": model, "view": name, "seeds": 0, "genes": 0, "skipped": ""} for name in names
    ]
    views = _pooled_views(model, runs, pooled, matrix)
    if not views:
        return rows
    observed = pooled.genes["observed"].to_numpy()
    predictions = [predicted for predicted, _ in views.values()]
    drawn = bootstrap(observed, predictions, pooled.blocks, same_seeds=True)
    draws = {
        view: {metric: drawn[metric][:, place] for metric in METRICS}
        for place, view in enumerate(views)
    }
    reasons = _reasons(runs)
    for row in rows:
        view = row["view"]
        row["skipped"] = reasons.get(view, "")
        if view in views:
            row |= {"seeds": len(views[view][0]), "genes": len(observed)}
            row |= _figures(observed, *views[view], draws[view])
        if view in views and view != FULL_VIEW:
            row |= _differences(row, rows[0], draws[view], draws[FULL_VIEW])
    for metric in METRICS:
        adjusted = holm([row.get(f"{metric}_difference_p", np.nan) for row in rows])
        for row, p_value in zip(rows, adjusted, strict=True):
            row[f"{metric}_difference_p_holm"] = p_value
    return rows


def _reasons(runs: Sequence[RunResult]) -> dict[str, str]:
    """View -> why it was skipped."""
    tables = [run.views for run in runs if not run.views.empty]
    skipped = pd.concat(tables)[["view", "skipped"]]
    skipped = skipped[skipped["skipped"] != ""]
    return dict(zip(skipped["view"], skipped["skipped"], strict=True))


def _pooled_views(
    model: str, runs: Sequence[RunResult], pooled: Pooled, matrix: Matrix
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """View -> predictions and mask ratios (S, n) of the seeds whose folds all have views."""
    tables = {(run.cell.fold, run.cell.seed): run.views for run in runs}
    found: dict[str, list[pd.DataFrame]] = {}
    for seed in pooled.seeds.get(model, ()):
        folds = [tables[fold, seed] for fold in sorted(matrix.folds)]
        if not any(table.empty for table in folds):
            seen = pd.concat(folds)
            for view, rows in seen[seen["skipped"] == ""].groupby("view", sort=False):
                found.setdefault(str(view), []).append(rows)
    ids = pooled.genes["gene_id"].tolist()
    return {
        view: (_array(rows, "predicted", ids, model), _array(rows, MASK_RATIO, ids, model))
        for view, rows in found.items()
    }


def _array(seeds: Sequence[pd.DataFrame], column: str, ids: list[str], model: str) -> np.ndarray:
    values = []
    for rows in seeds:
        by_gene = rows.drop_duplicates("gene_id").set_index("gene_id")[column]
        missing = [gene_id for gene_id in ids if gene_id not in by_gene.index]
        if missing:
            raise UserError(
                f"views.tsv of {model}: no gene {missing[0]}, which predictions.tsv has; make the "
                "views again"
            )
        values.append(by_gene[ids].to_numpy(np.float64))
    return np.stack(values)


def _figures(
    observed: np.ndarray,
    predicted: np.ndarray,
    mask_ratio: np.ndarray,
    draws: dict[str, np.ndarray],
) -> dict[str, float]:
    figures = {}
    values = gene_metrics(observed, predicted) | {MASK_RATIO: mask_ratio.mean(axis=1)}
    for name, seeds in values.items():
        figures[name] = float(seeds.mean())
        figures[f"{name}_sd"] = float(seeds.std(ddof=1)) if len(seeds) > 1 else np.nan
    for metric in METRICS:
        figures[f"{metric}_low"], figures[f"{metric}_high"] = interval(draws[metric])
    return figures


def _differences(
    row: dict[str, Any],
    full: dict[str, Any],
    draws: dict[str, np.ndarray],
    full_draws: dict[str, np.ndarray],
) -> dict[str, float]:
    differences = {}
    for metric in METRICS:
        key, resampled = f"{metric}_difference", draws[metric] - full_draws[metric]
        differences[key] = row[metric] - full[metric]
        differences[f"{key}_low"], differences[f"{key}_high"] = interval(resampled)
        differences[f"{key}_p"] = sign_p_value(resampled)
    return differences
