"""The CRISPRi benchmark: reading, matching and scoring pairs, against tables worked by hand."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from seq2exp.errors import UserError
from seq2exp.evidence.crispri import (
    LinkInputs,
    genes_of_pairs,
    in_any_window,
    inside_windows,
    link_scores,
    mask_scores,
    read_links,
    read_pairs,
)
from seq2exp.evidence.crispri_scores import write_pooled_scores, write_run_scores
from seq2exp.evidence.precision_recall import auprc, performances, pr_curve, precision_at_recall
from seq2exp.masks import open_masks, write_masks
from seq2exp.schemas import ELEMENT_COLUMNS, read_table

ENCODE = (
    "chrom\tchromStart\tchromEnd\tname\tEffectSize\tchrTSS\tstartTSS\tendTSS\tmeasuredGeneSymbol\t"
    "Significant\tpValueAdjusted\tPowerAtEffectSize25\tValidConnection\tCellType\tReference\t"
    "Regulated\n"
)


def encode_row(chrom, start, end, gene, regulated, *, tss=50_000, valid="TRUE", cell="K562"):
    """A line of an ENCODE table."""
    place = (chrom, start, end, f"{gene}|{chrom}:{start}-{end}:*", -0.2)
    gene_columns = (chrom, tss, tss + 1, gene)
    truth = str(regulated).upper()
    return "\t".join(map(str, (*place, *gene_columns, truth, "NA", 0.9, valid, cell, "x", truth)))


# Eight pairs, and three that are none: not valid, or of another cell type.
EIGHT = [
    encode_row("chr1", 1_000, 1_500, "A", True),
    encode_row("chr1", 3_000, 3_500, "A", False),
    encode_row("chr1", 5_000, 5_500, "A", True),
    encode_row("chr1", 5_000, 5_500, "B", False),
    encode_row("chr1", 7_000, 7_500, "B", True),
    encode_row("chr2", 1_000, 1_500, "C", True),
    encode_row("chr2", 3_000, 3_500, "C", False),
    encode_row("2", 9_000, 9_500, "NA", False),
    encode_row("chr1", 1_600, 1_700, "A", True, valid="overlaps potential promoter"),
    encode_row("chr1", 1_000, 1_500, "A", False, cell="GM12878"),
    encode_row("chr2", 1_000, 1_500, "A", False, cell="K562_2"),
]
LINKS = pd.DataFrame(
    [
        ("chr1", 900, 1_100, "A", 0.3),  # three on the first pair: .3 + .4 + .2
        ("chr1", 1_200, 1_300, "A", 0.4),
        ("chr1", 1_450, 1_600, "A", 0.2),
        ("chr1", 1_500, 1_600, "A", 9.0),  # begins where the pair ends
        ("chr1", 2_900, 3_001, "A", 0.5),
        ("chr1", 5_000, 5_500, "A", 0.5),  # A's, and so not that of B's pair here
        ("chr1", 6_000, 7_000, "B", 0.6),  # ends where the pair begins
        ("chr2", 1_000, 1_500, "C", 0.7),
        ("chr2", 3_400, 3_900, "C", 0.2),
        ("chr2", 9_100, 9_200, "NA", 0.8),
        ("chr1", 9_100, 9_200, "NA", 5.0),
    ],
    columns=["chrom", "start", "end", "gene_name", "score"],
)


@pytest.fixture
def eight(tmp_path):
    path = tmp_path / "pairs.tsv.gz"
    with gzip.open(path, "wt") as file:
        file.write(ENCODE + "\n".join(EIGHT) + "\n")
    return path


def test_eight_pairs_by_hand(eight):
    pairs = read_pairs(eight, "K562", ["chr1", "chr2"])
    scores = link_scores(pairs, LINKS)
    regulated = pairs["regulated"].to_numpy()
    assert pairs["gene_name"].tolist() == ["A", "A", "A", "B", "B", "C", "C", "NA"]
    np.testing.assert_allclose(scores, [0.9, 0.5, 0.5, 0, 0, 0.7, 0.2, 0.8])
    # From the top, of 4 positives:
    #   .9 A+          1 of 1   recall 1/4  precision 1
    #   .8 NA-         1 of 2          1/4            1/2
    #   .7 C+          2 of 3          2/4            2/3
    #   .5 A- and A+   3 of 5          3/4            3/5
    #   .2 C-          3 of 6          3/4            1/2
    #   0  B- and B+   calls all: not part of the area
    # Two steps have a width, 1/4 each: (1/2 + 2/3) / 8 + (2/3 + 3/5) / 8 = 73/240.
    assert auprc(scores, regulated) == pytest.approx(73 / 240)
    curve = pr_curve(scores, regulated)
    assert precision_at_recall(curve) == (pytest.approx(3 / 5), 0.5)
    # scikit-learn's figure for the same table is another: 1/4 (1 + 2/3 + 3/5 + 4/8).
    assert average_precision_score(regulated, scores) == pytest.approx((1 + 2 / 3 + 0.6 + 0.5) / 4)
    (found,) = performances(scores[None], regulated, rival=0)
    assert found.auprc.value == pytest.approx(73 / 240)
    assert 0 <= found.auprc.low < 73 / 240 < found.auprc.high <= 1


def test_distance_is_from_the_middle_to_the_tss(eight):
    pairs = read_pairs(eight, "K562", ["chr1", "chr2"])
    assert pairs["distance"].iloc[0] == 50_000.5 - 1_250  # a TSS of one base has its middle at .5
    assert pairs["gene_tss"].tolist() == [50_000] * 8
    assert pairs["chrom"].iloc[7] == "chr2"  # the table says 2


def test_pairs_elsewhere_are_left_out_aloud(eight, caplog):
    pairs = read_pairs(eight, "K562", ["1"])
    assert set(pairs["chrom"]) == {"1"}
    assert "3 pairs are on chromosomes that the genome lacks" in caplog.text


def test_a_plain_table(tmp_path):
    head = "chrom\tstart\tend\tgene_name\tgene_tss\tcell_line\tregulated"
    row = "chr1\t10\t20\tA\t1015\tX\tTrue"
    path = tmp_path / "own.tsv"
    path.write_text(f"{head}\n{row}\n")
    assert read_pairs(path, "X", ["chr1"]).to_numpy().tolist() == [
        ["chr1", 10, 20, "A", 1_000.5, True, 1_015]
    ]
    path.write_text(f"{head}\tvalid\n{row}\tTrue\n{row.replace('A', 'B')}\tFalse\n")
    assert read_pairs(path, "X", ["chr1"])["gene_name"].tolist() == ["A"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "K562",
            "H1",
            r"no valid pair of cell type 'K562'; it has GM12878, H1, H1_2; correct crispri",
        ),
        ("TRUE\n", "maybe\n", r"column 'regulated' holds 'maybe'; write TRUE or FALSE"),
        ("ValidConnection", "Valid", r"no column 'ValidConnection'"),
        ("chr1\t1000\t", "chr1\t1000.5\t", r"line 2, column 'start': 1000.5 is not a whole"),
        ("chr1\t3000\t3500", "chr1\t1000\t1500", r"chr1:1000-1500 with A occurs twice"),
    ],
)
def test_wrong_tables_are_one_line(eight, tmp_path, old, new, message):
    with gzip.open(eight, "rt") as file:
        text = file.read().replace(old, new)
    path = tmp_path / "wrong.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_pairs(path, "K562", ["chr1", "chr2"])
    assert "\n" not in str(caught.value)


LINK_NAMES = {"chrom": "#chr", "start": "start", "end": "stop", "gene_name": "TargetGene"}


def test_scores_of_another_method(tmp_path):
    path = tmp_path / "links.tsv"
    path.write_text(
        "#chr\tstart\tstop\tname\tTargetGene\tABC.Score\n"
        "1\t10\t20\te1\tNA\t0.5\nchr1\t30\t40\te2\tB\t\nchrUn\t10\t20\te3\tB\t1\n"
    )
    columns = LINK_NAMES | {"score": "ABC.Score"}
    assert read_links(LinkInputs(path, columns), ["chr1"]).to_numpy().tolist() == [
        ["chr1", 10, 20, "NA", 0.5]
    ]
    with pytest.raises(UserError, match="no column 'Score'; the columns are #chr, start, stop"):
        read_links(LinkInputs(path, LINK_NAMES | {"score": "Score"}), ["chr1"])


# ------------------------------------------------------------------------- masks

LENGTH = 1_000  # of the masks; G4's window is chr1:5500-6500, G5's chr1:7500-8500


def toy_pairs():
    """Elements of G4 and G5 with their scores by hand; regulated is every other one."""
    rows = [
        ("chr1", 5_600, 5_700, "g4", 6_000),  # inside
        ("chr1", 5_450, 5_510, "g4", 6_000),  # ten bases inside
        ("chr1", 6_500, 6_600, "g4", 6_000),  # begins where the window ends
        ("chr1", 7_600, 7_610, "g5", 8_000),
        ("chr1", 5_600, 5_700, "g1", 300),  # of a gene without a mask, far outside its window
        ("chr1", 5_600, 5_700, "nobody", 300),
        ("chr2", 5_600, 5_700, "g4", 6_000),  # no such gene on this chromosome
    ]
    pairs = pd.DataFrame(rows, columns=["chrom", "start", "end", "gene_name", "gene_tss"])
    pairs["regulated"] = np.arange(len(pairs)) % 2 == 0
    pairs["distance"] = ((pairs["start"] + pairs["end"]) / 2 - pairs["gene_tss"]).abs()
    return pairs


@pytest.fixture
def toy_masks(tmp_path):
    ramp = np.linspace(0, 1, LENGTH)
    tracks = {"mask": np.stack([ramp, 1 - ramp]), "prior": np.stack([1 - ramp, ramp])}
    meta = {"cell_line": "Toy", "assay": "CAGE", "model": "soft", "kind": "seq2exp_soft"}
    write_masks(tmp_path / "masks", ["G4", "G5"], tracks, meta=meta | {"fold": 1, "seed": 2})
    return tmp_path / "masks"


def test_mask_scores_are_means_over_the_part_in_the_window(toy_store, toy_masks):
    pairs = toy_pairs()
    rows = genes_of_pairs(pairs, toy_store.genes)
    assert [toy_store.genes["gene_id"].iloc[row] for row in rows[:5]] == [
        *("G4", "G4", "G4", "G5", "G1"),
    ]
    assert rows[5:].tolist() == [-1, -1]
    masks = open_masks(toy_masks)
    found = mask_scores(pairs, rows, toy_store, masks)
    ramp = np.linspace(0, 1, LENGTH).astype(np.float16).astype(float)
    expected = [ramp[100:200].mean(), ramp[:10].mean(), 0, (1 - ramp[100:110]).mean()]
    np.testing.assert_allclose(found["mask"][:4], expected, atol=2e-4)
    assert found["mask"][4:].isna().all()
    np.testing.assert_allclose(found["prior"][0], (1 - ramp[100:200]).mean(), atol=2e-4)
    assert inside_windows(pairs, rows, toy_store.genes, LENGTH).tolist() == [
        *(True, True, False, True, False, False, False),
    ]


def test_windows_of_other_genes_against_a_loop(toy_store):
    rng = np.random.default_rng(0)
    start = rng.integers(0, 11_000, 200)
    pairs = pd.DataFrame({"chrom": "chr1", "start": start, "end": start + 50})
    genes = toy_store.genes.iloc[[0, 3]]  # TSS 300 and 6,000
    expected = [any(s + 50 > t - 250 and s < t + 250 for t in (300, 6_000)) for s in start]
    assert in_any_window(pairs, genes, 500).tolist() == expected
    assert in_any_window(toy_pairs(), genes, LENGTH).tolist() == [True] * 2 + [False] * 2 + [
        *(True, True, False),
    ]


def test_of_genes_that_share_a_symbol_the_nearest_is_meant():
    genes = pd.DataFrame(
        {"chrom": ["chr1", "chr1", "chr2"], "gene_name": "A", "tss": [100, 9_000, 5_000]}
    )
    pairs = pd.DataFrame(
        {"chrom": ["chr1", "chr1", "chr2"], "gene_name": "A", "gene_tss": [8_000, 90, 0]}
    )
    assert genes_of_pairs(pairs, genes).tolist() == [1, 0, 2]


@pytest.fixture
def run_files(toy_masks, toy_store_dir, tmp_path):
    """Artefacts of a run whose fold has G5 in training, the others in test."""
    known = {
        "activity": 1.0,
        "abc": [0.4, 0.3, 0.2, 0.1, 0, 0, 0],
        "predicted_x": [3, 2, 1, 0, 0, 0, 0],
    }
    toy_pairs().assign(**known).to_csv(tmp_path / "baselines.tsv", sep="\t", index=False)
    predictions = pd.DataFrame({"gene_id": ["G1", "G4", "G5"], "gene_name": ["g1", "g4", "g5"]})
    predictions["chrom"], predictions["tss"] = "chr1", [300, 6_000, 8_000]
    predictions["strand"], predictions["split"] = "+", ["test", "test", "train"]
    for column in ("observed", "predicted", "mask_ratio"):
        predictions[column] = 0.5
    predictions.to_csv(tmp_path / "predictions.tsv", sep="\t", index=False)
    regions = [
        ("chr1", 5_650, 5_660, "g4|G4:1", 500, ".", "G4", "g4", 1, 0.5),
        ("chr1", 5_690, 5_800, "g4|G4:2", 250, ".", "G4", "g4", 1, 0.25),
        ("chr1", 7_600, 7_700, "g4|G4:3", 250, ".", "G4", "g4", 1, 0.25),
    ]
    table = pd.DataFrame(regions, columns=["#chrom", *ELEMENT_COLUMNS[1:]])
    table.to_csv(tmp_path / "elements.bed.gz", sep="\t", index=False)
    outs = {f"out_{name}": tmp_path / name for name in ("pairs", "performance", "figures")}
    inputs = {
        "baselines": tmp_path / "baselines.tsv",
        "masks_dir": toy_masks,
        "store_dir": toy_store_dir,
        "predictions": tmp_path / "predictions.tsv",
        "elements": tmp_path / "elements.bed.gz",
    }
    return inputs | outs


def test_scores_of_a_run(run_files):
    write_run_scores(**run_files)
    pairs = read_table(run_files["out_pairs"])
    assert pairs["gene_id"].tolist() == ["G4", "G4", "G4", "G5", "G1", "", ""]
    assert pairs["split"].tolist() == ["test"] * 3 + ["train", "test", "", ""]
    # The only training window is G5's, chr1:7500-8500.
    assert pairs["in_training_window"].tolist() == [False] * 3 + [True] + [False] * 3
    np.testing.assert_allclose(pairs["regions"][:4], [0.75, 0, 0, 0])
    assert pairs["regions"][4:].isna().all()
    table = read_table(run_files["out_performance"]).set_index(["genes", "distance", "predictor"])
    test = table.loc["test"]
    assert set(test.index.get_level_values("distance")) == {"window", "all", "0-20 kb"}
    assert test.loc[("window", "mask"), ["pairs", "positives"]].tolist() == [2, 1]
    assert test.loc[("all", "mask"), ["pairs", "positives"]].tolist() == [3, 2]
    # Masks .15, .005 and 0: the first is positive, the second is not, the third is.
    assert test.loc[("all", "mask"), "auprc"] == 0  # from (1/2, 1) to (1/2, 1/2): no width
    assert test.loc[("all", "mask"), "precision"] == pytest.approx(2 / 3)
    assert test.loc[("all", "distance"), "precision"] == pytest.approx(2 / 3)
    assert table.loc["train"]["pairs"].unique().tolist() == [1]
    figures = json.loads(run_files["out_figures"].read_text())
    assert (figures["model"], figures["fold"], figures["kind"]) == ("soft", 1, "seq2exp_soft")
    assert (figures["crispri_pairs"], figures["crispri_positives"]) == (2, 1)
    assert figures["crispri_auprc_mask"] == 0
    assert figures["crispri_auprc_activity"] is None  # the same for both pairs: no curve
    assert figures["crispri_auprc_sequence_part"] is None
    assert figures["crispri_auprc_predicted_x"] == 0
    assert test.loc[("all", "predicted_x"), "precision"] == pytest.approx(2 / 3)


def test_runs_are_pooled_over_folds_and_averaged_over_seeds(run_files, tmp_path):
    write_run_scores(**run_files)
    first = read_table(run_files["out_pairs"])
    second = first.assign(mask=first["mask"] + 0.2)  # another seed
    third = first.assign(split=["train"] * 3 + ["test"] + [""] * 3)  # another fold
    for name, table in (("a", first), ("b", second), ("c", third)):
        table.to_csv(tmp_path / name, sep="\t", index=False)
    outs = {"out_performance": tmp_path / "pooled", "out_curves": tmp_path / "curves"}
    write_pooled_scores([tmp_path / name for name in "abc"], **outs)
    table = read_table(outs["out_performance"]).set_index(["genes", "distance", "predictor"])
    assert set(table.index.get_level_values("genes")) == {"test"}
    assert table.loc[("test", "all", "mask"), ["pairs", "positives"]].tolist() == [4, 2]
    curves = read_table(outs["out_curves"]).set_index(["distance", "predictor"])
    mask = curves.loc[[("window", "mask")]]
    # .895 is G5's (negative, of one run), then G4's .15 + .1 (positive) and .005 + .1.
    np.testing.assert_allclose(mask["threshold"], [0.895, 0.25, 0.105], atol=2e-3)
    np.testing.assert_allclose(mask["precision"], [0, 1 / 2, 1 / 3])
    np.testing.assert_allclose(mask["recall"], [0, 1, 1])


def test_no_pair_of_a_test_gene(run_files, tmp_path):
    predictions = read_table(run_files["predictions"]).assign(split="valid")
    predictions.to_csv(run_files["predictions"], sep="\t", index=False)
    write_run_scores(**run_files)
    outs = {"out_performance": tmp_path / "pooled", "out_curves": tmp_path / "curves"}
    write_pooled_scores([run_files["out_pairs"]], **outs)
    assert read_table(outs["out_performance"]).empty
    assert read_table(outs["out_curves"]).empty
    assert json.loads(run_files["out_figures"].read_text())["crispri_auprc_mask"] is None
