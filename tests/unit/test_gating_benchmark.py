"""Figures of the benchmark of masks that decide, on tables with known answers."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.gating_figures import arriving_shares, binned_effects, bins
from benchmarks.gating_summary import gains


def test_bins_end_where_the_window_does():
    assert bins(2_000) == [(0, 1_000)]
    assert bins(32_000) == [(0, 1_000), (1_000, 4_000), (4_000, 16_000)]
    assert bins(20_000) == [(0, 1_000), (1_000, 4_000), (4_000, 10_000)]


def test_effects_are_summed_over_the_elements_of_a_bin():
    pairs = pd.DataFrame(
        [("a", 0, 1.0), ("a", 999, 2.0), ("a", 1_000, 4.0), ("c", 3_999, 8.0)],
        columns=["gene_id", "distance", "planted_effect"],
    )
    found = binned_effects(pairs, ["a", "b", "c"], [(0, 1_000), (1_000, 4_000)])
    assert found.tolist() == [[3, 4], [0, 0], [0, 8]]


def test_what_arrives_is_the_share_of_each_part_in_the_prediction():
    parts = np.random.default_rng(1).normal(size=(200, 3))
    predicted = 0.7 + parts @ [1.0, 0.5, 0.0]
    for (share, low, high), expected in zip(
        arriving_shares(predicted, parts), (1.0, 0.5, 0.0), strict=True
    ):
        assert (share, low, high) == pytest.approx((expected,) * 3)


def test_noise_widens_the_interval_and_not_the_share():
    rng = np.random.default_rng(2)
    parts = rng.normal(size=(2_000, 2))
    noisy = parts @ [0.8, 0.2] + rng.normal(size=2_000)
    for (share, low, high), expected in zip(arriving_shares(noisy, parts), (0.8, 0.2), strict=True):
        error = 1 / np.sqrt(2_000)
        assert share == pytest.approx(expected, abs=4 * error)
        assert high - low == pytest.approx(2 * 1.96 * error, rel=0.2)


def predictions(window: int, genome: int, model: str, predicted: np.ndarray) -> pd.DataFrame:
    observed = np.tile([-1.0, 1.0], len(predicted) // 2)
    return pd.DataFrame(
        {
            **{"window": window, "genome": genome, "model": model, "steps": 9, "seed": 2},
            **{"gene_id": [f"G{i}" for i in range(len(predicted))]},
            **{"observed": observed, "predicted": predicted},
        }
    )


def test_a_gain_is_over_promoter_only_on_the_same_genomes():
    label = np.tile([-1.0, 1.0], 50)
    side = np.repeat([-1.0, 1.0], 50)  # unrelated to the label
    table = pd.concat(
        predictions(2_000, genome, model, predicted)
        for genome in (1, 2)
        for model, predicted in {
            "promoter_only": label + 2 * side,  # r = 1 / sqrt(5)
            "seq2exp_gated": label + genome * side,  # 1 / sqrt(2), 1 / sqrt(5)
        }.items()
    )
    alone = predictions(8_000, 1, "seq2exp_gated", label)
    found = gains(pd.concat([table, alone]))
    assert set(found) == {(2_000, "promoter_only", 9), (2_000, "seq2exp_gated", 9)}
    gain = found[(2_000, "seq2exp_gated", 9)]
    assert gain.value == pytest.approx((2**-0.5 - 5**-0.5) / 2)
    low, high = gain.interval()
    assert low < gain.value < high
    assert (found[(2_000, "promoter_only", 9)].samples == 0).all()
