"""Train one model on one fold with one seed: resumable, deterministic, one safe artefact."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from seq2exp import __version__
from seq2exp.batching import ShuffledBatches, consecutive_batches
from seq2exp.caduceus import set_scan_backend
from seq2exp.checkpoints import save_checkpoint
from seq2exp.config import TrainingConfig
from seq2exp.errors import UserError
from seq2exp.folds import overlapping_windows
from seq2exp.loader import Batches, WindowLoader
from seq2exp.metrics import accuracy
from seq2exp.model_config import ModelConfig, SignalLinearConfig
from seq2exp.models import ExpressionModel, InputShape, build_model
from seq2exp.models.interface import ExpressionHead
from seq2exp.models.signal_linear import SignalLinear
from seq2exp.packing import unpack
from seq2exp.schemas import HISTORY_COLUMNS, PROMOTER_ACTIVITY, read_table, whole_file, write_table
from seq2exp.store import WindowStore, open_store
from seq2exp.training_task import ExpressionTask, History, ProgressLines, ResumeCheckpoint
from seq2exp.windows import WindowDataset, split_rows

log = logging.getLogger(__name__)


class Run(NamedTuple):
    """One cell of the matrix."""

    assay: str
    fold: int
    seed: int
    model: str


class Fitted(NamedTuple):
    """What training leaves beside the weights."""

    steps: int
    best_step: int
    history: list[dict[str, float]]
    seconds: float


class Splits(NamedTuple):
    """Datasets of one fold."""

    train: WindowDataset
    valid: WindowDataset
    test: WindowDataset


def train(
    store_dir: Path,
    folds_table: Path,
    run: Run,
    model: ModelConfig,
    training: TrainingConfig,
    *,
    out_checkpoint: Path,
    out_metrics: Path,
    out_history: Path,
    work_dir: Path,
) -> None:
    """Train, choose the step with the lowest validation MSE, test it, write the artefacts.

    Parameters
    ----------
    store_dir, folds_table
        Window store and folds.tsv.
    run
        Assay, fold, seed and the model's name.
    model, training
        Settings.
    out_checkpoint, out_metrics, out_history
        model.ckpt, metrics.json, history.csv.
    work_dir
        Parent of the folder (named by a hash of everything that decides the result) with
        resumable checkpoints and logs. Started again after a crash, training goes on there.
    """
    store = open_store(store_dir)
    if store.feature_names == (PROMOTER_ACTIVITY,):
        log.warning("no mRNA features: promoter activity is the only gene feature")
    jitter = 0 if isinstance(model, SignalLinearConfig) else training.augment.jitter
    splits = open_splits(store_dir, store, folds_table, run, model, jitter=jitter)
    shape = InputShape(
        model.window_length or store.window_length,
        store.promoter_length,
        len(store.feature_names),
    )
    with isolated_randomness(run.seed):
        network = build_model(model, shape)
        set_scan_backend(network, training.scan_backend)
        if isinstance(network, SignalLinear):
            windows = chain(in_order(splits.train, training), in_order(splits.valid, training))
            network.fit(unpack(packed, contact_bin=store.contact_bin) for packed in windows)
            fitted = Fitted(steps=0, best_step=0, history=[], seconds=0.0)
        else:
            folder = work_dir / run_hash(store_dir, splits, run, model, training)
            fitted = fit(network, splits, run, model, training, store.contact_bin, folder)
        figures = {
            split: measure(network, getattr(splits, split), training, store.contact_bin)
            for split in ("valid", "test")
        }
    meta = {
        "cell_line": store.cell_line,
        **run._asdict(),
        "kind": model.kind,
        "feature_names": list(store.feature_names),
        "best_step": fitted.best_step,
        "seq2exp": __version__,
    }
    metrics = {
        **meta,
        "steps": fitted.steps,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        **{f"{name}_genes": len(dataset) for name, dataset in splits._asdict().items()},
        **figures,
        "seconds": round(fitted.seconds, 1),
    }
    save_checkpoint(out_checkpoint, network, model, shape, meta)
    with whole_file(out_metrics) as temporary:
        temporary.write_text(json.dumps(metrics, indent=2) + "\n")
    write_table(pd.DataFrame(fitted.history, columns=list(HISTORY_COLUMNS)), out_history)
    log.info("test: %s", figures["test"])


def open_splits(
    store_dir: Path,
    store: WindowStore,
    folds_table: Path,
    run: Run,
    model: ModelConfig,
    *,
    jitter: int = 0,
) -> Splits:
    """Datasets of the fold's genes that have a label for the assay.

    Training windows reach ``jitter`` bp further on both sides.

    Raises
    ------
    UserError
        If a split has no labelled gene.
    """
    folds = read_table(folds_table)
    length = model.window_length or store.window_length
    datasets = []
    for split in Splits._fields:
        rows = split_rows(store, folds, run.fold, split, run.assay)
        if len(rows) == 0:
            raise UserError(
                f"fold {run.fold}: no gene of {store_dir} with a {run.assay} label is in {split}; "
                "change folds or check the labels"
            )
        read_length = length + 2 * jitter if split == "train" else length
        datasets.append(WindowDataset(store_dir, rows, run.assay, read_length))
    overlaps = overlapping_windows(store.genes, folds, run.fold, length + jitter)
    if overlaps:
        log.warning(
            "%d validation or test windows share bases with a training window; keep more distance "
            "between the sets of fold %d if that matters",
            overlaps,
            run.fold,
        )
    log.info(
        "genes: %s",
        ", ".join(f"{n} {len(d)}" for n, d in zip(Splits._fields, datasets, strict=True)),
    )
    return Splits(*datasets)


@contextmanager
def isolated_randomness(seed: int) -> Iterator[None]:
    """Seed torch inside, and leave the caller's random state as it was."""
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def run_hash(
    store_dir: Path, splits: Splits, run: Run, model: ModelConfig, training: TrainingConfig
) -> str:
    """Name of the work folder: a hash of everything that decides the trained weights."""
    decides = {
        "version": __version__,
        "store": (store_dir / "store.json").read_text(),
        "rows": [dataset.gene_rows.tolist() for dataset in splits],
        "run": run._asdict(),
        "model": model.model_dump(mode="json"),
        "training": training.model_dump(mode="json", exclude={"workers", "checkpoint_every"}),
    }
    text = json.dumps(decides, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def loader(dataset: WindowDataset, batches: Batches, training: TrainingConfig) -> WindowLoader:
    """Batches of packed windows, read ahead by ``training.workers`` threads."""
    return WindowLoader(dataset, batches, workers=training.workers, pinned=uses_cuda(training))


def in_order(dataset: WindowDataset, training: TrainingConfig) -> WindowLoader:
    """Load all windows of a dataset once."""
    return loader(dataset, consecutive_batches(len(dataset), training.batch_size), training)


def fit(
    network: ExpressionModel,
    splits: Splits,
    run: Run,
    model: ModelConfig,
    training: TrainingConfig,
    contact_bin: int,
    folder: Path,
) -> Fitted:
    """Run (or go on with) all training steps; leaves the best weights in ``network``."""
    label_scale = standardise_label(network, splits.train) if training.standardise_label else 1.0
    resume = folder / "resume.ckpt"
    first_step = saved_step(resume)
    order = ShuffledBatches(
        len(splits.train),
        training.batch_size,
        steps=training.steps,
        seed=run.seed,
        first_step=first_step,
    )
    validations = max(1, round(training.steps / (training.validate_every * order.steps_per_epoch)))
    validate_every = max(1, training.steps // validations)
    task = ExpressionTask(
        network,
        training,
        kl_weight=getattr(model, "kl_weight", 0.0),
        label_scale=label_scale,
        seed=run.seed,
        contact_bin=contact_bin,
    )
    history = History(training)
    best = ModelCheckpoint(
        folder,
        filename="best-{step}",
        monitor="valid_mse",
        save_weights_only=True,
        enable_version_counter=False,
    )
    save = ResumeCheckpoint(resume, training.checkpoint_every, validate_every)
    callbacks: list[Callback] = [history, ProgressLines(training.steps), best, save]
    trainer = new_trainer(training, folder, validate_every, callbacks)
    if first_step:
        log.info("resuming at step %d of %d from %s", first_step, training.steps, resume)
    with quiet_lightning():
        trainer.fit(
            task,
            loader(splits.train, order, training),
            in_order(splits.valid, training),
            ckpt_path=resume if first_step else None,
            weights_only=True,
        )
    best_state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    task.load_state_dict(best_state["state_dict"])
    resume.unlink(missing_ok=True)  # a later run with the same settings starts anew
    return Fitted(training.steps, int(best_state["global_step"]), history.rows, history.seconds())


def new_trainer(
    training: TrainingConfig, folder: Path, validate_every: int, callbacks: list[Callback]
) -> L.Trainer:
    """Lightning's loop over all steps as one epoch, so that a resumed run continues inside it."""
    with quiet_lightning():
        return L.Trainer(
            accelerator=training.accelerator,
            devices=1,
            # Inside a Slurm job Lightning would take over signals and requeueing: Snakemake's task.
            plugins=[LightningEnvironment()],
            precision=precision(training),
            max_steps=training.steps,
            val_check_interval=validate_every,
            num_sanity_val_steps=0,
            gradient_clip_val=training.gradient_clip,
            log_every_n_steps=min(50, validate_every),
            callbacks=callbacks,
            logger=[TensorBoardLogger(folder, name="tensorboard"), CSVLogger(folder, name="csv")],
            enable_progress_bar=False,
            enable_model_summary=False,
        )


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


def uses_cuda(training: TrainingConfig) -> bool:
    """Whether the network runs on an NVIDIA GPU."""
    return training.accelerator != "cpu" and torch.cuda.is_available()


def precision(training: TrainingConfig) -> Any:
    """Lightning's name of the arithmetic; auto is bf16 on a GPU and float32 on a CPU."""
    chosen = training.precision
    if chosen == "auto":
        chosen = "bf16" if uses_cuda(training) else "float32"
    return {"bf16": "bf16-mixed", "float32": "32-true"}[chosen]


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence what Lightning says of choices that were made on purpose; our log has the rest."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for message in (
                ".*your dataloader is not resumable.*",  # ours is: see seq2exp.batching
                ".*directory .* exists and is not empty.*",  # a resumed run
                ".*srun. command is available.*",  # jobs are started by Snakemake
                ".*isinstance.treespec, LeafSpec.*",  # inside Lightning, with newer pytrees
            ):
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        logger.setLevel(level)


@torch.no_grad()
def measure(
    network: ExpressionModel, dataset: WindowDataset, training: TrainingConfig, contact_bin: int
) -> dict[str, float | None]:
    """Accuracy and mask ratio over a whole split, in float32."""
    device = torch.device("cuda" if uses_cuda(training) else "cpu")
    network.to(device).eval()
    labels, predictions, ratios = [], [], []
    for packed in in_order(dataset, training):
        batch = unpack(packed.to(device), contact_bin=contact_bin)
        output = network(batch)
        labels.append(batch.label)
        predictions.append(output.prediction)
        if output.mask is not None:
            ratios.append(output.mask.mean(dim=1))
    figures = accuracy(torch.cat(labels).cpu(), torch.cat(predictions).cpu())
    ratio = torch.cat(ratios).double().mean().item() if ratios else None
    return {"mse": figures.mse, "mae": figures.mae, "pearson": figures.pearson, "mask_ratio": ratio}
