"""All runs in one table: the mean over seeds and folds of each model, with its spread."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from seq2exp.element_columns import RANKED_SCORES
from seq2exp.errors import UserError
from seq2exp.evaluation_config import FULL_VIEW
from seq2exp.metrics import accuracy
from seq2exp.schemas import RUN_KEYS, VIEW_COLUMNS, read_table, whole_file, write_table

GROUP = ("cell_line", "assay", "model", "kind")
FIGURES = (
    *("pearson", "mse", "mae", "mask_ratio", "seconds", "noise_ceiling", "promoter_ceiling"),
    *("auprc_mask", "auprc_sequence_part", "auprc_prior", "auprc_dnase", "base_rate"),
    *(f"auroc_{score}" for score in RANKED_SCORES),
    *(f"element_auprc_{score}" for score in RANKED_SCORES),
    "element_base_rate",
    *("effect_removed_pearson", "effect_shuffled_pearson", "attribution_pearson"),
)
VIEW_KEY = ("cell_line", "assay", "model", "view")
VIEW_FIGURES = (
    *("pearson", "mse", "mae", "mask_ratio"),
    *("pearson_change", "mse_change", "mae_change"),
)
FOLD = "fold_"
"""How the folds of a run's regions in reference regions begin; the name of the reference follows."""
WIDTH = 100  # columns of a log

ACCURACY = {
    "r": "pearson",
    "MSE": "mse",
    "MAE": "mae",
    "ceiling": "noise_ceiling",
    "promoter": "promoter_ceiling",
    "mask ratio": "mask_ratio",
    "train s": "seconds",
}
BASES = {
    "mask": "auprc_mask",
    "sequence": "auprc_sequence_part",
    "prior": "auprc_prior",
    "DNase": "auprc_dnase",
    "chance": "base_rate",
}
_NAMES = {
    "removed": "effect_removed",
    "shuffled": "effect_shuffled",
    "attribution": "attribution",
    "mask": "mask",
    "sequence": "sequence_part",
    "prior": "prior",
    "DNase": "dnase",
    "distance": "nearness",
}
DECOYS = {head: f"auroc_{score}" for head, score in _NAMES.items()}
CANDIDATES = {head: f"element_auprc_{score}" for head, score in _NAMES.items()}
CANDIDATES |= {"chance": "element_base_rate"}

CRISPRI = {
    "mask": "crispri_auprc_mask",
    "sequence": "crispri_auprc_sequence_part",
    "prior": "crispri_auprc_prior",
    "ABC": "crispri_auprc_abc",
    "activity": "crispri_auprc_activity",
    "distance": "crispri_auprc_distance",
    "pairs": "crispri_pairs",
    "regulated": "crispri_positives",
}


def write_summary(
    evaluations: Sequence[Path], evidence: Sequence[Path] = (), *, out_json: Path, out_table: Path
) -> None:
    """Average the evaluations of each cell line, assay and model.

    Parameters
    ----------
    evaluations
        evaluation.json of every run.
    evidence
        crispri.json and enrichment.json of the runs that have them.
    out_json
        A list of one object a row, rows as their first run comes in ``evaluations``: the keys of
        GROUP, ``runs``, ``test_genes``, and the mean of each of FIGURES and of every figure of the
        evidence (null where no run has it). Where there are several runs, ``..._sd`` is the sample
        standard deviation.
    out_table
        The same rows as TSV.
    """
    runs = {_key(run): run for run in (json.loads(Path(path).read_text()) for path in evaluations)}
    names = dict.fromkeys(FIGURES)
    for path in evidence:
        figures = json.loads(Path(path).read_text())
        runs[_key(figures)] |= figures
        names |= dict.fromkeys(name for name in figures if name not in RUN_KEYS)
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for run in runs.values():
        groups.setdefault(tuple(run[key] for key in GROUP), []).append(run)
    rows = [_row(key, members, names) for key, members in groups.items()]
    with whole_file(out_json) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n")
    write_table(pd.DataFrame(rows), out_table)


def _key(run: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(run[key] for key in RUN_KEYS)


def _row(key: tuple[Any, ...], runs: list[dict[str, Any]], names: Iterable[str]) -> dict[str, Any]:
    row: dict[str, Any] = dict(zip(GROUP, key, strict=True))
    row["runs"] = len(runs)
    row["test_genes"] = sum(run["test_genes"] for run in runs) / len(runs)
    for name in names:
        values = [run[name] for run in runs if run.get(name) is not None]
        row[name] = float(np.mean(values)) if values else None
        if len(runs) > 1:
            row[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return row


# --------------------------------------------------------------------------- views


def write_view_summary(
    tables: Sequence[Path], runs: Sequence[Mapping[str, Any]], *, out_table: Path
) -> None:
    """Average what each view is worth over the runs of each cell line, assay and model.

    Parameters
    ----------
    tables
        views.tsv of every run.
    runs
        Of each: ``cell_line``, ``assay`` and ``model``.
    out_table
        A row a cell line, assay, model and view: ``runs``, ``test_genes``, means of VIEW_FIGURES
        over the runs and their sample standard deviations ``..._sd``; ``..._change`` is the figure
        less that of the same run's full view. Of a skipped view the reason alone.
    """
    rows: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for path, run in zip(tables, runs, strict=True):
        for view, figures in _views_of(read_table(path, VIEW_COLUMNS)).items():
            key = (run["cell_line"], run["assay"], run["model"], view)
            rows.setdefault(key, []).append(figures)
    summary = [
        {**dict(zip(VIEW_KEY, key, strict=True)), **_means_of(found)} for key, found in rows.items()
    ]
    spread = [f"{name}_sd" for name in VIEW_FIGURES]
    pairs = [name for pair in zip(VIEW_FIGURES, spread, strict=True) for name in pair]
    columns = [*VIEW_KEY, "runs", "test_genes", *pairs, "skipped"]
    write_table(pd.DataFrame(summary, columns=columns), out_table)


def _views_of(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Figures of each view of one run."""
    figures: dict[str, dict[str, Any]] = {}
    for view, genes in table.groupby("view", sort=False):
        if genes["skipped"].iloc[0]:
            figures[str(view)] = {"skipped": genes["skipped"].iloc[0]}
            continue
        found = accuracy(genes["observed"], genes["predicted"])
        own = {"pearson": found.pearson, "mse": found.mse, "mae": found.mae}
        full = figures.get(FULL_VIEW, own)
        changes = {f"{name}_change": value - full[name] for name, value in own.items()}
        ratio = genes["mask_ratio"].mean()
        figures[str(view)] = {**own, **changes, "mask_ratio": ratio, "test_genes": found.n}
    return figures


def _means_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the runs, which agree on whether the view is skipped."""
    figures = pd.DataFrame(runs)
    if "skipped" in figures:
        return {"runs": len(runs), "skipped": runs[0]["skipped"]}
    means: dict[str, Any] = {"runs": len(runs)}
    for name in map(str, figures):
        means |= {name: figures[name].mean(), f"{name}_sd": figures[name].std(ddof=1)}
    return means


# --------------------------------------------------------------------------- printing


def print_summary(summary: Path, console: Console | None = None) -> None:
    """Print summary.json as tables of at most 100 columns, readable without colour.

    Raises
    ------
    UserError
        There is no summary.
    """
    try:
        rows = json.loads(summary.read_text())
    except (OSError, ValueError):
        raise UserError(f"{summary}: no readable summary; let the workflow finish first") from None
    console = console or Console(width=WIDTH, color_system=None)
    means = {name for row in rows for name in row if not name.endswith("_sd")}
    folds = {name.removeprefix(FOLD): name for name in sorted(means) if name.startswith(FOLD)}
    for title, columns in (
        ("Expression of the test genes (ceiling, promoter: r of the planted values)", ACCURACY),
        ("Planted active elements, base by base: AUPRC", BASES),
        ("Planted elements, active among all candidates: AUPRC", CANDIDATES),
        ("Planted elements, active over decoy: AUROC", DECOYS),
        ("CRISPRi pairs of test genes, within windows: AUPRC", CRISPRI),
        ("Overlap of regions with references, over that of matched random regions", folds),
    ):
        # What applies to no model (a mask, a planted truth) has no column.
        shown = {
            head: name
            for head, name in columns.items()
            if any(row.get(name) is not None for row in rows)
        }
        if shown:
            console.print(_table(title, shown, rows))
    if any(row["runs"] > 1 for row in rows):
        console.print("Means over folds and seeds; the s.d. of every figure is in summary.tsv.")


def _table(title: str, columns: dict[str, str], rows: list[dict[str, Any]]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        title_style="",
        pad_edge=False,
        collapse_padding=True,
    )
    lead = ["cell_line", "model"]
    if len({row["assay"] for row in rows}) > 1:
        lead.insert(1, "assay")
    for name in lead:
        table.add_column(name.replace("_", " "), overflow="fold")
    for head in columns:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        if any(row.get(name) is not None for name in columns.values()):
            figures = [_cell(row, name) for name in columns.values()]
            table.add_row(*(row[name] for name in lead), *figures)
    return table


def _cell(row: dict[str, Any], name: str) -> str:
    """Write one mean; that of r with its s.d., for the others it is in summary.tsv."""
    value, spread = row.get(name), row.get(f"{name}_sd")
    if value is None:
        return "-"
    if name == "pearson" and spread is not None:
        return f"{value:.3f} +- {spread:.3f}"
    whole = name in ("seconds", "crispri_pairs", "crispri_positives")
    return f"{value:.0f}" if whole else f"{value:.3f}"
