"""``snakemake paper`` on the simulated genome: every model and ablation of demo/paper.yaml."""

import re
import time

import numpy as np
import pandas as pd
import pytest
import yaml

from seq2exp.config import parse_config
from seq2exp.matrix import Matrix
from seq2exp.paper.files import figure_names, table_names
from seq2exp.simulate import Settings, simulate
from tests.workflow.conftest import ROOT, run_snakemake

pytestmark = pytest.mark.slow
LIMIT = 45 * 60  # seconds on two cores with nothing else on them


@pytest.fixture(scope="module")
def config():
    return yaml.safe_load((ROOT / "demo" / "paper.yaml").read_text())


@pytest.fixture(scope="module")
def matrix(config):
    return Matrix.of(parse_config(config))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, config):
    """A working directory in which everything has run."""
    folder = tmp_path_factory.mktemp("paper")
    simulate(folder / "results" / "demo" / "simulated", 1, Settings())
    started = time.monotonic()
    done = run_snakemake(
        "--quiet", "all", "--", "paper", cwd=folder, config=config, timeout=4 * LIMIT
    )
    print(f"snakemake paper: {(time.monotonic() - started) / 60:.1f} minutes")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def results(folder, config):
    return folder / config["results"]


def numbers(results, name):
    return pd.read_csv(results / "paper" / "numbers" / f"{name}.tsv", sep="\t")


def test_every_table_and_figure_is_there_and_no_cell_is_missing(results, matrix):
    paper = results / "paper"
    for suffix in ("tsv", "tex", "html"):
        assert {p.stem for p in (paper / "tables").glob(f"*.{suffix}")} == set(table_names(matrix))
    for suffix in ("png", "pdf"):
        found = {path.stem for path in (paper / "figures").glob(f"*.{suffix}")}
        assert found == set(figure_names(matrix))
    runs = numbers(results, "runs")
    assert len(runs) == len(matrix.cells())
    assert set(runs["status"]) == {"done"}
    accuracy = numbers(results, "accuracy")
    assert accuracy["model"].tolist() == list(matrix.models)
    assert (accuracy["seeds"] == 2).all()
    figures = [
        f"{name}{end}" for name in ("pearson", "mse") for end in ("", "_sd", "_low", "_high")
    ]
    assert np.isfinite(accuracy[figures].to_numpy()).all()
    page = (paper / "index.html").read_text()
    assert f"{len(runs)} of {len(runs)} runs are done" in page
    # Every figure, and the loci of the example run.
    assert page.count('src="data:image/png') == len(figure_names(matrix)) + 2


def test_accuracy_is_that_of_the_predictions(results, matrix):
    per_seed = {(cell.model, cell.seed): [] for cell in matrix.cells()}
    for cell in matrix.cells():
        table = pd.read_csv(results / "predictions" / cell.folder / "predictions.tsv", sep="\t")
        per_seed[cell.model, cell.seed].append(table[table["split"] == "test"])
    accuracy = numbers(results, "accuracy").set_index("model")
    for model in matrix.models:
        found = []
        for seed in matrix.seeds:
            genes = pd.concat(per_seed[model, seed])
            assert genes["gene_id"].is_unique
            assert len(genes) == accuracy.loc[model, "genes"]
            found.append(genes["observed"].corr(genes["predicted"]))
        assert accuracy.loc[model, "pearson"] == pytest.approx(np.mean(found), abs=1e-6)
        assert accuracy.loc[model, "pearson_sd"] == pytest.approx(np.std(found, ddof=1), abs=1e-6)


def test_models_have_learned_and_masks_are_what_they_must_be(results):
    accuracy = numbers(results, "accuracy").set_index("model")
    # The signals alone explain that much; a network that learns nothing has r about 0.
    assert accuracy.loc["signal_linear", "pearson"] > 0.3
    assert accuracy.loc["seq2exp_soft", "pearson"] > 0.3
    # 200 of 2000 bp; blacklisted ones give way to the promoter.
    assert accuracy.loc["seq2exp_soft-promoter_only", "mask_ratio"] == pytest.approx(0.1, abs=1e-3)
    assert accuracy.loc["seq2exp_soft", "mask_ratio"] > 0.15
    # No KL: nothing holds the mask small.
    assert (
        accuracy.loc["seq2exp_soft-no_kl", "mask_ratio"]
        > accuracy.loc["seq2exp_soft", "mask_ratio"]
    )


def test_differences_are_those_of_the_accuracies(results):
    accuracy = numbers(results, "accuracy").set_index("model")
    table = numbers(results, "comparison")
    for row in table.to_dict("records"):
        for name in ("pearson", "mse", "mae"):
            own, other = accuracy.loc[row["model"], name], accuracy.loc[row["reference"], name]
            assert row[f"{name}_difference"] == pytest.approx(own - other, abs=1e-6)
            assert row[f"{name}_difference_low"] <= row[f"{name}_difference_high"]
            assert 0 < row[f"{name}_difference_p"] <= row[f"{name}_difference_p_holm"] <= 1


def test_settings_are_those_of_the_config(results, config):
    table = pd.read_csv(results / "paper" / "tables" / "settings.tsv", sep="\t", dtype=str)
    steps = table[table["setting"] == "steps"].iloc[0]
    assert steps["value"] == str(config["training"]["steps"])
    assert steps["default"] == "50000"
    assert "seq2exp_soft" in steps["models"]
    assert "signal_linear" not in steps["models"]


def test_nothing_is_left_to_do(folder):
    again = run_snakemake("--dry-run", "paper", cwd=folder)
    assert "Nothing to be done" in again.stdout
    logs = list((folder / "results").rglob("*.log"))
    assert not [log for log in logs if re.search("Traceback", log.read_text())]
