import json

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from seq2exp.checkpoints import save_checkpoint
from seq2exp.element_columns import RANKED_SCORES
from seq2exp.errors import UserError
from seq2exp.evaluation import distance_profile, element_figures, evaluate
from seq2exp.masks import open_masks, write_masks
from seq2exp.model_config import SignalLinearConfig
from seq2exp.models import InputShape, build_model
from seq2exp.planted import PlantedTruth
from seq2exp.planted_ranking import RANKING_COLUMNS, rank_candidates
from seq2exp.schemas import read_table
from tests.unit.test_planted import ELEMENTS, PAIR_COLUMNS, PAIRS

LENGTH = 2_000
RUN = {
    "cell_line": "Toy", "assay": "CAGE", "model": "linear", "kind": "signal_linear",
    "fold": 1, "seed": 2,
}  # fmt: skip


@pytest.fixture
def run_files(tmp_path, toy_store_dir):
    """A run's artefacts: test genes G1, G4 and G5 with residuals 1, -1 and 0."""
    config = SignalLinearConfig(spans=(100, 500))
    shape = InputShape(window_length=LENGTH, promoter_length=200, n_gene_features=1)
    model = build_model(config, shape)
    save_checkpoint(tmp_path / "model.ckpt", model, config, shape, RUN)
    metrics = {**RUN, "parameters": 5, "seconds": 1.5, "test": {}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    predictions = pd.DataFrame(
        {
            "gene_id": ["G1", "G4", "G5", "G7"],
            "gene_name": ["g1", "g4", "g5", "g7"],
            "chrom": ["chr1", "chr1", "chr1", "chr2"],
            "tss": [300, 6_000, 8_000, 4_000],
            "strand": ["+", "-", "+", "+"],
            "split": ["test", "test", "test", "train"],
            "observed": [1.0, 2.0, 3.0, 100.0],
            "predicted": [2.0, 1.0, 3.0, -100.0],
            "mask_ratio": [0.2, 0.4, 0.6, 0.99],
        }
    )
    predictions.to_csv(tmp_path / "predictions.tsv", sep="\t", index=False)
    pd.DataFrame(ELEMENTS).to_csv(tmp_path / "elements.bed", sep="\t", header=False, index=False)
    pairs = pd.DataFrame(PAIRS, columns=PAIR_COLUMNS)
    pairs.to_csv(tmp_path / "pairs.tsv", sep="\t", index=False)
    (tmp_path / "expression.tsv").write_text(
        "cell_line\tgene_id\tpromoter\tnoiseless\n"
        "Toy\tG5\t1\t3\nToy\tG4\t2\t2\nToy\tG1\t0\t1\nToy\tG7\t9\t9\n"
    )
    truth = PlantedTruth(*(tmp_path / n for n in ("elements.bed", "pairs.tsv", "expression.tsv")))
    inputs = {
        "checkpoint": tmp_path / "model.ckpt",
        "metrics": tmp_path / "metrics.json",
        "store_dir": toy_store_dir,
        "predictions": tmp_path / "predictions.tsv",
        "masks": None,
        "truth": None,
        "out_evaluation": tmp_path / "out" / "evaluation.json",
        "device": "cpu",
    }
    return inputs, truth, tmp_path


def read(inputs):
    return json.loads(inputs["out_evaluation"].read_text())


def test_accuracy_is_that_of_the_test_genes(run_files):
    inputs, _, _ = run_files
    evaluate(**inputs)
    result = read(inputs)
    assert {key: result[key] for key in RUN} == RUN
    assert result["test_genes"] == 3
    assert result["mse"] == pytest.approx(2 / 3)
    assert result["mae"] == pytest.approx(2 / 3)
    # deviations (-1, 0, 1) and (0, -1, 1)
    assert result["pearson"] == pytest.approx(0.5)
    assert result["mask_ratio"] == pytest.approx(0.4)
    assert result["seconds"] == 1.5
    assert "base_rate" not in result


def test_models_without_a_mask_and_constant_predictions(run_files):
    inputs, _, folder = run_files
    table = read_table(folder / "predictions.tsv").assign(mask_ratio=np.nan, predicted=1.0)
    table.to_csv(folder / "predictions.tsv", sep="\t", index=False)
    evaluate(**inputs)
    assert read(inputs)["mask_ratio"] is None
    assert read(inputs)["pearson"] is None


def test_no_test_genes(run_files):
    inputs, _, folder = run_files
    table = read_table(folder / "predictions.tsv").assign(split="train")
    table.to_csv(folder / "predictions.tsv", sep="\t", index=False)
    with pytest.raises(UserError, match="no gene in test"):
        evaluate(**inputs)


def test_against_planted_truth_with_masks(run_files):
    inputs, truth, folder = run_files
    mask = np.zeros((2, LENGTH))
    mask[0, 100:220] = mask[0, 1_950:] = mask[1, :50] = 1
    write_masks(folder / "masks", ["G4", "G5"], {"mask": mask, "prior": 1 - mask})
    outputs = {
        f"out_{name}": folder / f"{name[0]}.tsv" for name in ("elements", "distance", "ranking")
    }
    evaluate(**{**inputs, "masks": folder / "masks", "truth": truth}, **outputs)
    result = read(inputs)
    # observed (1, 2, 3) against noiseless (1, 2, 3) and promoter (0, 2, 1)
    assert result["noise_ceiling"] == pytest.approx(1)
    assert result["promoter_ceiling"] == pytest.approx(0.5)
    assert result["bases"] == 3_600
    assert result["base_rate"] == pytest.approx(220 / 3_600)
    assert result["auprc_mask"] == 1
    assert result["auprc_prior"] == pytest.approx(220 / 3_600)
    assert 0.03 < result["auprc_dnase"] < 0.12
    assert result["auprc_sequence_part"] is None
    assert (result["active_elements"], result["decoy_elements"]) == (2, 1)
    assert result["auroc_mask"] == 1
    assert result["auroc_prior"] == 0
    # This model reads no sequence: every effect is 0, and ties count half.
    assert result["auroc_effect_shuffled"] == 0.5
    assert result["effect_shuffled_pearson"] is None
    # E2 is closed, and each of the four has a stretch of background beside it.
    assert (result["candidate_elements"], result["element_base_rate"]) == (8, 0.25)
    table = read_table(folder / "e.tsv", text=("element",))
    assert table["element"].tolist() == ["E1", "E4", "E2", "E5", "", "", "", ""]
    assert table["effect_shuffled"].tolist() == [0] * 8
    ranking = read_table(folder / "r.tsv", RANKING_COLUMNS, text=("score",)).set_index("score")
    # G1 has no mask: of E1, E2, E4 and their background E1 alone is positive, and it is on top.
    assert ranking.loc["mask", ["active", "decoys", "candidates"]].tolist() == [1, 1, 6]
    assert ranking.loc["prior", "auroc"] == 0
    assert ranking.loc["nearness", ["active", "decoys", "candidates"]].tolist() == [2, 1, 8]
    assert ranking.loc["sequence_part", "candidates"] == 0
    assert len(read_table(folder / "d.tsv")) == 50


def test_a_model_that_sees_the_promoter_alone_has_no_base_to_rank(run_files):
    inputs, truth, folder = run_files
    shape = InputShape(window_length=100, promoter_length=100, n_gene_features=1)
    config = SignalLinearConfig(spans=(50,))
    save_checkpoint(folder / "model.ckpt", build_model(config, shape), config, shape, RUN)
    write_masks(folder / "masks", ["G4", "G5"], {"mask": np.ones((2, 100))})
    outputs = {"out_elements": folder / "e.tsv", "out_distance": folder / "d.tsv"}
    evaluate(**{**inputs, "masks": folder / "masks", "truth": truth}, **outputs)
    result = read(inputs)
    assert result["bases"] == result["active_elements"] == 0
    assert result["base_rate"] is result["auprc_mask"] is result["auroc_mask"] is None
    profile = read_table(folder / "d.tsv")
    assert (profile["start"].iloc[0], profile["end"].iloc[-1]) == (0, 50)
    assert profile["bases"].sum() == 200
    assert (profile["mask"] == 1).all()


def test_element_figures_against_scikit_learn():
    rng = np.random.default_rng(0)
    n = 60
    names = [name for name in RANKED_SCORES if name != "nearness"]
    table = pd.DataFrame(rng.random((n, len(names))), columns=names)
    table["sequence_part"] = np.nan
    table["kind"] = rng.choice(["active", "decoy", "background"], n)
    table["open"] = (table["kind"] != "background") & (rng.random(n) < 0.8)
    table["planted_effect"] = np.where(table["kind"] == "active", rng.random(n), 0)
    table["gene_id"], table["distance"] = rng.choice(list("abcdefgh"), n), rng.random(n)
    table.loc[3, "mask"] = np.nan
    figures = element_figures(table, rank_candidates(table))
    active = (table["kind"] == "active") & table["open"]
    both = active | ((table["kind"] == "decoy") & table["open"])
    for name in ("effect_removed", "dnase", "mask"):
        known = both & table[name].notna()
        expected = roc_auc_score(active[known], table[name][known])
        assert figures[f"auroc_{name}"] == pytest.approx(expected)
    expected = roc_auc_score(active[both], -table["distance"][both])
    assert figures["auroc_nearness"] == pytest.approx(expected)
    assert figures["candidate_elements"] == n
    assert np.isnan(figures["auroc_sequence_part"])
    r = np.corrcoef(table["planted_effect"][active], table["effect_shuffled"][active])[0, 1]
    assert figures["effect_shuffled_pearson"] == pytest.approx(r)


def test_distance_profile_against_a_loop(toy_store, tmp_path):
    rng = np.random.default_rng(0)
    tracks = {name: rng.random((2, LENGTH)) for name in ("mask", "prior")}
    write_masks(tmp_path / "m", ["G1", "G5"], tracks)
    profile = distance_profile(toy_store, open_masks(tmp_path / "m"), ["G1", "G5"])
    assert list(profile.columns) == ["start", "end", "bases", "mask", "prior"]
    assert profile["start"].tolist() == list(range(0, 1_000, 20))
    # Bin 100-120 bp: window bases 880-900 and 1101-1120, all usable in both genes; base 900 is at
    # 100 bp, base 880 at 120.
    places = [*range(881, 901), *range(1_100, 1_120)]
    row = profile.iloc[5]
    assert row["bases"] == 80
    assert row["mask"] == pytest.approx(tracks["mask"][:, places].mean(), rel=1e-3)
    assert row["prior"] == pytest.approx(tracks["prior"][:, places].mean(), rel=1e-3)
    # All usable bases once: G1 lacks 700 off the chromosome, 100 N and 10 blacklisted ones.
    assert profile["bases"].sum() == 4_000 - 810
    # G1's left half from 700 on: 300 bp; so beyond 300 bp one side of G1 is missing.
    assert profile["bases"].iloc[-1] == 61  # 20 + 20 + 20, and the base at exactly 1,000 bp


def test_random_state_is_left_alone(run_files):
    inputs, truth, _ = run_files
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    evaluate(**{**inputs, "truth": truth})
    assert torch.rand(1) == expected
