"""Scores of the elements called in one run: what the mask is made of there, and what they do.

Effects are those on the prediction of the element's gene (:mod:`seq2exp.perturbation`,
:mod:`seq2exp.attribution`), not on the gene.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from seq2exp.attribution import attributions
from seq2exp.checkpoints import TrainedModel, load_checkpoint
from seq2exp.evaluation_config import EffectsConfig
from seq2exp.evidence.intervals import overlapping_rows
from seq2exp.evidence.references import ReferenceInputs, read_peaks, read_regions
from seq2exp.masks import masked_test_genes, open_masks
from seq2exp.perturbation import removal_effects, shuffle_effects
from seq2exp.planted import element_scores
from seq2exp.regions import read_elements
from seq2exp.schemas import SCORED_ELEMENT_COLUMNS, write_table
from seq2exp.store import WindowStore, open_store

log = logging.getLogger(__name__)

PEAKS = "peaks"


def write_element_scores(
    *,
    checkpoint: Path,
    store_dir: Path,
    masks_dir: Path,
    elements: Path,
    predictions: Path,
    references: Mapping[str, ReferenceInputs],
    peaks: Path | None,
    effects: EffectsConfig,
    out_table: Path,
    batch_size: int = 8,
    device: str | None = None,
) -> None:
    """Write the called elements of the test genes with their scores.

    Parameters
    ----------
    checkpoint, store_dir, masks_dir, elements, predictions
        model.ckpt, window store, mask store, elements.bed.gz and predictions.tsv of the run.
    references
        Sets of regions by name.
    peaks
        Peaks of the cell line, where there are any: one more set, ``peaks``.
    effects
        How many elements of a gene are taken away and shuffled.
    out_table
        element_scores.tsv: ``schemas.SCORED_ELEMENT_COLUMNS``, as elements.bed.gz sorts them, and a
        column for each set: 1 where the element shares a base with it, else 0. ``sequence_part`` and
        ``prior`` are means over the element's bases, empty where the mask has no such part;
        ``effect_removed`` and ``effect_shuffled`` are empty for elements beyond ``per_gene``.
    batch_size, device
        As for :func:`seq2exp.prediction.predict`.

    Raises
    ------
    UserError
        An element lies outside its gene's window.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    trained, store, masks = (
        load_checkpoint(checkpoint, device),
        open_store(store_dir),
        open_masks(masks_dir),
    )
    called = read_elements(elements)
    test = masked_test_genes(predictions, masks)
    table = called[called["gene_id"].isin(test)].reset_index(drop=True)
    parts = element_scores(table, store, masks, masks.length)
    table = table.assign(sequence_part=parts["sequence_part"], prior=parts["prior"])
    table = table.join(effects_of(trained, store, table, effects, batch_size))
    chroms = set(store.genes["chrom"])
    sets = {name: read_regions(inputs, chroms) for name, inputs in references.items()}
    if peaks is not None:
        sets[PEAKS] = read_peaks(peaks, chroms)
    for name, regions in sets.items():
        table[name] = overlaps(table, regions)
    write_table(table[[*SCORED_ELEMENT_COLUMNS, *sets]], out_table)
    log.info("%d elements of %d genes", len(table), table["gene_id"].nunique())


def effects_of(
    trained: TrainedModel,
    store: WindowStore,
    elements: pd.DataFrame,
    effects: EffectsConfig,
    batch_size: int,
) -> pd.DataFrame:
    """Effects of elements on the predictions of their genes.

    Parameters
    ----------
    trained, store, batch_size
        As for :func:`seq2exp.perturbation.shuffle_effects`.
    elements
        Called elements, with the index 0, 1, ...
    effects
        NaN for elements that are not among the ``per_gene`` of their gene with the highest mean
        mask; of equals, those that come first.

    Returns
    -------
    DataFrame
        ``effect_removed``, ``effect_shuffled``, ``attribution``, by the index of ``elements``.
    """
    found = pd.DataFrame(
        np.nan, index=elements.index, columns=["effect_removed", "effect_shuffled", "attribution"]
    )
    found["attribution"] = attributions(trained, store, elements)
    rank = elements.groupby("gene_id")["mean_mask"].rank(method="first", ascending=False)
    chosen = elements[rank <= effects.per_gene]
    log.info("%d of %d elements are taken away and shuffled", len(chosen), len(elements))
    found.loc[chosen.index, "effect_removed"] = removal_effects(
        trained, store, chosen, batch_size=batch_size
    )
    if effects.shuffles:
        found.loc[chosen.index, "effect_shuffled"] = shuffle_effects(
            *(trained, store, chosen), n_shuffles=effects.shuffles, batch_size=batch_size
        )
    return found


def overlaps(elements: pd.DataFrame, regions: pd.DataFrame) -> np.ndarray:
    """1 for each element that shares a base with one of the regions, else 0; int (n,)."""
    found = np.zeros(len(elements), dtype=np.int64)
    found[overlapping_rows(elements, regions)[0]] = 1
    return found
