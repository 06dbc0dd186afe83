"""Train one model on one fold with one seed: resumable, deterministic, one safe artefact."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from seq2exp import __version__
from seq2exp.checkpoints import save_checkpoint
from seq2exp.fitting import FITTED, RESUME, Fitted, fit, load_fitted
from seq2exp.launching import fit_in_processes
from seq2exp.metrics import accuracy
from seq2exp.model_config import ModelConfig
from seq2exp.models import ExpressionModel
from seq2exp.models.signal_linear import SignalLinear
from seq2exp.packing import unpack
from seq2exp.runs import Run, Splits, TrainingJob, in_order, open_splits, uses_cuda, with_teacher
from seq2exp.schemas import HISTORY_COLUMNS, PROMOTER_ACTIVITY, whole_file, write_table
from seq2exp.store import WindowStore, open_store
from seq2exp.training_config import TrainingConfig
from seq2exp.windows import WindowDataset

log = logging.getLogger(__name__)


def train(
    store_dir: Path,
    folds_table: Path,
    run: Run,
    model: ModelConfig,
    training: TrainingConfig,
    *,
    teacher: Path | None = None,
    out_checkpoint: Path,
    out_metrics: Path,
    out_history: Path,
    work_dir: Path,
) -> None:
    """Train, choose the step with the lowest validation MSE, test it, write the artefacts.

    Steps before the model has settled (`ExpressionModel.settled_from`) are not chosen.

    Parameters
    ----------
    store_dir, folds_table
        Window store and folds.tsv.
    run
        Assay, fold, seed and the model's name.
    model, training
        Settings.
    teacher
        model.ckpt of the trained model whose mask the model takes, for kinds that do.
    out_checkpoint, out_metrics, out_history
        model.ckpt, metrics.json, history.csv.
    work_dir
        Parent of the folder (named by a hash of everything that decides the result) with
        resumable checkpoints and logs. Started again after a crash, training goes on there.

    Raises
    ------
    Stopped
        SIGTERM or SIGUSR1 asked for it; started again, training goes on.
    """
    job = with_teacher(TrainingJob(store_dir, folds_table, run, model, training, teacher))
    store = open_store(store_dir)
    if store.feature_names == (PROMOTER_ACTIVITY,):
        log.warning("no mRNA features: promoter activity is the only gene feature")
    splits = open_splits(job, store)
    shape = job.input_shape(store)
    folder = work_dir / job.hash(splits)
    with isolated_randomness(run.seed):
        network = job.new_network(store)
        fitted = fit_network(job, network, splits, store, folder)
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
        "steps": 0 if isinstance(network, SignalLinear) else training.steps,
        "parameters": sum(p.numel() for p in network.parameters() if p.requires_grad),
        **{f"{name}_genes": len(dataset) for name, dataset in splits._asdict().items()},
        **figures,
        "seconds": round(fitted.seconds, 1),
        "settings": {
            "window": shape._asdict(),
            "model": model.model_dump(mode="json"),
            "training": training.model_dump(mode="json", exclude=set(TrainingConfig.HOW)),
        },
    }
    save_checkpoint(out_checkpoint, network, job.model, shape, meta)
    write_figures(metrics, fitted, out_metrics, out_history)
    for name in (RESUME, FITTED):  # a later run with the same settings starts anew
        (folder / name).unlink(missing_ok=True)
    log.info("test: %s", figures["test"])


def fit_network(
    job: TrainingJob, network: ExpressionModel, splits: Splits, store: WindowStore, folder: Path
) -> Fitted:
    """Fit in this process or in several; leaves the best weights in ``network``."""
    if isinstance(network, SignalLinear):
        windows = chain(in_order(splits.train, job.training), in_order(splits.valid, job.training))
        network.fit(unpack(packed, contact_bin=store.contact_bin) for packed in windows)
        return Fitted({}, best_step=0, history=[], seconds=0.0)
    if load_fitted(folder) is None:
        if job.training.processes > 1:
            fit_in_processes(job, folder)
        else:
            fit(job, network, splits, store.contact_bin, folder)
    fitted = load_fitted(folder)
    assert fitted is not None
    network.load_state_dict(fitted.weights)
    return fitted


def write_figures(
    metrics: dict[str, Any], fitted: Fitted, out_metrics: Path, out_history: Path
) -> None:
    """Write metrics.json and history.csv."""
    with whole_file(out_metrics) as temporary:
        temporary.write_text(json.dumps(metrics, indent=2) + "\n")
    write_table(pd.DataFrame(fitted.history, columns=list(HISTORY_COLUMNS)), out_history)


@contextmanager
def isolated_randomness(seed: int) -> Iterator[None]:
    """Seed torch inside, and leave the caller's random state as it was."""
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def measure(
    network: ExpressionModel, dataset: WindowDataset, training: TrainingConfig, contact_bin: int
) -> dict[str, float | None]:
    """Accuracy and mask ratio over a whole split, in float32."""
    device = torch.device("cuda" if uses_cuda(training) else "cpu")
    network.to(device).eval()
    labels, predictions, ratios = [], [], []
    for packed in in_order(dataset, training):
        batch = unpack(
            packed.to(device), contact_bin=contact_bin, has_peaks=dataset.store.has_peaks
        )
        output = network(batch)
        labels.append(batch.label)
        predictions.append(output.prediction)
        if output.mask is not None:
            ratios.append(output.mask.mean(dim=1))
    figures = accuracy(torch.cat(labels).cpu(), torch.cat(predictions).cpu())
    ratio = torch.cat(ratios).double().mean().item() if ratios else None
    return {"mse": figures.mse, "mae": figures.mae, "pearson": figures.pearson, "mask_ratio": ratio}
