"""Peaks that the workflow calls: what is run, what is said without MACS3, and MACS3 itself."""

import os
import re
import shutil

import pytest

from seq2exp.bed import merged_intervals, read_bed
from seq2exp.simulate.peaks import call_peaks
from seq2exp.tracks import open_bigwig, read_signal
from tests.workflow.conftest import run_snakemake

PEAKS = "results/demo/peaks/SimA.narrowPeak"


@pytest.fixture
def folder(demo_folder, tmp_path):
    shutil.copytree(demo_folder / "results", tmp_path / "results")
    return tmp_path


@pytest.fixture
def config(demo_config):
    demo_config["cell_lines"]["SimA"]["peaks"] = {"macs3": {"cutoff": 0.1, "max_gap": 40}}
    demo_config["cell_lines"]["SimA"]["dnase"] = {"path": "results/demo/simulated/SimA.DNase.bw"}
    return demo_config


def test_store_check_and_evidence_wait_for_the_called_peaks(folder, config, monkeypatch):
    (folder / "bin").mkdir()
    (folder / "bin" / "macs3").write_text("#!/bin/sh\nexit 1\n")
    (folder / "bin" / "macs3").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    done = run_snakemake("--dry-run", "--printshellcmds", cwd=folder, config=config)
    assert done.returncode == 0, done.stderr
    assert (
        f"macs3 bdgpeakcall --ifile results/demo/peaks/SimA.bedGraph --ofile {PEAKS} "
        "--no-trackline --cutoff 0.1 --min-length 200 --max-gap 40"
    ) in done.stdout
    for rule in ("build_store", "check_cell_line", "score_references"):
        bodies = re.findall(rf"^ *rule {rule}:\n *input: (.*)$", done.stdout, re.M)
        assert sorted(PEAKS in body for body in bodies) == [False, True]  # SimB has a file


def test_without_macs3_it_is_said_before_any_job(folder, config, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    done = run_snakemake("--dry-run", cwd=folder, config=config)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("Using ")]
    assert line.startswith(
        "error: my.yaml: cell_lines.SimA.peaks.macs3: no macs3 on the PATH; inst"
    )


@pytest.mark.skipif(not shutil.which("macs3"), reason="no macs3 on the PATH: see envs/macs3.yaml")
def test_macs3_calls_what_is_above_the_cutoff(folder, config):
    done = run_snakemake(PEAKS, cwd=folder, config=config)
    assert done.returncode == 0, done.stderr
    called = read_bed(folder / PEAKS)
    track = open_bigwig(folder / "results/demo/simulated/SimA.DNase.bw")
    expected = []
    for chrom, size in track.sizes.items():
        values = read_signal(track, chrom, 0, size, missing="error")
        peaks = call_peaks(values, 1, size, cutoff=0.1, max_gap=40, min_length=200)
        expected += [(chrom, start, end) for start, end in peaks.tolist()]
    found = merged_intervals(called, set(track.sizes))
    found = [(chrom, *place) for chrom, places in found.items() for place in places.tolist()]
    assert sorted(found) == sorted(expected)
    assert not os.path.exists(folder / "results/demo/peaks/SimA.bedGraph")
