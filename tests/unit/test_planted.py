import numpy as np
import pandas as pd
import pytest

from seq2exp.errors import UserError
from seq2exp.masks import open_masks, write_masks
from seq2exp.planted import (
    active_elements,
    base_counts,
    element_scores,
    planted_expression,
    planted_pairs,
    windows,
    within_windows,
)

LENGTH = 2_000
PROMOTER = slice(900, 1_100)

# G4's window is chr1:5000-7000, G5's chr1:7000-9000, G1's chr1:-700-1300.
ELEMENTS = [
    ("chr1", 6_950, 7_050, "E3", 900, ".", "active", "Toy", "TGACGCGTCA", 8),
    ("chr1", 5_100, 5_220, "E1", 900, ".", "active", "Other,Toy", "TGACGCGTCA", 8),
    ("chr1", 5_300, 5_400, "E2", 900, ".", "active", "ToyB", "TGACGCGTCA", 8),
    ("chr1", 8_200, 8_300, "E4", 0, ".", "decoy", "Toy", ".", 0),
    ("chr1", 100, 150, "E5", 900, ".", "active", "Toy", "TGACGCGTCA", 8),
]
PAIRS = [
    ("Toy", "E1", "active", True, "chr1", 5_100, 5_220, "G4", "g4", 840, 0.5),
    ("Toy", "E4", "decoy", True, "chr1", 8_200, 8_300, "G5", "g5", 250, 0.0),
    ("Toy", "E2", "active", False, "chr1", 5_300, 5_400, "G4", "g4", 650, 0.0),
    ("ToyB", "E2", "active", True, "chr1", 5_300, 5_400, "G4", "g4", 650, 0.4),
    ("Toy", "E5", "active", True, "chr1", 100, 150, "G1", "g1", 175, 0.3),
]
PAIR_COLUMNS = [
    "cell_line", "element", "kind", "open", "chrom", "start", "end", "gene_id", "gene_name",
    "distance", "effect",
]  # fmt: skip


@pytest.fixture
def elements_bed(tmp_path):
    path = tmp_path / "elements.bed"
    pd.DataFrame(ELEMENTS).to_csv(path, sep="\t", header=False, index=False)
    return path


@pytest.fixture
def pairs_table(tmp_path):
    path = tmp_path / "pairs.tsv"
    pd.DataFrame(PAIRS, columns=PAIR_COLUMNS).to_csv(path, sep="\t", index=False)
    return path


def test_active_elements_of_exactly_this_cell_line(elements_bed):
    found = active_elements(elements_bed, "Toy")
    assert found.keys() == {"chr1"}
    assert found["chr1"].tolist() == [[100, 150], [5_100, 5_220], [6_950, 7_050]]
    assert active_elements(elements_bed, "ToyB")["chr1"].tolist() == [[5_300, 5_400]]
    assert active_elements(elements_bed, "T") == {}


def test_windows_know_their_bases(toy_store, toy):
    (g1,) = windows(toy_store, None, ["G1"], LENGTH)
    assert (g1.chrom, g1.start) == ("chr1", -700)
    expected = np.zeros(LENGTH, dtype=bool)
    expected[700:] = True  # the chromosome begins
    expected[950:960] = False  # blacklist, chr1:250-260
    expected[1_500:1_600] = False  # N, chr1:800-900
    np.testing.assert_array_equal(g1.usable, expected)
    (g5,) = windows(toy_store, None, ["G5"], 1_000)
    assert g5.start == 7_500
    dnase = toy.signals["dnase"]["chr1"][7_500:8_500].astype(np.float16)
    np.testing.assert_array_equal(g5.scores["dnase"], dnase)


def test_masks_choose_the_genes(toy_store, tmp_path):
    write_masks(tmp_path / "m", ["G5"], {"mask": np.zeros((1, LENGTH))})
    found = windows(toy_store, open_masks(tmp_path / "m"), ["G4", "G5"], LENGTH)
    assert [window.gene_id for window in found] == ["G5"]


def test_bases_are_counted_without_promoter_n_blacklist_and_chromosome_end(toy_store, elements_bed):
    active = active_elements(elements_bed, "Toy")
    counts = base_counts(windows(toy_store, None, ["G1"], LENGTH), active, PROMOTER)
    # 2000 - 700 off the chromosome - 100 N - 200 promoter, in which the blacklist lies
    assert counts["dnase"].total == 1_000
    assert counts["dnase"].base_rate == pytest.approx(50 / 1_000)
    both = base_counts(windows(toy_store, None, ["G4", "G5"], LENGTH), active, PROMOTER)
    # E1 in G4; E3 half in G4, half in G5; E2 is closed, E4 a decoy
    assert both["dnase"].base_rate == pytest.approx((120 + 50 + 50) / 3_600)


def test_a_mask_on_the_truth_is_perfect_and_its_complement_the_worst(
    toy_store, elements_bed, tmp_path
):
    active = active_elements(elements_bed, "Toy")
    truth = np.zeros((2, LENGTH))
    truth[0, 100:220] = truth[0, 1_950:] = truth[1, :50] = 1
    tracks = {"mask": truth, "sequence_part": 1 - truth, "prior": np.full_like(truth, 0.3)}
    write_masks(tmp_path / "m", ["G4", "G5"], tracks)
    found = windows(toy_store, open_masks(tmp_path / "m"), ["G4", "G5"], LENGTH)
    counts = base_counts(found, active, PROMOTER)
    assert counts["mask"].average_precision() == 1
    assert counts["mask"].auroc() == 1
    assert counts["sequence_part"].auroc() == 0
    base_rate = 220 / 3_600
    assert counts["prior"].average_precision() == pytest.approx(base_rate)
    assert counts["sequence_part"].average_precision() == pytest.approx(base_rate)


def test_pairs_of_the_genes_asked_for(pairs_table):
    found = planted_pairs(pairs_table, "Toy", ["G4", "G5"])
    assert found["element"].tolist() == ["E1", "E4", "E2"]
    assert found["open"].tolist() == [True, True, False]
    assert found["planted_effect"].tolist() == [0.5, 0.0, 0.0]
    with pytest.raises(UserError, match="no cell line 'Nowhere'"):
        planted_pairs(pairs_table, "Nowhere", ["G4"])


def test_pairs_outside_a_shorter_window_are_dropped(toy_store, pairs_table):
    found = planted_pairs(pairs_table, "Toy", ["G4", "G5"])
    assert within_windows(found, toy_store, 2_000)["element"].tolist() == ["E1", "E4", "E2"]
    assert within_windows(found, toy_store, 1_000)["element"].tolist() == ["E4"]
    assert within_windows(found, toy_store, 598)["element"].tolist() == []


def test_element_scores_are_means_over_its_bases(toy, toy_store, pairs_table, tmp_path):
    ramp = np.tile(np.arange(LENGTH) / LENGTH, (2, 1))
    write_masks(tmp_path / "m", ["G5", "G4"], {"mask": ramp})
    pairs = planted_pairs(pairs_table, "Toy", ["G4", "G5", "G1"])
    scores = element_scores(pairs, toy_store, open_masks(tmp_path / "m"), LENGTH)
    by_element = scores.set_index(pairs["element"])
    assert by_element["mask"]["E1"] == pytest.approx((100 + 219) / 2 / LENGTH, rel=1e-3)
    assert by_element["mask"]["E4"] == pytest.approx((1_200 + 1_299) / 2 / LENGTH, rel=1e-3)
    dnase = toy.signals["dnase"]["chr1"]
    assert by_element["dnase"]["E1"] == pytest.approx(dnase[5_100:5_220].mean(), rel=1e-3)
    assert by_element["sequence_part"].isna().all()
    assert by_element.loc["E5"].isna().all()  # G1 has no mask
    without = element_scores(pairs, toy_store, None, LENGTH).set_index(pairs["element"])
    assert without["dnase"]["E5"] == pytest.approx(dnase[100:150].mean(), rel=1e-3)
    assert without["mask"].isna().all()


def test_planted_expression_in_the_order_asked_for(tmp_path):
    path = tmp_path / "expression.tsv"
    path.write_text(
        "cell_line\tgene_id\tpromoter\tnoiseless\nToy\tG1\t1\t2\nToy\tG2\t3\t4\nOther\tG1\t5\t6\n"
    )
    found = planted_expression(path, "Toy", ["G2", "G1"])
    assert found["promoter"].tolist() == [3, 1]
    assert found["noiseless"].tolist() == [4, 2]
    with pytest.raises(UserError, match="no row of gene G2 in cell line Other"):
        planted_expression(path, "Other", ["G1", "G2"])


def test_what_is_no_truth_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing\.bed: not a BED of planted elements"):
        active_elements(tmp_path / "nothing.bed", "Toy")
    (tmp_path / "bad.bed").write_text("chr1\tx\t5\tE\t0\t.\tactive\tToy\tT\t1\n")
    with pytest.raises(UserError, match="column 'start': 'x' is not a whole number"):
        active_elements(tmp_path / "bad.bed", "Toy")
