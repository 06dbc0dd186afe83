"""What a job is likely to need: memory, minutes, nodes, GPUs. Pure functions of sizes and settings.

What is likely is one thing (``..._mb``, ``..._minutes``), what a job asks for another
(:func:`ask_memory`, :func:`ask_runtime`): that grows with the attempt, so that a job that was killed
for memory or time can succeed when it is tried again, and never passes the caps of the config.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

from seq2exp.batching import READ_AHEAD
from seq2exp.cluster_config import Layout
from seq2exp.config import ResourcesConfig, WindowConfig
from seq2exp.evaluation_config import EffectsConfig
from seq2exp.model_config import ModelConfig, NetworkConfig, SignalLinearConfig
from seq2exp.training_config import TrainingConfig

PYTHON_MB = 2_000
"""An interpreter with torch, numba and pandas loaded (540 to 710 MB on a CPU), and some air."""
CUDA_MB = 2_000
"""What a CUDA context and its libraries add to that."""
MB_PER_INPUT_MB = 2.0
"""Tables and one chromosome of a track in memory, against their size on disk."""
STORED_BYTES_PER_BASE = 5

# Float32 numbers a base on a CPU: 1.3 to 2.8 times what `python -m benchmarks.jobs` measured (see
# docs/performance.md) with 1 to 8 layers, d 16 to 128, windows of 2 to 200 kb. Not less: one of three
# trainings of 4 layers, d 64, on 8 windows of 10 kb took all but 4% of it, its memory scattered.
KEPT_PER_LAYER = 10
"""Times d_model: what a layer keeps for its backward pass, the scans' states included."""
AT_WORK = 32
"""Times d_model: what the layer at work, and what lies before and after the layers, need."""
INPUTS_AND_MASK = 50
"""Whatever the width: one-hot bases, signals, the mask's parameters and their gradients."""

STEPS_AT_FULL_SIZE_PER_MINUTE = {"gpu": 50.0, "cpu": 0.2}
"""One step at full size is a batch of 8 windows of 200 kb, eight layers, width 128. CPU: two threads,
9.3 s to predict a window and 3.75 times that with backward pass (docs/performance.md). GPU: not
measured; five to ten times what is counted."""
FULL_SIZE = 8 * 200_000 * 8 * 128
PREDICTIONS_PER_STEP = 3.0
"""Batches that are predicted in the time of a training step."""
TEST_SHARE = 0.15
"""Of all genes, those whose elements have effects; a twelfth on average in the paper's folds."""
PARALLEL_EFFICIENCY = 0.8
"""What each further GPU or node adds to the speed of the first."""
WINDOWS_PER_BASE = 2.5
"""Windows of 200 kb that a base of the store lies in, on average: the paper's 18,377 genes have 3.7 Gb
of windows on 1.6 Gb of sequence."""

WARNING_SECONDS = 120
"""Time that training has for its last checkpoint before the walltime ends."""
SHORT_WALLTIME_MIN = 20
"""Below this a warning, which Slurm may give a minute early, would cost too much of the job."""
MOST_PIECES = 20
MOST_GROWTH = 3
"""Memory grows with the attempt up to this: later attempts are further pieces of a long training."""


# --------------------------------------------------------------------------- what a job asks for


def ask_memory(mb: float, attempt: int, caps: ResourcesConfig) -> int:
    """MB to ask for, per node, of a job that is likely to need ``mb``."""
    return min(math.ceil(mb * min(attempt, MOST_GROWTH)), caps.max_mem_mb)


def ask_runtime(minutes: float, attempt: int, caps: ResourcesConfig) -> int:
    """Minutes to ask for, of a job that is likely to take ``minutes``."""
    return min(math.ceil(minutes * attempt), caps.max_runtime_min)


def training_layout(model: ModelConfig, training: TrainingConfig) -> Layout:
    """``training.nodes`` with ``training.devices`` processes each; the regression needs no help."""
    if isinstance(model, SignalLinearConfig):
        return Layout()
    return Layout(training.nodes, training.devices, training.devices * needs_gpu(model, training))


def needs_gpu(model: ModelConfig, training: TrainingConfig) -> int:
    """1 where the config asks for a GPU (``training.accelerator: gpu``) and the model uses one."""
    return int(training.accelerator == "gpu" and not isinstance(model, SignalLinearConfig))


def warning_option(caps: ResourcesConfig) -> str:
    """Option of sbatch that has SIGTERM sent to a training some time before its walltime ends.

    Without it, and at the end of every walltime, Slurm sends SIGTERM and after KillWait (30
    seconds by default) SIGKILL. SIGTERM, not SIGUSR1: Snakemake inside the job outlives it.
    """
    if caps.max_runtime_min < SHORT_WALLTIME_MIN:
        return ""
    return f"--signal=TERM@{WARNING_SECONDS}"


# --------------------------------------------------------------------------- jobs that read files


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


def reading_mb(input_mb: float) -> float:
    """MB of memory of a job that has ``input_mb`` of files in memory."""
    return PYTHON_MB + MB_PER_INPUT_MB * input_mb


def reading_minutes(input_mb: float, *, mb_per_minute: float = 50.0) -> float:
    """Minutes of a job that reads ``input_mb`` of files at ``mb_per_minute``; 10 at least."""
    return 10 + input_mb / mb_per_minute


# --------------------------------------------------------------------------- jobs that run a model


def training_mb(model: ModelConfig, window: WindowConfig, training: TrainingConfig) -> float:
    """MB of memory of a training on each of its nodes.

    On a CPU what the layers keep of a pass is most of it; on a GPU that lies in the GPU's own
    memory.
    """
    windows = training.windows_per_pass
    process = _process_mb(model, training, windows * _length(model, window))
    if not needs_gpu(model, training):
        process += network_mb(model, windows * _bases_read(model, window), training=True)
    return training_layout(model, training).processes * process


def prediction_mb(
    model: ModelConfig, window: WindowConfig, training: TrainingConfig, batch_size: int
) -> float:
    """MB of memory of a job that runs a trained model on ``batch_size`` windows at a time."""
    process = _process_mb(model, training, batch_size * _length(model, window))
    if not needs_gpu(model, training):
        process += network_mb(model, batch_size * _bases_read(model, window), training=False)
    return process


def network_mb(model: ModelConfig, bases: int, *, training: bool) -> float:
    """MB that a pass over ``bases`` takes on a CPU, with or without a backward pass."""
    numbers: float = INPUTS_AND_MASK
    if isinstance(model, NetworkConfig):
        numbers += AT_WORK * model.d_model
        numbers += KEPT_PER_LAYER * model.width_times_layers * training
    return 4 * bases * numbers / 1e6


def _process_mb(model: ModelConfig, training: TrainingConfig, bases: int) -> float:
    """MB of a process and of the batches that are read ahead: of a store only these count."""
    ahead = READ_AHEAD * training.workers + 1
    mb = PYTHON_MB + ahead * bases * STORED_BYTES_PER_BASE / 1e6
    return mb + CUDA_MB * needs_gpu(model, training)


def training_minutes(model: ModelConfig, window: WindowConfig, training: TrainingConfig) -> float:
    """Minutes of a training: 20 for reading and validating, plus its steps.

    It goes on where it stopped, so a later attempt need not repeat the earlier ones.
    """
    bases = training.steps * training.batch_size * _bases_read(model, window)
    return 20 + _steps_minutes(model, training, bases) / speed_up(model, training)


def training_pieces(
    model: ModelConfig, window: WindowConfig, training: TrainingConfig, caps: ResourcesConfig
) -> int:
    """Jobs, one after another, that a training is likely to need under the walltime's cap.

    `MOST_PIECES` at most, so that a training that fails for another reason is given up at last.
    """
    pieces = training_minutes(model, window, training) / caps.max_runtime_min
    return min(math.ceil(pieces), MOST_PIECES)


def prediction_minutes(
    model: ModelConfig, window: WindowConfig, training: TrainingConfig, store_mb: float
) -> float:
    """Minutes of a job that runs a trained model on every gene of a store of ``store_mb``."""
    stored = 1e6 * store_mb / STORED_BYTES_PER_BASE
    bases = WINDOWS_PER_BASE * stored * _bases_read(model, window) / window.length
    steps = _steps_minutes(model, training, bases)
    return reading_minutes(store_mb) + steps / PREDICTIONS_PER_STEP


def effects_mb(
    model: ModelConfig, window: WindowConfig, training: TrainingConfig, batch_size: int
) -> float:
    """MB of memory of a job that predicts as :func:`prediction_mb`, and differentiates one window."""
    predicting = prediction_mb(model, window, training, batch_size)
    if needs_gpu(model, training):
        return predicting
    backward = network_mb(model, _bases_read(model, window), training=True)
    return max(predicting, _process_mb(model, training, _length(model, window)) + backward)


def effects_minutes(
    model: ModelConfig,
    window: WindowConfig,
    training: TrainingConfig,
    effects: EffectsConfig,
    store_mb: float,
) -> float:
    """Minutes of a job that computes effects of elements.

    Each test gene is predicted as it is (twice), with each element taken away and shuffled, and
    once with a backward pass.
    """
    reading = reading_minutes(store_mb)
    all_genes = prediction_minutes(model, window, training, store_mb) - reading
    passes = 2 + effects.per_gene * (1 + effects.shuffles) + PREDICTIONS_PER_STEP
    return reading + TEST_SHARE * passes * all_genes


def _steps_minutes(model: ModelConfig, training: TrainingConfig, bases: float) -> float:
    """Minutes of training steps over windows of so many ``bases`` in all, on one GPU or node."""
    size = bases * _width_times_layers(model) / FULL_SIZE
    return size / STEPS_AT_FULL_SIZE_PER_MINUTE["gpu" if needs_gpu(model, training) else "cpu"]


def speed_up(model: ModelConfig, training: TrainingConfig) -> float:
    """Speed of all GPUs against one; on CPUs, of all nodes, whose processes share the cores."""
    layout = training_layout(model, training)
    parts = layout.nodes * (layout.gpus or 1)
    return 1 + PARALLEL_EFFICIENCY * (parts - 1)


def _length(model: ModelConfig, window: WindowConfig) -> int:
    return model.window_length or window.length


def _bases_read(model: ModelConfig, window: WindowConfig) -> int:
    """Bases of a window that the layers of a model go through."""
    length = _length(model, window)
    return model.bases_read(length) if isinstance(model, NetworkConfig) else length


def _width_times_layers(model: ModelConfig) -> int:
    """Width times layers of a neural model; 0 for the regression, which keeps no activations."""
    return model.width_times_layers if isinstance(model, NetworkConfig) else 0
