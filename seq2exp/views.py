"""Test-time ablations: what a trained model makes of test windows that are shown to it in part.

A view crops the window about the TSS, leaves signals out, or gives the predictor another mask than
the model's own. Nothing is trained again. What makes no sense for a model is skipped, with the
reason in the table.

Axes: B batch, L window length (bp), after the crop.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seq2exp.augment import crop
from seq2exp.batching import consecutive_batches
from seq2exp.bottleneck import BetaParameters, apply_fixed_bases
from seq2exp.checkpoints import TrainedModel, load_checkpoint
from seq2exp.errors import UserError
from seq2exp.evaluation_config import FULL_VIEW, ViewConfig
from seq2exp.fixed_masks import free_bases, shift_mask, top_bases
from seq2exp.loader import WindowLoader
from seq2exp.model_config import SIGNALS
from seq2exp.models.interface import keep_signals, promoter_of
from seq2exp.models.masked import MaskedModel, Proposal
from seq2exp.packing import Batch, PackedBatch, unpack
from seq2exp.schemas import PREDICTION_COLUMNS, VIEW_COLUMNS, read_table, write_table
from seq2exp.store import WindowStore, open_store
from seq2exp.windows import WindowDataset

log = logging.getLogger(__name__)

Views = Mapping[str, ViewConfig]


def predict_views(
    checkpoint: Path,
    store_dir: Path,
    predictions: Path,
    views: Views,
    *,
    out_table: Path,
    batch_size: int = 8,
    workers: int = 0,
    device: str | None = None,
) -> None:
    """Predict the test genes of one run in every view.

    Parameters
    ----------
    checkpoint, store_dir, predictions
        model.ckpt, the window store and predictions.tsv of the run.
    views
        By name.
    out_table
        views.tsv: ``schemas.VIEW_COLUMNS``, a row a view and test gene. First those of the full
        view, as they are in ``predictions``; a skipped view has one row with the reason alone.
    batch_size, workers, device
        As for :func:`seq2exp.prediction.predict`.

    Raises
    ------
    UserError
        There is no test gene, or the store lacks one.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    trained, store = load_checkpoint(checkpoint, device), open_store(store_dir)
    table = read_table(predictions, PREDICTION_COLUMNS)
    test = table[table["split"] == "test"].reset_index(drop=True)
    if test.empty:
        raise UserError(f"{predictions}: no gene in test; change folds")
    rows = _store_rows(store, test["gene_id"].tolist(), predictions)
    length = trained.shape.window_length
    dataset = WindowDataset(store_dir, rows, trained.meta["assay"], length)
    reasons = {name: why_skipped(view, trained) for name, view in views.items()}
    seen = {name: view for name, view in views.items() if reasons[name] is None}
    batches = consecutive_batches(len(dataset), batch_size)
    pinned = torch.device(device).type == "cuda"
    windows = WindowLoader(dataset, batches, workers=workers, pinned=pinned)
    found = _predict(trained, windows, seen, device)
    parts = [test.assign(view=FULL_VIEW)]
    for name, reason in reasons.items():
        if reason is None:
            columns = dict(zip(("predicted", "mask_ratio"), found[name].T, strict=True))
            parts.append(test.assign(view=name, **columns))
        else:
            parts.append(pd.DataFrame({"view": [name], "skipped": [reason]}))
            log.info("view %s skipped: %s", name, reason)
    write_table(pd.concat(parts).reindex(columns=list(VIEW_COLUMNS)), out_table)
    log.info("%d genes in %d views", len(test), len(seen))


def _store_rows(store: WindowStore, gene_ids: list[str], predictions: Path) -> np.ndarray:
    """Rows of genes in the store, in the order given."""
    known = {gene_id: row for row, gene_id in enumerate(store.genes["gene_id"])}
    for gene_id in gene_ids:
        if gene_id not in known:
            raise UserError(
                f"{predictions}: gene {gene_id} has no window in {store.path}; predict again"
            )
    return np.array([known[gene_id] for gene_id in gene_ids])


def why_skipped(view: ViewConfig, trained: TrainedModel) -> str | None:
    """Say why a view makes no sense for a model; None where it does."""
    model, own, length = trained.model, trained.shape.window_length, view.window_length
    if length and length > own:
        return f"its windows have {own} bp"
    if length and length != own and not model.reads_length(length):
        return f"it cannot read windows of {length} bp"
    if view.signals is not None and not model.reads_signals:
        return "it reads no signals"
    if not view.changes_mask:
        return None
    if not isinstance(model, MaskedModel):
        return "it has no mask"
    if view.mask_fraction and not model.ranks_bases:
        return "its mask ranks no bases"
    return None


# --------------------------------------------------------------------------- windows


def show(
    packed: PackedBatch, view: ViewConfig, *, contact_bin: int, has_peaks: bool = False
) -> Batch:
    """Expand windows as a view shows them: cropped about the TSS, without some signals."""
    own = packed.codes.shape[1]
    length = view.window_length or own
    cropped = crop(packed, (own - length) // 2, length)
    batch = unpack(cropped, contact_bin=contact_bin, has_peaks=has_peaks)
    return keep_signals(batch, SIGNALS if view.signals is None else view.signals)


# --------------------------------------------------------------------------- masks


def show_mask(
    own: Proposal, view: ViewConfig, blacklist: Tensor, promoter: slice, genes: Sequence[int]
) -> Tensor:
    """Give the mask (B, L) of a view: first its top share, then shifted or cut to the promoter.

    Parameters
    ----------
    own
        The model's mask.
    view
        Changes the mask.
    blacklist, promoter
        bool (B, L), and the promoter in coordinates of the window. Their bases keep their 0 and 1.
    genes
        (B,): rows of the store; they decide how far each mask is shifted.
    """
    if view.mask == "promoter":
        return apply_fixed_bases(torch.zeros_like(own.mask), blacklist, promoter)
    mask = own.mask
    if view.mask_fraction is not None:
        assert own.alpha is not None
        assert own.beta is not None
        mean = apply_fixed_bases(BetaParameters(own.alpha, own.beta).mean(), blacklist, promoter)
        mask = apply_fixed_bases(top_bases(mean, view.mask_fraction), blacklist, promoter)
    if view.mask == "shifted":
        mask = shift_mask(mask, free_bases(blacklist, promoter), genes)
    return mask


# --------------------------------------------------------------------------- predictions


class _Shown(NamedTuple):
    """What decides the windows of a view; views that have it in common share a mask."""

    window_length: int | None
    signals: tuple[str, ...] | None


@torch.no_grad()
def _predict(
    trained: TrainedModel, windows: WindowLoader, views: Views, device: str
) -> dict[str, np.ndarray]:
    """Prediction and mask ratio of each window (n, 2) in each view."""
    store = windows.dataset.store
    results: dict[str, list[np.ndarray]] = {name: [] for name in views}
    groups: dict[_Shown, list[str]] = {}
    for name, view in views.items():
        groups.setdefault(_Shown(view.window_length, view.signals), []).append(name)
    for packed in windows if views else ():
        moved = packed.to(device)
        for names in groups.values():
            view = views[names[0]]
            batch = show(moved, view, contact_bin=store.contact_bin, has_peaks=store.has_peaks)
            for name, result in _results(trained, batch, names, views):
                results[name].append(result)
    return {name: np.concatenate(found) for name, found in results.items()}


def _results(
    trained: TrainedModel, batch: Batch, names: list[str], views: Views
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (B, 2) for each of the views of one batch: the mask is made once."""
    model = trained.model
    own: Proposal | None = None
    for name in names:
        mask: Tensor | None
        if views[name].changes_mask:
            assert isinstance(model, MaskedModel)
            if own is None:
                own = model.mask_of(batch)
            promoter = promoter_of(batch, trained.shape)
            mask = show_mask(own, views[name], batch.blacklist, promoter, batch.index.tolist())
            prediction = model.predict_from(batch, mask)
        else:
            prediction, mask, *_ = model(batch)
        ratio = torch.full_like(prediction, torch.nan) if mask is None else mask.mean(dim=1)
        yield name, torch.stack([prediction, ratio], dim=1).cpu().numpy()
