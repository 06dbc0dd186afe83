"""What a run on a simulated genome finds, and what of it reaches the prediction, by distance.

Axes: n test genes, K bins of the distance to the TSS, R bootstrap samples.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from seq2exp.batching import consecutive_batches
from seq2exp.bottleneck import promoter_slice
from seq2exp.checkpoints import load_checkpoint
from seq2exp.evidence.precision_recall import ranking_areas
from seq2exp.masks import MaskStore, open_masks
from seq2exp.metrics import accuracy
from seq2exp.models.masked import MaskedModel
from seq2exp.packing import unpack
from seq2exp.planted import (
    SCORES,
    PlantedTruth,
    active_elements,
    base_counts,
    element_scores,
    planted_expression,
    planted_pairs,
    windows,
    within_windows,
)
from seq2exp.schemas import read_table
from seq2exp.store import WindowStore, open_store
from seq2exp.windows import WindowDataset

Floats = NDArray[np.float64]

EDGES = (0, 1_000, 4_000, 16_000, 64_000)
"""Bounds of the bins (bp): half of the windows that are compared, of 2, 8, 32 and 128 kb."""
SAMPLES = 1_000


class RunFiles(NamedTuple):
    """What the workflow wrote for one run, and the truth of its genome."""

    checkpoint: Path
    metrics: Path
    predictions: Path
    masks: Path
    store: Path
    truth: PlantedTruth


def bins(window_length: int) -> list[tuple[int, int]]:
    """Bins of the distance to the TSS that a window reaches, (low, high) in bp, half-open."""
    half = window_length // 2
    edges = [edge for edge in EDGES if edge < half] + [half]
    return list(pairwise(edges))


def run_figures(files: RunFiles) -> tuple[dict[str, float], pd.DataFrame, pd.DataFrame]:
    """Measure one run on its test genes.

    Returns
    -------
    dict
        ``pearson``, ``promoter_ceiling`` (of the planted promoter part), ``noise_ceiling`` (of the
        planted noiseless value), ``seconds`` of the training; with a mask ``mask_ratio``,
        ``auroc_...`` of the mean score of active open elements over decoys that are as open, and
        ``auprc_...`` over all bases outside the promoter, ``base_rate`` among them.
    DataFrame
        A row a bin: ``low``, ``high``; the same AUROC with bootstrap bounds and AUPRC;
        ``active`` and ``decoys`` counted; ``arrives`` with bounds, of :func:`arriving_shares`;
        ``pearson`` over the genes with an active element in the bin, ``genes`` of them.
    DataFrame
        ``gene_id``, ``observed`` and ``predicted`` of the test genes.
    """
    table = read_table(files.predictions)
    test = table[table["split"] == "test"].reset_index(drop=True)
    genes = test["gene_id"].tolist()
    store = open_store(files.store)
    run = json.loads(files.metrics.read_text())
    length = int(run["settings"]["window"]["window_length"])
    # A model of the promoter is asked about the whole window too: nothing arrives from elsewhere.
    ranges = bins(store.window_length)
    planted = planted_expression(files.truth.expression, store.cell_line, genes)
    pairs = planted_pairs(files.truth.pairs, store.cell_line, genes)
    effects = binned_effects(pairs, genes, ranges)
    figures = {
        "pearson": accuracy(test["observed"], test["predicted"]).pearson,
        "promoter_ceiling": accuracy(test["observed"], planted["promoter"]).pearson,
        "noise_ceiling": accuracy(test["observed"], planted["noiseless"]).pearson,
        "seconds": float(run["seconds"]),
        "mask_ratio": float(test["mask_ratio"].mean()),
    }
    parts = np.column_stack([planted["promoter"].to_numpy(np.float64), effects])  # (n, 1 + K)
    shares = arriving_shares(test["predicted"].to_numpy(np.float64), parts)
    rows = []
    for k, (low, high) in enumerate(ranges):
        there = effects[:, k] > 0
        arrives = dict(zip(("arrives", "arrives_low", "arrives_high"), shares[1 + k], strict=True))
        found = accuracy(test["observed"][there], test["predicted"][there]).pearson
        rows.append({"low": low, "high": high, "genes": there.sum(), "pearson": found, **arrives})
    by_bin = pd.DataFrame(rows)
    predicted = test[["gene_id", "observed", "predicted"]]
    if not files.masks.exists():
        return figures, by_bin, predicted
    masks = open_masks(files.masks)
    inside = within_windows(pairs, store, length)
    elements = inside.join(element_scores(inside, store, masks, length))
    elements = elements[elements["open"]]
    figures |= element_areas(elements)
    by_bin = by_bin.join(pd.DataFrame([element_areas(part) for part in _split(elements, ranges)]))
    promoter = int(run["settings"]["window"]["promoter_length"])
    of_bases = base_areas(store, masks, genes, files.truth.elements, ranges, promoter)
    return figures | of_bases[0], by_bin.join(pd.DataFrame(of_bases[1:])), predicted


def _split(elements: pd.DataFrame, ranges: list[tuple[int, int]]) -> list[pd.DataFrame]:
    distance = elements["distance"]
    return [elements[(distance >= low) & (distance < high)] for low, high in ranges]


# --------------------------------------------------------------------------- what arrives


def binned_effects(pairs: pd.DataFrame, genes: list[str], ranges: list[tuple[int, int]]) -> Floats:
    """Planted effects on each gene, summed over the elements of each bin: (n, K)."""
    columns = [
        part.groupby("gene_id")["planted_effect"].sum().reindex(genes, fill_value=0.0)
        for part in _split(pairs, ranges)
    ]
    return np.column_stack(columns)


def arriving_shares(predicted: Floats, parts: Floats) -> list[tuple[float, float, float]]:
    """Regress the prediction on the planted parts of the label.

    A coefficient of 1 says that a planted effect is predicted in full, 0 that none of it arrives.

    Parameters
    ----------
    predicted : (n,)
    parts : (n, parts)

    Returns
    -------
    list
        For each part its coefficient, and the bounds of its 95% bootstrap interval over genes.
    """
    design = np.column_stack([np.ones(len(parts)), parts])

    def coefficients(rows: NDArray[np.int64] | slice) -> Floats:
        found: Floats = np.linalg.lstsq(design[rows], predicted[rows], rcond=None)[0][1:]
        return found

    rng = np.random.default_rng(0)
    drawn = [coefficients(rng.integers(len(parts), size=len(parts))) for _ in range(SAMPLES)]
    bounds = np.quantile(drawn, [0.025, 0.975], axis=0)  # (2, parts)
    return [tuple(row) for row in np.vstack([coefficients(slice(None)), bounds]).T.tolist()]


# --------------------------------------------------------------------------- what is found


def element_areas(elements: pd.DataFrame) -> dict[str, float]:
    """AUROC of active over decoy elements for each score, with 95% bootstrap bounds over genes."""
    positive = (elements["kind"] == "active").to_numpy(bool)
    areas: dict[str, float] = {"active": positive.sum(), "decoys": (~positive).sum()}
    gene = elements["gene_id"].factorize()[0]
    for name in SCORES:
        scores = elements[name].to_numpy(np.float64)
        if not np.isfinite(scores).all() or not 0 < positive.sum() < len(positive):
            continue
        _, found = ranking_areas(scores, positive, gene)
        areas |= {f"auroc_{name}": found.value}
        areas |= {f"auroc_{name}_low": found.low, f"auroc_{name}_high": found.high}
    return areas


def base_areas(
    store: WindowStore,
    masks: MaskStore,
    genes: list[str],
    elements: Path,
    ranges: list[tuple[int, int]],
    promoter_length: int,
) -> list[dict[str, float]]:
    """AUPRC of each score over the bases outside the promoter: of the whole window, and by bin."""
    length = masks.length
    active = active_elements(elements, store.cell_line)
    promoter = promoter_slice(length, promoter_length)
    distance = np.abs(np.arange(length) - length // 2)
    areas = []
    for low, high in [(0, length), *ranges]:
        within = (distance >= low) & (distance < high)
        shown = (
            window._replace(usable=window.usable & within)
            for window in windows(store, masks, genes, length)
        )
        counts = base_counts(shown, active, promoter)
        found = {f"auprc_{name}": counts[name].average_precision() for name in counts}
        areas.append({**found, "base_rate": counts["dnase"].base_rate})
    return [{key: np.nan if v is None else v for key, v in area.items()} for area in areas]


# --------------------------------------------------------------------------- another's mask


@torch.no_grad()
def foreign_pearson(files: RunFiles, masks: Path, batch_size: int = 8) -> dict[str, float]:
    """Show a run's predictor the masks of another run of the same genes.

    Each mask is made of zeros and ones, as `seq2exp_gated` does in evaluation: the bases that are more
    likely kept than not. What a predictor loses is what its own mask told it by other means than by
    showing bases.

    Returns
    -------
    dict
        Pearson r over the test genes with the run's own mask (``own``) and the other's (``foreign``).
    """
    trained = load_checkpoint(files.checkpoint, "cpu")
    assert isinstance(trained.model, MaskedModel)
    store, other = open_store(files.store), open_masks(masks)
    own = open_masks(files.masks)
    assert own.gene_ids == other.gene_ids
    row_of = {gene: row for row, gene in enumerate(store.genes["gene_id"])}
    rows = np.array([row_of[gene] for gene in other.gene_ids])
    dataset = WindowDataset(files.store, rows, "CAGE", trained.shape.window_length)
    shown = {"own": own.mask, "foreign": other.mask}
    predicted: dict[str, list[torch.Tensor]] = {name: [] for name in shown}
    for batch_rows in consecutive_batches(len(dataset), batch_size):
        batch = unpack(dataset.read(batch_rows), contact_bin=store.contact_bin)
        for name, mask in shown.items():
            zeros_and_ones = torch.from_numpy(mask[batch_rows] >= 0.5).to(batch.sequence.dtype)
            predicted[name].append(trained.model.predict_from(batch, zeros_and_ones))
    return {
        name: accuracy(dataset.labels, torch.cat(parts).numpy()).pearson
        for name, parts in predicted.items()
    }
