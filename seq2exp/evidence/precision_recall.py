"""Precision and recall as the ENCODE CRISPRi benchmark has them, with bootstrap intervals.

A curve has one point a distinct score, highest first: pairs of equal score are called together.
The area under it is the trapezoid over recall between the first point and the last but one. The
last calls every pair, which no score has to earn, and before the first there is no precision to
speak of. So the area differs from scikit-learn's average precision, and is lower where many pairs
share the lowest score.

Source: the public workflow EngreitzLab/CRISPR_comparison, commit 83e6f72 (what it computes, not
how).

Axes: P predictors, n pairs, K distinct scores, R bootstrap samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

RECALL = 0.7
"""Where the benchmark quotes precision."""
SAMPLES = 1_000
_CHUNK = 100  # samples in memory at once


class Curve(NamedTuple):
    """Points of a precision-recall curve, each (K,), from the highest threshold to the lowest."""

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


class Interval(NamedTuple):
    """A figure with its 95% bootstrap interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


class Performance(NamedTuple):
    """What a predictor is worth on a set of pairs."""

    auprc: Interval
    precision: Interval
    """At the highest threshold that reaches RECALL of the positives."""
    gain: Interval
    """AUPRC less that of the predictor it is compared with, on the same bootstrap samples."""


def pr_curve(scores: np.ndarray, positive: np.ndarray) -> Curve:
    """Precision and recall at each distinct score.

    Parameters
    ----------
    scores : (n,)
        The higher, the more likely positive; no NaN.
    positive : bool (n,)
        At least one of them true.
    """
    order, last = _ranked(scores)
    taken = np.arange(1, len(scores) + 1)[last]
    hits = np.cumsum(positive[order])[last]
    return Curve(scores[order][last], hits / taken, hits / hits[-1])


def auprc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the curve; NaN without a positive, a negative, or a second distinct score."""
    order, last = _ranked(scores)
    everyone = np.ones(len(scores))
    return float(_area(*_cumulative(everyone[None], positive, order, last))[0])


def precision_at_recall(curve: Curve, recall: float = RECALL) -> tuple[float, float]:
    """Precision, and its threshold, at the first point whose recall is at least ``recall``."""
    point = int(np.argmax(curve.recall >= recall))
    return float(curve.precision[point]), float(curve.threshold[point])


def performances(
    scores: np.ndarray, positive: np.ndarray, *, rival: int, samples: int = SAMPLES, seed: int = 0
) -> list[Performance]:
    """AUPRC and precision of each predictor on the same pairs and the same bootstrap samples.

    Pairs are drawn with replacement. The threshold of the precision stays that of all pairs, as in
    the benchmark. Samples without a positive or without a negative are left out.

    Parameters
    ----------
    scores : (P, n)
        Higher is more likely positive; no NaN.
    positive : bool (n,)
    rival
        Row of the predictor that the others' gain is over.
    """
    if not 0 < positive.sum() < len(positive):
        nothing = Interval(np.nan, np.nan, np.nan)
        return [Performance(nothing, nothing, nothing)] * len(scores)
    ranked = [_ranked(row) for row in scores]
    at_recall = [precision_at_recall(pr_curve(row, positive)) for row in scores]
    called = [row >= threshold for row, (_, threshold) in zip(scores, at_recall, strict=True)]
    areas, precisions = [], []
    rng = np.random.default_rng(seed)
    n = len(positive)
    for first in range(0, samples, _CHUNK):
        size = min(_CHUNK, samples - first)
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=size).astype(np.float64)  # (chunk, n)
        areas.append([_area(*_cumulative(drawn, positive, *ranks)) for ranks in ranked])
        precisions.append([_ratio(drawn @ (row & positive), drawn @ row) for row in called])
    area = np.concatenate(areas, axis=1)  # (P, R)
    precision = np.concatenate(precisions, axis=1)
    whole = np.array([auprc(row, positive) for row in scores])
    return [
        Performance(
            _interval(whole[i], area[i]),
            _interval(at_recall[i][0], precision[i]),
            _interval(whole[i] - whole[rival], area[i] - area[rival]),
        )
        for i in range(len(scores))
    ]


def ranking_areas(
    scores: np.ndarray,
    positive: np.ndarray,
    groups: np.ndarray,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> tuple[Interval, Interval]:
    """AUPRC and AUROC of one score; whole groups of pairs are drawn with replacement.

    Parameters
    ----------
    scores : (n,)
        Higher is more likely positive; no NaN.
    positive : bool (n,)
    groups : int (n,)
        0 to the number of groups less 1; pairs of a group belong together (those of a gene).
    samples, seed
        Bootstrap samples, and where they start. Those without a positive or without a negative are
        left out.
    """
    ranks = _ranked(scores)
    drawn = [np.ones((1, len(scores)), np.int64), *_drawn_groups(groups, samples, seed)]
    found = [_cumulative(counts, positive, *ranks) for counts in drawn]
    areas = np.concatenate([_area(*counts) for counts in found])
    roc_areas = np.concatenate([_roc_area(*counts) for counts in found])
    return _interval(areas[0], areas[1:]), _interval(roc_areas[0], roc_areas[1:])


def _drawn_groups(groups: np.ndarray, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield how often each pair is drawn (chunk, n)."""
    rng = np.random.default_rng(seed)
    count = int(groups.max(initial=-1)) + 1
    for first in range(0, samples, _CHUNK) if count else ():
        size = min(_CHUNK, samples - first)
        yield rng.multinomial(count, np.full(count, 1 / count), size=size)[:, groups]


def _ranked(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order (n,) from the highest score down, and the last place (K,) of each distinct score."""
    order = np.argsort(-scores, kind="stable")
    differs = np.diff(scores[order], append=-np.inf) != 0
    return order, np.flatnonzero(differs)


def _cumulative(
    counts: np.ndarray, positive: np.ndarray, order: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs, and positives among them, called at each point: two (R, K) of counts (R, n)."""
    ordered = counts[:, order]
    taken = np.cumsum(ordered, axis=1)[:, last]
    hits = np.cumsum(ordered * positive[order], axis=1)[:, last]
    return taken, hits


def _area(taken: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Area (R,) from the counts (R, K) at each point.

    A score that is not in a sample repeats the point before it and adds nothing.
    """
    total, positives = taken[:, -1:], hits[:, -1:]
    precision, recall = _ratio(hits, taken), _ratio(hits, positives)
    heights = (precision[:, 1:] + precision[:, :-1]) / 2
    inside = (taken[:, :-1] > 0) & (taken[:, 1:] < total)
    area = np.sum(np.diff(recall, axis=1) * heights, axis=1, where=inside)
    some_point = ((taken > 0) & (taken < total)).any(axis=1)
    both = (positives > 0) & (positives < total)
    return np.where(some_point & both[:, 0], area, np.nan)


def _roc_area(taken: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Area (R,) under the ROC curve from the counts (R, K): ties count half."""
    misses = taken - hits
    before = np.diff(misses, axis=1, prepend=0)  # negatives at each point
    middle = hits - np.diff(hits, axis=1, prepend=0) / 2  # positives above, half of those at it
    pairs = misses[:, -1:] * hits[:, -1:]
    return _ratio((before * middle).sum(axis=1, keepdims=True), pairs)[:, 0]


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    shape = np.broadcast_shapes(part.shape, whole.shape)
    return np.divide(part, whole, out=np.full(shape, np.nan), where=whole > 0)


def _interval(value: float, samples: np.ndarray) -> Interval:
    known = samples[np.isfinite(samples)]
    if not np.isfinite(value) or not len(known):
        return Interval(float(value), np.nan, np.nan)
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))
