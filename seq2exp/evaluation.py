"""What one run is worth: accuracy on its test genes, and how well it finds what was planted."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score

from seq2exp.bottleneck import promoter_slice
from seq2exp.checkpoints import TrainedModel, load_checkpoint
from seq2exp.errors import UserError
from seq2exp.masks import TRACKS, MaskStore, open_masks
from seq2exp.metrics import accuracy
from seq2exp.perturbation import shuffle_effects
from seq2exp.planted import (
    SCORES,
    PlantedTruth,
    active_elements,
    base_counts,
    element_scores,
    open_pairs,
    planted_expression,
    windows,
    within_windows,
)
from seq2exp.schemas import PREDICTION_COLUMNS, RUN_KEYS, read_table, whole_file, write_table
from seq2exp.store import WindowStore, open_store

log = logging.getLogger(__name__)

N_SHUFFLES = 8
DISTANCE_BINS = 50


def evaluate(
    *,
    checkpoint: Path,
    metrics: Path,
    store_dir: Path,
    predictions: Path,
    masks: Path | None,
    truth: PlantedTruth | None,
    out_evaluation: Path,
    out_distance: Path | None = None,
    out_elements: Path | None = None,
    batch_size: int = 8,
    device: str | None = None,
) -> None:
    """Evaluate one run on its test genes.

    Parameters
    ----------
    checkpoint, metrics
        model.ckpt and metrics.json of the run.
    store_dir, predictions
        The cell line's window store, and predictions.tsv.
    masks
        The run's mask store; None for models without a mask.
    truth
        Planted truth of a simulated genome, where there is one.
    out_evaluation
        evaluation.json: one flat object, null where a figure does not apply.
    out_distance
        Mean mask, sequence part and prior against the distance to the TSS (needs ``masks``).
    out_elements
        Every planted element-gene pair with its scores (needs ``truth``).
    batch_size, device
        For the shuffled predictions.

    Raises
    ------
    UserError
        There is no test gene, or the truth lacks the cell line or a gene.
    """
    table = read_table(predictions, PREDICTION_COLUMNS)
    test = table[table["split"] == "test"].reset_index(drop=True)
    if test.empty:
        raise UserError(f"{predictions}: no gene in test; change folds")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    store, trained = open_store(store_dir), load_checkpoint(checkpoint, device)
    mask_store = None if masks is None else open_masks(masks)
    result = _accuracy_figures(metrics, test)
    if out_distance is not None and mask_store is not None:
        write_table(distance_profile(store, mask_store, test["gene_id"].tolist()), out_distance)
    if truth is not None:
        result |= expression_ceilings(test, truth.expression, store.cell_line)
        result |= base_figures(test, truth.elements, store, mask_store, trained)
        elements = scored_elements(test, truth.pairs, store, mask_store, trained)
        elements["effect"] = shuffle_effects(
            *(trained, store, elements), n_shuffles=N_SHUFFLES, batch_size=batch_size
        )
        result |= element_figures(elements)
        if out_elements is not None:
            write_table(elements, out_elements)
    _write_json(result, out_evaluation)
    log.info("%s", result)


def _accuracy_figures(metrics: Path, test: pd.DataFrame) -> dict[str, Any]:
    run = json.loads(metrics.read_text())
    found = accuracy(test["observed"], test["predicted"])
    ratio = test["mask_ratio"].mean()
    return {
        **{key: run[key] for key in RUN_KEYS},
        "parameters": run["parameters"],
        "seconds": run["seconds"],
        "test_genes": found.n,
        "pearson": found.pearson,
        "mse": found.mse,
        "mae": found.mae,
        "mask_ratio": float(ratio) if test["mask_ratio"].notna().any() else None,
    }


def _write_json(result: dict[str, Any], path: Path) -> None:
    plain = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in result.items()
    }
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(plain, indent=1) + "\n")


# --------------------------------------------------------------------------- planted truth


def expression_ceilings(test: pd.DataFrame, expression: Path, cell_line: str) -> dict[str, float]:
    """Pearson r of the labels with what was planted.

    ``noise_ceiling``: with their noiseless values, the best that a model can expect.
    ``promoter_ceiling``: with the promoter's part of them, the best without distal elements.
    """
    planted = planted_expression(expression, cell_line, test["gene_id"].tolist())
    return {
        "noise_ceiling": accuracy(test["observed"], planted["noiseless"]).pearson,
        "promoter_ceiling": accuracy(test["observed"], planted["promoter"]).pearson,
    }


def base_figures(
    test: pd.DataFrame,
    elements: Path,
    store: WindowStore,
    masks: MaskStore | None,
    trained: TrainedModel,
) -> dict[str, float | int | None]:
    """AUPRC of every score over the bases of the test genes' windows, and the base rate.

    Positive are bases of active elements that are open in the cell line. The central promoter, N,
    blacklisted bases and bases off the chromosome are left out.
    """
    length = trained.shape.window_length
    counts = base_counts(
        windows(store, masks, test["gene_id"].tolist(), length),
        active_elements(elements, store.cell_line),
        promoter_slice(length, trained.shape.promoter_length),
    )
    figures: dict[str, float | int | None] = {
        f"auprc_{name}": counts[name].average_precision() if name in counts else None
        for name in SCORES
    }
    dnase = counts.get("dnase")
    return {
        **figures,
        "base_rate": dnase.base_rate if dnase else None,
        "bases": dnase.total if dnase else 0,
    }


def scored_elements(
    test: pd.DataFrame,
    pairs: Path,
    store: WindowStore,
    masks: MaskStore | None,
    trained: TrainedModel,
) -> pd.DataFrame:
    """Every open planted element in a test gene's window, with the mean of each score over it."""
    length = trained.shape.window_length
    found = open_pairs(pairs, store.cell_line, test["gene_id"].tolist())
    inside = within_windows(found, store, length)
    return inside.join(element_scores(inside, store, masks, length))


def element_figures(elements: pd.DataFrame) -> dict[str, float | int | None]:
    """AUROC of every score and of the shuffle effect: active elements over decoys.

    ``effect_pearson`` compares planted and found effects among the active elements.
    """
    active = elements["kind"].to_numpy() == "active"
    figures: dict[str, float | int | None] = {
        f"auroc_{name}": _auroc(active, elements[name].to_numpy()) for name in SCORES
    }
    pearson = None
    if active.sum() > 1:
        pearson = accuracy(
            elements.loc[active, "planted_effect"], elements.loc[active, "effect"]
        ).pearson
    return {
        **figures,
        "effect_auroc": _auroc(active, elements["effect"].to_numpy()),
        "effect_pearson": pearson,
        "active_elements": int(active.sum()),
        "decoy_elements": int((~active).sum()),
    }


def _auroc(positive: np.ndarray, scores: np.ndarray) -> float | None:
    known = np.isfinite(scores)
    if not 0 < positive[known].sum() < known.sum():
        return None
    return float(roc_auc_score(positive[known], scores[known]))


# --------------------------------------------------------------------------- distance


def distance_profile(store: WindowStore, masks: MaskStore, gene_ids: list[str]) -> pd.DataFrame:
    """Mean of each mask track against the distance to the TSS, both sides together.

    Returns
    -------
    DataFrame
        ``start`` and ``end`` of each bin of distances (bp, half-open), ``bases`` counted, and the
        mean of every track over them. N, blacklisted and missing bases are left out.
    """
    length = masks.length
    sums = {name: np.zeros(length) for name, _ in masks.tracks()}
    used = np.zeros(length, dtype=np.int64)
    for window in windows(store, masks, gene_ids, length):
        used += window.usable
        for name, total in sums.items():
            total[window.usable] += window.scores[name][window.usable]
    edges = np.unique(np.linspace(0, length // 2, DISTANCE_BINS + 1).astype(int))
    distance = np.abs(np.arange(length) - length // 2)
    # The window's first base lies length / 2 from the TSS, alone: it joins the last bin.
    place = np.minimum(np.searchsorted(edges, distance, side="right") - 1, len(edges) - 2)

    def binned(values: np.ndarray) -> np.ndarray:
        return np.bincount(place, weights=values, minlength=len(edges) - 1)

    bases = binned(used)
    means = {
        name: np.divide(binned(sums[name]), bases, out=np.full(len(bases), np.nan), where=bases > 0)
        for name in TRACKS
        if name in sums
    }
    return pd.DataFrame(
        {"start": edges[:-1], "end": edges[1:], "bases": bases.astype(np.int64), **means}
    )
