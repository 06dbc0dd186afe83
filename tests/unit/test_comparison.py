import numpy as np
import pytest
from scipy import stats

from seq2exp.comparison import (
    bootstrap,
    clustered_t_p_value,
    gene_blocks,
    gene_metrics,
    holm,
    interval,
    sign_p_value,
)
from seq2exp.metrics import accuracy


def test_metrics_by_hand_and_as_one_run_has_them():
    observed = np.array([1.0, 2.0, 3.0, 2.0])
    # residuals 1, -1, 0, 0; deviations (-1, 0, 1, 0) and (0, -1, 1, 0)
    found = gene_metrics(observed, np.array([[2.0, 1.0, 3.0, 2.0], [1.0, 2.0, 3.0, 2.0]]))
    np.testing.assert_allclose(found["pearson"], [0.5, 1])
    np.testing.assert_allclose(found["mse"], [0.5, 0])
    np.testing.assert_allclose(found["mae"], [0.5, 0], atol=1e-15)
    rng = np.random.default_rng(0)
    y, p = rng.normal(1e4, 1, (2, 500))
    one = accuracy(y, p)
    found = gene_metrics(y, p)
    for name in ("pearson", "mse", "mae"):
        assert float(found[name]) == pytest.approx(getattr(one, name), rel=1e-9)


def test_r_of_a_constant_is_not_a_number():
    found = gene_metrics(np.array([1.0, 2.0, 4.0]), np.full((1, 3), 1e6 / 3))
    assert np.isnan(found["pearson"][0])
    assert found["mae"][0] == pytest.approx(1e6 / 3 - 7 / 3)


def test_resamples_of_two_blocks_are_counted_out():
    # Blocks {0, 1} and {2}, drawn twice: both once (1/2), the first twice (1/4), the second (1/4).
    observed, predicted = np.zeros(3), np.array([[1.0, 3.0, 5.0]])
    mae = bootstrap(observed, [predicted], np.array([7, 7, 2]), resamples=4_000)["mae"][:, 0]
    values, counts = np.unique(mae.round(9), return_counts=True)
    assert values.tolist() == [2, 3, 5]
    np.testing.assert_allclose(counts / 4_000, [0.25, 0.5, 0.25], atol=0.03)


def test_seeds_are_resampled_too():
    # One block: only the seed is left to chance. Seeds 1 and 2 give means 1, 1.5, 1.5 and 2.
    observed, two = np.zeros(3), np.array([[1.0] * 3, [2.0] * 3])
    found = bootstrap(observed, [two, two[:1]], np.zeros(3, int), resamples=4_000)
    assert found["mae"].shape == (4_000, 2)
    values, counts = np.unique(found["mae"][:, 0], return_counts=True)
    assert values.tolist() == [1, 1.5, 2]
    np.testing.assert_allclose(counts / 4_000, [0.25, 0.5, 0.25], atol=0.03)
    assert (found["mae"][:, 1] == 1).all()


def test_views_of_the_same_models_share_their_seeds():
    # One block, two seeds: a view that adds 1 everywhere differs by 1 in every resample.
    observed, two = np.zeros(3), np.array([[1.0] * 3, [2.0] * 3])
    blocks = np.zeros(3, int)
    mae = bootstrap(observed, [two, two + 1], blocks, same_seeds=True, resamples=200)["mae"]
    np.testing.assert_allclose(mae[:, 1] - mae[:, 0], 1)
    apart = bootstrap(observed, [two, two + 1], blocks, resamples=200)["mae"]
    assert set((apart[:, 1] - apart[:, 0]).round(9)) == {0, 0.5, 1, 1.5, 2}


def test_the_bootstrap_is_repeatable_and_chunks_do_not_matter(monkeypatch):
    rng = np.random.default_rng(1)
    observed, predicted = rng.normal(size=40), rng.normal(size=(2, 40))
    whole = bootstrap(observed, [predicted], np.arange(40), resamples=50, seed=3)
    monkeypatch.setattr("seq2exp.comparison._VALUES_AT_ONCE", 280)
    parts = bootstrap(observed, [predicted], np.arange(40), resamples=50, seed=3)
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-12)
    other = bootstrap(observed, [predicted], np.arange(40), resamples=50, seed=4)
    assert not np.allclose(other["mse"], whole["mse"])


def test_standard_error_of_a_mean_is_the_textbooks():
    rng = np.random.default_rng(2)
    error = rng.normal(size=400)
    mse = bootstrap(np.zeros(400), [error[None]], np.arange(400), resamples=4_000)["mse"][:, 0]
    assert mse.std() == pytest.approx((error**2).std() / 20, rel=0.05)
    assert mse.mean() == pytest.approx((error**2).mean(), rel=0.01)


def test_interval_and_p_value_by_hand():
    values = np.arange(1, 1_002, dtype=float)  # 1 .. 1001
    assert interval(values) == pytest.approx((26, 976))
    assert interval(np.array([np.nan])) == pytest.approx((np.nan, np.nan), nan_ok=True)
    # 3 of 99 at or below 0: 2 x (3 + 1) / (99 + 1)
    assert sign_p_value(np.array([-1.0] * 3 + [1.0] * 96)) == pytest.approx(0.08)
    assert sign_p_value(np.zeros(10)) == 1
    assert np.isnan(sign_p_value(np.array([np.nan])))


def test_clustered_t_test_is_scipys_with_a_block_a_gene_and_of_block_means_with_equal_blocks():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 30))
    p = clustered_t_p_value(first - second, np.arange(30))
    assert p == pytest.approx(stats.ttest_rel(first, second).pvalue, rel=1e-12)
    means = (first - second).reshape(10, 3).mean(axis=1)
    p = clustered_t_p_value(first - second, np.repeat(np.arange(10), 3))
    assert p == pytest.approx(stats.ttest_1samp(means, 0).pvalue, rel=1e-12)
    assert np.isnan(clustered_t_p_value(first, np.zeros(30)))
    assert clustered_t_p_value(np.zeros(3), np.arange(3)) == 1
    assert clustered_t_p_value(np.ones(3), np.arange(3)) == 0


def test_holm_by_hand():
    # sorted .01 x 4, .02 x 3 = .06, .03 x 2 = .06, .9
    found = holm([0.03, 0.01, 0.9, np.nan, 0.02])
    np.testing.assert_allclose(found, [0.06, 0.04, 0.9, np.nan, 0.06])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1, 1])
    # never smaller than a smaller p's
    np.testing.assert_allclose(holm([0.04, 0.05]), [0.08, 0.08])


def test_blocks_are_stretches_of_a_chromosome():
    tss = np.array([10, 99, 100, 150, 20])
    blocks = gene_blocks(["chr1", "chr1", "chr1", "chr1", "chr2"], tss, 100)
    assert [(blocks == block).tolist() for block in blocks] == [
        [True, True, False, False, False],
        [True, True, False, False, False],
        [False, False, True, True, False],
        [False, False, True, True, False],
        [False, False, False, False, True],
    ]


def two_equal_models(rng, genes=120, seeds=2):
    """Labels, and two models whose errors have a part of the gene, the model and the seed."""
    observed = rng.normal(size=genes)
    blocks = np.repeat(np.arange(genes // 3), 3)
    hard = rng.normal(size=genes) * 0.5  # what no model knows of a gene
    models = []
    for _ in range(2):
        own = 0.3 * rng.normal(size=genes // 3)[blocks] + 0.3 * rng.normal(size=genes)
        seed = 0.3 * rng.normal(size=(seeds, genes))
        models.append(observed + hard + own + seed)
    return observed, models, blocks


def test_two_equal_models_are_told_apart_as_often_as_stated():
    """Of 400 pairs of equally good models, the 95% interval covers 0 in about 380."""
    rng = np.random.default_rng(11)
    covered = {"pearson": 0, "mse": 0}
    by_sign, by_t = [], []
    for _ in range(400):
        observed, models, blocks = two_equal_models(rng)
        draws = bootstrap(observed, models, blocks, resamples=400)
        for name in covered:
            low, high = interval(draws[name][:, 0] - draws[name][:, 1])
            covered[name] += low <= 0 <= high
        by_sign.append(sign_p_value(draws["pearson"][:, 0] - draws["pearson"][:, 1]))
        first, second = (((model - observed) ** 2).mean(axis=0) for model in models)
        by_t.append(clustered_t_p_value(first - second, blocks))
    rejected = [float(np.mean(np.array(p_values) < 0.05)) for p_values in (by_sign, by_t)]
    print(f"0 covered {covered} times of 400; p < .05 in {rejected}")
    # s.d. of a count of 400 at .95 is 4.4
    assert all(366 <= count <= 396 for count in covered.values()), covered
    assert all(0.01 < share < 0.1 for share in rejected), rejected
    for p_values in (by_sign, by_t):
        assert stats.kstest(p_values, "uniform").statistic < 0.1


def test_a_better_model_is_found():
    rng = np.random.default_rng(12)
    observed, (good, _), blocks = two_equal_models(rng)
    bad = good + rng.normal(size=good.shape)
    draws = bootstrap(observed, [bad, good], blocks, resamples=400)
    assert interval(draws["mse"][:, 0] - draws["mse"][:, 1]).low > 0.3
    assert interval(draws["pearson"][:, 0] - draws["pearson"][:, 1]).high < 0
    assert sign_p_value(draws["pearson"][:, 0] - draws["pearson"][:, 1]) < 0.01
