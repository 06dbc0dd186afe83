"""A results folder as a finished workflow leaves it, with models of known accuracy."""

from __future__ import annotations

import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd

from seq2exp.config import parse_config
from seq2exp.matrix import Cell, Matrix
from seq2exp.paper.results import RunFiles, files_in_results
from tests.unit.test_config import MINIMAL

CELL_LINES = ("K562", "SimB")
NOISE = {
    "seq2exp_soft": 0.4,
    "linear": 1.0,
    "seq2exp_soft-500bp": 0.9,
    "seq2exp_soft-2kb": 0.6,
    "seq2exp_soft-no_kl": 0.4,
}
"""S.d. of the errors, part of them the model's own, part the seed's; labels have s.d. 1."""
MASK_RATIO = {"seq2exp_soft": 0.2, "seq2exp_soft-no_kl": 0.6}


def raw_config() -> dict:
    """Two cell lines, two folds, two seeds, two models, two groups of ablations."""
    line = MINIMAL["cell_lines"]["A"]
    return {
        **MINIMAL,
        "cell_lines": dict.fromkeys(CELL_LINES, line),
        "window": {"length": 10_000, "promoter_length": 200},
        "models": {
            "seq2exp_soft": {"d_model": 16},
            "linear": {"kind": "signal_linear", "spans": [500]},
        },
        "ablations": {
            "window": {
                "model": "seq2exp_soft",
                "axis": "window_length",
                "variants": {"500bp": {"window_length": 500}, "2kb": {"window_length": 2_000}},
            },
            "kl": {"model": "seq2exp_soft", "variants": {"no_kl": {"kl_weight": 0}}},
        },
        "folds": {
            "scheme": "explicit",
            "sets": {
                1: {"valid": ["chr3"], "test": ["chr1"]},
                2: {"valid": ["chr4"], "test": ["chr2"]},
            },
            "run": [1, 2],
        },
        "seeds": [2, 22],
    }


def synthetic_matrix(*, views: dict | None = None, **changes: object) -> Matrix:
    """The matrix of that config, with window lengths below the promoter's allowed."""
    raw = raw_config() | {"evaluation": {"views": views or {}}} | changes
    return Matrix.of(parse_config(raw))


def genes_of_fold(fold: int, count: int) -> pd.DataFrame:
    """The test genes of a fold, a chromosome of its own, 4 kb apart, and one training gene."""
    rng = np.random.default_rng(fold)
    ids = [f"G{fold}_{i}" for i in range(count)]
    genes = pd.DataFrame({"gene_id": ids, "gene_name": ids, "chrom": f"chr{fold}"})
    genes["tss"] = 4_000 * np.arange(1, count + 1)
    genes["strand"] = "+"
    genes["split"] = "test"
    genes["observed"] = rng.normal(size=count)
    return genes


def write_results(folder: Path, matrix: Matrix, *, genes: int = 60) -> list[RunFiles]:
    """Write every run of the matrix."""
    files = files_in_results(folder, matrix)
    for run in files:
        write_run(run, matrix, genes)
    return files


def write_run(run: RunFiles, matrix: Matrix, genes: int) -> None:
    cell = run.cell
    table = genes_of_fold(cell.fold, genes)
    noise = NOISE.get(cell.model, 0.5) * np.sqrt(0.5)
    names = crc32(cell.model.encode()), crc32(cell.cell_line.encode())
    own = np.random.default_rng([*names, cell.fold]).normal(size=genes)
    seeded = np.random.default_rng([*names, cell.fold, cell.seed]).normal(size=genes)
    table["predicted"] = table["observed"] + noise * (own + seeded)
    table["mask_ratio"] = np.nan
    if cell.model in MASK_RATIO:
        spread = np.random.default_rng(cell.seed).uniform(-0.1, 0.1, genes)
        table["mask_ratio"] = MASK_RATIO[cell.model] + spread
    trained = table.iloc[:1].assign(gene_id="trained", split="train", predicted=1e6)
    for path in (run.metrics, run.predictions):
        path.parent.mkdir(parents=True, exist_ok=True)
    pd.concat([trained, table]).to_csv(run.predictions, sep="\t", index=False)
    run.metrics.write_text(json.dumps(metrics(cell, matrix)))
    if run.views:
        run.views.parent.mkdir(parents=True, exist_ok=True)
        views_of(cell, table).to_csv(run.views, sep="\t", index=False)


VIEW_NOISE = {"full": 0.0, "500bp": 0.8, "2kb": 0.3}
"""S.d. that a view adds to the errors."""
VIEWS = {
    "500bp": {"window_length": 500},
    "2kb": {"window_length": 2_000},
    "shifted": {"mask": "shifted"},
}


def views_of(cell: Cell, table: pd.DataFrame) -> pd.DataFrame:
    """The test genes in every view; a shifted mask is skipped."""
    parts = []
    for name, noise in VIEW_NOISE.items():
        added = np.random.default_rng([cell.fold, cell.seed, len(name)]).normal(size=len(table))
        columns = table[["gene_id", "observed", "mask_ratio"]]
        parts.append(columns.assign(view=name, predicted=table["predicted"] + noise * added))
    parts.append(pd.DataFrame({"view": ["shifted"], "skipped": ["it has no mask"]}))
    return pd.concat(parts)[["view", "gene_id", "observed", "predicted", "mask_ratio", "skipped"]]


def metrics(cell: Cell, matrix: Matrix) -> dict:
    """What training says of a run."""
    config = matrix.models[cell.model]
    return {
        **cell._asdict(),
        "kind": config.kind,
        "parameters": 1_000 + len(cell.model),
        "seconds": 12.0,
        "steps": 100,
        "settings": {
            "model": config.model_dump(mode="json"),
            "training": {"steps": 100, "batch_size": 8, "learning_rate": 0.004},
        },
    }
