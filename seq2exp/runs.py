"""One run, a cell of the matrix: its data, its shape, and what decides its outcome."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import NamedTuple, Self

import torch
from pydantic import TypeAdapter

from seq2exp import __version__
from seq2exp.batching import consecutive_batches
from seq2exp.caduceus import set_scan_backend
from seq2exp.checkpoints import TrainedModel, load_checkpoint
from seq2exp.errors import UserError
from seq2exp.folds import overlapping_windows
from seq2exp.loader import Batches, WindowLoader
from seq2exp.model_config import (
    ModelConfig,
    Seq2ExpRetrainConfig,
    Seq2ExpSoftConfig,
    SignalLinearConfig,
)
from seq2exp.models import ExpressionModel, InputShape, build_model
from seq2exp.models.seq2exp_retrain import Seq2ExpRetrain
from seq2exp.models.seq2exp_soft import Seq2ExpSoft
from seq2exp.schemas import read_table
from seq2exp.store import WindowStore
from seq2exp.training_config import TrainingConfig
from seq2exp.windows import WindowDataset, split_rows

log = logging.getLogger(__name__)


def check_peaks(model: ModelConfig, store: WindowStore) -> None:
    """Refuse a store without DNase peaks for a model that reads them.

    Raises
    ------
    UserError
        The cell line has no peaks.
    """
    if model.needs_peaks and not store.has_peaks:
        raise UserError(
            f"{store.path}: {store.cell_line} has no DNase peaks, which a {model.kind} model reads; "
            f"set cell_lines.{store.cell_line}.peaks and build the windows again"
        )


class Run(NamedTuple):
    """One cell of the matrix."""

    assay: str
    fold: int
    seed: int
    model: str


class Splits(NamedTuple):
    """Datasets of one fold."""

    train: WindowDataset
    valid: WindowDataset
    test: WindowDataset


class TrainingJob(NamedTuple):
    """Everything that decides a training; other processes read it as JSON."""

    store_dir: Path
    folds_table: Path
    run: Run
    model: ModelConfig
    training: TrainingConfig
    teacher: Path | None = None
    """Checkpoint of the trained model whose mask the model takes (`Seq2ExpRetrainConfig`)."""

    def to_json(self) -> str:
        """Write it as text."""
        fields = {
            "store_dir": str(self.store_dir),
            "folds_table": str(self.folds_table),
            "run": self.run._asdict(),
            "model": self.model.model_dump(mode="json"),
            "training": self.training.model_dump(mode="json"),
            "teacher": None if self.teacher is None else str(self.teacher),
        }
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote."""
        fields = json.loads(text)
        return cls(
            Path(fields["store_dir"]),
            Path(fields["folds_table"]),
            Run(**fields["run"]),
            TypeAdapter(ModelConfig).validate_python(fields["model"]),
            TrainingConfig(**fields["training"]),
            None if fields["teacher"] is None else Path(fields["teacher"]),
        )

    def input_shape(self, store: WindowStore) -> InputShape:
        """Sizes of what the model reads."""
        length = self.model.window_length or store.window_length
        promoter_length = min(store.promoter_length, length)
        return InputShape(length, promoter_length, len(store.feature_names))

    def new_network(self, store: WindowStore) -> ExpressionModel:
        """Build the untrained model; its weights are drawn from torch's global generator."""
        network = build_model(self.model, self.input_shape(store))
        if isinstance(network, Seq2ExpRetrain):
            assert self.teacher is not None
            trained = load_teacher(self.teacher, self.run).model
            assert isinstance(trained, Seq2ExpSoft)
            network.source.take_weights(trained)
        set_scan_backend(network, self.training.scan_backend)
        return network

    def hash(self, splits: Splits) -> str:
        """Name of the work folder: a hash of everything that decides the trained weights."""
        decides = {
            "version": __version__,
            "store": (self.store_dir / "store.json").read_text(),
            "rows": [dataset.gene_rows.tolist() for dataset in splits],
            "run": self.run._asdict(),
            "model": self.model.model_dump(mode="json"),
            "training": self.training.model_dump(mode="json", exclude=set(TrainingConfig.HOW)),
        }
        if self.teacher is not None:
            decides["teacher"] = hashlib.sha256(self.teacher.read_bytes()).hexdigest()
        text = json.dumps(decides, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def with_teacher(job: TrainingJob) -> TrainingJob:
    """Complete the settings of a model that takes the mask of a trained one.

    Raises
    ------
    UserError
        There is no such checkpoint, or it is of another kind, or of another run.
    """
    if not isinstance(job.model, Seq2ExpRetrainConfig):
        return job
    if job.teacher is None:
        raise UserError(f"model {job.run.model}: needs the checkpoint of {job.model.mask_from}")
    source = load_teacher(job.teacher, job.run).config
    return job._replace(model=job.model.model_copy(update={"source": source}))


def load_teacher(checkpoint: Path, run: Run) -> TrainedModel:
    """Open the trained soft model whose mask a run takes; errors as of :func:`with_teacher`."""
    teacher = load_checkpoint(checkpoint)
    if not isinstance(teacher.config, Seq2ExpSoftConfig):
        raise UserError(
            f"{checkpoint}: of kind {teacher.config.kind}; the mask has to come from a seq2exp_soft"
        )
    for key in ("assay", "fold"):  # it must not have seen this run's test genes
        expected, found = getattr(run, key), teacher.meta[key]
        if found != expected:
            raise UserError(
                f"{checkpoint}: trained with {key} {found}, not {expected}; take the model of this run"
            )
    return teacher


def open_splits(job: TrainingJob, store: WindowStore) -> Splits:
    """Datasets of the fold's genes that have a label for the assay.

    Training windows of a network reach ``augment.jitter`` bp further on both sides.

    Raises
    ------
    UserError
        If a split has no labelled gene, or the store lacks peaks that the model reads.
    """
    check_peaks(job.model, store)
    run = job.run
    folds = read_table(job.folds_table)
    length = job.input_shape(store).window_length
    jitter = 0 if isinstance(job.model, SignalLinearConfig) else job.training.augment.jitter
    datasets = []
    for split in Splits._fields:
        rows = split_rows(store, folds, run.fold, split, run.assay)
        if len(rows) == 0:
            raise UserError(
                f"fold {run.fold}: no gene of {job.store_dir} with a {run.assay} label is in "
                f"{split}; change folds or check the labels"
            )
        read_length = length + 2 * jitter if split == "train" else length
        datasets.append(WindowDataset(job.store_dir, rows, run.assay, read_length))
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


def loader(dataset: WindowDataset, batches: Batches, training: TrainingConfig) -> WindowLoader:
    """Batches of packed windows, read ahead by ``training.workers`` threads."""
    return WindowLoader(dataset, batches, workers=training.workers, pinned=uses_cuda(training))


def in_order(dataset: WindowDataset, training: TrainingConfig) -> WindowLoader:
    """Load all windows of a dataset once."""
    batches = consecutive_batches(len(dataset), training.windows_per_pass)
    return loader(dataset, batches, training)


def uses_cuda(training: TrainingConfig) -> bool:
    """Whether the network runs on an NVIDIA GPU."""
    return training.accelerator != "cpu" and torch.cuda.is_available()
