"""What goes wrong on clusters, and that the results are those of an undisturbed run."""

import pytest

from tests.cluster.slurm import run, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]


def states(slurm, since=0):
    """States of the training jobs."""
    jobs = [job for job in slurm.jobs() if job["comment"].startswith("rule_train")]
    return [job["state"] for job in jobs][since:]


def newest(slurm):
    return slurm.jobs()[-1]["id"]


def in_state(slurm, state, number):
    return lambda: states(slurm)[number:] == [state]


def test_cancelled_while_pending_then_the_daemons_restarted(slurm, project):
    before = len(states(slurm))
    run("scontrol", "update", "PartitionName=cpu", "State=DOWN")
    project.start()
    project.wait_until(in_state(slurm, "PENDING", before))
    run("scancel", newest(slurm))
    run("scontrol", "update", "PartitionName=cpu", "State=UP")
    project.pause()
    slurm.stop_daemon(f"slurmd.{slurm.host}", how=9)
    slurm.stop_daemon("slurmctld")
    project.go_on()
    slurm.start_daemon(f"slurmd.{slurm.host}")
    slurm.start_daemon("slurmctld")
    assert project.finish() == 0, project.messages()
    assert states(slurm, before) == ["CANCELLED", "COMPLETED"]
    assert project.resumed() == []
    project.same_as_undisturbed()


def test_out_of_memory_then_cancelled_while_running(slurm, project):
    before = len(slurm.jobs())
    project.start("--set-resources", "train:mem_mb=300*attempt**3")
    project.pause()
    run("scancel", newest(slurm))
    assert project.finish() == 0, project.messages()
    jobs = slurm.jobs()[before:]
    assert [job["memory"] for job in jobs] == ["300M", "2400M", "8100M"]
    assert jobs[0]["state"] in ("OUT_OF_MEMORY", "FAILED", "CANCELLED")
    assert [job["state"] for job in jobs[1:]] == ["CANCELLED", "COMPLETED"]
    assert len(project.resumed()) == 1
    assert project.resumed()[0] > 0
    project.same_as_undisturbed()


def test_snakemake_killed_and_started_again(slurm, project):
    before = len(states(slurm))
    project.start()
    project.pause()
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
    assert states(slurm, before) == ["COMPLETED"]  # what had ended is not trained again
