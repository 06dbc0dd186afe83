"""A config that cannot work: one readable line, before any job."""

import pytest
import yaml

from seq2exp.cli import main
from tests.workflow.conftest import run_snakemake

SIMULATED = "results/demo/simulated"
UNKNOWN_KEY = ("training.lerning_rate", 0.1, ("lerning_rate", "did you mean 'learning_rate'"))
MISSING_FILE = (
    "cell_lines.SimA.h3k27ac",
    {"path": f"{SIMULATED}/absent.bw"},
    ("cell_lines.SimA.h3k27ac", "absent.bw"),
)
CASES = [
    UNKNOWN_KEY,
    MISSING_FILE,
    ("window.promoter_length", 4000, ("promoter_length 4000", "(2000)", "lengthen")),
    ("regions.threshold", -0.1, ("regions.threshold", "-0.1", "greater than or equal to 0")),
    ("folds.run", [2], ("folds", "no fold 2", "[1]")),
    ("models.seq2exp_hrad", {"kind": "seq2exp_hrad"}, ("models.seq2exp_hrad", "seq2exp_soft")),
    ("models.../escaped", {"kind": "caduceus"}, ("models.../escaped", "letters, digits, _ and -")),
    (
        "ablations",
        {"kl": {"model": "seq2exp_soft", "variants": {"no_kl": {"kl_wieght": 0}}}},
        ("ablations.kl.variants.no_kl.kl_wieght: unknown key", "did you mean 'kl_weight'"),
    ),
    (
        "cell_lines.SimA.dnase",
        {"path": f"{SIMULATED}/labels.tsv"},
        ("cell_lines.SimA.dnase", "labels.tsv", "not a bigWig"),
    ),
]


@pytest.fixture
def folder(demo_folder, tmp_path):
    (tmp_path / "results").symlink_to(demo_folder / "results")
    return tmp_path


def changed(config, key, value):
    """Set ``a.b.c`` of a nested dictionary; the last key may hold dots."""
    *parents, last = key.split(".", 1 if "../" in key else -1)
    inner = config
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return config


@pytest.mark.parametrize(("key", "value", "words"), CASES)
def test_check_config_says_it_in_one_line(folder, demo_config, monkeypatch, key, value, words):
    monkeypatch.chdir(folder)
    (folder / "my.yaml").write_text(yaml.safe_dump(changed(demo_config, key, value)))
    with pytest.raises(SystemExit) as stop:
        main(["check-config", "my.yaml"])
    message = stop.value.code
    assert message.startswith("error: my.yaml: ")
    assert "\n" not in message
    assert not [word for word in words if word not in message], message


@pytest.mark.parametrize(("key", "value", "words"), [UNKNOWN_KEY, MISSING_FILE])
def test_snakemake_says_the_same_before_any_job(folder, demo_config, key, value, words):
    done = run_snakemake("--dry-run", cwd=folder, config=changed(demo_config, key, value))
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if not line.startswith("Using ")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: my.yaml: ")
    assert not [word for word in words if word not in lines[0]], lines[0]
    assert "Traceback" not in done.stderr + done.stdout


def test_several_nodes_outside_of_slurm_stop_before_any_job(folder, demo_config, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    config = changed(demo_config, "training.nodes", 2)
    for _ in range(2):  # it leaves no lock behind
        done = run_snakemake("--quiet", "all", cwd=folder, config=config)
        assert done.returncode == 1
        lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert lines == [
            "error: training.nodes 2: several nodes need a Slurm job; start with --profile slurm, "
            "or set training.nodes to 1"
        ], done.stderr
    assert not (folder / "results" / "demo" / "reference").exists()
