"""From the section `cluster` to what Snakemake's executor is told."""

import pytest
from pydantic import ValidationError

from seq2exp.cluster_config import ClusterConfig


def given(config, gpus, options=""):
    return {
        name: value
        for name, value in config.job_resources(gpus, options).items()
        if value is not None
    }


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
        ("extra", "--time=10", "use resources.max_runtime_min"),
        ("extra", "--output=log", "--output is set by the workflow"),
        ("gpu_request", "both", "'gpus' or 'gres'"),
        ("gpu_partitoin", "gpu", "Extra inputs"),
    ],
)
def test_what_a_shell_or_the_workflow_would_read_otherwise_is_refused(key, value, message):
    with pytest.raises(ValidationError, match=message.replace("$", r"\$")):
        ClusterConfig(**{key: value})
