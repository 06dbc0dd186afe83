import io
import json
import math

import pytest
from rich.console import Console

from seq2exp.errors import UserError
from seq2exp.schemas import read_table
from seq2exp.summary import FIGURES, print_summary, write_summary


def evaluation(path, cell_line, model, seed, **figures):
    run = {
        "cell_line": cell_line, "assay": "CAGE", "model": model, "kind": model, "fold": 1,
        "seed": seed, "test_genes": 10, "seconds": 100.0, "mask_ratio": None,
    }  # fmt: skip
    path.write_text(json.dumps({**run, **figures}))
    return path


@pytest.fixture
def summarised(tmp_path):
    def write(*evaluations):
        out = {"out_json": tmp_path / "summary.json", "out_table": tmp_path / "summary.tsv"}
        write_summary(evaluations, **out)
        return out["out_json"], out["out_table"]

    return write


def printed(summary, width=100):
    file = io.StringIO()
    print_summary(summary, Console(file=file, width=width, color_system=None))
    return file.getvalue()


def test_means_and_sample_deviations_over_runs(summarised, tmp_path):
    figures = [(0.8, 0.20), (0.9, 0.25), (0.7, None)]
    runs = [
        evaluation(tmp_path / f"{i}.json", "K562", "soft", i, pearson=r, mask_ratio=ratio)
        for i, (r, ratio) in enumerate(figures)
    ]
    summary, table = summarised(*runs)
    (row,) = json.loads(summary.read_text())
    assert row["runs"] == 3
    assert row["test_genes"] == 10
    assert row["pearson"] == pytest.approx(0.8)
    assert row["pearson_sd"] == pytest.approx(0.1)
    # A run without the figure is left out, not counted as 0.
    assert row["mask_ratio"] == pytest.approx(0.225)
    assert row["mask_ratio_sd"] == pytest.approx(0.05 / math.sqrt(2))
    assert row["auprc_mask"] is None
    assert row["auprc_mask_sd"] is None
    (written,) = read_table(table, ("cell_line", "model", *FIGURES)).to_dict("records")
    assert written["pearson"] == pytest.approx(0.8)
    assert math.isnan(written["auprc_mask"])


def test_one_row_a_cell_line_and_model_in_the_order_of_the_runs(summarised, tmp_path):
    order = [("K562", "soft"), ("K562", "linear"), ("A549", "soft"), ("K562", "soft")]
    runs = [
        evaluation(tmp_path / f"{i}.json", cell_line, model, i, pearson=0.5)
        for i, (cell_line, model) in enumerate(order)
    ]
    rows = json.loads(summarised(*runs)[0].read_text())
    assert [(row["cell_line"], row["model"], row["runs"]) for row in rows] == [
        ("K562", "soft", 2), ("K562", "linear", 1), ("A549", "soft", 1),
    ]  # fmt: skip
    assert "pearson_sd" in rows[0]
    assert "pearson_sd" not in rows[1]


def test_print_without_truth_is_one_table(summarised, tmp_path):
    run = evaluation(tmp_path / "a.json", "K562", "linear", 2, pearson=0.71234, mse=0.5, mae=0.4)
    text = printed(summarised(run)[0])
    assert "0.712" in text
    assert "100" in text
    for absent in ("Planted", "ceiling  ", "mask ratio", "+-"):
        assert absent not in text


def test_print_with_truth_fits_a_log(summarised, tmp_path):
    everything = dict.fromkeys(FIGURES, 0.123) | {"auroc_effect_removed": 0.975, "auprc_mask": 0.46}
    runs = [
        evaluation(tmp_path / "a.json", "SimA", "seq2exp_soft", 2, **everything),
        evaluation(tmp_path / "b.json", "SimA", "seq2exp_soft", 22, **everything),
        evaluation(tmp_path / "c.json", "SimA", "caduceus_signals", 2, pearson=0.9),
    ]
    text = printed(summarised(*runs)[0])
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in text
    first = next(line for line in lines if "seq2exp_soft" in line)
    assert first.split() == [
        "SimA", "seq2exp_soft", "0.123", "+-", "0.000", *["0.123"] * 5, "0",
    ]  # fmt: skip
    # The model without truth figures is in the first table only.
    assert text.count("caduceus_signals") == 1
    assert text.count("seq2exp_soft") == 3
    assert "0.975" in text
    assert "0.460" in text
    assert "s.d. of every figure is in summary.tsv" in lines[-1]


def test_evidence_goes_to_its_run(tmp_path):
    runs = [
        evaluation(tmp_path / f"{seed}.json", "SimA", model, seed, pearson=0.9)
        for seed, model in ((2, "soft"), (22, "soft"), (3, "linear"))
    ]
    evidence = []
    for seed, area, fold in ((2, 0.4, 2.0), (22, 0.6, None)):
        run = json.loads((tmp_path / f"{seed}.json").read_text())
        keys = {key: run[key] for key in ("cell_line", "assay", "model", "kind", "fold", "seed")}
        for name, figures in (
            ("crispri", {"crispri_auprc_mask": area, "crispri_pairs": 29}),
            ("enrichment", {"fold_ccres": fold}),
        ):
            path = tmp_path / f"{name}{seed}.json"
            path.write_text(json.dumps(keys | figures))
            evidence.append(path)
    out = {"out_json": tmp_path / "summary.json", "out_table": tmp_path / "summary.tsv"}
    write_summary(runs, evidence, **out)
    soft, linear = json.loads(out["out_json"].read_text())
    assert soft["crispri_auprc_mask"] == pytest.approx(0.5)
    assert soft["crispri_auprc_mask_sd"] == pytest.approx(0.1 * math.sqrt(2))
    assert (soft["fold_ccres"], soft["fold_ccres_sd"]) == (2, None)
    assert linear["fold_ccres"] is None
    text = printed(out["out_json"])
    assert "CRISPRi pairs of test genes, within windows: AUPRC" in " ".join(text.split())
    rows = [line.split() for line in text.splitlines() if "SimA" in line]
    assert rows[2:] == [["SimA", "soft", "0.500", "29"], ["SimA", "soft", "2.000"]]


def test_no_summary(tmp_path):
    with pytest.raises(UserError, match="no readable summary"):
        print_summary(tmp_path / "summary.json")
