"""Snakemake on this repository's Snakefile, started elsewhere, as a user would."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from seq2exp.simulate import Settings, simulate

ROOT = Path(__file__).parents[2]


def run_snakemake(*arguments, cwd, config=None, timeout=300):
    """Run Snakemake in ``cwd`` without a network, with ``my.yaml`` there if there is one.

    ``config`` (a dictionary) is written to it first.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    if config is not None:
        (cwd / "my.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    if (cwd / "my.yaml").exists():
        command += ["--configfile", "my.yaml"]
    nowhere = "http://127.0.0.1:9"
    return subprocess.run(
        [*command, "--cores", "2", *arguments],
        cwd=cwd,
        env=os.environ | {"http_proxy": nowhere, "https_proxy": nowhere},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.fixture
def demo_config():
    return yaml.safe_load((ROOT / "demo" / "config.yaml").read_text())


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory):
    """A working directory with a small simulated genome where demo/config.yaml expects one."""
    folder = tmp_path_factory.mktemp("demo")
    simulate(folder / "results" / "demo" / "simulated", 1, Settings(genes=40))
    return folder
