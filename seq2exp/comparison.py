"""Accuracy of models on the same genes: intervals, and paired tests between them.

Axes: n genes, S seeds of one model, M models, R resamples.

Two things are left to chance in a figure of a model: which genes it is tested on, and the seed it is
trained with. Both are resampled, crossed: the pigeonhole bootstrap of Owen (2007, Annals of Applied
Statistics 1:386). Genes are drawn in blocks, as neighbours share most of their windows; all models
are measured on the same draws, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

METRICS = ("pearson", "mse", "mae")
RESAMPLES = 10_000
LEVEL = 0.95
_VALUES_AT_ONCE = 10_000_000


class Interval(NamedTuple):
    """Bounds of a 95% interval."""

    low: float
    high: float


def gene_metrics(observed: np.ndarray, predicted: np.ndarray) -> dict[str, np.ndarray]:
    """Pearson r, MSE and MAE of predictions (..., n) against labels (n,), each (...).

    r is NaN where one side is constant.
    """
    weights = np.ones((1, len(observed)))
    flat = predicted.reshape(-1, len(observed))
    return {
        name: values[0].reshape(predicted.shape[:-1])
        for name, values in _weighted_metrics(observed, flat, weights).items()
    }


def _weighted_metrics(
    observed: np.ndarray, predicted: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Metrics (R, K) of K predictions (K, n) with the genes weighted (R, n)."""
    total = weights.sum(axis=1, keepdims=True)

    def mean(values: np.ndarray) -> np.ndarray:
        return weights @ values.T / total

    # Centred, so that the variances lose no digits.
    y = observed - observed.mean()
    p = predicted - predicted.mean(axis=1, keepdims=True)
    error = predicted - observed
    mean_y, mean_p = mean(y[None]), mean(p)
    variance_y = mean(y[None] ** 2) - mean_y**2
    variance_p = mean(p**2) - mean_p**2
    covariance = mean(p * y) - mean_p * mean_y
    spread = np.sqrt(np.maximum(variance_y, 0) * np.maximum(variance_p, 0))
    flat = spread <= 1e-12 * max(float(y.std()), 1e-300) ** 2
    pearson = np.where(flat, np.nan, covariance / np.where(flat, 1, spread))
    return {"pearson": pearson, "mse": mean(error**2), "mae": mean(abs(error))}


# --------------------------------------------------------------------------- bootstrap


def bootstrap(
    observed: np.ndarray,
    predictions: Sequence[np.ndarray],
    blocks: np.ndarray,
    *,
    same_seeds: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Metrics of every model over resampled genes and seeds.

    Parameters
    ----------
    observed
        Labels (n,).
    predictions
        One array (S, n) a model; S may differ.
    blocks
        Block of each gene (n,), whole numbers: the genes of a block are drawn together.
    same_seeds
        The rows of all arrays are predictions of the same trained models, seen in another way: they
        are drawn together.
    resamples, seed
        R, and the seed of the draws.

    Returns
    -------
    dict
        Each metric, averaged over the drawn seeds: (R, M). A model of one seed keeps that seed.
    """
    rng = np.random.default_rng(seed)
    stacked = np.concatenate(predictions)  # (sum of S, n)
    chunks = [
        _weighted_metrics(observed, stacked, weights)
        for weights in _resampled_genes(blocks, resamples, rng)
    ]
    sizes = [len(model) for model in predictions]
    drawn = [rng.integers(size, size=(resamples, size)) for size in sizes]  # (R, S) a model
    if same_seeds:
        drawn = [drawn[0]] * len(drawn)
    firsts = np.cumsum([0, *sizes[:-1]])
    results = {}
    for name in METRICS:
        values = np.concatenate([chunk[name] for chunk in chunks])  # (R, sum of S)
        means = [
            np.take_along_axis(values, first + seeds, axis=1).mean(axis=1)
            for first, seeds in zip(firsts, drawn, strict=True)
        ]
        results[name] = np.stack(means, axis=1)
    return results


def _resampled_genes(
    blocks: np.ndarray, resamples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """How often each gene is in each resample (R, n), some resamples at a time."""
    _, place = np.unique(blocks, return_inverse=True)
    count = int(place.max()) + 1
    step = max(1, _VALUES_AT_ONCE // len(blocks))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        picked = rng.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(picked.ravel(), minlength=rows * count).reshape(rows, count)
        yield times[:, place].astype(np.float64)


def interval(values: np.ndarray) -> Interval:
    """Percentile interval of resampled values (R,)."""
    known = values[np.isfinite(values)]
    if not known.size:
        return Interval(np.nan, np.nan)
    tail = (1 - LEVEL) / 2
    return Interval(*(float(bound) for bound in np.quantile(known, [tail, 1 - tail])))


def sign_p_value(differences: np.ndarray) -> float:
    """Two-sided p-value that a difference is 0, from its resampled values (R,).

    Twice the share of resamples on the other side of 0 than most, itself counted among them.
    """
    known = differences[np.isfinite(differences)]
    if not known.size:
        return float("nan")
    rarer = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(known) + 1))


# --------------------------------------------------------------------------- tests


def clustered_t_p_value(differences: np.ndarray, blocks: np.ndarray) -> float:
    """Two-sided p-value that the mean of per-gene differences (n,) is 0.

    Paired t test with standard errors that allow for any dependence within a block (Liang and
    Zeger 1986), on as many degrees of freedom as there are blocks less one. With a block a gene it
    is the paired t test. NaN with fewer than two blocks.
    """
    _, place = np.unique(blocks, return_inverse=True)
    count = int(place.max()) + 1
    if count < 2:
        return float("nan")
    mean = differences.mean()
    residuals = np.bincount(place, weights=differences - mean)  # (blocks,)
    error = np.sqrt(count / (count - 1) * (residuals**2).sum()) / len(differences)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, df=count - 1))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """p-values adjusted for their number (Holm 1979); NaN stays NaN and does not count."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def gene_blocks(chroms: Sequence[str], tss: np.ndarray, length: int) -> np.ndarray:
    """Blocks of genes (n,): those whose TSSs lie in the same ``length`` bp of the genome."""
    _, chrom = np.unique(np.asarray(chroms, dtype=str), return_inverse=True)
    _, block = np.unique(np.stack([chrom, tss // length]), axis=1, return_inverse=True)
    return block
