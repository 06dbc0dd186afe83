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

from seq2exp.attribution import attributions
from seq2exp.bottleneck import promoter_slice
from seq2exp.checkpoints import TrainedModel, load_checkpoint
from seq2exp.errors import UserError
from seq2exp.masks import TRACKS, MaskStore, open_masks
from seq2exp.metrics import accuracy
from seq2exp.perturbation import removal_effects, shuffle_effects
from seq2exp.planted import (
    SCORES,
    PlantedTruth,
    active_elements,
    base_counts,
    element_scores,
    planted_expression,
    windows,
)
from seq2exp.planted_ranking import candidates, rank_candidates
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
    out_ranking: Path | None = None,
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
        Every planted element-gene pair, and its background, with scores (needs ``truth``):
        :func:`seq2exp.planted_ranking.candidates`.
    out_ranking
        elements_auprc.tsv, what each score is worth on them:
        :func:`seq2exp.planted_ranking.rank_candidates`.
    batch_size, device
        For the effects of elements.

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
        elements = scored_elements(test, truth, store, mask_store, trained, batch_size)
        ranking = rank_candidates(elements)
        result |= element_figures(elements, ranking)
        if out_elements is not None:
            write_table(elements, out_elements)
        if out_ranking is not None:
            write_table(ranking, out_ranking)
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
    truth: PlantedTruth,
    store: WindowStore,
    masks: MaskStore | None,
    trained: TrainedModel,
    batch_size: int,
) -> pd.DataFrame:
    """Candidates in the test genes' windows with all scores: means over each, and its effects."""
    length = trained.shape.window_length
    found = candidates(
        *(truth.pairs, truth.elements, store, test["gene_id"].tolist()),
        length=length,
        promoter=promoter_slice(length, trained.shape.promoter_length),
    )
    found = found.join(element_scores(found, store, masks, length))
    return found.assign(
        effect_removed=removal_effects(trained, store, found, batch_size=batch_size),
        effect_shuffled=shuffle_effects(
            *(trained, store, found), n_shuffles=N_SHUFFLES, batch_size=batch_size
        ),
        attribution=attributions(trained, store, found),
    )


def element_figures(elements: pd.DataFrame, ranking: pd.DataFrame) -> dict[str, float | int | None]:
    """AUPRC and AUROC of every score, and how well effects are recovered.

    Parameters
    ----------
    elements, ranking
        From :func:`scored_elements` and :func:`seq2exp.planted_ranking.rank_candidates`.

    Returns
    -------
    dict
        ``element_auprc_...`` among all candidates, ``auroc_...`` over the open decoys, and
        ``..._pearson``: of planted and found effects among the active open elements.
    """
    active = elements[(elements["kind"] == "active") & elements["open"]]
    figures: dict[str, float | int | None] = {}
    for row in ranking.to_dict("records"):
        figures[f"element_auprc_{row['score']}"] = row["auprc"]
        figures[f"auroc_{row['score']}"] = row["auroc"]
    for name in ("effect_removed", "effect_shuffled", "attribution"):
        enough = len(active) > 1
        found = accuracy(active["planted_effect"], active[name]).pearson if enough else None
        figures[f"{name}_pearson"] = found
    (counts,) = ranking[ranking["score"] == "nearness"].to_dict("records")
    return {
        **figures,
        "element_base_rate": counts["base_rate"],
        "active_elements": int(counts["active"]),
        "decoy_elements": int(counts["decoys"]),
        "candidate_elements": int(counts["candidates"]),
    }


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
