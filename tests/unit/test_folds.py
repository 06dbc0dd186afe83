"""Folds: the paper's twelve, blocks by TSS, and sets that cannot work."""

import numpy as np
import pandas as pd
import pytest

from seq2exp.config import FoldsConfig
from seq2exp.errors import UserError
from seq2exp.folds import PAPER_TEST, PAPER_VALID, assign_folds, overlapping_windows

HUMAN = [f"chr{n}" for n in range(1, 23)] + ["chrX"]


def one_gene_each(chromosomes):
    return pd.DataFrame(
        {"gene_id": [f"g_{c}" for c in chromosomes], "chrom": chromosomes, "tss": 1_000}
    )


def explicit(run=(1,), **sets):
    return FoldsConfig(scheme="explicit", sets={1: sets}, run=run)


def test_every_human_chromosome_is_a_test_chromosome_once():
    tested = [chrom for fold in PAPER_TEST.values() for chrom in fold]
    assert sorted(tested) == sorted(HUMAN)
    assert list(PAPER_TEST) == list(PAPER_VALID) == list(range(1, 13))
    for fold in PAPER_TEST:
        assert not set(PAPER_TEST[fold]) & set(PAPER_VALID[fold])
    # Validation sets do not cover the genome: none has chr22 but fold 12, none at all has chrX.
    validated = {chrom for fold in PAPER_VALID.values() for chrom in fold}
    assert set(HUMAN) - validated == {"chrX"}


def test_paper_folds_as_printed():
    table = assign_folds(one_gene_each(HUMAN), FoldsConfig(run=(1, 2, 10, 11, 12))).set_index(
        "gene_id"
    )
    assert table.columns.tolist() == [f"fold{n}" for n in range(1, 13)]

    def members(fold, split):
        return {gene.removeprefix("g_chr") for gene in table.index[table[f"fold{fold}"] == split]}

    assert (members(1, "test"), members(1, "valid")) == ({"2", "12"}, {"1", "11"})
    assert (members(2, "test"), members(2, "valid")) == ({"3", "13"}, {"2", "12"})
    assert (members(10, "test"), members(10, "valid")) == ({"11", "21"}, {"10", "20"})
    assert (members(11, "test"), members(11, "valid")) == ({"22", "X"}, {"3", "21"})
    assert (members(12, "test"), members(12, "valid")) == ({"1"}, {"2", "22"})
    for fold in range(1, 13):
        assert len(members(fold, "train")) == 23 - len(PAPER_TEST[fold]) - 2


def test_paper_folds_without_chr_and_with_fewer_chromosomes():
    genes = one_gene_each(["20", "21", "22", "Y"])
    table = assign_folds(genes, FoldsConfig(run=(11,)))
    assert table["fold11"].tolist() == ["train", "valid", "test", "train"]
    with pytest.raises(UserError, match=r"fold 1: no gene is in valid \(genes are on 20, 21, 22"):
        assign_folds(genes, FoldsConfig(run=(1,)))


def test_blocks_are_half_open_and_hold_genes_by_tss():
    genes = pd.DataFrame(
        {
            "gene_id": list("abcdef"),
            "chrom": ["chr20"] * 4 + ["chr22", "chr1"],
            "tss": [0, 44_999_999, 45_000_000, 63_025_519, 5, 5],
        }
    )
    folds = explicit(train=("chr20:0-45000000",), valid=("20:45000000-63025520",), test=("chr22",))
    assert assign_folds(genes, folds)["fold1"].tolist() == [
        *("train", "train", "valid", "valid", "test", "")
    ]
    rest = explicit(valid=("chr20:45000000-63025520",), test=("chr22",))
    assert assign_folds(genes, rest)["fold1"].tolist() == [
        *("train", "train", "valid", "valid", "test", "train")
    ]


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            {"valid": ("chr1",), "test": ("chr9",)},
            r"folds\.sets\.1\.test: no gene is in 'chr9' \(ge",
        ),
        (
            {"valid": ("chr1",), "test": ("chr2:0-500",)},
            r"folds\.sets\.1\.test: no gene is in 'chr2:0-500'",
        ),
        (
            {"valid": ("chr1",), "test": ("chr1:900-2000", "chr2")},
            r"fold 1: gene 'g_chr1' at chr1:1000 is in valid and in test \(chr1:900-2000\)",
        ),
        ({"valid": ("chr1:5-5",), "test": ("chr2",)}, r"block 'chr1:5-5' is empty"),
        (
            {"valid": ("chr1:5",), "test": ("chr2",)},
            r"'chr1:5' is neither a chromosome nor a block",
        ),
        (
            {"valid": ("chr1",), "test": ("chr2", "chr3")},
            r"fold 1: no gene is in train \(genes are on chr1, chr2, chr3\)",
        ),
    ],
)
def test_impossible_sets(sets, message):
    with pytest.raises(UserError, match=message):
        assign_folds(one_gene_each(["chr1", "chr2", "chr3"]), explicit(**sets))


def test_only_folds_to_be_run_must_work():
    folds = FoldsConfig(
        scheme="explicit",
        sets={
            1: {"valid": ("chr1",), "test": ("chr2",)},
            2: {"valid": ("chr8",), "test": ("chr9",)},
        },
        run=(1,),
    )
    table = assign_folds(one_gene_each(["chr1", "chr2", "chr3"]), folds)
    assert table["fold1"].tolist() == ["valid", "test", "train"]
    assert table["fold2"].tolist() == ["train"] * 3


def test_overlapping_windows_by_hand():
    genes = pd.DataFrame(
        {
            "gene_id": list("abcdefg"),
            "chrom": ["chr1"] * 6 + ["chr2"],
            "tss": [1_000, 1_099, 1_100, 5_000, 5_050, 900, 1_000],
        }
    )
    splits = ["train", "valid", "test", "test", "", "valid", "valid"]
    folds = pd.DataFrame({"gene_id": list("abcdefg"), "fold3": splits})
    # Windows of 100 bp: 1,099 shares one base with 1,000; 1,100 and 900 touch it only.
    assert overlapping_windows(genes, folds, 3, 100) == 1
    assert overlapping_windows(genes, folds, 3, 102) == 3
    assert overlapping_windows(genes, folds, 3, 10_000) == 4


def test_overlap_against_all_pairs():
    rng = np.random.default_rng(3)
    genes = pd.DataFrame(
        {
            "gene_id": [str(n) for n in range(200)],
            "chrom": rng.choice(["chr1", "chr2"], 200),
            "tss": rng.integers(0, 100_000, 200),
        }
    )
    folds = pd.DataFrame({"gene_id": genes["gene_id"], "fold1": rng.choice(["train", "test"], 200)})
    train = genes[folds["fold1"] == "train"]
    held = genes[folds["fold1"] == "test"]
    slow = sum(
        any((train["chrom"] == g.chrom) & ((train["tss"] - g.tss).abs() < 700))
        for g in held.itertuples()
    )
    assert 10 < slow < len(held)
    assert overlapping_windows(genes, folds, 1, 700) == slow


def test_real_genes(realdata):
    genes = pd.read_csv(realdata / "genes.tsv", sep="\t")
    folds = explicit(
        train=("chr20:0-45000000",), valid=("chr20:45000000-63025520",), test=("chr22",)
    )
    table = assign_folds(genes, folds)
    assert (table["fold1"] == "test").sum() == 415
    assert table["fold1"].isin(["train", "valid"]).sum() == 517
    # The nearest genes on both sides of 45 Mb are 42 kb apart.
    assert overlapping_windows(genes, table, 1, 200_000) > 0
    assert overlapping_windows(genes, table, 1, 40_000) == 0
