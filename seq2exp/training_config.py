"""How models are trained: the paper's recipe, and what of it is only how it is run."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seq2exp.config_types import Fraction, NonNegativeInt, PositiveInt, Strict


class AugmentConfig(Strict):
    """Random views of training windows; the paper uses none. Never in validation or prediction."""

    reverse_complement: bool = False
    """Flip each window with probability 1/2: complemented sequence, reversed signals."""
    jitter: NonNegativeInt = 0
    """Shift each window by a whole number of bp, uniform in [-jitter, jitter]."""


class TrainingConfig(Strict):
    """The recipe (paper, appendix) and how to run it."""

    HOW: ClassVar[frozenset[str]] = frozenset(
        {"workers", "checkpoint_every", "devices", "nodes", "accumulate"}
    )
    """Settings of how it is trained: what comes out is the same, but for rounding."""

    steps: PositiveInt = 50_000
    batch_size: PositiveInt = 8
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    betas: tuple[Fraction, Fraction] = (0.9, 0.95)
    weight_decay: Annotated[float, Field(ge=0)] = 1e-6
    warmup_steps: NonNegativeInt = 5_000
    warmup_from: Annotated[float, Field(ge=0)] = 1e-5
    final_learning_rate: Annotated[float, Field(ge=0)] = 1e-4
    gradient_clip: Annotated[float, Field(gt=0)] = 1.0
    validate_every: Annotated[float, Field(gt=0)] = 0.5
    """Epochs between validations."""
    standardise_label: bool = False
    """Train on (label - mean) / s.d. of the training genes; predictions keep the label's units."""
    augment: AugmentConfig = AugmentConfig()
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """auto: bf16 on a GPU, float32 on a CPU."""
    scan_backend: Literal["auto", "triton", "mamba_ssm", "cpu", "chunked"] = "auto"
    """Kernels of the selective scan: the fastest that runs on the device, or one by name."""
    workers: NonNegativeInt = 2
    """Threads that read windows ahead."""
    checkpoint_every: PositiveInt = 500
    """Steps between resumable checkpoints."""
    devices: PositiveInt = 1
    """Processes per node, one GPU each (on a CPU: a share of the threads each)."""
    nodes: PositiveInt = 1
    """Machines; more than one only as nodes of a Slurm job."""
    accumulate: PositiveInt = 1
    """Passes, one after another, into which each process divides its share of a batch."""

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} must be below steps {self.steps}")
        return self

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        parts = self.processes * self.accumulate
        if self.batch_size % parts:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be divided by devices {self.devices} x nodes "
                f"{self.nodes} x accumulate {self.accumulate} = {parts}; choose numbers whose "
                "product divides batch_size"
            )
        return self

    @property
    def processes(self) -> int:
        """Processes that train together, each on its share of every batch."""
        return self.devices * self.nodes

    @property
    def windows_per_pass(self) -> int:
        """Windows that a process holds in memory at once."""
        return self.batch_size // (self.processes * self.accumulate)
