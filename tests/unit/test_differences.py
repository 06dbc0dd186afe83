"""Differences between cell lines, predicted against observed."""

from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seq2exp.differences import DIFFERENCE_COLUMNS, write_differences
from seq2exp.matrix import Cell
from seq2exp.schemas import PREDICTION_COLUMNS, read_table

GENES = [f"G{i}" for i in range(6)]
OBSERVED = {"A": [1.0, 2, 3, 4, 5, 6], "B": [1.0, 1, 3, 2, 5, 3]}  # differences 0 1 0 2 0 3
FOLDS = {1: [0, 1, 2], 2: [3, 4, 5]}


def table(cell_line: str, fold: int, error: list[float], genes: list[int]) -> pd.DataFrame:
    rows = [
        {
            "gene_id": GENES[i],
            "gene_name": GENES[i],
            "chrom": "chr1",
            "tss": 10_000 * i,
            "strand": "+",
            "split": "test" if i in FOLDS[fold] else "train",
            "observed": OBSERVED[cell_line][i],
            "predicted": OBSERVED[cell_line][i] + error[i],
        }
        for i in genes
    ]
    return pd.DataFrame(rows).reindex(columns=list(PREDICTION_COLUMNS))


def differences(tmp_path: Path, errors: dict[str, list[float]], missing: int | None = None):
    """Of two folds and two seeds; seed 2 has twice the errors of seed 1. B lacks a gene."""
    runs, files = [], []
    for cell_line, fold, seed in product("AB", FOLDS, (1, 2)):
        runs.append(Cell(cell_line, "CAGE", "m", fold, seed))
        genes = [i for i in range(6) if not (cell_line == "B" and i == missing)]
        error = [seed * value for value in errors[cell_line]]
        files.append(tmp_path / f"{cell_line}{fold}{seed}.tsv")
        table(cell_line, fold, error, genes).to_csv(files[-1], sep="\t", index=False)
    write_differences(runs, files, window_length=1_000, out_table=tmp_path / "out.tsv")
    return read_table(tmp_path / "out.tsv", DIFFERENCE_COLUMNS)


def test_what_both_models_get_wrong_alike_does_not_count(tmp_path):
    wrong = [5.0, -3, 2, 2, -1, 0]
    (row,) = differences(tmp_path, {"A": wrong, "B": wrong}).to_dict("records")
    assert (row["assay"], row["model"], row["cell_line"], row["other"]) == ("CAGE", "m", "A", "B")
    assert (row["runs"], row["genes"]) == (2, 6)
    assert row["pearson"] == pytest.approx(1)
    assert (row["pearson_low"], row["pearson_high"]) == (pytest.approx(1), pytest.approx(1))
    assert row["mse"] == pytest.approx(0)
    assert row["observed_sd"] == pytest.approx(np.std([0, 1, 0, 2, 0, 3]))


def test_figures_are_means_over_seeds_of_all_folds_together(tmp_path):
    wrong = np.array([0.5, 0, -0.5, 1, 0, -1])
    (row,) = differences(tmp_path, {"A": wrong.tolist(), "B": [0.0] * 6}).to_dict("records")
    observed = np.array([0.0, 1, 0, 2, 0, 3])
    seeds = [np.corrcoef(observed, observed + seed * wrong)[0, 1] for seed in (1, 2)]
    assert row["pearson"] == pytest.approx(np.mean(seeds))
    assert row["mse"] == pytest.approx(np.mean([(wrong**2).mean(), (4 * wrong**2).mean()]))
    assert row["pearson_low"] < row["pearson"] < row["pearson_high"]


def test_only_genes_of_both_cell_lines_count(tmp_path):
    wrong = [0.0, 0, 0, 0, 0, 9.0]
    (row,) = differences(tmp_path, {"A": wrong, "B": [0.0] * 6}, missing=5).to_dict("records")
    assert row["genes"] == 5
    assert row["pearson"] == pytest.approx(1)
