"""The Slurm profile in dry runs, which need no Slurm: groups, and what a site has set."""

import re
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import set_gres_string

from seq2exp.cluster_config import ClusterConfig, Layout
from tests.workflow.conftest import ROOT


def dry_run(folder, config, *arguments):
    """``snakemake --profile slurm`` in the repository, with a config and a folder elsewhere."""
    (folder / "site.yaml").write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--dry-run"]
    command += ["--configfile", str(folder / "site.yaml"), "--directory", str(folder)]
    return subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


def resources_of(done, rule):
    """Resources of the jobs of a rule, each as a dictionary."""
    assert done.returncode == 0, done.stderr
    lines = re.findall(rf"rule {rule}:.*?resources: (.*?)$", done.stdout, re.M | re.S)
    return [dict(item.split("=", 1) for item in line.split(", ")) for line in lines]


def test_small_jobs_are_submitted_together(demo_folder, demo_config):
    done = dry_run(demo_folder, demo_config)
    groups = re.findall(r"[Gg]roup job (\w+) \(jobs", done.stdout)
    # 4 runs: each predicted and evaluated in one job; pieces of regions and figures in one, those for
    # browsers in another
    assert sorted(groups) == ["browser", "figures"] + ["prediction"] * 4
    assert len(resources_of(done, "train")) == 4


def test_what_the_site_has_set_reaches_every_job(demo_folder, demo_config):
    demo_config["cluster"] = {
        "account": "lab",
        "partition": "cpu",
        "gpu_partition": "fast",
        "gpu_type": "a100",
        "extra": "--mail-type=FAIL",
    }
    demo_config["training"]["accelerator"] = "gpu"
    done = dry_run(demo_folder, demo_config)
    for job in resources_of(done, "build_store"):
        assert (job["slurm_account"], job["slurm_partition"]) == ("lab", "cpu")
        assert job["gpu"] == "0"
        assert "gpu_model" not in job
        assert job["slurm_extra"] == "--mail-type=FAIL"
    of_models = {job["gpu"]: job for job in resources_of(done, "train")}
    assert set(of_models) == {"0", "1"}  # the regression needs none
    assert of_models["1"]["slurm_partition"] == "fast"
    assert of_models["1"]["gpu_model"] == "a100"
    assert "gpu_model" not in of_models["0"]
    assert of_models["0"]["slurm_partition"] == "cpu"
    assert of_models["1"]["slurm_extra"] == "--signal=TERM@120 --mail-type=FAIL"
    groups = re.findall(r"[Gg]roup job (\w+) \(jobs", done.stdout)
    assert sorted(groups) == ["browser", "figures"] + ["prediction"] * 2 + ["prediction_gpu"] * 2


def test_a_training_over_two_nodes_asks_for_both(demo_folder, demo_config):
    demo_config["training"] |= {"nodes": 2, "devices": 4, "accelerator": "gpu"}
    demo_config["resources"]["training_threads"] = 8
    done = dry_run(demo_folder, demo_config)
    of_models = {job["nodes"]: job for job in resources_of(done, "train")}
    assert set(of_models) == {"1", "2"}
    network, regression = of_models["2"], of_models["1"]  # which needs no help
    asked = {"nodes": "2", "tasks": "8", "tasks_per_gpu": "0", "cpus_per_task": "2", "gpu": "0"}
    assert asked.items() <= network.items()
    assert network["mpi"] == "srun"
    assert network["slurm_extra"] == "--signal=TERM@120 --ntasks-per-node=4 --gpus-per-node=4"
    assert network["mem_mb"] == "16001"  # 4 processes with CUDA, each with a window of 2,000 bp
    assert not {"mpi", "tasks"} & set(regression)
    for job in resources_of(done, "predict"):
        assert job["gpu"] == "1"
        assert not {"nodes", "mpi"} & set(job)


class Resources(dict):
    """As Snakemake gives them to executors: by key and as attributes, without those left out."""

    def __getattr__(self, name):
        return self[name]


def sbatch_command(resources, *, threads, partition="", log="log"):
    """What Snakemake's executor for Slurm calls, but for the script."""
    given = Resources({name: value for name, value in resources.items() if value is not None})
    job = SimpleNamespace(resources=given, threads=threads)
    about = {"run_uuid": "id", "slurm_logfile": log, "comment_str": "comment", "account": ""}
    about |= {"partition": partition, "workdir": None}
    return get_submit_command(job, about) + set_gres_string(job)


@pytest.mark.parametrize(
    ("settings", "layout", "options"),
    [
        ({}, Layout(), "--nodes=1 --ntasks=1 --cpus-per-task=8"),
        ({}, Layout(gpus=1), "--nodes=1 --cpus-per-task=8 --gpus=1"),
        ({}, Layout(1, 4, 4), "--nodes=1 --cpus-per-task=8 --gpus=4"),
        (
            {"gpu_type": "a100"},
            Layout(2, 4, 4),
            "--nodes=2 --ntasks=8 --cpus-per-task=2 --ntasks-per-node=4 --gpus-per-node=a100:4",
        ),
        (
            {"gpu_type": "a100", "gpu_request": "gres"},
            Layout(2, 1, 1),
            "--nodes=2 --ntasks=2 --cpus-per-task=8 --ntasks-per-node=1 --gres=gpu:a100:1",
        ),
    ],
)
def test_what_the_executor_makes_of_it(settings, layout, options):
    resources = ClusterConfig(**settings).job_resources(layout, threads=8)
    command = sbatch_command(resources | {"nodes": layout.nodes}, threads=8)
    found = command.split(" --comment comment")[1].split()
    assert sorted(found) == sorted(options.split())


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"partitoin": "cpu"}, "cluster.partitoin: unknown key (did you mean 'partition'?)"),
        ({"extra": "--time=5"}, "cluster.extra: '--time=5' --time does not go here; use resources"),
    ],
)
def test_a_wrong_setting_stops_before_any_job(demo_folder, demo_config, section, message):
    done = dry_run(demo_folder, demo_config | {"cluster": section})
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert message in lines[0]


def test_nothing_of_a_site_is_in_the_profile():
    profile = yaml.safe_load((ROOT / "slurm" / "config.yaml").read_text())
    assert not [word for word in ("partition", "account", "qos") if word in str(profile)]
