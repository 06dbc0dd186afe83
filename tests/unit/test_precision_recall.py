"""Curves, areas and intervals against hand-worked tables and a loop over thresholds."""

from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from seq2exp.evidence.precision_recall import (
    auprc,
    performances,
    pr_curve,
    precision_at_recall,
    ranking_areas,
)


def slow_area(scores, positive):
    """The area, threshold by threshold, as the benchmark describes it."""
    points = []
    for threshold in sorted(set(scores), reverse=True):
        called = [p for s, p in zip(scores, positive, strict=True) if s >= threshold]
        points.append((sum(called) / sum(positive), sum(called) / len(called)))
    points = points[:-1]  # the one that calls everything
    if not points or not 0 < sum(positive) < len(positive):
        return np.nan
    return sum((r2 - r1) * (p1 + p2) / 2 for (r1, p1), (r2, p2) in pairwise(points))


def test_a_curve_by_hand():
    # 4 positives among 6. At .9: 1 of 1; at .5 (two pairs): 2 of 3; at .2: 3 of 4; at 0: 4 of 6.
    scores = np.array([0.9, 0.5, 0.5, 0.2, 0.0, 0.0])
    positive = np.array([True, True, False, True, True, False])
    curve = pr_curve(scores, positive)
    np.testing.assert_allclose(curve.threshold, [0.9, 0.5, 0.2, 0])
    np.testing.assert_allclose(curve.precision, [1, 2 / 3, 3 / 4, 4 / 6])
    np.testing.assert_allclose(curve.recall, [1 / 4, 2 / 4, 3 / 4, 1])
    # two trapezoids of width 1/4; what lies before .9 and after .2 does not count
    assert auprc(scores, positive) == pytest.approx((1 + 2 / 3) / 8 + (2 / 3 + 3 / 4) / 8)
    assert precision_at_recall(curve, 0.7) == (0.75, 0.2)
    assert precision_at_recall(curve, 0.5) == (pytest.approx(2 / 3), 0.5)
    assert precision_at_recall(curve, 0.76) == (pytest.approx(4 / 6), 0)


def test_areas_that_are_not_defined_or_nothing():
    both = np.array([True, False, True])
    assert np.isnan(auprc(np.ones(3), both))  # one point, which calls all
    assert auprc(np.array([1.0, 0, 0]), both) == 0  # one point before it: no width
    assert np.isnan(auprc(np.arange(3.0), np.ones(3, bool)))
    assert np.isnan(auprc(np.arange(3.0), np.zeros(3, bool)))


@pytest.mark.parametrize("levels", [2, 5, 1_000])
def test_areas_against_the_loop(levels):
    rng = np.random.default_rng(levels)
    for _ in range(20):
        scores = rng.integers(0, levels, 40) / levels
        positive = rng.random(40) < 0.3
        np.testing.assert_allclose(auprc(scores, positive), slow_area(scores, positive))


def test_intervals_are_those_of_resampled_pairs():
    rng = np.random.default_rng(3)
    positive = rng.random(60) < 0.3
    scores = np.array([positive + rng.normal(0, s, 60).round(1) for s in (0.5, 2)])
    found = performances(scores, positive, rival=1, samples=250, seed=7)
    # The same multinomial counts, pair by pair.
    rng = np.random.default_rng(7)
    counts = np.concatenate(
        [rng.multinomial(60, np.full(60, 1 / 60), size=size) for size in (100, 100, 50)]
    )
    for i, performance in enumerate(found):
        areas, gains, precisions = [], [], []
        precision, threshold = precision_at_recall(pr_curve(scores[i], positive))
        for drawn in counts:
            sample = np.repeat(np.arange(60), drawn)
            areas.append(slow_area(scores[i][sample], positive[sample]))
            gains.append(areas[-1] - slow_area(scores[1][sample], positive[sample]))
            called = scores[i][sample] >= threshold
            precisions.append(positive[sample][called].mean() if called.any() else np.nan)
        for interval, value, samples in (
            (performance.auprc, slow_area(scores[i], positive), areas),
            (performance.precision, precision, precisions),
            (
                performance.gain,
                slow_area(scores[i], positive) - slow_area(scores[1], positive),
                gains,
            ),
        ):
            expected = [value, *np.nanquantile(samples, [0.025, 0.975])]
            np.testing.assert_allclose(interval, expected, atol=1e-12)
    assert found[0].auprc.low < found[0].auprc.value < found[0].auprc.high
    assert found[1].gain == (0, 0, 0)


def test_pairs_of_one_kind_have_no_figures():
    found = performances(np.ones((1, 3)), np.zeros(3, bool), rival=0)
    assert np.isnan(found[0].auprc).all()
    assert np.isnan(found[0].precision).all()


def test_few_pairs_whose_samples_often_lack_a_positive():
    positive = np.array([True, False, False, False])
    (found,) = performances(np.array([[3.0, 2, 1, 0]]), positive, rival=0, seed=1)
    assert found.auprc.value == 0  # all recall at the first point
    assert np.isfinite(found.auprc).all()
    assert found.precision.value == 1


def test_areas_of_a_ranking_with_intervals_over_groups():
    rng = np.random.default_rng(3)
    n = 60
    positive = rng.random(n) < 0.3
    scores = np.round(rng.random(n) + 0.4 * positive, 1)  # with ties
    groups = np.repeat(np.arange(12), 5)
    pr, roc = ranking_areas(scores, positive, groups, samples=400, seed=1)
    assert pr.value == pytest.approx(slow_area(scores, positive))
    assert roc.value == pytest.approx(roc_auc_score(positive, scores))
    # The same, drawn group by group; two sets of 400 samples agree to a few hundredths.
    found = []
    for _ in range(400):
        drawn = np.concatenate([np.flatnonzero(groups == g) for g in rng.integers(0, 12, 12)])
        found.append(roc_auc_score(positive[drawn], scores[drawn]))
    np.testing.assert_allclose(roc[1:], np.quantile(found, [0.025, 0.975]), atol=0.04)
    # Every pair a group of its own: the samples of `performances`.
    alone, _ = ranking_areas(scores, positive, np.arange(n), samples=400, seed=1)
    (by_pairs,) = performances(scores[None], positive, rival=0, samples=400, seed=1)
    assert alone == pytest.approx(by_pairs.auprc)


def test_pairs_of_a_group_are_drawn_together():
    # One gene has all positives on top, so that each sample ranks perfectly or is left out.
    positive = np.array([True, True, False, False])
    _, roc = ranking_areas(np.array([3.0, 2, 1, 0]), positive, np.array([0, 0, 1, 1]), samples=50)
    assert roc == (1, 1, 1)
