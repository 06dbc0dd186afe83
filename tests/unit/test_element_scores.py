"""The table of called elements with their scores, against the functions and by hand."""

import gzip

import numpy as np
import pandas as pd
import pytest
import torch

from seq2exp.attribution import attributions
from seq2exp.checkpoints import load_checkpoint, save_checkpoint
from seq2exp.evaluation_config import EffectsConfig
from seq2exp.evidence.element_scores import overlaps, write_element_scores
from seq2exp.evidence.references import ReferenceInputs
from seq2exp.masks import write_masks
from seq2exp.model_config import Seq2ExpSoftConfig
from seq2exp.models import InputShape, build_model
from seq2exp.perturbation import removal_effects, shuffle_effects
from seq2exp.schemas import ELEMENT_COLUMNS, SCORED_ELEMENT_COLUMNS, read_table

LENGTH = 2_000
SHAPE = InputShape(window_length=LENGTH, promoter_length=200, n_gene_features=1)
# G4's window is chr1:5000-7000, G5's chr1:7000-9000, G7's chr2:3000-5000.
CALLED = [
    ("chr1", 5_850, 5_895, "g4|G4:2", 300, ".", "G4", "g4", 20, 0.3),
    ("chr1", 6_110, 6_150, "g4|G4:1", 400, ".", "G4", "g4", 20, 0.4),
    ("chr1", 7_850, 7_890, "g5|G5:1", 500, ".", "G5", "g5", 20, 0.5),
    ("chr1", 8_105, 8_135, "g5|G5:2", 500, ".", "G5", "g5", 20, 0.5),
    ("chr2", 3_850, 3_895, "g7|G7:1", 500, ".", "G7", "g7", 20, 0.5),
]


@pytest.fixture
def run_files(toy_store_dir, tmp_path):
    """A run whose masks are ramps; G7 is no test gene."""
    config = Seq2ExpSoftConfig(d_model=8, d_state=2, generator_layers=1, predictor_layers=1)
    torch.manual_seed(1)
    save_checkpoint(tmp_path / "model.ckpt", build_model(config, SHAPE), config, SHAPE, {})
    ramp = np.tile(np.arange(LENGTH) / LENGTH, (3, 1))
    tracks = {"mask": ramp, "sequence_part": ramp / 2, "prior": ramp / 4}
    write_masks(tmp_path / "masks", ["G4", "G5", "G7"], tracks)
    lines = ["#" + "\t".join(ELEMENT_COLUMNS), *("\t".join(map(str, row)) for row in CALLED)]
    with gzip.open(tmp_path / "elements.bed.gz", "wt") as bed:
        bed.write("\n".join(lines) + "\n")
    genes = pd.DataFrame({"gene_id": ["G4", "G5", "G7"], "split": ["test", "test", "train"]})
    others = ("gene_name", "chrom", "tss", "strand", "observed", "predicted", "mask_ratio")
    genes.assign(**dict.fromkeys(others, 0)).to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    (tmp_path / "some.bed").write_text("chr1\t5894\t5900\nchr1\t6150\t6160\nchr2\t0\t8000\n")
    (tmp_path / "peaks.bed").write_text("chr1\t8000\t8106\n")
    return {
        "checkpoint": tmp_path / "model.ckpt",
        "store_dir": toy_store_dir,
        "masks_dir": tmp_path / "masks",
        "elements": tmp_path / "elements.bed.gz",
        "predictions": tmp_path / "p.tsv",
        "references": {"some": ReferenceInputs(tmp_path / "some.bed")},
        "peaks": tmp_path / "peaks.bed",
        "effects": EffectsConfig(shuffles=2),
        "out_table": tmp_path / "scores.tsv",
        "device": "cpu",
    }


def test_scores_of_the_test_genes_elements(run_files, toy_store):
    write_element_scores(**run_files)
    table = read_table(run_files["out_table"], SCORED_ELEMENT_COLUMNS)
    assert list(table.columns) == [*SCORED_ELEMENT_COLUMNS, "some", "peaks"]
    assert table["name"].tolist() == [row[3] for row in CALLED[:4]]
    # 5,850-5,895 are bases 850 to 894 of the window: a mean of 872 / 2,000 of the ramp.
    assert table["sequence_part"][0] == pytest.approx(872 / LENGTH / 2, rel=1e-3)
    assert table["prior"][0] == pytest.approx(872 / LENGTH / 4, rel=1e-3)
    # Base 5,894 is shared, 6,150 is not: intervals are half-open.
    assert table["some"].tolist() == [1, 0, 0, 0]
    assert table["peaks"].tolist() == [0, 0, 0, 1]
    trained = load_checkpoint(run_files["checkpoint"])
    expected = {
        "effect_removed": removal_effects(trained, toy_store, table),
        "effect_shuffled": shuffle_effects(trained, toy_store, table, n_shuffles=2),
        "attribution": attributions(trained, toy_store, table),
    }
    for name, values in expected.items():
        # An untrained network has hardly any effect, but each element its own.
        np.testing.assert_allclose(table[name], values, rtol=1e-6)
        assert len({0, *values}) == 5


def test_only_the_highest_elements_of_a_gene_are_perturbed(run_files):
    write_element_scores(**{**run_files, "effects": EffectsConfig(per_gene=1, shuffles=1)})
    table = read_table(run_files["out_table"])
    # Of two equals the first.
    assert table["effect_removed"].notna().tolist() == [False, True, True, False]
    assert table["effect_shuffled"].notna().tolist() == [False, True, True, False]
    assert table["attribution"].notna().all()


@pytest.mark.parametrize("effects", [{"per_gene": 0}, {"shuffles": 0}])
def test_without_effects_their_columns_are_empty(run_files, effects):
    write_element_scores(**{**run_files, "effects": EffectsConfig(**effects)})
    table = read_table(run_files["out_table"])
    assert table["effect_shuffled"].isna().all()
    assert table["effect_removed"].isna().all() == ("per_gene" in effects)


def test_no_element_at_all(run_files):
    path = run_files["elements"]
    with gzip.open(path, "wt") as bed:
        bed.write("#" + "\t".join(ELEMENT_COLUMNS) + "\n")
    write_element_scores(**{**run_files, "peaks": None})
    table = read_table(run_files["out_table"])
    assert list(table.columns) == [*SCORED_ELEMENT_COLUMNS, "some"]
    assert table.empty


def test_elements_that_only_touch_do_not_overlap():
    elements = pd.DataFrame({"chrom": ["1", "1", "2"], "start": [0, 5, 0], "end": [5, 9, 5]})
    regions = pd.DataFrame({"chrom": ["1", "1"], "start": [5, 7], "end": [6, 8]})
    assert overlaps(elements, regions).tolist() == [0, 1, 0]
