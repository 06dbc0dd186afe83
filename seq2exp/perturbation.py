"""How much a prediction owes to the sequence of an element: shuffle it and predict again.

The same bases in random order leave length, composition and all signals as they were; what the
prediction loses is what the model read in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from seq2exp.base_codes import BASE_BITS, FLAG_BITS
from seq2exp.checkpoints import TrainedModel, load_checkpoint
from seq2exp.errors import UserError
from seq2exp.packing import PackedBatch, unpack
from seq2exp.store import WindowStore, open_store
from seq2exp.windows import read_window


class _Place(NamedTuple):
    """An element in a window: row of the store's genes, bases of the window."""

    row: int
    bases: slice


def shuffle_effects(
    checkpoint: Path,
    store_dir: Path,
    elements: pd.DataFrame,
    *,
    n_shuffles: int = 8,
    seed: int = 0,
    batch_size: int = 8,
    device: str | None = None,
) -> pd.DataFrame:
    """Add to each element the effect of its sequence on the prediction of its gene.

    Parameters
    ----------
    checkpoint, store_dir
        model.ckpt and the window store of the cell line to predict.
    elements
        ``gene_id``, ``chrom``, ``start``, ``end`` (0-based half-open), each in its gene's window.
    n_shuffles
        Random orders of the element's bases that are averaged.
    seed
        The orders are drawn from (seed, row of the gene in the store, start).
    batch_size
        Windows per forward pass; does not change the result.
    device
        cuda where there is one, else cpu, when left out.

    Returns
    -------
    DataFrame
        ``elements`` with ``effect``, in the label's units: prediction minus the mean prediction
        with the element shuffled; positive where its sequence raises expression.

    Raises
    ------
    UserError
        A gene is not in the store, or an element is not wholly in its gene's window.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    trained = load_checkpoint(checkpoint, device)
    effects = effects_of(
        *(trained, open_store(store_dir), elements),
        n_shuffles=n_shuffles,
        seed=seed,
        batch_size=batch_size,
    )
    return elements.assign(effect=effects)


def effects_of(
    trained: TrainedModel,
    store: WindowStore,
    elements: pd.DataFrame,
    *,
    n_shuffles: int,
    seed: int,
    batch_size: int,
) -> np.ndarray:
    """Effects (n,) of elements, as :func:`shuffle_effects`, of a loaded model."""
    length = trained.shape.window_length
    places = _places(store, elements, length)
    rows, gene = np.unique([place.row for place in places], return_inverse=True)
    intact = (read_window(store, int(row), length) for row in rows)
    shuffled = (
        window for place in places for window in _shuffles(store, place, length, n_shuffles, seed)
    )
    before = _predictions(trained, store, intact, batch_size)
    after = _predictions(trained, store, shuffled, batch_size).reshape(len(places), n_shuffles)
    return before[gene] - after.mean(axis=1)


def _places(store: WindowStore, elements: pd.DataFrame, length: int) -> list[_Place]:
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
        places.append(_Place(row, bases))
    return places


def _shuffles(
    store: WindowStore, place: _Place, length: int, n_shuffles: int, seed: int
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


@torch.no_grad()
def _predictions(
    trained: TrainedModel, store: WindowStore, windows: Iterator[PackedBatch], batch_size: int
) -> np.ndarray:
    device = next(iter(trained.model.state_dict().values())).device
    results = [np.empty(0)]
    while group := list(islice(windows, batch_size)):
        packed = PackedBatch(*(torch.cat(parts) for parts in zip(*group, strict=True)))
        batch = unpack(packed.to(device), contact_bin=store.contact_bin, has_peaks=store.has_peaks)
        results.append(trained.model(batch).prediction.double().cpu().numpy())
    return np.concatenate(results)
