"""Fit a network to one run's training split: resumable, on one or more processes."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
)
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from seq2exp.batching import Share, ShuffledBatches, share_batches
from seq2exp.errors import UserError
from seq2exp.models import ExpressionModel
from seq2exp.models.interface import ExpressionHead
from seq2exp.packing import Batch, unpack
from seq2exp.runs import Splits, TrainingJob, loader, uses_cuda
from seq2exp.schemas import whole_file
from seq2exp.stopping import StopSignals
from seq2exp.training_config import TrainingConfig
from seq2exp.training_task import CHOICE, ExpressionTask, History, ProgressLines, ResumeCheckpoint
from seq2exp.windows import WindowDataset

log = logging.getLogger(__name__)

RESUME = "resume.ckpt"
"""All of the training state, to go on from."""
FITTED = "fitted.ckpt"
"""The outcome, from when training is done until its artefacts are written."""
CALIBRATION_WINDOWS = 200


class Fitted(NamedTuple):
    """Outcome of a training."""

    weights: dict[str, torch.Tensor]
    """Of the step with the lowest validation MSE, among those where the model has settled."""
    best_step: int
    history: list[dict[str, float]]
    seconds: float


def fit(
    job: TrainingJob,
    network: ExpressionModel,
    splits: Splits,
    contact_bin: int,
    folder: Path,
    *,
    rank: int = 0,
) -> None:
    """Run (or go on with) all training steps; leaves the outcome in ``folder``.

    Parameters
    ----------
    job, splits, contact_bin
        What to train, its data, and bp per contact bin of the store.
    network
        Untrained; the same in every process.
    folder
        With resumable checkpoints and logs; shared by all processes.
    rank
        Of this process among ``training.processes``.

    Raises
    ------
    Stopped
        A signal asked for it; what was done is saved.
    """
    training = job.training
    check_divisible(job, splits)
    label_scale = standardise_label(network, splits.train) if training.standardise_label else 1.0
    network.calibrate(calibration_windows(splits.train))
    resume = folder / RESUME
    share = Share(rank, training.processes, training.accumulate)
    order = ShuffledBatches(
        len(splits.train),
        training.batch_size,
        steps=training.steps,
        seed=job.run.seed,
        first_step=saved_step(resume),
        share=share,
    )
    validations = max(1, round(training.steps / (training.validate_every * order.steps_per_epoch)))
    validate_every = max(1, training.steps // validations)
    task = ExpressionTask(
        network,
        training,
        label_scale=label_scale,
        seed=job.run.seed,
        contact_bin=contact_bin,
        has_peaks=splits.train.store.has_peaks,
        share=share,
        validation_genes=len(splits.valid),
    )
    history = History(training)
    best = ModelCheckpoint(
        folder,
        filename="best-{step}",
        monitor=CHOICE,
        save_weights_only=True,
        enable_version_counter=False,
    )
    with StopSignals() as signals:
        save = ResumeCheckpoint(resume, training, validate_every, signals)
        callbacks: list[Callback] = [history, ProgressLines(training), best, save]
        trainer = new_trainer(training, folder, validate_every, callbacks)
        if order.first_step:
            log.info("resuming at step %d of %d from %s", order.first_step, training.steps, resume)
        own_valid = share_batches(len(splits.valid), training.windows_per_pass, share)
        with quiet_lightning():
            trainer.fit(
                task,
                loader(splits.train, order, training),
                loader(splits.valid, own_valid, training),
                ckpt_path=resume if order.first_step else None,
                weights_only=True,
            )
        if rank == 0:
            state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
            task.load_state_dict(state["state_dict"])
            save_fitted(folder, network, int(state["global_step"]), history)
        if signals.requested:
            raise signals.stopped(training.steps, training.steps)


def check_divisible(job: TrainingJob, splits: Splits) -> None:
    """Stop where there are too few genes to give every process the same number of windows."""
    training, processes = job.training, job.training.processes
    windows, parts = min(training.batch_size, len(splits.train)), processes * training.accumulate
    if windows % parts:
        raise UserError(
            f"fold {job.run.fold}: its {windows} training genes, fewer than training.batch_size, "
            f"cannot be divided by training.devices x nodes x accumulate = {parts}; lower these"
        )
    if len(splits.valid) < processes:
        raise UserError(
            f"fold {job.run.fold}: {len(splits.valid)} validation genes for {processes} processes; "
            "lower training.devices x nodes"
        )


def save_fitted(folder: Path, network: ExpressionModel, best_step: int, history: History) -> None:
    """Keep the outcome until the artefacts are written, whole or not at all."""
    weights = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    fitted = Fitted(weights, best_step, history.rows, history.seconds())
    with whole_file(folder / FITTED) as temporary:
        torch.save(fitted._asdict(), temporary)


def load_fitted(folder: Path) -> Fitted | None:
    """Return the outcome of a training; None while there is none."""
    path = folder / FITTED
    if not path.exists():
        return None
    return Fitted(**torch.load(path, map_location="cpu", weights_only=True))


def new_trainer(
    training: TrainingConfig, folder: Path, validate_every: int, callbacks: list[Callback]
) -> L.Trainer:
    """Lightning's loop over all steps as one epoch, so that a resumed run continues inside it."""
    with quiet_lightning():
        return L.Trainer(
            accelerator=training.accelerator,
            devices=training.devices,
            num_nodes=training.nodes,
            # Buffers are constants: sent round before each forward pass, they would only make the
            # processes wait for each other in validation, where their numbers of batches differ.
            # (torch 2.13 has another name for this argument, which older ones do not know.)
            strategy=DDPStrategy(broadcast_buffers=False) if training.processes > 1 else "auto",
            plugins=[cluster_environment(training)],
            precision=precision(training),
            max_steps=training.steps,
            accumulate_grad_batches=training.accumulate,
            val_check_interval=validate_every * training.accumulate,
            num_sanity_val_steps=0,
            gradient_clip_val=training.gradient_clip,
            log_every_n_steps=min(50, validate_every),
            use_distributed_sampler=False,
            # Statistics over all of a step's windows, in models with a batch norm; GPUs only.
            sync_batchnorm=uses_cuda(training),
            callbacks=callbacks,
            logger=[TensorBoardLogger(folder, name="tensorboard"), CSVLogger(folder, name="csv")],
            enable_progress_bar=False,
            enable_model_summary=False,
        )


def cluster_environment(training: TrainingConfig) -> ClusterEnvironment:
    """How Lightning learns which of several processes it runs in: see `seq2exp.launching`.

    Named, because inside a Slurm job Lightning would choose Slurm's by itself, and would then take
    over signals and requeueing, which are the workflow's.
    """
    return SLURMEnvironment(auto_requeue=False) if training.nodes > 1 else LightningEnvironment()


def saved_step(resume: Path) -> int:
    """Step of a resumable checkpoint; 0 where there is none."""
    if not resume.exists():
        return 0
    return int(torch.load(resume, map_location="cpu", weights_only=True)["global_step"])


def standardise_label(network: ExpressionModel, train_set: WindowDataset) -> float:
    """Let the head work on standardised labels; returns the s.d. of the training labels."""
    labels = train_set.labels.astype(np.float64)
    scale = float(labels.std()) or 1.0
    for module in network.modules():
        if isinstance(module, ExpressionHead):
            module.set_label_scale(float(labels.mean()), scale)
    return scale


def calibration_windows(train_set: WindowDataset) -> Iterator[Batch]:
    """Training windows spread over the set, as many as are enough to know the signals by."""
    count = min(len(train_set), CALIBRATION_WINDOWS)
    for item in np.linspace(0, len(train_set) - 1, count).astype(int).tolist():
        packed = train_set.read([item])
        yield unpack(packed, contact_bin=train_set.store.contact_bin)


def precision(training: TrainingConfig) -> Any:
    """Lightning's name of the arithmetic; auto is bf16 on a GPU and float32 on a CPU."""
    chosen = training.precision
    if chosen == "auto":
        chosen = "bf16" if uses_cuda(training) else "float32"
    return {"bf16": "bf16-mixed", "float32": "32-true"}[chosen]


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence what Lightning says of choices that were made on purpose; our log has the rest."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in (
                ".*your dataloader is not resumable.*",  # ours is: see seq2exp.batching
                ".*directory .* exists and is not empty.*",  # a resumed run
                ".*srun. command is available.*",  # jobs are started by Snakemake
                ".*broadcast_buffers. is deprecated.*",  # see new_trainer
                ".*in eval mode at the start of training.*",  # a mask that is not trained again
                ".*isinstance.treespec, LeafSpec.*",  # inside Lightning, with newer pytrees
            ):
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
