"""One run against CRISPRi: the score of every pair, and what each predictor is worth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seq2exp.evidence.crispri import (
    PAIR_KEY,
    PREDICTED,
    genes_of_pairs,
    in_any_window,
    inside_windows,
    link_scores,
    mask_scores,
)
from seq2exp.evidence.outputs import write_run_figures
from seq2exp.evidence.precision_recall import performances, pr_curve
from seq2exp.masks import TRACKS, open_masks
from seq2exp.regions import read_elements
from seq2exp.schemas import (
    PAIR_COLUMNS,
    PREDICTION_COLUMNS,
    SPLITS,
    read_table,
    write_table,
)
from seq2exp.store import open_store

PREDICTORS = (*TRACKS, "regions", "abc", "activity", "distance")
RIVAL = "abc"
"""Over whose AUPRC gains are."""
DISTANCE_BINS = (0, 20, 100, 2_500)
"""kb, as in the benchmark."""
WINDOW, ALL = "window", "all"
PERFORMANCE_COLUMNS = (
    *("genes", "distance", "predictor", "pairs", "positives"),
    *("auprc", "auprc_low", "auprc_high"),
    *("precision", "precision_low", "precision_high"),
    *("gain", "gain_low", "gain_high"),
)
CURVE_COLUMNS = ("distance", "predictor", "threshold", "precision", "recall")


# --------------------------------------------------------------------------- one run


def write_run_scores(
    *,
    baselines: Path,
    masks_dir: Path,
    store_dir: Path,
    predictions: Path,
    elements: Path,
    out_pairs: Path,
    out_performance: Path,
    out_figures: Path,
) -> None:
    """Score the pairs of a cell line by one run, beside the baselines.

    Parameters
    ----------
    baselines
        From :func:`seq2exp.evidence.baselines.write_baselines`.
    masks_dir, store_dir, predictions, elements
        Mask store, window store, predictions.tsv and elements.bed.gz of the run.
    out_pairs
        Every pair: ``gene_id`` and ``split`` of its gene in the run's fold (empty: no window),
        ``in_window`` (the element is in its gene's window), ``in_training_window`` (it is in that
        of a gene that the model was trained on), and the score of each predictor. Pairs of genes
        without a mask have none of the run's scores.
    out_performance
        PERFORMANCE_COLUMNS; see :func:`performance_table`.
    out_figures
        JSON: the run, and AUPRC of the pairs of test genes within windows.
    """
    masks = open_masks(masks_dir)
    pairs = run_pairs(baselines, masks_dir, store_dir, predictions, elements)
    performance = performance_table(pairs)
    write_table(pairs, out_pairs)
    write_table(performance, out_performance)
    write_run_figures(out_figures, masks.meta, run_figures(pairs, performance))


def run_pairs(
    baselines: Path, masks_dir: Path, store_dir: Path, predictions: Path, elements: Path
) -> pd.DataFrame:
    """Score pairs by a run, as :func:`write_run_scores` writes them."""
    pairs = read_table(baselines, (*PAIR_COLUMNS, "gene_tss", "activity", "abc"))
    masks, store = open_masks(masks_dir), open_store(store_dir)
    genes = read_table(predictions, PREDICTION_COLUMNS)
    rows = genes_of_pairs(pairs, store.genes)
    split_of = dict(zip(genes["gene_id"], genes["split"], strict=True))
    gene_ids = np.append(store.genes["gene_id"].to_numpy(), "")[rows]  # -1 is the last, empty
    pairs.insert(4, "gene_id", gene_ids)
    pairs["split"] = [split_of.get(gene_id, "") for gene_id in gene_ids]
    pairs["in_window"] = inside_windows(pairs, rows, store.genes, masks.length)
    training = genes[genes["split"] == "train"]
    pairs["in_training_window"] = in_any_window(pairs, training, masks.length)
    scores = mask_scores(pairs, rows, store, masks)
    pairs[scores.columns] = scores
    regions = read_elements(elements).rename(columns={"score": "bed_score", "mean_mask": "score"})
    has_mask = scores["mask"].notna()
    pairs["regions"] = np.where(has_mask, link_scores(pairs, regions, gene="gene_id"), np.nan)
    order = [name for name in predictors_of(pairs) if name != "distance"]
    return pairs[[column for column in pairs if column not in order] + order]


def run_figures(pairs: pd.DataFrame, performance: pd.DataFrame) -> dict[str, Any]:
    """AUPRC of each predictor on test genes' pairs within windows; None where there is none."""
    wanted = (performance["genes"] == "test") & (performance["distance"] == WINDOW)
    rows = performance[wanted].set_index("predictor")
    areas = rows["auprc"].to_dict()
    figures = {
        f"crispri_auprc_{name}": areas.get(name)
        for name in dict.fromkeys((*PREDICTORS, *predictors_of(pairs)))
    }
    tested = _scored(pairs, "test") & pairs["in_window"]
    return {
        **figures,
        "crispri_pairs": int(tested.sum()),
        "crispri_positives": int(pairs.loc[tested, "regulated"].sum()),
    }


# --------------------------------------------------------------------------- performance


def performance_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """What each predictor is worth, by whose genes the pairs are and by distance.

    Parameters
    ----------
    pairs
        From :func:`run_pairs`.

    Returns
    -------
    DataFrame
        PERFORMANCE_COLUMNS. ``genes`` is the split of the genes: only ``test`` is evidence, what
        ``train`` and ``valid`` show may have been learned by heart. ``distance`` is ``window``
        (elements within the model's window), ``all``, or a bin of distances. All predictors have
        the same pairs, those whose gene has a mask. ``precision`` is at 70% recall, ``gain`` the
        AUPRC less that of the ABC-style score; all with 95% bootstrap intervals.
    """
    rows = []
    for genes in SPLITS:
        for distance, chosen in _distances(pairs[_scored(pairs, genes)]):
            names, scores = _scores(chosen)
            found = performances(scores, chosen["regulated"].to_numpy(), rival=names.index(RIVAL))
            facts = (len(chosen), int(chosen["regulated"].sum()))
            rows += [
                (genes, distance, name, *facts, *one.auprc, *one.precision, *one.gain)
                for name, one in zip(names, found, strict=True)
            ]
    return pd.DataFrame(rows, columns=list(PERFORMANCE_COLUMNS))


def curve_table(pairs: pd.DataFrame) -> pd.DataFrame:
    """Points of the precision-recall curves of the test genes' pairs: CURVE_COLUMNS."""
    tables = [pd.DataFrame(columns=list(CURVE_COLUMNS))]
    for distance, chosen in _distances(pairs[_scored(pairs, "test")]):
        if chosen["regulated"].any():
            for name, scores in zip(*_scores(chosen), strict=True):
                curve = pr_curve(scores, chosen["regulated"].to_numpy())
                tables.append(
                    pd.DataFrame({"distance": distance, "predictor": name, **curve._asdict()})
                )
    return pd.concat(tables[1:] or tables, ignore_index=True)


def predictors_of(pairs: pd.DataFrame) -> list[str]:
    """Columns that hold scores: ours, baselines, other methods."""
    ours = [name for name in PREDICTORS if name in pairs]
    return ours + [name for name in map(str, pairs) if name.startswith(PREDICTED)]


def _scored(pairs: pd.DataFrame, split: str) -> pd.Series:
    return (pairs["split"] == split) & pairs["mask"].notna()


def _distances(pairs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name and pairs of each part by distance that has any."""
    parts = {WINDOW: pairs["in_window"], ALL: pd.Series(True, index=pairs.index)}
    for low, high in pairwise(DISTANCE_BINS):
        inside = pairs["distance"].between(1_000 * low, 1_000 * high, inclusive="left")
        parts[f"{low}-{high} kb"] = inside
    for name, chosen in parts.items():
        if chosen.any():
            yield name, pairs[chosen]


def _scores(pairs: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Names and scores (P, n) of the predictors there are; nearer is likelier."""
    names = predictors_of(pairs)
    scores = pairs[names].to_numpy(np.float64).T
    scores[names.index("distance")] *= -1
    return names, scores


# --------------------------------------------------------------------------- several runs


def write_pooled_scores(
    pair_tables: Sequence[Path], *, out_performance: Path, out_curves: Path
) -> None:
    """Put the test genes' pairs of all folds and seeds of a model together.

    Each pair is scored by the models that have not seen its gene: over folds this is the whole
    benchmark, held out. Over seeds, its score is the mean.

    Parameters
    ----------
    pair_tables
        ``out_pairs`` of :func:`write_run_scores`, one a run of one cell line, assay and model.
    out_performance, out_curves
        PERFORMANCE_COLUMNS and CURVE_COLUMNS.
    """
    runs = [read_table(path, (*PAIR_COLUMNS, "split", "mask")) for path in pair_tables]
    held_out = pd.concat([run[_scored(run, "test")] for run in runs], ignore_index=True)
    names = predictors_of(held_out)
    facts = dict.fromkeys(("regulated", "in_window", "split"), "first")
    pairs = held_out.groupby(PAIR_KEY, as_index=False).agg(
        {**facts, **dict.fromkeys(names, "mean")}
    )
    write_table(performance_table(pairs), out_performance)
    write_table(curve_table(pairs), out_curves)
