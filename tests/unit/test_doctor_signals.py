"""Signal tracks, genes and contact maps examined: figures by hand, and what is said about them."""

import numpy as np
import pandas as pd
import pytest

from seq2exp.contacts import open_contact_map
from seq2exp.doctor.assemblies import infer_assembly
from seq2exp.doctor.checkup import Checkup, read_checkups, write_checkups
from seq2exp.doctor.compare import Promoters
from seq2exp.doctor.genes import note_genes, note_splits
from seq2exp.doctor.hic import note_contacts
from seq2exp.doctor.signals import (
    HALF,
    gene_windows,
    judge_signal,
    kind_of_values,
    note_chromosomes,
    note_values,
    promoter_means,
    read_windows,
    spread_windows,
)
from seq2exp.errors import UserError
from seq2exp.tracks import open_bigwig

from ..conftest import write_bigwig, write_cooler


def said(checkup):
    return [(level, item) for level, item, _ in checkup.findings]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ({"chr20": 63_025_520}, "hg19"),
        ({"20": 64_444_167, "scaffold": 7}, "hg38"),
        ({"chr1": 195_471_971, "chrM": 16_299}, "mm10"),
        ({"chr20": 63_025_520, "chr1": 248_956_422}, "unknown"),
        ({"chr1": 12_000}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_assembly_by_chromosome_lengths(sizes, expected):
    assert infer_assembly(sizes) == expected


def test_half_is_the_papers_prior():
    assert HALF == {"h3k27ac": 1.5, "dnase": 0.2}


def test_windows_are_taken_evenly():
    genes = pd.DataFrame({"chrom": "c1", "tss": [10, 20, 30, 40, 50]})
    everything = gene_windows(genes, 10)
    assert [start for _, start, _ in everything] == [5, 15, 25, 35, 45]
    assert gene_windows(genes, 10, most=30) == [("c1", 5, 15), ("c1", 25, 35), ("c1", 45, 55)]
    assert len(gene_windows(genes, 10, most=3)) == 1
    assert gene_windows(genes[:0], 10) == []


def test_windows_spread_over_chromosomes():
    sizes = {"a": 250, "b": 90}
    assert spread_windows(sizes, length=100, most=400) == [
        *(("a", 0, 100), ("a", 100, 200), ("a", 200, 250)),
        ("b", 0, 90),
    ]
    # 340 bases of which at most 170 are read: every other 100.
    assert spread_windows(sizes, length=100, most=170) == [
        *(("a", 0, 100), ("a", 200, 250)),
        ("b", 0, 90),
    ]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0, 0], "nothing"),
        ([0, -1, 3.5], "signed"),
        ([0, 4, 7], "counts"),
        ([0, 0.25, 1], "0 to 1"),
        ([0, 0.25, 1.5], "signal"),
    ],
)
def test_kinds_of_values(values, kind):
    assert kind_of_values(np.array(values, dtype=np.float32)) == kind


def test_figures_of_values_by_hand():
    known = np.array([np.nan, np.nan, 0, 0.1, 0.5, 1, 2, 4, 8, 16], dtype=np.float32)
    checkup = Checkup()
    note_values(checkup, "dnase", known)
    figures = {name: value for _, name, value in checkup.figures}
    assert figures["bases"] == 10
    assert figures["covered"] == pytest.approx(0.8)
    assert figures["nan"] == pytest.approx(0.2)
    assert figures["zero"] == pytest.approx(0.3)  # NaN reads as 0
    assert (figures["min"], figures["max"]) == (0, 16)
    assert figures["median"] == pytest.approx(0.75)
    assert figures["q999"] == pytest.approx(8 + 0.991 * 8)  # position 8.991 of 0..9
    assert figures["active"] == pytest.approx(0.6)  # above 0.2
    assert figures["kind"] == "signal"


BACKGROUND = np.full(1_000, 0.05)


@pytest.mark.parametrize(
    ("values", "kind", "level", "words"),
    [
        (np.append(BACKGROUND, [5.5] * 50), "signal", None, ""),
        (np.append(BACKGROUND, [-1.0]), "signed", "error", "negative values (down to -1), which"),
        (np.zeros(1_000), "nothing", "error", "holds no values around any gene"),
        (BACKGROUND, "0 to 1", "warning", r"0.00% of the bases are above 0.2.*almost nothing"),
        (np.full(1_000, 2.5), "signal in peaks", "warning", "100.00% .*almost everything looks ac"),
        (
            np.append(np.zeros(1_000), [5.0] * 50),
            "counts in peaks",
            "hint",
            "its values are whole numbers, as raw counts are, and it is 0 outside peaks; the mask r",
        ),
        (
            np.append(BACKGROUND, [0.9] * 50),
            "0 to 1",
            "hint",
            "its values lie between 0 and 1; the",
        ),
    ],
)
def test_odd_values_are_said(values, kind, level, words):
    checkup = Checkup()
    note_values(checkup, "dnase", values.astype(np.float32))
    judge_signal(checkup, "dnase")
    assert checkup.get("dnase", "kind") == kind
    assert said(checkup) == ([(level, "dnase")] if level else [])
    if level:
        text = checkup.findings[0].text
        assert (
            pd.Series([text]).str.contains(words.replace("(", r"\(").replace(")", r"\)")).item()
        ), text


@pytest.mark.parametrize(("top", "said_so"), [(9.5, True), (10.5, False)])
def test_fold_change_in_place_of_p_values(top, said_so):
    checkup = Checkup()
    note_values(checkup, "h3k27ac", np.append(BACKGROUND, [top] * 50).astype(np.float32))
    judge_signal(checkup, "h3k27ac")
    text = (
        "0.1% of its bases are above 9.5 only, as of fold change over control; the mask reads values "
        "as they are, and is made for signal p-value, -log10 p"
    )
    assert checkup.findings == ([("hint", "h3k27ac", text)] if said_so else [])


def test_a_track_by_hand(tmp_path):
    signal = {"chr1": np.arange(2_000.0), "chr2": np.full(2_000, np.nan)}
    signal["chr1"][1_500:] = np.nan
    write_bigwig(tmp_path / "x.bw", signal, {"chr1": 2_000, "chr2": 2_000})
    track = open_bigwig(tmp_path / "x.bw")
    genes = pd.DataFrame({"chrom": ["1", "1", "chr2", "chr9"], "tss": [100, 1_200, 500, 5]})
    # [-400, 600) holds 0..599; [700, 1700) holds 700..1499.
    means = promoter_means(track, genes, "zeros")
    assert means.tolist() == [599 * 600 / 2 / 1_000, (700 + 1_499) * 800 / 2 / 1_000, 0, 0]
    known = read_windows(track, gene_windows(genes, 1_000))
    assert len(known) == 600 + 1_000 + 1_000
    assert np.isnan(known).sum() == 200 + 1_000
    checkup = Checkup()
    note_chromosomes(checkup, "dnase", track, genes, "zeros")
    assert checkup.get("dnase", "chromosomes") == "1/3"
    assert checkup.get("dnase", "missing") == "chr9,chr2"
    assert [text.split(";")[0] for *_, text in checkup.findings] == [
        "has no chromosome chr9, where 1 genes are",
        "has no data on chr2, where 1 genes are",
    ]
    assert said(checkup) == [("warning", "dnase")] * 2
    checkup = Checkup()
    note_chromosomes(checkup, "dnase", track, genes, "error")
    assert said(checkup) == [("error", "dnase"), ("warning", "dnase")]


def test_genes_by_hand():
    genes = pd.DataFrame(
        {
            "gene_id": list("ABCDE"),
            "chrom": ["c1", "c1", "c2", "c2", "c2"],
            "n_fraction": [0, 0, 0, 0.2, 0.3],
        }
    )
    dropped = pd.DataFrame({"reason": ["far", "far", "near"]})
    checkup = Checkup("X")
    note_genes(checkup, genes, dropped)
    figures = {name: value for _, name, value in checkup.figures}
    assert figures == {
        "kept": 5,
        "dropped: far": 2,
        "dropped: near": 1,
        "n_mean": pytest.approx(0.1),
        "n_max": 0.3,
    }
    assert [text for *_, text in checkup.findings] == [
        "2 genes have more than 10% N around the TSS, most on c2 (2); window.max_n_fraction drops "
        "such genes"
    ]


def test_genes_with_a_label_by_split():
    ids = [f"G{i}" for i in range(100)]
    labels = np.ones(100)
    labels[:5] = np.nan
    promoters = Promoters("X", pd.DataFrame({"gene_id": ids, "label_CAGE": labels}))
    splits = ["train"] * 60 + ["valid"] * 30 + ["test"] * 10
    folds = pd.DataFrame({"gene_id": ids[::-1], "fold1": splits[::-1], "fold2": ["train"] * 100})
    checkup = Checkup("X")
    note_splits(checkup, promoters, folds, [1])
    assert [(name, value) for _, name, value in checkup.figures] == [
        *(("fold1 train", 55), ("fold1 valid", 30), ("fold1 test", 10)),
    ]
    assert [text for *_, text in checkup.findings] == [
        "fold 1: only 10 genes of test have a label, too few to rely on"
    ]
    checkup = Checkup("X")
    note_splits(checkup, promoters, folds, [2])
    assert said(checkup) == [("error", "CAGE")] * 2


@pytest.mark.parametrize(
    ("on_diagonal", "expected", "words"),
    [(30, 30, []), (0, 0, ["next to nothing", "100% of 3 genes have no contact at all"])],
)
def test_contacts_by_hand(tmp_path, on_diagonal, expected, words):
    counts = np.diag(np.full(8, on_diagonal))
    counts[7, 7] = 1  # a file without pixels cannot be written
    write_cooler(tmp_path / "m.cool", {"chr1": 800}, 100, counts)
    genes = pd.DataFrame({"chrom": ["chr1", "chr1", "chr1", "chr2"], "tss": [50, 150, 350, 1]})
    checkup = Checkup()
    note_contacts(checkup, open_contact_map(tmp_path / "m.cool", 100, "NONE"), genes, 200)
    assert checkup.get("hic", "chromosomes") == "1/2"
    assert checkup.get("hic", "missing") == "chr2"
    assert checkup.get("hic", "genes_read") == 3
    assert checkup.get("hic", "contact_at_tss") == pytest.approx(expected, rel=1e-5)
    assert len(checkup.findings) == len(words)
    for (level, _, text), word in zip(checkup.findings, words, strict=True):
        assert level == "warning"
        assert word in text


def test_checkups_survive_a_table(tmp_path):
    first, second = Checkup(), Checkup("K562")
    first.note("genome", assembly="hg19", chromosomes="2")
    second.note("dnase", covered=1.0, q999=0.123456789, bases=123_456_789, kind="signal")
    second.say("warning", "CAGE", "a sentence; with, marks: 1")
    with second.examining("hic"):
        raise UserError("m.cool: no such file; correct the path")
    write_checkups([first, second], tmp_path / "check.tsv")
    lines = (tmp_path / "check.tsv").read_text().splitlines()
    assert lines[:2] == ["cell_line\titem\tfigure\tvalue", "\tgenome\tassembly\thg19"]
    assert "K562\tdnase\tbases\t123456789" in lines
    back = read_checkups(tmp_path / "check.tsv")
    assert [checkup.cell_line for checkup in back] == ["", "K562"]
    assert back[1].get("dnase", "q999") == pytest.approx(0.123457)
    assert back[1].findings == second.findings
    assert [finding.item for finding in back[1].errors()] == ["hic"]
