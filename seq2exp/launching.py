"""Several processes for one training: start them, pass signals on, end them together.

The workflow runs a training job once, on one node. This process computes nothing while the others
train (:mod:`seq2exp.training_process`). On one machine it starts them itself; over several nodes
`srun` does, inside the Slurm job that this process must then be a part of.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from seq2exp.errors import UserError
from seq2exp.fitting import RESUME, saved_step
from seq2exp.jobs import THREAD_VARIABLES
from seq2exp.runs import TrainingJob, uses_cuda
from seq2exp.schemas import whole_file
from seq2exp.slurm import require_nodes
from seq2exp.stopping import StopSignals
from seq2exp.training_config import TrainingConfig
from seq2exp.training_process import JOB, STOPPED

STOP = signal.SIGUSR1
"""What asks the other processes to stop: on SIGTERM `srun` would kill its tasks at once."""
GRACE = 5.0
"""Seconds that the other processes have to end by themselves once one has failed."""


def fit_in_processes(job: TrainingJob, folder: Path) -> None:
    """Do what :func:`seq2exp.fitting.fit` does, in ``training.processes`` processes.

    Raises
    ------
    Stopped
        A signal asked for it; what was done is saved.
    UserError
        There are fewer GPUs than ``training.devices``, or several nodes outside Slurm.
    RuntimeError
        A process failed; its messages are in the output of this one.
    """
    check_machine(job.training)
    with whole_file(folder / JOB) as temporary:
        temporary.write_text(job.to_json())
    with Group() as group:
        group.start(job.training, [sys.executable, "-m", "seq2exp.training_process", str(folder)])
        codes = group.wait()
    if not any(codes):
        return
    if group.requested or STOPPED in codes:
        raise group.stopped(saved_step(folder / RESUME), job.training.steps)
    # One that was killed is the cause: the others then fail to reach it.
    raise RuntimeError(
        f"a training process ended with {_in_words(min(codes))}; its messages are in the log"
    )


def check_machine(training: TrainingConfig) -> None:
    """Stop where the machine lacks what the config asks for."""
    if uses_cuda(training) and torch.cuda.device_count() < training.devices:
        raise UserError(
            f"training.devices {training.devices}: this machine gives {torch.cuda.device_count()} "
            "GPUs to the job; lower it, or ask the cluster for more"
        )
    require_nodes(training)


def threads_per_process(training: TrainingConfig) -> int:
    """Share of this job's threads that each process on a node has."""
    threads = int(os.environ.get(THREAD_VARIABLES[0], os.cpu_count() or 1))
    return max(1, threads // training.devices)


def srun_command(training: TrainingConfig, command: Sequence[str]) -> list[str]:
    """One task per GPU on all nodes of the Slurm job; every task sees all GPUs of its node."""
    return [
        "srun",
        "--job-name=seq2exp-training",
        "--overlap",  # this process may run in a step that holds all of the job's resources
        f"--nodes={training.nodes}",
        f"--ntasks={training.processes}",
        f"--ntasks-per-node={training.devices}",
        f"--cpus-per-task={threads_per_process(training)}",
        "--distribution=block",
        "--kill-on-bad-exit=1",
        *command,
    ]


class Group(StopSignals):
    """Processes that get this one's signals, and that do not outlive the block."""

    def __init__(self) -> None:
        super().__init__()
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, training: TrainingConfig, command: list[str]) -> None:
        threads = str(threads_per_process(training))
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, threads)}
        if training.nodes > 1:
            self._start(srun_command(training, command), environment)
            return
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
        for rank in range(training.devices):
            self._start(command, {**environment, "NODE_RANK": "0", "LOCAL_RANK": str(rank)})

    def _start(self, command: list[str], environment: dict[str, str]) -> None:
        # The pipe carries nothing: it closes with this process, however that ends.
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)
        self._processes.append(process)
        if self.requested:
            process.send_signal(STOP)

    def wait(self) -> list[int]:
        """Wait for all to end; returns their exit codes (-n: by signal n)."""
        failed_at = None
        while any(process.poll() is None for process in self._processes):
            if failed_at is None and any(process.returncode for process in self._processes):
                failed_at = time.monotonic()
            if failed_at is not None and time.monotonic() - failed_at > GRACE:
                self._kill()
            time.sleep(0.05)
        return [process.returncode for process in self._processes]

    def on_request(self) -> None:
        for process in self._processes:
            process.send_signal(STOP)

    def on_repeat(self) -> None:
        self._kill()

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()

    def __exit__(self, *error: object) -> None:
        self._kill()
        for process in self._processes:
            process.communicate()
        super().__exit__(*error)


def _free_port() -> int:
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return int(candidate.getsockname()[1])


def _in_words(code: int) -> str:
    if code >= 0:
        return f"code {code}"
    return f"signal {-code} (9: killed, often for memory)" if code == -9 else f"signal {-code}"
