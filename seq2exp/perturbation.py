"""How much a prediction owes to an element: take it away, or shuffle its sequence, and predict again.

Shuffled, an element keeps its length, its composition and all signals: the prediction loses what the
model read in the order of its bases. Taken away, it shows the model nothing at all.

Effects are in the label's units, positive where the element raises expression. Axes: B batch,
L window length (bp), n elements.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from seq2exp.base_codes import BASE_BITS, FLAG_BITS
from seq2exp.checkpoints import TrainedModel
from seq2exp.errors import UserError
from seq2exp.models.interface import promoter_of
from seq2exp.models.masked import MaskedModel
from seq2exp.packing import Batch, PackedBatch, unpack
from seq2exp.progress import logged
from seq2exp.store import WindowStore
from seq2exp.windows import read_window


class Place(NamedTuple):
    """An element in a window: row of the store's genes, bases of the window."""

    row: int
    bases: slice


def places_of(store: WindowStore, elements: pd.DataFrame, length: int) -> list[Place]:
    """Find elements in the windows of their genes.

    Parameters
    ----------
    store
        The cell line's windows.
    elements
        ``gene_id``, ``chrom``, ``start``, ``end`` (0-based half-open), each in its gene's window.
    length
        Window length of the model, bp.

    Raises
    ------
    UserError
        A gene is not in the store, or an element is not wholly in its gene's window.
    """
    rows = {gene_id: row for row, gene_id in enumerate(store.genes["gene_id"])}
    centres = store.genes["tss"].to_numpy()
    chroms = store.genes["chrom"].to_numpy()
    columns = (elements[column].tolist() for column in ("gene_id", "chrom", "start", "end"))
    places = []
    for gene_id, chrom, start, end in zip(*columns, strict=True):
        row = rows.get(gene_id)
        if row is None:
            raise UserError(
                f"element {chrom}:{start}-{end}: gene {gene_id} has no window in {store.path}; "
                "leave it out"
            )
        first = int(centres[row]) - length // 2
        bases = slice(start - first, end - first)
        if chroms[row] != chrom or not 0 <= bases.start < bases.stop <= length:
            raise UserError(
                f"element {chrom}:{start}-{end}: not within the {length} bp window of {gene_id} "
                f"({chroms[row]}, TSS {centres[row]}); leave it out"
            )
        places.append(Place(row, bases))
    return places


# --------------------------------------------------------------------------- shuffled


def shuffle_effects(
    trained: TrainedModel,
    store: WindowStore,
    elements: pd.DataFrame,
    *,
    n_shuffles: int = 8,
    seed: int = 0,
    batch_size: int = 8,
) -> np.ndarray:
    """Prediction less the mean prediction with an element's bases in random order.

    The mask, where the model has one, is made anew from each shuffled window.

    Parameters
    ----------
    trained, store
        A model, and the windows of the cell line to predict.
    elements
        As for :func:`places_of`.
    n_shuffles
        Random orders of the element's bases that are averaged.
    seed
        The orders are drawn from (seed, row of the gene in the store, start).
    batch_size
        Windows per forward pass; does not change the result.

    Returns
    -------
    float64 (n,)

    Raises
    ------
    UserError
        As :func:`places_of`.
    """
    length = trained.shape.window_length
    places = places_of(store, elements, length)
    shuffled = (
        window for place in places for window in _shuffles(store, place, length, n_shuffles, seed)
    )
    before = _intact(trained, store, places, batch_size)
    passes = -(-len(places) * n_shuffles // batch_size)
    after = _predictions(trained, store, shuffled, batch_size, passes, "shuffled elements")
    return before - after.reshape(len(places), n_shuffles).mean(axis=1)


def _shuffles(
    store: WindowStore, place: Place, length: int, n_shuffles: int, seed: int
) -> Iterator[PackedBatch]:
    """Yield the window with the element's bases permuted; blacklist and peaks stay in place."""
    window = read_window(store, place.row, length)
    rng = np.random.default_rng([seed, place.row, place.bases.start])
    element = window.codes[:, place.bases]
    for _ in range(n_shuffles):
        order = torch.from_numpy(rng.permutation(element.shape[1]))
        codes = window.codes.clone()
        codes[:, place.bases] = (element[:, order] & BASE_BITS) | (element & FLAG_BITS)
        yield window._replace(codes=codes)


# --------------------------------------------------------------------------- taken away


@torch.no_grad()
def removal_effects(
    trained: TrainedModel, store: WindowStore, elements: pd.DataFrame, *, batch_size: int = 8
) -> np.ndarray:
    """Prediction less the prediction with an element taken away.

    Of a model with a mask, the mask of the intact window is set to 0 on the element's bases outside
    the promoter, whose mask is always 1; elsewhere it stays as it was. To a model without one the
    element's bases are N, all its signals 0, and no peak is there; gene features stay.

    Parameters
    ----------
    trained, store, elements, batch_size
        As for :func:`shuffle_effects`.

    Returns
    -------
    float64 (n,)

    Raises
    ------
    UserError
        As :func:`places_of`.
    """
    places = places_of(store, elements, trained.shape.window_length)
    # Elements of a gene together: their windows are read, and their mask is made, once a batch.
    order = np.argsort([place.row for place in places], kind="stable").astype(np.int64)
    after = np.empty(len(places))
    firsts = range(0, len(places), batch_size)
    for first in logged(firsts, len(firsts), "elements taken away"):
        chosen = order[first : first + batch_size]
        after[chosen] = _without(trained, store, [places[i] for i in chosen])
    return _intact(trained, store, places, batch_size) - after


def _without(trained: TrainedModel, store: WindowStore, places: Sequence[Place]) -> np.ndarray:
    """Predict a window for each place, without the element there; (B,)."""
    rows, window = np.unique([place.row for place in places], return_inverse=True)
    length = trained.shape.window_length
    batch = _expanded(trained, store, [read_window(store, int(row), length) for row in rows])
    index = torch.from_numpy(window).to(batch.sequence.device)
    taken = torch.zeros(len(places), length, dtype=torch.bool)
    for i, place in enumerate(places):
        taken[i, place.bases] = True
    taken = taken.to(index.device)
    model = trained.model
    if isinstance(model, MaskedModel):
        taken[:, promoter_of(batch, trained.shape)] = False
        mask = model.mask_of(batch).mask[index].masked_fill(taken, 0.0)
        prediction = model.predict_from(_repeated(batch, index), mask)
    else:
        prediction = model(_hidden(_repeated(batch, index), taken)).prediction
    return prediction.double().cpu().numpy()


def _repeated(batch: Batch, index: Tensor) -> Batch:
    """The windows of a batch in the order (B,) given, each as often as it is in there."""
    parts = (part[index] if isinstance(part, Tensor) else part for part in batch)
    return Batch._make(parts)


def _hidden(batch: Batch, taken: Tensor) -> Batch:
    """N, no signal and no peak on the bases taken, bool (B, L)."""
    return batch._replace(
        sequence=batch.sequence.masked_fill(taken.unsqueeze(-1), 0.0),
        signals=batch.signals.masked_fill(taken.unsqueeze(-1), 0.0),
        peaks=None if batch.peaks is None else batch.peaks & ~taken,
    )


# --------------------------------------------------------------------------- predictions


def _intact(
    trained: TrainedModel, store: WindowStore, places: Sequence[Place], batch_size: int
) -> np.ndarray:
    """Predictions (n,) of the windows as they are."""
    rows, window = np.unique([place.row for place in places], return_inverse=True)
    length = trained.shape.window_length
    windows = (read_window(store, int(row), length) for row in rows)
    passes = -(-len(rows) // batch_size)
    return _predictions(trained, store, windows, batch_size, passes, "windows")[window]


@torch.no_grad()
def _predictions(
    trained: TrainedModel,
    store: WindowStore,
    windows: Iterator[PackedBatch],
    batch_size: int,
    passes: int,
    what: str,
) -> np.ndarray:
    results = [np.empty(0)]
    groups = iter(lambda: list(islice(windows, batch_size)), [])
    for group in logged(groups, passes, what):
        batch = _expanded(trained, store, group)
        results.append(trained.model(batch).prediction.double().cpu().numpy())
    return np.concatenate(results)


def _expanded(trained: TrainedModel, store: WindowStore, windows: Sequence[PackedBatch]) -> Batch:
    """Expand windows, each a batch of its own, on the model's device as one batch."""
    packed = PackedBatch(*(torch.cat(parts) for parts in zip(*windows, strict=True)))
    return unpack(
        packed.to(trained.device), contact_bin=store.contact_bin, has_peaks=store.has_peaks
    )
