"""A trained model over a window store: expression of every gene, and the masks behind it."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch

from seq2exp.batching import consecutive_batches
from seq2exp.checkpoints import TrainedModel, load_checkpoint
from seq2exp.errors import UserError
from seq2exp.loader import WindowLoader
from seq2exp.masks import MaskWriter
from seq2exp.models.interface import Output
from seq2exp.packing import Batch, unpack
from seq2exp.runs import check_peaks
from seq2exp.schemas import GENE_COLUMNS, PREDICTION_COLUMNS, SPLITS, read_table, write_table
from seq2exp.store import WindowStore, open_store
from seq2exp.windows import WindowDataset, split_rows

log = logging.getLogger(__name__)

NO_SPLIT = ""
"""Split of genes where there are no folds."""


def predict(
    checkpoint: Path,
    store_dir: Path,
    folds_table: Path | None,
    *,
    out_table: Path,
    out_masks: Path | None,
    mask_splits: tuple[str, ...] = ("test",),
    batch_size: int = 8,
    workers: int = 0,
    device: str | None = None,
) -> None:
    """Predict every labelled gene of the model's fold and keep the masks of some splits.

    Parameters
    ----------
    checkpoint, store_dir
        model.ckpt, the window store.
    folds_table
        folds.tsv; None predicts every gene of the store, labelled or not, and keeps all masks.
    out_table
        predictions.tsv, one row a gene.
    out_masks
        Mask store (a folder); None for models without a mask.
    mask_splits
        Splits whose masks are kept.
    batch_size
        Windows per forward pass.
    workers
        Threads that read windows ahead.
    device
        cuda where there is one, else cpu, when left out.

    Raises
    ------
    UserError
        If the checkpoint was trained with other gene features than the store has, reads DNase
        peaks, which the store lacks, or masks are wanted of a model without.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    trained = load_checkpoint(checkpoint, device)
    store = open_store(store_dir)
    check_features(trained, store, checkpoint)
    check_peaks(trained.config, store)
    if out_masks and not trained.config.has_mask:
        raise UserError(f"{checkpoint}: a {trained.config.kind} has no masks; leave them out")
    rows, splits = genes_to_predict(store, folds_table, trained)
    assay = trained.meta["assay"]
    labelled = assay if assay in store.meta["assays"] else None
    dataset = WindowDataset(store_dir, rows, labelled, trained.shape.window_length)
    wanted = np.isin(splits, (*mask_splits, NO_SPLIT)) & (out_masks is not None)
    kept = np.flatnonzero(wanted)
    gene_ids = store.genes["gene_id"].to_numpy()[rows[kept]].tolist()
    batches = consecutive_batches(len(dataset), batch_size)
    pinned = torch.device(device).type == "cuda"
    windows = WindowLoader(dataset, batches, workers=workers, pinned=pinned)
    with mask_writer(out_masks, gene_ids, trained) as writer:
        results = _forward_all(trained, windows, device, writer, kept)
    table = store.genes.iloc[rows][list(GENE_COLUMNS)].reset_index(drop=True)
    table["split"] = splits
    table["observed"] = dataset.labels
    table[["predicted", "mask_ratio"]] = results
    write_table(table[list(PREDICTION_COLUMNS)], out_table)
    log.info("predicted %d genes, kept masks of %d", len(table), len(kept))


def check_features(trained: TrainedModel, store: WindowStore, checkpoint: Path) -> None:
    """Refuse a store whose gene features are not those that the model was trained with."""
    expected, found = trained.meta["feature_names"], list(store.feature_names)
    if expected != found:
        raise UserError(
            f"{checkpoint}: trained with gene features {', '.join(expected)}, but the window store "
            f"has {', '.join(found)}; train again or rebuild the store"
        )


def genes_to_predict(
    store: WindowStore, folds_table: Path | None, trained: TrainedModel
) -> tuple[np.ndarray, np.ndarray]:
    """Store rows of the genes with a label and the split of each; without folds, of all genes."""
    if folds_table is None:
        return np.arange(len(store.genes)), np.full(len(store.genes), NO_SPLIT)
    folds = read_table(folds_table)
    fold, assay = trained.meta["fold"], trained.meta["assay"]
    per_split = {split: split_rows(store, folds, fold, split, assay) for split in SPLITS}
    rows = np.concatenate(list(per_split.values()))
    splits = np.repeat(list(per_split), [len(found) for found in per_split.values()])
    order = np.argsort(rows)
    return rows[order], splits[order]


def mask_writer(
    out_masks: Path | None, gene_ids: list[str], trained: TrainedModel
) -> AbstractContextManager[MaskWriter | None]:
    """Open a mask store for writing; nothing for a model without masks."""
    if out_masks is None:
        return nullcontext()
    tracks = ("mask", *trained.model.evidence_tracks)
    length = trained.shape.window_length
    meta = {
        **trained.meta,
        "promoter_length": trained.shape.promoter_length,
        "hard_mask": trained.model.hard_mask,
    }
    return MaskWriter(out_masks, gene_ids, length, tracks=tracks, meta=meta)


@torch.no_grad()
def _forward_all(
    trained: TrainedModel,
    windows: WindowLoader,
    device: str,
    writer: MaskWriter | None,
    kept: np.ndarray,
) -> np.ndarray:
    """Prediction and mask ratio of each window (n, 2); masks of the kept ones to the writer."""
    mask_row = {int(position): row for row, position in enumerate(kept)}
    results = np.full((len(windows.dataset), 2), np.nan)
    store = windows.dataset.store
    position = 0
    for packed in windows:
        batch = unpack(packed.to(device), contact_bin=store.contact_bin, has_peaks=store.has_peaks)
        output = trained.model(batch)
        here = slice(position, position + len(batch.label))
        results[here, 0] = output.prediction.cpu().numpy()
        if output.mask is not None:
            results[here, 1] = output.mask.mean(dim=1).cpu().numpy()
        if writer is not None:
            tracks = mask_tracks(trained, batch, output)
            for i in range(len(batch.label)):
                if position + i in mask_row:
                    row = {name: values[i] for name, values in tracks.items()}
                    writer.put(mask_row[position + i], **row)
        position = here.stop
    return results


def mask_tracks(trained: TrainedModel, batch: Batch, output: Output) -> dict[str, np.ndarray]:
    """Per-base tracks (B, L) of one batch: the mask, and what sequence and signals each say."""
    assert output.mask is not None
    tracks = {"mask": output.mask, **trained.model.evidence(batch, output)}
    return {name: values.float().cpu().numpy() for name, values in tracks.items()}
