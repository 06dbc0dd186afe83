"""Peaks and mask at equal numbers of bases, by hand and against loops; a run's references."""

import json

import numpy as np
import pandas as pd
import pytest

from seq2exp.errors import UserError
from seq2exp.evidence.equal_bases import equal_bases, top_hits
from seq2exp.evidence.reference_scores import write_reference_scores
from seq2exp.evidence.references import ReferenceInputs, read_peaks
from seq2exp.masks import open_masks, write_masks
from seq2exp.schemas import ELEMENT_COLUMNS, read_table

LENGTH, PROMOTER = 1_000, 200  # G4's window is chr1:5500-6500, G5's chr1:7500-8500


def places(*spans):
    return pd.DataFrame([("chr1", *span) for span in spans], columns=["chrom", "start", "end"])


def test_hits_of_the_highest_scores_with_ties_in_proportion():
    scores = np.array([0.5, 0.9, 0.5, 0.1, 0.5, 0.0], dtype=np.float16)
    hit = np.array([True, False, False, True, False, True])
    assert top_hits(scores, hit, 1) == 0
    assert top_hits(scores, hit, 2) == pytest.approx(1 / 3)  # one of the three at .5, a third of it
    assert top_hits(scores, hit, 4) == 1
    assert top_hits(scores, hit, 6) == 3
    assert top_hits(np.array([0, -0.0], dtype=np.float16), np.array([True, False]), 1) == 0.5


@pytest.fixture
def masks_dir(tmp_path):
    mask = np.full((2, LENGTH), 0.1)
    mask[0, 0:50] = mask[0, 900:950] = 0.8  # G4: 5500-5550 and 6400-6450
    mask[1, 100:120] = 0.9  # G5: 7600-7620
    mask[:, 400:600] = 1
    meta = {"cell_line": "Toy", "assay": "CAGE", "model": "soft", "kind": "seq2exp_soft"}
    meta |= {"fold": 1, "seed": 2, "promoter_length": PROMOTER}
    write_masks(tmp_path / "masks", ["G4", "G5"], {"mask": mask, "prior": 1 - mask}, meta=meta)
    return tmp_path / "masks"


def test_equal_bases_by_hand(toy_store, masks_dir):
    table = equal_bases(
        toy_store,
        open_masks(masks_dir),
        places((5_600, 5_700), (5_950, 6_050), (7_600, 7_610)),
        {"a": places((5_500, 5_550), (5_650, 5_660), (7_000, 7_620)), "none": places((0, 10))},
        ["G4", "G5"],
        promoter_length=PROMOTER,
    ).set_index(["reference", "score"])
    # The second peak is in the promoter: 100 and 10 bases are left.
    assert (table["genes"] == 2).all()
    assert (table["bases"] == 110).all()
    assert table.loc[("a", "peaks"), "overlap"] == pytest.approx((10 + 10) / 110)
    # G4: its 100 bases at .8, of which 50 are in a; G5: 10 of the 20 at .9, all of them in a.
    assert table.loc[("a", "mask"), "overlap"] == pytest.approx((50 + 10) / 110)
    assert table.loc[("a", "mask"), "gain"] == pytest.approx(40 / 110)
    # The prior is .9 at all other bases, 700 of G4's and 780 of G5's.
    shared = 100 * 10 / 700 + 10 * 100 / 780
    assert table.loc[("a", "prior"), "overlap"] == pytest.approx(shared / 110)
    assert (table.loc["none", "overlap"] == 0).all()
    assert set(table.loc["a"].index) == {"peaks", "mask", "prior", "dnase"}
    # A sample has G4 twice, G5 twice, or both: shares of the mask 50/100, 10/10 and 60/110.
    assert table.loc[("a", "mask"), ["overlap_low", "overlap_high"]].tolist() == [0.5, 1]
    assert table.loc[("a", "peaks"), ["gain", "gain_low", "gain_high"]].tolist() == [0, 0, 0]


def test_no_peak_in_any_window(toy_store, masks_dir):
    args = (toy_store, open_masks(masks_dir), places((0, 10)), {"a": places((0, 10))}, ["G4"])
    assert equal_bases(*args, promoter_length=PROMOTER).empty


@pytest.fixture
def run_files(tmp_path, masks_dir, toy_store_dir):
    predictions = pd.DataFrame({"gene_id": ["G4", "G5"], "gene_name": ["g4", "g5"]})
    predictions["chrom"], predictions["tss"], predictions["strand"] = "chr1", [6_000, 8_000], "+"
    predictions["split"] = ["test", "train"]
    for column in ("observed", "predicted", "mask_ratio"):
        predictions[column] = 0.5
    predictions.to_csv(tmp_path / "predictions.tsv", sep="\t", index=False)
    rows = [
        ("chr1", 5_650, 5_680, "g4|G4:1", 500, ".", "G4", "g4", 1, 0.5),
        ("chr1", 7_600, 7_620, "g5|G5:1", 250, ".", "G5", "g5", 1, 0.9),
    ]
    table = pd.DataFrame(rows, columns=["#chrom", *ELEMENT_COLUMNS[1:]])
    table.to_csv(tmp_path / "elements.bed.gz", sep="\t", index=False)
    (tmp_path / "a.bed").write_text("chr1\t5600\t5665\tx\tdELS\nchr1\t5670\t5680\tx\tPLS\n")
    (tmp_path / "peaks.bed").write_text("chr1\t5600\t5700\nchr1\t7600\t7620\n")
    outs = {f"out_{name}": tmp_path / name for name in ("enrichment", "equal", "figures")}
    return outs | {
        "elements": tmp_path / "elements.bed.gz",
        "masks_dir": masks_dir,
        "store_dir": toy_store_dir,
        "predictions": tmp_path / "predictions.tsv",
        "references": {"a": ReferenceInputs(tmp_path / "a.bed", 5, ("dELS",))},
        "peaks": tmp_path / "peaks.bed",
    }


def test_a_run_against_references(run_files):
    write_reference_scores(**run_files)
    table = read_table(run_files["out_enrichment"]).set_index("reference")
    assert table.index.tolist() == ["a", "peaks"]
    assert (table["regions"] == 1).all()  # G5 is a training gene
    assert table["observed"].tolist() == [0.5, 1]
    equal = read_table(run_files["out_equal"])
    assert equal["reference"].unique().tolist() == ["a"]
    assert equal["genes"].unique().tolist() == [1]
    figures = json.loads(run_files["out_figures"].read_text())
    assert figures["fold_a"] == pytest.approx(table.loc["a", "fold"], rel=1e-6)
    assert (figures["kind"], figures["seed"]) == ("seq2exp_soft", 2)


def test_peaks_are_read_as_the_window_store_reads_them(run_files):
    peaks = run_files["peaks"]
    peaks.write_text("track name=peaks\n1 5600 5650 a b\nchr1 5640 5700\nchrUn\t1\t9\n")
    found = read_peaks(peaks, {"chr1"})  # chr1 is 1 in one line; spaces separate columns, too
    assert found.to_numpy().tolist() == [["chr1", 5_600, 5_700]]
    with pytest.raises(UserError, match="no region on the genome's chromosomes; it has"):
        read_peaks(peaks, {"chr2"})


def test_a_run_without_peaks(run_files):
    write_reference_scores(**run_files | {"peaks": None})
    assert read_table(run_files["out_enrichment"])["reference"].tolist() == ["a"]
    assert read_table(run_files["out_equal"]).empty
