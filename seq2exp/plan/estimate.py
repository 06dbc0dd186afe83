"""Time, memory and disk of a config's matrix of runs, before any of it is run.

Counted are training, validation, prediction and views; the rest (windows, regions, figures) takes
minutes a run. Times are those of a machine with nothing else to do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from seq2exp import resources
from seq2exp.config import Config, WindowConfig
from seq2exp.model_config import ModelConfig, Seq2ExpRetrainConfig, SignalLinearConfig
from seq2exp.models import InputShape, build_model
from seq2exp.plan.genes import Genes
from seq2exp.plan.step_times import Cost, StepTime, cost_of, size_of
from seq2exp.schemas import MRNA_FEATURES
from seq2exp.training_config import TrainingConfig

GENE_FEATURES = len(MRNA_FEATURES) + 1
CONTACT_BYTES = 4
MASK_TRACKS, MASK_BYTES = 3, 2
BIGWIG_BYTES = 4.5
"""Per base of the masks, measured on the demo's (4.3 to 4.5), whose windows hardly overlap."""
PREDICTION_BYTES = 80
"""Per gene and run of predictions.tsv, measured on the demo's (71) and on chromosome 20's (74)."""
VIEW_BYTES = 50
WEIGHT_BYTES, RESUME_BYTES = 4, 16
"""Float32 weights; while training also two moments, and the best weights beside the last."""


class ModelPlan(NamedTuple):
    """What all runs of one model cost."""

    model: str
    kind: str
    runs: int
    steps: int
    step_seconds: float
    """Of the whole batch on one device."""
    run_hours: float
    """From start to predictions, with ``training.devices`` x ``nodes`` at once."""
    device_hours: float
    """Of all runs together; of GPUs, or of CPU jobs."""
    memory_mb: int
    """That a training job asks for."""
    device_memory_mb: float | None
    """On a GPU, for the windows in it at once; None where it was not measured."""
    parameters: int
    basis: str
    """Where the times come from."""


class DiskPlan(NamedTuple):
    """What one kind of artefact takes."""

    artefact: str
    number: int
    bytes: float
    """All together."""


class Plan(NamedTuple):
    """All of it."""

    device: str
    machines: list[str]
    """On which step times of such a device were measured."""
    genes: Genes
    models: list[ModelPlan]
    disk: list[DiskPlan]

    def to_json(self) -> dict[str, Any]:
        """Write it as plain numbers and words, with totals."""
        return {
            "device": self.device,
            "machines": self.machines,
            "genes": self.genes._asdict(),
            "models": [model._asdict() for model in self.models],
            "disk": [part._asdict() for part in self.disk],
            "total": {
                "runs": sum(model.runs for model in self.models),
                "device_hours": sum(model.device_hours for model in self.models),
                "disk_bytes": sum(part.bytes for part in self.disk),
            },
        }


def make_plan(config: Config, genes: Genes, times: Sequence[StepTime], device: str) -> Plan:
    """Estimate what a config costs.

    Parameters
    ----------
    config
        From :func:`seq2exp.config.parse_config`.
    genes
        From :func:`seq2exp.plan.genes.genes_of`.
    times
        Measured step times.
    device
        ``cpu`` or ``gpu``: where networks are trained.
    """
    training = config.training.model_copy(update={"accelerator": device})
    config = config.model_copy(update={"training": training})
    models = [_model_plan(config, name, genes, times, device) for name in config.models]
    machines = sorted({time.machine for time in times if time.device == device})
    return Plan(device, machines, genes, models, _disk_plan(config, genes, models))


def choose_device(training: TrainingConfig) -> str:
    """Where networks are trained: ``auto`` is a GPU where this machine has one."""
    if training.accelerator == "auto":
        return "gpu" if torch.cuda.is_available() else "cpu"
    return training.accelerator


def runs_of_a_model(config: Config) -> int:
    """Cell lines x assays x folds x seeds."""
    parts = (config.cell_lines, config.assays, config.folds.run, config.seeds)
    return math.prod(map(len, parts))


# --------------------------------------------------------------------------- time and memory


def _model_plan(
    config: Config, name: str, genes: Genes, times: Sequence[StepTime], device: str
) -> ModelPlan:
    model, training, runs = _settings(config, name), config.training, runs_of_a_model(config)
    memory = resources.training_mb(model, config.window, training)
    memory = resources.ask_memory(memory, 1, config.resources)
    parameters = _parameters(model, config.window)
    if isinstance(model, SignalLinearConfig):
        basis = "no steps: minutes"
        return ModelPlan(
            *(name, model.kind, runs, 0, 0.0, 0.0, 0.0, memory, None, parameters, basis)
        )
    cost = cost_of(model.kind, size_of(model, config.window.length), device, times)
    train, rest = run_seconds(config, genes, cost)
    train /= resources.speed_up(model, training)
    layout = resources.training_layout(model, training)
    devices = layout.nodes * (layout.gpus or 1)
    own_memory = None
    if device == "gpu" and cost.step_mb is not None:
        own_memory = cost.step_mb * training.windows_per_pass + parameters * RESUME_BYTES / 1e6
    return ModelPlan(
        model=name,
        kind=model.kind,
        runs=runs,
        steps=training.steps,
        step_seconds=cost.step_seconds * training.batch_size,
        run_hours=(train + rest) / 3600,
        device_hours=runs * (train * devices + rest) / 3600,
        memory_mb=memory,
        device_memory_mb=own_memory,
        parameters=parameters,
        basis=cost.basis,
    )


def run_seconds(config: Config, genes: Genes, cost: Cost) -> tuple[float, float]:
    """Seconds of one run: its steps and validations, which processes share; and what comes after.

    After training the valid and test genes are measured, every gene is predicted, and the test genes
    once more in each view, at most as long as in the whole window.
    """
    training = config.training
    steps_per_epoch = max(1, genes.train // training.batch_size)
    validations = max(1, round(training.steps / (training.validate_every * steps_per_epoch)))
    steps = training.steps * training.batch_size * cost.step_seconds
    validation = validations * genes.valid * cost.predict_seconds
    predicted = genes.valid + genes.test + genes.of(("train", "valid", "test"))
    predicted += len(config.evaluation.views) * genes.test
    return steps + validation, predicted * cost.predict_seconds


def _settings(config: Config, name: str) -> Any:
    """Settings of a model, with those of the trained model that its mask comes from."""
    model = config.models[name]
    if isinstance(model, Seq2ExpRetrainConfig):
        return model.model_copy(update={"source": config.models[model.mask_from]})
    return model


def _parameters(model: ModelConfig, window: WindowConfig) -> int:
    """Parameters of a model, by building it without its numbers."""
    length = model.window_length or window.length
    shape = InputShape(length, min(window.promoter_length, length), GENE_FEATURES)
    with torch.device("meta"):
        network = build_model(model, shape)
    return sum(parameter.numel() for parameter in network.parameters())


# --------------------------------------------------------------------------- disk


def _disk_plan(config: Config, genes: Genes, models: Sequence[ModelPlan]) -> list[DiskPlan]:
    stores = len(config.cell_lines)
    contacts = sum(
        genes.total * (config.window.length // _contact_bin(config, name) + 2) * CONTACT_BYTES
        for name in config.cell_lines
    )
    runs = sum(model.runs for model in models)
    masked = [model for model in models if config.models[model.model].has_mask]
    kept = genes.of(config.prediction.mask_splits)
    mask_bases = sum(
        model.runs * kept * (config.models[model.model].window_length or config.window.length)
        for model in masked
    )
    mask_runs = sum(model.runs for model in masked)
    predicted = runs * genes.of(("train", "valid", "test"))
    views = runs * genes.test * (1 + len(config.evaluation.views)) * VIEW_BYTES
    weights = sum(model.runs * model.parameters for model in models) * WEIGHT_BYTES
    largest = max(model.parameters for model in models) * RESUME_BYTES
    windows = stores * genes.covered * resources.STORED_BYTES_PER_BASE + contacts
    parts = [
        DiskPlan("window stores", stores, windows),
        DiskPlan("checkpoints", runs, weights),
        DiskPlan("predictions", runs, predicted * PREDICTION_BYTES),
        DiskPlan("masks", mask_runs, mask_bases * MASK_TRACKS * MASK_BYTES),
        DiskPlan("masks as bigWig", mask_runs, mask_bases * BIGWIG_BYTES),
        DiskPlan("while training, each", 1, largest),
    ]
    return parts + ([DiskPlan("views", runs, views)] if config.evaluation.views else [])


def _contact_bin(config: Config, cell_line: str) -> int:
    hic = config.cell_lines[cell_line].hic
    return config.power_law.bin if hic is None else hic.resolution
