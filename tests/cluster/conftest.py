"""A test cluster, and a project whose training is all that is left to do."""

import shutil

import pytest
import yaml

from seq2exp.simulate import Settings, simulate
from tests.cluster.project import Project
from tests.cluster.slurm import Slurm, Unavailable, install
from tests.workflow.conftest import ROOT

TINY = {"d_model": 8, "d_state": 4, "predictor_layers": 1}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A Slurm for all tests; skips where there can be none."""
    slurm = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        install()
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
def simulated(tmp_path_factory):
    """A folder with the simulated files and ``my.yaml``."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder / "results" / "demo" / "simulated", 3, Settings(genes=24))
    config = yaml.safe_load((ROOT / "demo" / "config.yaml").read_text())
    del config["cell_lines"]["SimB"]
    config["models"]["seq2exp_soft"] |= TINY
    config["training"] |= {"steps": 150, "warmup_steps": 6, "checkpoint_every": 5}
    config["training"] |= {"workers": 0, "accelerator": "cpu"}
    config["evaluation"]["loci"] = 1
    (folder / "my.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="session")
def undisturbed(simulated, tmp_path_factory):
    """All but training done on this machine; then, in a copy, the training as well."""
    prepared = Project(simulated)
    needed = ("windows/SimA", "check/SimA.tsv", "reference/simulated/folds.tsv")
    prepared.run_here(*(f"results/demo/{path}" for path in needed))
    done = Project(tmp_path_factory.mktemp("undisturbed") / "project")
    shutil.copytree(simulated, done.folder)
    done.run_here(done.checkpoint.relative_to(done.folder))
    return done


@pytest.fixture
def project(simulated, undisturbed, slurm, tmp_path):
    """A project of which only the training is left, on a cluster."""
    shutil.copytree(simulated, tmp_path / "project")
    project = Project(tmp_path / "project", undisturbed)
    yield project
    project.kill()
