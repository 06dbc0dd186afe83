"""What a job is likely to need: memory, time, a GPU. Pure functions of sizes and settings.

The estimates are generous, grow with the attempt and never pass the caps of the config, so that a
job that was killed for memory or time can succeed when it is tried again.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

from seq2exp.batching import READ_AHEAD
from seq2exp.config import ResourcesConfig, WindowConfig
from seq2exp.model_config import ModelConfig, SignalLinearConfig
from seq2exp.training_config import TrainingConfig

PYTHON_MB = 2_000
"""An interpreter with torch, numba and pandas loaded, and some air."""
CUDA_MB = 2_000
"""What a CUDA context and its libraries add to that."""
MB_PER_INPUT_MB = 2.0
"""Tables and one chromosome of a track in memory, against their size on disk."""

STORED_BYTES_PER_BASE = 5
ACTIVATION_TENSORS = 24
"""Float32 tensors of (batch, inner width, window) that a layer keeps for its backward pass,
the scan's checkpointed states included."""
STEPS_AT_FULL_SIZE_PER_MINUTE = {"gpu": 50.0, "cpu": 0.2}
"""One step at full size is a batch of 8 windows of 200 kb, eight layers, width 128."""
FULL_SIZE = 8 * 200_000 * 8 * 128
WARNING_SECONDS = 120
"""Time that training has for its last checkpoint before the walltime ends."""
SHORT_WALLTIME_MIN = 20
"""Below this a warning, which Slurm may give a minute early, would cost too much of the job."""
MOST_PIECES = 20
MOST_GROWTH = 3
"""Memory grows with the attempt up to this: later attempts are further pieces of a long training."""


def size_mb(paths: Iterable[str | Path]) -> float:
    """Size on disk in MB of files and whole directories.

    Raises
    ------
    FileNotFoundError
        A file does not exist yet. Snakemake then asks again when it does, so this must not be 0.
    """
    return sum(_bytes(str(path)) for path in paths) / 1e6


def _bytes(path: str) -> int:
    if os.path.isdir(path):
        return sum(_bytes(entry.path) for entry in os.scandir(path))
    return os.stat(path).st_size


def memory_mb(paths: Iterable[str | Path], attempt: int, caps: ResourcesConfig) -> int:
    """Memory in MB of a job that reads ``paths``."""
    mb = PYTHON_MB + MB_PER_INPUT_MB * size_mb(paths)
    return _capped(mb * min(attempt, MOST_GROWTH), caps.max_mem_mb)


def runtime_min(
    paths: Iterable[str | Path], attempt: int, caps: ResourcesConfig, *, mb_per_minute: float = 50.0
) -> int:
    """Wall time in minutes of a job that reads ``paths`` at ``mb_per_minute``, 10 at least."""
    return _capped((10 + size_mb(paths) / mb_per_minute) * attempt, caps.max_runtime_min)


def needs_gpu(model: ModelConfig, training: TrainingConfig) -> int:
    """1 where the config asks for a GPU (``training.accelerator: gpu``) and the model uses one."""
    return int(training.accelerator == "gpu" and not isinstance(model, SignalLinearConfig))


def training_memory_mb(
    model: ModelConfig,
    window: WindowConfig,
    training: TrainingConfig,
    attempt: int,
    caps: ResourcesConfig,
) -> int:
    """Memory in MB of a training or prediction job.

    On a CPU the activations of a batch are most of it; on a GPU they lie in the GPU's own memory.
    Of the window store only the batches that are read ahead count.
    """
    ahead = READ_AHEAD * training.workers + 1
    bases = training.batch_size * _length(model, window)
    mb = PYTHON_MB + ahead * bases * STORED_BYTES_PER_BASE / 1e6
    if needs_gpu(model, training):
        mb += CUDA_MB
    else:
        mb += 4 * ACTIVATION_TENSORS * _work(model, window, training) / 1e6
    return _capped(mb * min(attempt, MOST_GROWTH), caps.max_mem_mb)


def training_runtime_min(
    model: ModelConfig,
    window: WindowConfig,
    training: TrainingConfig,
    attempt: int,
    caps: ResourcesConfig,
) -> int:
    """Wall time in minutes of a training job: 20 for reading and validating, plus its steps.

    Training resumes where it stopped, so a later attempt need not repeat the earlier ones.
    """
    return _capped(_training_minutes(model, window, training) * attempt, caps.max_runtime_min)


def training_pieces(
    model: ModelConfig, window: WindowConfig, training: TrainingConfig, caps: ResourcesConfig
) -> int:
    """Jobs, one after another, that a training is likely to need under the walltime's cap.

    `MOST_PIECES` at most, so that a training that fails for another reason is given up at last.
    """
    pieces = _training_minutes(model, window, training) / caps.max_runtime_min
    return min(math.ceil(pieces), MOST_PIECES)


def warning_option(caps: ResourcesConfig) -> str:
    """Option of sbatch that has SIGTERM sent to a training some time before its walltime ends.

    Without it, and at the end of every walltime, Slurm sends SIGTERM and after KillWait (30
    seconds by default) SIGKILL. SIGTERM, not SIGUSR1: Snakemake inside the job outlives it.
    """
    if caps.max_runtime_min < SHORT_WALLTIME_MIN:
        return ""
    return f"--signal=TERM@{WARNING_SECONDS}"


def _training_minutes(model: ModelConfig, window: WindowConfig, training: TrainingConfig) -> float:
    step = _work(model, window, training) / FULL_SIZE
    speed = STEPS_AT_FULL_SIZE_PER_MINUTE["gpu" if needs_gpu(model, training) else "cpu"]
    return 20 + training.steps * step / speed


def _length(model: ModelConfig, window: WindowConfig) -> int:
    return model.window_length or window.length


def _work(model: ModelConfig, window: WindowConfig, training: TrainingConfig) -> int:
    """Bases of a batch times width times layers; 0 for the regression, which keeps no activations."""
    if isinstance(model, SignalLinearConfig):
        return 0
    bases = model.bases_read(_length(model, window))
    return training.batch_size * bases * model.width_times_layers


def _capped(estimate: float, cap: int) -> int:
    return min(math.ceil(estimate), cap)
