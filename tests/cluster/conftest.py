"""A test cluster, and a project whose training is all that is left to do."""

import shutil

import pytest
import yaml

from seq2exp.simulate import Settings, simulate
from tests.cluster.project import Project
from tests.cluster.slurm import Slurm, Unavailable, make_ready
from tests.workflow.conftest import ROOT

TINY = {"d_model": 8, "d_state": 4, "predictor_layers": 1}
SHORT = {"steps": 40, "warmup_steps": 6, "checkpoint_every": 5, "validate_every": 10}
SHORT |= {"workers": 0, "accelerator": "cpu"}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A Slurm for all tests; skips where there can be none."""
    slurm = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        make_ready()
        slurm.start()
    except Unavailable as reason:
        pytest.skip(str(reason))
    try:
        yield slurm
    finally:
        slurm.stop()


@pytest.fixture
def slurm(cluster):
    """The cluster, empty and healthy again after each test."""
    yield cluster
    cluster.recover()


@pytest.fixture(scope="session")
def undisturbed(cluster, tmp_path_factory):
    """A project whose model was trained on this machine: what all others must come to."""
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    simulate(project.folder / "results" / "demo" / "simulated", 3, Settings(genes=24))
    config = yaml.safe_load((ROOT / "demo" / "config.yaml").read_text())
    del config["cell_lines"]["SimB"]
    for section, key in ((config["genome"], "annotation"), (config["cell_lines"]["SimA"], "dnase")):
        section[key] = {"path": section[key]["url"].removeprefix("file://./")}  # no job to fetch it
    config["models"]["seq2exp_soft"] |= TINY
    config["training"] |= SHORT
    config["evaluation"]["loci"] = 1
    (project.folder / "my.yaml").write_text(yaml.safe_dump(config))
    project.run_here(project.checkpoint.relative_to(project.folder))
    return project


@pytest.fixture
def project(undisturbed, slurm, tmp_path):
    """A project of which only the training is left, on a cluster."""
    ignored = shutil.ignore_patterns("models", ".training", "train", ".snakemake")
    shutil.copytree(undisturbed.folder, tmp_path / "project", ignore=ignored)
    project = Project(tmp_path / "project", undisturbed)
    yield project
    project.kill()
