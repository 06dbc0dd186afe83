"""What the workflow wants to know of Slurm: leftover jobs, and whether it runs inside of one."""

from __future__ import annotations

import os
import shutil
import subprocess

from seq2exp.errors import UserError
from seq2exp.training_config import TrainingConfig

SECONDS_TO_ANSWER = 30
SHOWN = 5


def refuse_leftover_jobs(folder: str) -> None:
    """Stop where jobs that write into ``folder`` are still in Slurm's queue.

    A Snakemake that is killed leaves its jobs behind. One started again would submit the same
    jobs, and both would write the same files.

    Raises
    ------
    UserError
        Naming the jobs, and what to do.
    """
    jobs = jobs_in(folder)
    if jobs:
        ids = " ".join(jobs[:SHOWN]) + (" ..." if len(jobs) > SHOWN else "")
        raise UserError(
            f"Slurm still has {len(jobs)} jobs of {folder} from before ({ids}); wait until they "
            f"end, or cancel them (scancel {' '.join(jobs)}), then start again"
        )


def jobs_in(folder: str) -> list[str]:
    """Ids of the user's jobs, pending or running, that were submitted from ``folder``.

    None where Slurm does not answer: whether it works at all shows at the first job.
    """
    if shutil.which("squeue") is None:
        return []
    command = ["squeue", "--noheader", f"--user={os.getuid()}", "--format=%A|%k|%Z"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=False
        )
    except subprocess.TimeoutExpired:
        return []
    rows = [line.split("|", 2) for line in done.stdout.splitlines() if line.count("|") >= 2]
    # The executor comments its jobs with rule_... or group_...
    return sorted(
        {job for job, comment, where in rows if where == folder and _is_ours(comment)}, key=int
    )


def _is_ours(comment: str) -> bool:
    return comment.startswith(("rule_", "group_"))


def require_nodes(training: TrainingConfig) -> None:
    """Stop where several nodes are wanted outside of a Slurm job, in which `srun` finds them.

    Raises
    ------
    UserError
        With the remedy.
    """
    inside = "SLURM_JOB_ID" in os.environ and shutil.which("srun")
    if training.nodes > 1 and not inside:
        raise UserError(
            f"training.nodes {training.nodes}: several nodes need a Slurm job; start with "
            "--profile slurm, or set training.nodes to 1"
        )
