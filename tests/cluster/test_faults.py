"""What goes wrong on clusters, and that the results are those of an undisturbed run."""

import time

import pytest

from tests.cluster.slurm import run, wait_until
from tests.cluster.snakemake_in_a_hurry import SECONDS

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]


def states(slurm, since=0):
    """States of the training jobs."""
    jobs = [job for job in slurm.jobs() if job["comment"].startswith("rule_train")]
    return [job["state"] for job in jobs][since:]


def newest(slurm):
    return slurm.jobs()[-1]["id"]


def in_state(slurm, state, number):
    return lambda: states(slurm)[number:] == [state]


def test_cancelled_while_pending_out_of_memory_and_cancelled_while_running(slurm, project):
    before = len(slurm.jobs())
    run("scontrol", "update", "PartitionName=cpu", "State=DOWN")
    memory = "train:mem_mb=300 if attempt < 3 else 3000"
    project.start("--retries", "3", "--set-resources", memory)
    project.wait_until(in_state(slurm, "PENDING", len(states(slurm))))
    run("scancel", newest(slurm))
    run("scontrol", "update", "PartitionName=cpu", "State=UP")
    project.pause()  # in the third attempt: torch alone needs more than 300 MB
    run("scancel", newest(slurm))
    assert project.finish() == 0, project.messages()
    jobs = slurm.jobs()[before:]
    assert [job["memory"] for job in jobs] == ["300M", "300M", "3000M", "3000M"]
    assert jobs[1]["state"] in ("OUT_OF_MEMORY", "FAILED", "CANCELLED")
    others = [jobs[i]["state"] for i in (0, 2, 3)]
    assert others == ["CANCELLED", "CANCELLED", "COMPLETED"]
    assert len(project.resumed()) == 1
    assert project.resumed()[0] > 0
    project.same_as_undisturbed()


def test_daemons_and_snakemake_itself_killed_and_started_again(slurm, project):
    before = len(states(slurm))
    project.start()
    project.pause()
    slurm.stop_daemon(f"slurmd.{slurm.host}", how=9)
    slurm.stop_daemon("slurmctld")
    time.sleep(3 * SECONDS)  # Snakemake asks in vain
    slurm.start_daemon(f"slurmd.{slurm.host}")
    slurm.start_daemon("slurmctld")
    project.wait_until(in_state(slurm, "RUNNING", before))
    project.kill()
    project.start()
    assert project.finish() == 1
    assert "Directory cannot be locked" in project.messages()
    project.start("--unlock")
    assert project.finish() == 0
    # the job is still there; another one beside it would write the same files
    project.start()
    assert project.finish() == 1
    assert f"Slurm still has 1 jobs of {project.folder} from before" in project.messages()
    project.go_on()
    wait_until(lambda: states(slurm, before) == ["COMPLETED"], 120, "the job does not end")
    project.start()
    assert project.finish() == 0, project.messages()
    project.same_as_undisturbed()
    assert project.resumed() == []  # nor is what had ended trained again
    assert states(slurm, before) == ["COMPLETED"]
