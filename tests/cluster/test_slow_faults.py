"""Faults that take minutes: walltimes, preemption, a full scratch disk."""

import pytest

from tests.cluster.slurm import run
from tests.cluster.test_faults import in_state, newest, states

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.xdist_group("cluster"),
]


def test_killed_by_walltime_twice(slurm, project):
    before = len(states(slurm))
    project.configure(resources={"max_runtime_min": 2})
    project.start()
    last, steps = 0.0, []
    for attempt in (1, 2):
        project.pause(after=last)  # too slow for its walltime
        steps.append(project.checkpoint_step())
        project.wait_until(
            lambda n=attempt: states(slurm, before)[:n] == ["TIMEOUT"] * n, seconds=300
        )
        last = project.checkpoint_time()
    assert project.finish() == 0, project.messages()
    assert states(slurm, before) == ["TIMEOUT", "TIMEOUT", "COMPLETED"]
    assert {job["limit"] for job in slurm.jobs()[-3:]} == {"2:00"}
    assert 0 < steps[0] < steps[1]
    (step,) = project.resumed()
    assert step >= steps[1]  # at the limit Slurm lets a stopped process go on, then ends it
    project.same_as_undisturbed()


def test_warned_before_the_walltime_ends(slurm, project):
    before = len(states(slurm))
    project.start()
    project.pause()
    # What --signal=TERM@120 does: all steps get the signal, the batch shell does not.
    run("scancel", "--signal=TERM", newest(slurm))
    project.go_on()
    assert project.finish() == 0, project.messages()
    assert states(slurm, before) == ["FAILED", "COMPLETED"]
    assert len(project.resumed()) == 1
    project.same_as_undisturbed()


def test_preempted_by_the_owners_of_the_node(slurm, project):
    before = len(states(slurm))
    project.start()
    project.pause()
    run("sbatch", "--partition=owners", "--ntasks=8", "--output=/dev/null", "--wrap=sleep 10")
    project.wait_until(in_state(slurm, "PENDING", before))
    assert project.finish(400) == 0, project.messages()
    assert states(slurm, before) == ["COMPLETED"]  # requeued by Slurm, under the same number
    assert len(project.resumed()) == 1
    project.same_as_undisturbed()


@pytest.fixture
def full_disk(tmp_path):
    """A file system without a free byte."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder))
    with pytest.raises(OSError, match="No space left"):
        (folder / "filling").write_bytes(bytes(64_000))
    yield folder
    run("umount", "--lazy", str(folder))


def test_scratch_that_is_full(slurm, project, full_disk):
    before = len(states(slurm))
    project.start(TMPDIR=str(full_disk))
    assert project.finish() == 0, project.messages()
    assert states(slurm, before) == ["COMPLETED"]
    project.same_as_undisturbed()
