"""The benchmarks run, at sizes at which their figures mean nothing."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from seq2exp.plan.step_times import (
    COUNTED_GPU_PREDICTION,
    COUNTED_GPU_STEP,
    Size,
    cost_of,
    read_step_times,
)
from tests.workflow.conftest import ROOT


def run(name, out, *arguments):
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", str(out), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()), done.stdout


def test_windows(tmp_path):
    sizes = "--windows 8 --length 20000 --batch 2 --repeats 1 --passes 1 --expanded 4 --slow 2"
    result, shown = run("windows", tmp_path / "w.json", *sizes.split(), "--tuned", "2")
    assert result["store_bytes"] == pytest.approx(8 * 20_000 * 5, rel=0.01)
    for name, row in result["best"].items():
        assert row["windows_per_second"] > 0
        assert f"\n{name} " in shown
    # A base is 5 bytes in the store, 7 floats and a blacklist byte expanded, 7 floats read by item.
    sizes = {
        name: 1e6 * r["mb_per_second"] / r["windows_per_second"]
        for name, r in result["best"].items()
    }
    assert sizes["store"] == pytest.approx(5 * 20_000, rel=0.01)
    assert sizes["store, expanded"] == pytest.approx(29 * 20_000, rel=0.01)
    for name in ("per item", "per item, tuned"):
        assert sizes[name] == pytest.approx(28 * 20_000)


@pytest.mark.parametrize("name", ["block", "step"])
def test_network(tmp_path, name):
    sizes = ["--length", "1024", "--width", "16", "--repeats", "1"]
    sizes += ["--training"] if name == "step" else []
    result, shown = run(name, tmp_path / "n.json", *sizes)
    parts = [result["predict"], result["train"]] if name == "step" else [result]
    for part in parts:
        assert [row["arrangement"] for row in part["rows"]][:2] == ["ours", "plain, auto"]
        for row in part["rows"]:
            for key, value in row.items():
                if isinstance(value, float):
                    # memory of sizes this small may hide in what the process has
                    assert value > 0 or (key.endswith("bytes") and value == 0), key
    assert "\nours " in shown


def test_all_models(tmp_path):
    sizes = "--device cpu --threads 1 --steps 3 --seeds 2 22 --kinds prism signal_linear"
    result, shown = run("all_models", tmp_path / "a.json", *sizes.split())
    assert [(row["kind"], row["seed"]) for row in result["rows"]] == [
        ("prism", 2),
        ("prism", 22),
        ("signal_linear", 2),
        ("signal_linear", 22),
    ]
    for row in result["rows"]:
        assert row["good"] == (row["last"] < row["first"])
        assert row["steps_per_second"] > 0
        assert f"\n{row['kind']}, seed {row['seed']} " in shown


def test_counts_are_those_of_the_plan():
    command = [sys.executable, "-m", "benchmarks.counts"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    step, prediction = done.stdout.splitlines()
    for line, (longest, total) in ((step, COUNTED_GPU_STEP), (prediction, COUNTED_GPU_PREDICTION)):
        assert line.endswith(f"longest {1000 * longest:.0f}, sum {1000 * total:.0f}")


def test_step_times_are_gathered_in_a_table_that_the_plan_reads(tmp_path):
    table = tmp_path / "times.tsv"
    sizes = ["--kinds", "caduceus", "--widths", "16", "--repeats", "1", "--out", str(table)]
    for length in ("512", "1024", "512"):  # the third in place of the first
        rows, shown = run("step_times", tmp_path / "t.json", "--lengths", length, *sizes)
    times = read_step_times(table)
    assert [(time.kind, time.device, *time[3:6]) for time in times] == [
        ("caduceus", "cpu", 512, 16, 4),
        ("caduceus", "cpu", 1024, 16, 4),
    ]
    assert times[0].step_seconds == pytest.approx(rows[0]["step_seconds"], rel=1e-6)
    assert min(min(time.step_seconds, time.predict_seconds) for time in times) > 0
    assert "caduceus" in shown
    assert cost_of("caduceus", Size(512, 512, 16, 4), "cpu", times).basis == "measured"


def test_jobs(tmp_path):
    (row,), shown = run("jobs", tmp_path / "j.json", "--cases", "5")
    bases = 8 * 2_000  # of two layers, d 16
    assert row["estimated_bytes"] == 4 * bases * (50 + 32 * 16 + 10 * 16 * 2)
    assert 0.2 < row["bytes_beyond"] / row["estimated_bytes"] < 1.5
    assert "\nseq2exp_soft " in shown


@pytest.mark.slow
def test_precision(tmp_path):
    arguments = ["--seeds", "1", "2", "--steps", "2", "--genes", "60", "--processes", "1"]
    result, shown = run("precision", tmp_path / "p.json", *arguments)
    mse = {(row["precision"], row["seed"]): row["mse"] for row in result["rows"]}
    differences = [mse["bf16", seed] - mse["float32", seed] for seed in (1, 2)]
    found = result["differences"]["mse"]
    assert found["mean_difference"] == pytest.approx(sum(differences) / 2)
    assert found["standard_error"] == pytest.approx(abs(differences[0] - differences[1]) / 2)
    assert "mse, bf16 - float32: mean difference" in shown


@pytest.mark.slow
def test_gating(tmp_path):
    """A genome, two models and the tables of them: about two minutes."""
    sizes = "--windows 2000 --genomes 1 --steps 10 --models signal_linear promoter_only"
    command = [sys.executable, "-m", "benchmarks.gating", str(tmp_path), *sizes.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    runs = pd.read_csv(tmp_path / "runs.tsv", sep="\t").set_index("model")
    linear = runs.loc["signal_linear"]
    assert linear["pearson"] > 0.55
    assert 0.5 < linear["promoter_ceiling"] < 0.8
    assert linear["noise_ceiling"] > 0.9
    bins = pd.read_csv(tmp_path / "bins.tsv", sep="\t").set_index("model")
    assert bins.loc["signal_linear", "arrives"] > 0.1 > abs(bins.loc["promoter_only", "arrives"])
    assert (tmp_path / "gating.png").stat().st_size > 10_000
    assert "promoter_only" in done.stdout
