"""``snakemake paper``: what it would run, and its own rule on runs that are there already."""

import pandas as pd
import pytest
import yaml

from seq2exp.config import parse_config
from seq2exp.matrix import Matrix
from seq2exp.models import MODELS
from seq2exp.paper.files import figure_names, table_names
from tests.unit.synthetic_results import write_results
from tests.workflow.conftest import ROOT, run_snakemake
from tests.workflow.test_dry_run import job_counts

ABLATIONS = {
    "window": {
        "model": "seq2exp_soft",
        "axis": "window_length",
        "variants": {"1kb": {"window_length": 1_000}},
    },
    "capacity": {
        "model": "seq2exp_soft",
        "variants": {"single": {"kind": "caduceus_signals", "layers": 3}},
    },
}


def test_the_demo_has_every_kind_of_model():
    raw = yaml.safe_load((ROOT / "demo" / "paper.yaml").read_text())
    models = parse_config(raw, "demo/paper.yaml").models.values()
    assert {model.kind for model in models} == set(MODELS)


@pytest.fixture
def config(demo_config):
    return demo_config | {"ablations": ABLATIONS, "seeds": [2, 3]}


def test_variants_are_trained_like_models_and_everything_is_drawn_once(demo_folder, config):
    counts = job_counts(run_snakemake("--dry-run", "paper", cwd=demo_folder, config=config))
    # 2 cell lines x (2 models + 2 variants) x 2 seeds, of which 2 x 2 x 2 have a mask
    expected = {"train": 16, "predict": 8, "predict_without_masks": 8, "build_paper": 1}
    # The loci of one run, and the regions that they show.
    expected |= {"plot_loci": 1, "export_regions": 1, "paper": 1}
    assert expected.items() <= counts.items()
    assert not {"evaluate", "summarise", "plot_training"} & set(counts)


def test_all_does_not_draw_the_paper(demo_folder, config):
    counts = job_counts(run_snakemake("--dry-run", cwd=demo_folder, config=config))
    assert counts["train"] == 16
    assert "build_paper" not in counts


def test_the_rule_reads_the_runs_and_writes_what_it_names(demo_folder, config, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "demo").mkdir()
    simulated = demo_folder / "results" / "demo" / "simulated"
    (tmp_path / "results" / "demo" / "simulated").symlink_to(simulated)
    config["evaluation"]["loci"] = 0
    matrix = Matrix.of(parse_config(config))
    write_results(tmp_path / "results" / "demo", matrix, genes=12)
    done = run_snakemake(
        *("--allowed-rules", "build_paper", "paper", "--quiet", "all", "--", "paper"),
        cwd=tmp_path,
        config=config,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    paper = tmp_path / "results" / "demo" / "paper"
    assert {path.stem for path in (paper / "tables").glob("*.tex")} == set(table_names(matrix))
    assert {path.stem for path in (paper / "figures").glob("*.pdf")} == set(figure_names(matrix))
    table = pd.read_csv(paper / "tables" / "accuracy.tsv", sep="\t")
    assert table["runs"].tolist() == [2] * 4
    assert "16 of 16 runs are done" in (paper / "index.html").read_text()
