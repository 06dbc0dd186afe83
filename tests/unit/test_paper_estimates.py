import json

import numpy as np
import pandas as pd
import pytest

from seq2exp.comparison import clustered_t_p_value
from seq2exp.errors import UserError
from seq2exp.matrix import Cell, Matrix
from seq2exp.paper.estimates import compared_pairs, estimate
from seq2exp.paper.results import (
    DONE,
    FAILED,
    NOT_RUN,
    RunResult,
    files_in_results,
    pool,
    read_runs,
)
from tests.unit.synthetic_results import (
    VIEWS,
    genes_of_fold,
    raw_config,
    synthetic_matrix,
    write_results,
)


@pytest.fixture(scope="module")
def matrix():
    return synthetic_matrix()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, matrix):
    """Runs read from a whole folder."""
    return read_runs(write_results(tmp_path_factory.mktemp("results"), matrix))


@pytest.fixture(scope="module")
def estimates(whole, matrix):
    return estimate(whole, matrix)


def row_of(table, **keys):
    (found,) = table[np.all([table[key] == value for key, value in keys.items()], axis=0)].to_dict(
        "records"
    )
    return found


def test_the_matrix_has_every_run_and_survives_json(matrix):
    cells = matrix.cells()
    # 2 cell lines x 1 assay x (2 models + 3 variants) x 2 folds x 2 seeds
    assert len(cells) == len(set(cells)) == 40
    assert cells[1] == Cell("K562", "CAGE", "seq2exp_soft", 1, 22)
    assert cells[1].folder == "K562/CAGE/seq2exp_soft/fold1_seed22"
    again = Matrix(**json.loads(json.dumps(matrix.model_dump(mode="json"))))
    assert again == matrix
    assert again.main_models == ("seq2exp_soft", "linear")


def by_hand(values):
    """Runs of one cell line: model, fold, seed -> predictions of three genes 0, 1, 2."""
    runs = []
    for (model, fold, seed), predicted in values.items():
        test = genes_of_fold(fold, 3).assign(
            observed=[0.0, 1.0, 2.0], predicted=predicted, mask_ratio=[0.1, 0.2, 0.6]
        )
        views = pd.DataFrame()
        runs.append(RunResult(Cell("K562", "CAGE", model, fold, seed), DONE, test, {}, views))
    return runs


def test_figures_of_runs_folds_and_pooled_by_hand():
    lines = {"K562": raw_config()["cell_lines"]["K562"]}
    matrix = synthetic_matrix(cell_lines=lines, ablations={})
    runs = by_hand(
        {
            ("seq2exp_soft", 1, 2): [0, 1, 2],  # no error
            ("seq2exp_soft", 2, 2): [1, 2, 3],  # all errors 1
            ("seq2exp_soft", 1, 22): [2, 1, 0],  # errors 2, 0, -2
            ("seq2exp_soft", 2, 22): [0, 1, 5],  # errors 0, 0, 3
            ("linear", 1, 2): [0, 1, 2],  # fold 2 is missing
        },
    )
    found = estimate(runs, matrix)
    run = row_of(found.runs, model="seq2exp_soft", fold=1, seed=22)
    assert (run["mse"], run["mae"], run["pearson"]) == pytest.approx((8 / 3, 4 / 3, -1))
    assert run["mask_ratio"] == pytest.approx(0.3)
    fold = row_of(found.folds, model="seq2exp_soft", fold=1)
    assert (fold["mse"], fold["mse_sd"]) == pytest.approx((4 / 3, 8 / 3 / np.sqrt(2)))
    assert (fold["seeds"], fold["genes"]) == (2, 3)
    # Over the six genes of both folds: 3 x 1 and 8 + 9.
    seeds = found.seeds.set_index("seed")["mse"]
    assert seeds.to_dict() == pytest.approx({2: 0.5, 22: 17 / 6})
    soft = row_of(found.accuracy, model="seq2exp_soft")
    assert (soft["runs"], soft["runs_wanted"], soft["seeds"], soft["genes"]) == (4, 4, 2, 6)
    assert (soft["mse"], soft["mse_sd"]) == pytest.approx((5 / 3, 7 / 3 / np.sqrt(2)))
    assert (soft["mask_ratio"], soft["mask_ratio_sd"]) == pytest.approx((0.3, 0))
    # One seed of pooled r by hand: observed 0 1 2 0 1 2, predicted 0 1 2 1 2 3.
    r = np.corrcoef([0, 1, 2, 0, 1, 2], [0, 1, 2, 1, 2, 3])[0, 1]
    assert found.seeds["pearson"].iloc[0] == pytest.approx(r)
    assert len(found.seeds) == 2  # the model that lacks a fold has no pooled figure
    linear = row_of(found.accuracy, model="linear")
    assert (linear["runs"], linear["seeds"], linear["genes"]) == (1, 0, 0)
    assert np.isnan([linear["mse"], linear["mse_low"], linear["pearson_sd"]]).all()
    difference = row_of(found.comparison, model="linear", reference="seq2exp_soft")
    assert difference["genes"] == 0
    assert np.isnan([difference[f"mse_difference{end}"] for end in ("", "_p", "_p_holm")]).all()


def test_constant_predictions_have_no_r_and_still_an_error():
    matrix = synthetic_matrix(cell_lines={"K562": raw_config()["cell_lines"]["K562"]}, ablations={})
    names = [(name, fold, seed) for name in matrix.models for fold in (1, 2) for seed in (2, 22)]
    values = {name: [0.0, 1, 2] for name in names}
    values["linear", 1, 2] = values["linear", 2, 2] = [1.0, 1, 1]
    found = estimate(by_hand(values), matrix)
    linear = row_of(found.accuracy, model="linear")
    assert np.isnan([linear[f"pearson{end}"] for end in ("", "_sd", "_low", "_high")]).all()
    assert linear["mse"] == pytest.approx((2 / 3 + 0) / 2)
    assert linear["mse_low"] <= linear["mse"] <= linear["mse_high"]
    difference = row_of(found.comparison, model="linear")
    ends = ("", "_low", "_high", "_p", "_p_holm")
    assert np.isnan([difference[f"pearson_difference{end}"] for end in ends]).all()
    assert difference["mse_difference"] == pytest.approx(1 / 3)


def test_known_accuracies_are_found_within_their_intervals(estimates):
    for cell_line in ("K562", "SimB"):
        for model, variance in [
            ("seq2exp_soft", 0.16),
            ("linear", 1.0),
            ("seq2exp_soft-2kb", 0.36),
        ]:
            row = row_of(estimates.accuracy, cell_line=cell_line, model=model)
            assert row["mse"] == pytest.approx(variance, rel=0.35)
            assert row["mse_low"] < row["mse"] < row["mse_high"]
            assert row["pearson_low"] < row["pearson"] < row["pearson_high"]
            assert (row["genes"], row["seeds"], row["runs"]) == (120, 2, 4)
    assert len(estimates.accuracy) == 10


def test_pairs_are_all_models_and_each_variant_with_its_base(matrix):
    assert compared_pairs(matrix) == [
        ("models", "linear", "seq2exp_soft"),
        ("window", "seq2exp_soft-500bp", "seq2exp_soft"),
        ("window", "seq2exp_soft-2kb", "seq2exp_soft"),
        ("kl", "seq2exp_soft-no_kl", "seq2exp_soft"),
    ]


def test_differences_have_the_sign_of_model_minus_reference(estimates, whole, matrix):
    row = row_of(estimates.comparison, cell_line="K562", model="linear")
    accuracy = estimates.accuracy.set_index(["cell_line", "model"]).loc["K562"]
    for name in ("pearson", "mse", "mae"):
        expected = accuracy.loc["linear", name] - accuracy.loc["seq2exp_soft", name]
        key = f"{name}_difference"
        assert row[key] == pytest.approx(expected)
        assert row[f"{key}_low"] < row[key] < row[f"{key}_high"]
    assert row["mse_difference_low"] > 0
    assert row["pearson_difference_high"] < 0
    assert row["mse_difference_p"] < 1e-4
    assert row["pearson_difference_p"] == pytest.approx(2 / 10_001)
    pooled = pool(whole, matrix, "K562", "CAGE")
    observed = pooled.genes["observed"].to_numpy()
    errors = {
        name: ((pooled.predicted[name] - observed) ** 2).mean(axis=0)
        for name in ("linear", "seq2exp_soft")
    }
    p = clustered_t_p_value(errors["linear"] - errors["seq2exp_soft"], pooled.blocks)
    assert row["mse_difference_p"] == pytest.approx(p)
    # Windows of 10 kb and genes 4 kb apart, from 4 kb on: 4 8, 12 16, 20 24 28, ...
    assert np.bincount(pooled.blocks)[:5].tolist() == [2, 2, 3, 2, 3]


def test_p_values_are_adjusted_within_their_group(estimates):
    table = estimates.comparison[estimates.comparison["cell_line"] == "K562"]
    window = table[table["group"] == "window"]
    low, high = sorted(window["mse_difference_p"])
    assert sorted(window["mse_difference_p_holm"]) == pytest.approx([2 * low, max(2 * low, high)])
    alone = table[table["group"] == "kl"]
    p_values = alone["mse_difference_p"].tolist()
    assert p_values == alone["mse_difference_p_holm"].tolist()


def test_percentiles_of_mask_ratios(estimates):
    table = estimates.mask_ratio[estimates.mask_ratio["cell_line"] == "K562"]
    assert set(table["model"]) == {"seq2exp_soft", "seq2exp_soft-no_kl"}
    own = table[table["model"] == "seq2exp_soft"].set_index("percentile")["mask_ratio"]
    assert len(own) == 101
    assert own.is_monotonic_increasing
    assert own[50] == pytest.approx(0.2, abs=0.02)
    assert 0.1 <= own[0] < own[100] <= 0.3


def test_runs_that_are_missing_or_failed_stay_missing(tmp_path, matrix):
    files = write_results(tmp_path, matrix, genes=8)
    wanted = {run.cell: run for run in files}
    wanted[Cell("K562", "CAGE", "seq2exp_soft", 2, 22)].predictions.unlink()
    wanted[Cell("K562", "CAGE", "linear", 1, 2)].metrics.unlink()
    diverged = wanted[Cell("K562", "CAGE", "linear", 1, 22)].predictions
    table = pd.read_csv(diverged, sep="\t")
    table.loc[3, "predicted"] = np.nan
    table.to_csv(diverged, sep="\t", index=False)
    runs = read_runs(files)
    status = {run.cell: run.status for run in runs}
    assert sum(value == DONE for value in status.values()) == 37
    assert status[Cell("K562", "CAGE", "linear", 1, 2)] == NOT_RUN
    assert status[Cell("K562", "CAGE", "linear", 1, 22)] == FAILED
    found = estimate(runs, matrix)
    soft = row_of(found.accuracy, cell_line="K562", model="seq2exp_soft")
    assert (soft["runs"], soft["seeds"]) == (3, 1)
    assert np.isnan(soft["mse_sd"])  # one seed has no spread
    linear = row_of(found.accuracy, cell_line="K562", model="linear")
    assert (linear["runs"], linear["seeds"]) == (2, 0)
    assert np.isnan(linear["pearson"])
    fold = row_of(found.folds, cell_line="K562", model="linear", fold=1)
    assert fold["seeds"] == 0
    assert np.isnan(fold["mse"])
    assert not np.isnan(row_of(found.accuracy, cell_line="SimB", model="linear")["pearson"])


def test_without_any_run_everything_is_missing(tmp_path, matrix):
    found = estimate(read_runs(files_in_results(tmp_path, matrix)), matrix)
    assert set(found.runs["status"]) == {NOT_RUN}
    assert found.accuracy["pearson"].isna().all()
    assert len(found.comparison) == 8
    assert found.comparison["mse_difference"].isna().all()
    assert found.seeds.empty
    assert found.mask_ratio.empty


def test_a_gene_tested_in_two_folds_counts_once_and_a_lacking_one_not_at_all(matrix):
    names = [name for name in matrix.models if name != "linear"]
    values = {(name, fold, 2): [0, 1, 2] for name in names for fold in (1, 2)}
    runs = by_hand(values)
    twice = runs[1].test.assign(gene_id=["G1_0", "x", "y"], predicted=[9.0, 1, 2])
    runs[1] = runs[1]._replace(test=twice)  # fold 2 of the first model
    pooled = pool(runs, matrix, "K562", "CAGE")
    assert pooled.genes["gene_id"].tolist() == ["G1_0", "G1_1", "G1_2"]
    np.testing.assert_allclose(pooled.predicted["seq2exp_soft"], [[0, 1, 2]])
    runs[0] = runs[0]._replace(test=runs[0].test.assign(gene_id=["u", "v", "w"]))
    runs[1] = runs[1]._replace(test=twice.assign(gene_id=["s", "x", "y"]))
    with pytest.raises(UserError, match="K562 CAGE: the models have no test gene in common"):
        pool(runs, matrix, "K562", "CAGE")


def test_predictions_without_a_test_gene_or_broken_metrics_are_one_line(tmp_path, matrix):
    files = write_results(tmp_path, matrix, genes=3)[:1]
    files[0].metrics.write_text("{")
    with pytest.raises(UserError, match=r"metrics\.json: not JSON"):
        read_runs(files)
    table = pd.read_csv(files[0].predictions, sep="\t").assign(split="train")
    table.to_csv(files[0].predictions, sep="\t", index=False)
    with pytest.raises(UserError, match="no gene in test"):
        read_runs(files)


def test_views_are_compared_with_the_full_view_of_the_same_models(tmp_path):
    matrix = synthetic_matrix(views=VIEWS, ablations={})
    files = write_results(tmp_path, matrix)
    found = estimate(read_runs(files), matrix)
    table = found.views[found.views["cell_line"] == "K562"].set_index(["model", "view"])
    assert len(table) == 2 * 4  # models x views, the full one among them
    accuracy = found.accuracy.set_index(["cell_line", "model"]).loc["K562"]
    full, short = (table.loc[("seq2exp_soft", view)] for view in ("full", "500bp"))
    for name in ("pearson", "mse", "mae", "mse_sd", "mask_ratio"):
        assert full[name] == pytest.approx(accuracy.loc["seq2exp_soft", name])
    # .8 ** 2 is added to the errors' variance
    assert short["mse_difference"] == pytest.approx(short["mse"] - full["mse"])
    assert short["mse_difference"] == pytest.approx(0.64, abs=0.2)
    assert (
        0.3 < short["mse_difference_low"] < short["mse_difference"] < short["mse_difference_high"]
    )
    assert short["pearson_difference_high"] < 0
    assert short["pearson_difference_p"] == pytest.approx(2 / 10_001)
    assert short["pearson_difference_p_holm"] == pytest.approx(4 / 10_001)
    assert np.isnan(full["mse_difference"])
    skipped = table.loc[("seq2exp_soft", "shifted")]
    assert (skipped["seeds"], skipped["skipped"]) == (0, "it has no mask")
    # One fold of one seed without views: that seed is left out; a file that lacks a gene is an error.
    files[0].views.unlink()
    found = estimate(read_runs(files), matrix)
    own = row_of(found.views, cell_line="K562", model="seq2exp_soft", view="2kb")
    assert own["seeds"] == 1
    pd.read_csv(files[1].views, sep="\t").drop(index=3).to_csv(
        files[1].views, sep="\t", index=False
    )
    with pytest.raises(UserError, match=r"views\.tsv of seq2exp_soft: no gene G1_3, which"):
        estimate(read_runs(files), matrix)
