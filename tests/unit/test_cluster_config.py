"""From the section `cluster` to what Snakemake's executor is told."""

import pytest
from pydantic import ValidationError

from seq2exp.cluster_config import ClusterConfig, Layout


def given(config, gpus, options=""):
    return without_none(config.job_resources(Layout(gpus=gpus), options))


def without_none(resources):
    return {name: value for name, value in resources.items() if value is not None}


def test_nothing_is_asked_for_by_default():
    assert given(ClusterConfig(), 0) == {"gpu": 0}
    assert given(ClusterConfig(), 1) == {"gpu": 1}


def test_account_and_partitions():
    config = ClusterConfig(account="lab", partition="cpu", gpu_partition="gpu")
    assert given(config, 0) == {"gpu": 0, "slurm_account": "lab", "slurm_partition": "cpu"}
    assert given(config, 2) == {"gpu": 2, "slurm_account": "lab", "slurm_partition": "gpu"}
    assert given(ClusterConfig(partition="all"), 1)["slurm_partition"] == "all"


@pytest.mark.parametrize(
    ("settings", "gpus", "expected"),
    [
        ({"gpu_type": "a100"}, 2, {"gpu": 2, "gpu_model": "a100"}),
        ({"gpu_type": "a100"}, 0, {"gpu": 0}),
        ({"gpu_request": "gres"}, 2, {"gpu": 0, "gres": "gpu:2"}),
        ({"gpu_request": "gres", "gpu_type": "a100"}, 1, {"gpu": 0, "gres": "gpu:a100:1"}),
        ({"gpu_request": "gres", "gpu_type": "a100"}, 0, {"gpu": 0}),
    ],
)
def test_one_style_of_asking_for_a_gpu_and_never_both(settings, gpus, expected):
    assert given(ClusterConfig(**settings), gpus) == expected


def test_options_add_up():
    config = ClusterConfig(extra="--mail-type=FAIL --exclude=n1,n2", gpu_extra="--gpu-bind=closest")
    assert given(config, 0)["slurm_extra"] == "--mail-type=FAIL --exclude=n1,n2"
    assert given(config, 1, "--signal=TERM@120")["slurm_extra"] == (
        "--signal=TERM@120 --mail-type=FAIL --exclude=n1,n2 --gpu-bind=closest"
    )


@pytest.mark.parametrize(
    ("settings", "layout", "expected"),
    [
        (
            {"gpu_type": "a100"},
            Layout(nodes=2, processes=4, gpus=4),
            {
                "gpu": 0,
                "tasks": 8,
                "cpus_per_task": 2,
                "slurm_extra": "--signal=TERM@120 --ntasks-per-node=4 --gpus-per-node=a100:4",
            },
        ),
        (
            {"gpu_request": "gres", "gpu_partition": "gpu"},
            Layout(nodes=3, processes=1, gpus=1),
            {
                "gpu": 0,
                "gres": "gpu:1",
                "tasks": 3,
                "cpus_per_task": 9,
                "slurm_partition": "gpu",
                "slurm_extra": "--signal=TERM@120 --ntasks-per-node=1",
            },
        ),
        (
            {},
            Layout(nodes=2, processes=16, gpus=0),
            {
                "gpu": 0,
                "tasks": 32,
                "cpus_per_task": 1,
                "slurm_extra": "--signal=TERM@120 --ntasks-per-node=16",
            },
        ),
    ],
)
def test_several_nodes_are_asked_for_node_by_node(settings, layout, expected):
    found = ClusterConfig(**settings).job_resources(layout, "--signal=TERM@120", threads=9)
    assert without_none(found) == expected | {"mpi": "srun", "tasks_per_gpu": 0}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("account", "lab; rm -rf /", "should match pattern"),
        ("partition", "$(id)", "should match pattern"),
        ("constraint", "a100'", "should match pattern"),
        ("extra", "--mail-user=`id`", "should match pattern"),
        ("extra", "--comment='a b'", "should match pattern"),
        ("extra", "-p gpu", "'-p' is no long option"),
        ("extra", "--mail-type FAIL", "'FAIL' is no long option"),
        ("extra", "--partition=gpu", "--partition does not go here; use cluster.partition"),
        ("gpu_extra", "--gres=gpu:2", "use cluster.gpu_request and cluster.gpu_type"),
        ("extra", "--nodes=2", "use training.nodes"),
        ("extra", "--time=10", "use resources.max_runtime_min"),
        ("extra", "--output=log", "--output is set by the workflow"),
        ("gpu_request", "both", "'gpus' or 'gres'"),
        ("gpu_partitoin", "gpu", "Extra inputs"),
    ],
)
def test_what_a_shell_or_the_workflow_would_read_otherwise_is_refused(key, value, message):
    with pytest.raises(ValidationError, match=message.replace("$", r"\$")):
        ClusterConfig(**{key: value})
