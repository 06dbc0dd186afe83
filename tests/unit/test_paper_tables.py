import re

import numpy as np
import pandas as pd
import pytest

from seq2exp.matrix import Cell
from seq2exp.paper.cells import count, in_words, number, p_value, percent, signed
from seq2exp.paper.estimates import estimate
from seq2exp.paper.files import table_names
from seq2exp.paper.published import beside, printed_models, published
from seq2exp.paper.results import files_in_results, read_runs
from seq2exp.paper.settings import settings_table
from seq2exp.paper.tables import shown_tables
from seq2exp.paper.writers import (
    Column,
    ShownTable,
    html_table,
    latex,
    tex_escape,
    write_shown,
)
from seq2exp.schemas import read_table
from tests.unit.synthetic_results import (
    VIEWS,
    raw_config,
    synthetic_matrix,
    write_results,
)


@pytest.fixture(scope="module")
def matrix():
    return synthetic_matrix()


@pytest.fixture(scope="module")
def files(tmp_path_factory, matrix):
    """All runs but those of the regression in K562, and one of no_kl there."""
    files = write_results(tmp_path_factory.mktemp("results"), matrix, genes=30)
    for run in files:
        if run.cell[:3] == ("K562", "CAGE", "linear"):
            run.metrics.unlink()
        if run.cell == Cell("K562", "CAGE", "seq2exp_soft-no_kl", 1, 2):
            run.predictions.unlink()
    return files


@pytest.fixture(scope="module")
def made(files, matrix):
    """Estimates, and the tables by name."""
    runs = read_runs(files)
    estimates = estimate(runs, matrix)
    tables = shown_tables(estimates, settings_table(runs, matrix), matrix)
    assert [table.name for table in tables] == table_names(matrix)
    return estimates, {table.name: table for table in tables}


def shown(table, row):
    """Cells of a row by heading (``group head``)."""
    return {f"{c.group} {c.head}".strip(): c.cells[row] for c in table.columns}


# ------------------------------------------------------------------------- published numbers


def test_published_numbers_are_whole_and_plausible():
    table = published()
    assert not table.duplicated(["cell_line", "assay", "kind"]).any()
    assert table.groupby("cell_line").size().to_dict() == {"GM12878": 11, "K562": 11}
    assert table["source"].str.startswith("arXiv 25").sum() == 20
    for name, low, high in [("mse", 0.17, 0.3), ("mae", 0.3, 0.42), ("pearson", 0.79, 0.91)]:
        assert table[name].dropna().between(low, high).all()
    soft = table[(table["kind"] == "seq2exp_soft") & (table["cell_line"] == "K562")].iloc[0]
    assert (soft["mse"], soft["mse_sd"], soft["mae"], soft["pearson"]) == (
        *(0.1856, 0.0032, 0.3054, 0.8723),
    )
    assert np.isnan(table.loc[table["kind"] == "prism", "mae"]).all()


def test_published_numbers_stand_beside_the_first_model_of_their_kind():
    raw = raw_config()
    raw["models"] = {
        "small": {"kind": "seq2exp_soft", "d_model": 8},
        "seq2exp_soft": {},
        "caduceus": {},
    }
    raw["ablations"] = {"g": {"model": "small", "variants": {"x": {"d_model": 4}}}}
    matrix = synthetic_matrix(**raw)
    assert printed_models(matrix) == {"small": "seq2exp_soft", "caduceus": "caduceus"}
    rows = [
        ("K562", name, matrix.models[name].kind) for name in ("caduceus", "seq2exp_soft", "small")
    ]
    rows += [("SimB", "small", "seq2exp_soft")]
    ours = pd.DataFrame(rows, columns=["cell_line", "model", "kind"]).assign(
        assay="CAGE", mse=0.2, mse_sd=0.1, mae=0.3, pearson=0.9, mask_ratio=0.5
    )
    found = beside(ours, matrix)
    # The config's order, then what it lacks in K562 (11 published, 2 are here).
    assert found["model"].tolist()[:3] == ["small", "seq2exp_soft", "caduceus"]
    assert found["model"].isna().tolist() == [False] * 3 + [True] * 9 + [False]
    assert found["published_name"].tolist()[3:5] == ["Enformer", "HyenaDNA"]
    small, soft, caduceus = (found.iloc[i] for i in range(3))
    assert small["mse_published"] == 0.1856
    assert small["mse_minus_published"] == pytest.approx(0.0144)
    assert np.isnan(soft["mse_published"])
    assert caduceus["pearson_published"] == 0.8475
    assert found.iloc[-1]["cell_line"] == "SimB"
    assert np.isnan(found.iloc[-1]["mse_published"])


# ------------------------------------------------------------------------- tables


def test_accuracy_shows_ours_theirs_and_the_difference(made):
    estimates, tables = made
    table = tables["accuracy"]
    own = estimates.accuracy.iloc[0]
    row = shown(table, 0)
    assert row["cell line"] == "K562"
    assert row["model"] == "seq2exp_soft"
    assert row["runs"] == "4 / 4"
    assert row["MSE ours"] == f"{own['mse']:.4f}"
    assert row["MSE published"] == "0.1856"
    assert row["MSE difference"] == f"{own['mse'] - 0.1856:+.4f}"
    # Not run, and not in the config: nothing is filled in.
    assert [shown(table, i)["runs"] for i in (1, 2)] == ["not run", "not in config"]
    assert shown(table, 1)["Pearson r ours"] == shown(table, 2)["Pearson r ours"] == "-"
    assert shown(table, 2)["Pearson r published"] == "0.7961"
    assert table.blocks == [12]
    last = shown(table, 13)
    assert (last["cell line"], last["model"], last["MSE published"]) == ("", "linear", "-")


def test_masks_are_those_of_the_models_that_have_one(made):
    estimates, tables = made
    table = tables["masks"]
    models = [shown(table, i)["model"] for i in range(5)]
    assert models == ["seq2exp_soft", "MACS3", "Seq2Exp-hard", "Seq2Exp-retrain", "seq2exp_soft"]
    own = estimates.accuracy.iloc[0]
    assert shown(table, 0)["mask ratio ours"] == (
        f"{100 * own['mask_ratio']:.2f}% ± {100 * own['mask_ratio_sd']:.2f}%"
    )
    assert shown(table, 1)["mask ratio published"] == "13.61%"


def test_spread_tables_have_one_cell_line_and_its_published_deviations(made):
    estimates, tables = made
    table = tables["seeds_K562"]
    own = estimates.accuracy.iloc[0]
    row = shown(table, 0)
    assert "table 4" in table.title
    assert row["MSE ours"] == f"{own['mse']:.4f} ± {own['mse_sd']:.4f}"
    assert row["MSE published"] == "0.1856 ± 0.0032"
    assert row["MAE published"] == "0.3054"
    assert row["Pearson r 95% interval"] == f"{own['pearson_low']:.4f} to {own['pearson_high']:.4f}"
    assert set(table.numbers["cell_line"]) == {"K562"}
    other = tables["seeds_SimB"]
    assert "table" not in other.title
    assert "MSE published" not in shown(other, 0)  # nothing is published of it


def test_ablations_show_what_is_changed_and_the_difference_it_makes(made):
    estimates, tables = made
    table = tables["ablation_window"]
    assert [shown(table, i)["changed settings"] for i in range(3)] == [
        "", "window_length 500", "window_length 2000",
    ]  # fmt: skip
    base, short = shown(table, 0), shown(table, 1)
    assert base["difference of MSE mean"] == "-"
    found = estimates.comparison.set_index(["cell_line", "group", "model"])
    own = found.loc[("K562", "window", "seq2exp_soft-500bp")]
    assert short["difference of MSE mean"] == f"{own['mse_difference']:+.4f}"
    assert short["difference of Pearson r p"] == p_value(own["pearson_difference_p_holm"])
    assert table.blocks == [3]
    # One of four runs is missing: the other seed is there.
    no_kl = shown(tables["ablation_kl"], 1)
    assert no_kl["runs"] == "3 / 4"
    assert "±" not in no_kl["MSE"]
    assert no_kl["MSE"] != "-"


def test_comparisons_with_a_model_that_was_not_run_are_missing(made):
    table = made[1]["comparison"]
    assert [shown(table, i)["difference of MSE mean"] == "-" for i in (0, 1)] == [True, False]


def test_folds_stand_alone(made):
    estimates, tables = made
    table = tables["per_fold"]
    assert len(table.numbers) == 2 * 5 * 2
    row = shown(table, 1)
    own = estimates.folds.iloc[1]
    assert (row["fold"], row["seeds"], row["genes"]) == ("2", "2", "30")
    assert row["MAE"] == f"{own['mae']:.4f} ± {own['mae_sd']:.4f}"
    missing = shown(table, 2)
    assert (missing["model"], missing["seeds"], missing["MSE"]) == ("linear", "-", "-")


def test_views_say_what_is_shown_and_leave_out_what_makes_no_sense(tmp_path):
    matrix = synthetic_matrix(views=VIEWS, ablations={})
    files = write_results(tmp_path, matrix, genes=12)
    for run in files:
        if run.cell.model == "linear":
            run.views.unlink()
    runs = read_runs(files)
    tables = shown_tables(estimate(runs, matrix), settings_table(runs, matrix), matrix)
    assert [table.name for table in tables] == table_names(matrix)
    (table,) = (table for table in tables if table.name == "views")
    rows = [shown(table, i) for i in range(7)]
    assert [(row["view"], row["what is shown"]) for row in rows[:3]] == [
        ("full", ""), ("500bp", "window_length 500"), ("2kb", "window_length 2000"),
    ]  # fmt: skip
    assert rows[0]["difference of MSE mean"] == "-"
    assert rows[1]["difference of MSE mean"].startswith("+")
    # Not made yet: missing, not left out.
    assert [(row["model"], row["MSE"], row["seeds"]) for row in rows[3:]] == [
        ("linear", "-", "-")
    ] * 4


def test_settings_are_those_of_the_runs_not_of_the_config(files, matrix):
    runs = read_runs(files)
    table = settings_table(runs, matrix).set_index(["section", "setting", "value"])
    assert table.loc[("model", "d_model", "16")].tolist() == ["128", "seq2exp_soft"]
    assert table.loc[("training", "steps", "100")].tolist() == ["50000", "seq2exp_soft"]
    assert table.loc[("model", "prior.signal_weights", "2, 2, 1"), "default"] == "2, 2, 1"
    assert ("model", "window_length", "500") not in table.index
    assert not [key for key in table.index if key[0] == "training" and "linear" in key]
    # A run that was trained with something else is seen.
    changed = runs[0].metrics["settings"]["training"] | {"steps": 99}
    model = runs[0].metrics["settings"]["model"] | {"source": {"d_model": 3}}
    metrics = runs[0].metrics | {"settings": {"model": model, "training": changed}}
    runs[0] = runs[0]._replace(metrics=metrics)
    table = settings_table(runs, matrix)
    steps = table[table["setting"] == "steps"]
    assert steps["value"].tolist() == ["99", "100"]
    assert steps["models"].tolist() == ["seq2exp_soft"] * 2
    assert not [key for key in table["setting"] if key.startswith("source")]
    old = runs[0]._replace(metrics={"kind": "seq2exp_soft"})
    assert settings_table([old], matrix).empty


def test_every_table_is_written_without_any_run(tmp_path, matrix):
    runs = read_runs(files_in_results(tmp_path, matrix))
    tables = shown_tables(estimate(runs, matrix), settings_table(runs, matrix), matrix)
    for table in tables:
        write_shown(table, tmp_path)
        for suffix in ("tsv", "tex", "html"):
            assert (tmp_path / f"{table.name}.{suffix}").stat().st_size > 30
    assert set(tables[0].columns[2].cells) == {"not run", "not in config"}


# ------------------------------------------------------------------------- writing


@pytest.fixture
def table():
    numbers = pd.DataFrame({"model": ["a_b & <c>", "d"], "share": [0.123456789, np.nan]})
    columns = [
        Column("model_1", numbers["model"].tolist(), numeric=False),
        Column("share", ["12.35% ± 1%", "-"], "of #1"),
        Column("Δ", ["-0.5 to -0.1", "1e-3"], "of #1"),
    ]
    return ShownTable("t", "Title_1", "A note: 100%.", numbers, columns, [1])


def test_latex_by_hand(table):
    assert latex(table).splitlines() == [
        "% Title_1",
        "% A note: 100%.",
        r"\begin{tabular}{@{}lrr@{}}",
        r"\toprule",
        r"\multicolumn{1}{c}{} & \multicolumn{2}{c}{of \#1} \\",
        r"\cmidrule(lr){2-3}",
        r"model\_1 & share & $\Delta$ \\",
        r"\midrule",
        r"a\_b \& \textless{}c\textgreater{} & 12.35\% $\pm$ 1\% & $-$0.5 to $-$0.1 \\",
        r"\midrule",
        r"d & - & 1e-3 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_long_cells_are_wrapped(table):
    long = table._replace(columns=[Column("x", ["word " * 9, ""], numeric=False)], blocks=[])
    assert r"\begin{tabular}{@{}p{7cm}@{}}" in latex(long)
    assert '<td class="wrap">word ' in html_table(long)


def test_tex_escapes_each_character_once():
    assert tex_escape(r"\{}~^$") == (r"\textbackslash{}\{\}\textasciitilde{}\textasciicircum{}\$")
    assert tex_escape("seq2exp_soft-500bp, -3") == r"seq2exp\_soft-500bp, $-$3"


def test_html_escapes_and_spans(table):
    text = html_table(table)
    assert '<th colspan="1"></th><th colspan="2" class="group">of #1</th>' in text
    assert "<td>a_b &amp; &lt;c&gt;</td>" in text
    assert '<td class="number">12.35% ± 1%</td>' in text
    assert '<tr class="block"><td>d</td>' in text
    assert re.findall(r"<(\w+)", text).count("tr") == text.count("</tr>") == 4


def test_the_tsv_has_all_digits_and_empty_cells(table, tmp_path):
    write_shown(table, tmp_path)
    assert (tmp_path / "t.tsv").read_text() == "model\tshare\na_b & <c>\t0.12345679\nd\t\n"
    assert read_table(tmp_path / "t.tsv")["share"].isna().tolist() == [False, True]
    page = (tmp_path / "t.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>Title_1</title>" in page


def test_cells():
    nan = float("nan")
    assert [number(0.12345), number(nan)] == ["0.1235", "-"]
    assert [signed(0.1), signed(-0.1), signed(nan)] == ["+0.1000", "-0.1000", "-"]
    assert [percent(0.0688), percent(nan)] == ["6.88%", "-"]
    assert [count(3.0), count(0), count(nan)] == ["3", "-", "-"]
    assert [p_value(0.04567), p_value(1e-5), p_value(1.0), p_value(nan)] == [
        "0.046", "<0.0001", "1", "-",
    ]  # fmt: skip
    changes = {"prior": {"scale": 1}, "signals": ["dnase", "hic"], "kind": "x", "evidence": []}
    assert in_words(changes) == "prior.scale 1, signals dnase + hic, kind x, evidence none"
