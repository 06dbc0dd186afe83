"""The masks of shuffled windows: what a model would call if the sequence said nothing.

Dinucleotides stay as many as they were (:mod:`seq2exp.shuffling`); signals, contacts, blacklist and
peaks stay where they are.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch

from seq2exp.batching import consecutive_batches
from seq2exp.checkpoints import TrainedModel, load_checkpoint
from seq2exp.errors import UserError
from seq2exp.loader import WindowLoader
from seq2exp.models.interface import Output
from seq2exp.models.masked import MaskedModel
from seq2exp.packing import PackedBatch, unpack
from seq2exp.prediction import mask_tracks, mask_writer
from seq2exp.progress import logged
from seq2exp.schemas import PREDICTION_COLUMNS, read_table
from seq2exp.shuffling import shuffle_window
from seq2exp.store import WindowStore, open_store
from seq2exp.windows import WindowDataset

log = logging.getLogger(__name__)


def predict_shuffled_masks(
    checkpoint: Path,
    store_dir: Path,
    predictions: Path,
    *,
    out_masks: Path,
    batch_size: int = 8,
    workers: int = 0,
    device: str | None = None,
    seed: int = 0,
) -> None:
    """Write a mask store of the test genes' windows with their sequence shuffled.

    Parameters
    ----------
    checkpoint, store_dir, predictions
        model.ckpt, window store and predictions.tsv of the run.
    out_masks
        Mask store: the tracks of the model's own.
    batch_size, workers, device
        As for :func:`seq2exp.prediction.predict`.
    seed
        Each order is drawn from it and the gene's row in the store.

    Raises
    ------
    UserError
        There is no test gene, or the model has no mask.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    trained, store = load_checkpoint(checkpoint, device), open_store(store_dir)
    if not isinstance(trained.model, MaskedModel):
        raise UserError(f"{checkpoint}: a {trained.config.kind} has no masks; leave them out")
    table = read_table(predictions, PREDICTION_COLUMNS)
    test = table.loc[table["split"] == "test", "gene_id"]
    if test.empty:
        raise UserError(f"{predictions}: no gene in test; change folds")
    rows = np.flatnonzero(store.genes["gene_id"].isin(test))
    dataset = WindowDataset(store_dir, rows, None, trained.shape.window_length)
    batches = consecutive_batches(len(dataset), batch_size)
    pinned = torch.device(device).type == "cuda"
    windows = WindowLoader(dataset, batches, workers=workers, pinned=pinned)
    gene_ids = store.genes["gene_id"].to_numpy()[rows].tolist()
    row = 0
    with mask_writer(out_masks, gene_ids, trained) as writer:
        assert writer is not None
        for packed in logged(windows, len(windows), "shuffled windows"):
            tracks = _shuffled_tracks(trained, store, _shuffled(packed, seed).to(device))
            for i in range(len(packed.index)):
                writer.put(row + i, **{name: values[i] for name, values in tracks.items()})
            row += len(packed.index)
    log.info("masks of %d shuffled windows", len(gene_ids))


def _shuffled(packed: PackedBatch, seed: int) -> PackedBatch:
    """The same windows with their sequence shuffled."""
    codes = [
        shuffle_window(window, np.random.default_rng([seed, row]))
        for window, row in zip(packed.codes.numpy(), packed.index.tolist(), strict=True)
    ]
    return packed._replace(codes=torch.from_numpy(np.stack(codes)))


@torch.no_grad()
def _shuffled_tracks(
    trained: TrainedModel, store: WindowStore, packed: PackedBatch
) -> dict[str, np.ndarray]:
    batch = unpack(packed, contact_bin=store.contact_bin, has_peaks=store.has_peaks)
    assert isinstance(trained.model, MaskedModel)
    proposal = trained.model.mask_of(batch)
    # Nothing is predicted: the mask is half of the work, and all that is wanted.
    return mask_tracks(trained, batch, Output(torch.zeros_like(batch.label), *proposal))
