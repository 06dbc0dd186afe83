"""One training over two nodes: what Slurm grants, and that the outcome is that of one process."""

import subprocess

import pytest

from seq2exp.cluster_config import ClusterConfig, Layout
from seq2exp.launching import srun_command
from seq2exp.training_config import TrainingConfig
from tests.cluster.slurm import run
from tests.cluster.test_faults import newest, states
from tests.workflow.test_slurm_profile import sbatch_command

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]

TRAINING = TrainingConfig(nodes=2, devices=2, accelerator="gpu")
TWO = Layout(nodes=2, processes=2, gpus=2)
TASK = "echo $SLURM_PROCID $SLURM_LOCALID $SLURM_NODEID $CUDA_VISIBLE_DEVICES $SLURM_CPUS_PER_TASK"


def submit(settings, log, command):
    """Have Snakemake's executor write the sbatch command of a 2 x 2 training, and run it."""
    resources = ClusterConfig(**settings).job_resources(TWO, "--signal=TERM@120", threads=4)
    resources |= {"nodes": 2, "mem_mb": 500, "runtime": 5}
    call = sbatch_command(resources, threads=4, partition="-p pair", log=log)
    call += f" --wait --wrap='{command}'"
    done = subprocess.run(call, shell=True, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{call}: {done.stderr} {log.read_text()}"


@pytest.mark.parametrize("settings", [{}, {"gpu_request": "gres"}], ids=["gpus", "gres"])
def test_every_node_gives_its_tasks_and_gpus(slurm, tmp_path, monkeypatch, settings):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    # What Snakemake leaves of Slurm's variables inside of the job.
    clean = "for v in ${!SLURM_*}; do [ $v = SLURM_JOB_ID ] || unset $v; done; "
    script = tmp_path / "script.sh"
    script.write_text(
        "#!/bin/bash\n" + clean + " ".join(srun_command(TRAINING, ["sh", "-c", f"'{TASK}'"]))
    )
    submit(settings, tmp_path / "log", f"bash {script}")
    rows = sorted((tmp_path / "log").read_text().splitlines())
    assert rows == ["0 0 0 0,1 2", "1 1 0 0,1 2", "2 0 1 0,1 2", "3 1 1 0,1 2"]


@pytest.mark.slow
def test_warned_then_cancelled_over_two_nodes_it_goes_on(slurm, project):
    before = len(states(slurm))
    project.configure(training={"nodes": 2}, cluster={"partition": "pair"})
    project.start()
    last = 0.0
    # What --signal=TERM@120 does; then what scancel does at once, and the walltime in the end.
    for number, how in enumerate((["--signal=TERM"], []), start=1):
        project.pause(after=last)
        step = project.checkpoint_step()
        run("scancel", *how, newest(slurm))
        project.go_on()
        project.wait_until(lambda n=number: ended(states(slurm, before)) == n)
        assert project.checkpoint_step() > step  # saved when asked to stop
        last = project.checkpoint_time()
    assert project.finish() == 0, project.messages()
    assert states(slurm, before) == ["FAILED", "CANCELLED", "COMPLETED"]
    assert {job["nodes"] for job in slurm.jobs()[-3:]} == {"2"}
    assert len(project.resumed()) == 1
    project.same_as_undisturbed(within=1e-5)


def ended(found):
    return len([state for state in found if state in ("FAILED", "CANCELLED")])
