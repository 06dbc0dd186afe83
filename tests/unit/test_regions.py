import subprocess

import numpy as np
import pandas as pd
import pybedtools
import pyBigWig
import pysam
import pytest

from seq2exp.errors import UserError
from seq2exp.evaluation_config import RegionsConfig
from seq2exp.masks import write_masks
from seq2exp.regions import call_regions, constant_runs, export_regions, read_elements
from seq2exp.schemas import ELEMENT_COLUMNS


def called(mask, **changes):
    settings = {"select": "value", "threshold": 0.5, "merge_gap": 0, "min_length": 1}
    table = call_regions(np.asarray(mask, dtype=np.float16), **{**settings, **changes})
    return [tuple(row) for row in table.itertuples(index=False)]


def spans(mask, **changes):
    return [row[:2] for row in called(mask, **changes)]


# ------------------------------------------------------------------------- one mask


def test_worked_by_hand():
    mask = [0, 0.75, 0.5, 0, 0, 1, 0.25, 0.5, 0]
    assert called(mask) == [(1, 3, 1, 0.625), (5, 6, 5, 1.0), (7, 8, 7, 0.5)]


def test_gaps_up_to_merge_gap_are_joined_and_count_in_the_mean():
    mask = [1, 0, 0, 1, 0, 1]
    assert called(mask, merge_gap=1) == [(0, 1, 0, 1.0), (3, 6, 5, pytest.approx(2 / 3))]
    assert called(mask, merge_gap=2) == [(0, 6, 3, 0.5)]


def test_merging_comes_before_the_length_check():
    mask = [1, 1, 0, 1, 1, 0, 0, 1, 1, 1]
    assert spans(mask, merge_gap=1, min_length=4) == [(0, 5)]
    assert spans(mask, merge_gap=0, min_length=3) == [(7, 10)]


def test_summit_is_the_middle_of_the_highest_bases():
    assert called([0.5, 1, 1, 1, 0.5])[0][2] == 2
    assert called([0.5, 0.75, 0.5, 1, 0.5])[0][2] == 3


def test_value_keeps_bases_at_the_threshold():
    assert spans([0.5, 0.25, 0.5], threshold=0.5) == [(0, 1), (2, 3)]
    assert spans(np.zeros(5), threshold=0) == [(0, 5)]


def test_fraction_keeps_exactly_the_top_share_without_ties():
    mask = np.random.default_rng(0).permutation(200) / 256
    kept = np.zeros(200, dtype=bool)
    for start, end in spans(mask, select="fraction", threshold=0.15):
        kept[start:end] = True
    np.testing.assert_array_equal(kept, mask >= np.sort(mask)[-30])


def test_fraction_leaves_bases_tied_at_the_cut_out():
    mask = [0.75, 0.5, 0.5, 0.5, 0, 0, 0, 0, 0, 0]
    assert spans(mask, select="fraction", threshold=0.1) == [(0, 1)]
    assert spans(mask, select="fraction", threshold=0.3) == [(0, 1)]
    assert spans(mask, select="fraction", threshold=0.4) == [(0, 4)]
    assert spans(mask, select="fraction", threshold=0.9) == [(0, 4)]
    assert spans(mask, select="fraction", threshold=1.0) == [(0, 10)]


@pytest.mark.parametrize("level", [0.0, 0.1, 1.0])
def test_a_constant_mask_has_no_region(level):
    assert called(np.full(1000, level), select="fraction", threshold=0.1) == []


def test_where_all_is_promoter_there_is_no_region():
    for select in ("fraction", "value"):
        assert spans([0.5, 1, 1, 0.5], select=select, excluded=slice(0, 4)) == []


def test_fraction_is_not_lost_to_rounding():
    mask = np.arange(70) / 128
    assert spans(mask, select="fraction", threshold=0.1) == [(63, 70)]  # 0.1 * 70 = 7.0000000001


def test_excluded_bases_are_neither_counted_nor_kept_nor_bridged():
    mask = np.array([0.25, 0.5, 0.75, 1, 1, 1, 0.75, 0.5, 0.25, 0])
    excluded = slice(3, 6)
    # 7 bases are left; 0.6 of them are 4.
    found = spans(mask, select="fraction", threshold=0.6, merge_gap=5, excluded=excluded)
    assert found == [(1, 3), (6, 8)]
    everything = spans(mask, threshold=0, merge_gap=5, excluded=excluded)
    assert everything == [(0, 3), (6, 10)]
    assert spans(mask, select="fraction", threshold=0.5, excluded=slice(0, 10)) == []


def test_nothing_above_the_threshold():
    table = call_regions(np.zeros(10), select="value", threshold=0.5, merge_gap=5, min_length=1)
    assert list(table.columns) == ["start", "end", "summit", "score"]
    assert table.empty


def test_constant_runs():
    starts, ends, values = constant_runs(np.array([2, 2, 5, 2, 2, 2]))
    assert starts.tolist() == [0, 2, 3]
    assert ends.tolist() == [2, 3, 6]
    assert values.tolist() == [2, 5, 2]


# ------------------------------------------------------------------------- files

SETTINGS = RegionsConfig(select="value", threshold=0.5, merge_gap=0, min_length=2)


@pytest.fixture
def exported(tmp_path):
    """Four genes: two overlapping windows on chr2, one over the start of chr10, one over its end.

    Windows are 20 bp long, the promoter is 4.
    """

    def export(regions=SETTINGS, hard=False, **more):
        mask = np.zeros((4, 20))
        mask[:, 8:12] = 1  # promoters
        mask[0, 2:5] = [0.5, 0.75, 0.5]  # chr2 40-60: 42-45
        mask[0, 15:18] = 0.5  # chr2: 55-58
        mask[1, 3:5] = [0.75, 1]  # chr2 52-72: 55-57
        mask[2, 0:8] = 1  # chr10 -6 to 14: 0-2
        mask[3, 12:20] = 0.75  # chr10 85-105, clipped at 100: 97-100
        write_masks(
            tmp_path / "masks",
            ["g1", "g2", "g3", "g4"],
            {"mask": mask >= 0.75 if hard else mask, "sequence_part": mask[:, ::-1] / 2},
            meta={"promoter_length": 4, "hard_mask": hard},
        )
        predictions = pd.DataFrame(
            {
                "gene_id": ["g4", "g3", "g2", "g1", "unmasked"],
                "gene_name": ["D", "C", "B", "A", "U"],
                "chrom": ["chr10", "chr10", "chr2", "chr2", "chr2"],
                "tss": [95, 4, 62, 50, 80],
                "strand": ["+", "+", "+", "-", "+"],
            }
        )
        predictions.to_csv(tmp_path / "predictions.tsv", sep="\t", index=False)
        (tmp_path / "chrom.sizes").write_text("chr2\t200\nchr10\t100\nchr1\t50\n")
        export_regions(
            tmp_path / "masks",
            tmp_path / "predictions.tsv",
            tmp_path / "chrom.sizes",
            regions=regions,
            out_bed_gz=tmp_path / "elements.bed.gz",
            out_tbi=tmp_path / "elements.bed.gz.tbi",
            out_narrowpeak=tmp_path / "elements.narrowPeak",
            **{"out_bigwig": tmp_path / "mask.bw"} | more,
        )
        return tmp_path

    return export


EXPECTED = [
    # chr10 sorts before chr2 in the C locale
    ("chr10", 0, 2, "C|g3:1", 1000, ".", "g3", "C", -3, 1.0),
    ("chr10", 97, 100, "D|g4:1", 750, ".", "g4", "D", 3, 0.75),
    ("chr2", 42, 45, "A|g1:1", 583, ".", "g1", "A", 7, 0.5833),
    ("chr2", 55, 57, "B|g2:1", 875, ".", "g2", "B", -6, 0.875),
    ("chr2", 55, 58, "A|g1:2", 500, ".", "g1", "A", -6, 0.5),
]


def test_elements_bed_against_a_table_by_hand(exported):
    table = pd.read_csv(exported() / "elements.bed.gz", sep="\t")
    assert list(table.columns) == ["#chrom", *ELEMENT_COLUMNS[1:]]
    assert [tuple(row) for row in table.itertuples(index=False)] == EXPECTED


def test_elements_bed_is_indexed(exported):
    with pysam.TabixFile(str(exported() / "elements.bed.gz")) as bed:
        names = [line.split("\t")[3] for line in bed.fetch("chr2", 56, 100)]
        assert names == ["B|g2:1", "A|g1:2"]
        assert [line.split("\t")[3] for line in bed.fetch("chr2", 0, 55)] == ["A|g1:1"]


def test_elements_bed_is_read_by_bedtools_in_sorted_mode(exported):
    bed = pybedtools.BedTool(str(exported() / "elements.bed.gz"))
    query = pybedtools.BedTool("chr2 44 56", from_string=True)
    hits = bed.intersect(query, u=True, sorted=True)
    assert [hit.name for hit in hits] == ["A|g1:1", "B|g2:1", "A|g1:2"]


def test_narrowpeak_has_ten_valid_columns_and_no_header(exported):
    lines = (exported() / "elements.narrowPeak").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    assert len(rows) == len(EXPECTED)
    assert {len(row) for row in rows} == {10}
    for row, expected in zip(rows, EXPECTED, strict=True):
        assert (row[0], int(row[1]), int(row[2]), row[3]) == expected[:4]
        assert 0 <= int(row[4]) <= 1000
        assert row[5] == "."
        assert row[7:9] == ["-1", "-1"]
        assert 0 <= int(row[9]) < int(row[2]) - int(row[1])
    assert [(float(row[6]), int(row[9])) for row in rows] == [
        (1, 1), (0.75, 1), (0.75, 1), (1, 1), (0.5, 1),
    ]  # fmt: skip


def test_promoter_can_be_included(exported):
    with_promoter = RegionsConfig(**{**SETTINGS.model_dump(), "include_promoter": True})
    table = pd.read_csv(exported(with_promoter) / "elements.bed.gz", sep="\t")
    promoters = table[table["mean_mask"] == 1]
    spans = promoters[["#chrom", "start", "end"]].itertuples(index=False, name=None)
    # That of g3 joins the region up to the chromosome start; g4's is 93-97, then 0.75.
    assert list(spans) == [("chr10", 0, 6), ("chr2", 48, 52), ("chr2", 60, 64)]


def test_bigwig_holds_the_maximum_within_windows_and_nothing_outside(exported):
    with pyBigWig.open(str(exported() / "mask.bw")) as bigwig:
        assert bigwig.chroms() == {"chr1": 50, "chr10": 100, "chr2": 200}
        assert bigwig.intervals("chr1") is None
        assert list(bigwig.intervals("chr10")) == [
            (0, 6, 1.0), (6, 14, 0.0), (85, 93, 0.0), (93, 97, 1.0), (97, 100, 0.75),
        ]  # fmt: skip
        assert list(bigwig.intervals("chr2")) == [
            (40, 42, 0.0), (42, 43, 0.5), (43, 44, 0.75), (44, 45, 0.5), (45, 48, 0.0),
            (48, 52, 1.0), (52, 55, 0.0), (55, 56, 0.75), (56, 57, 1.0), (57, 58, 0.5),
            (58, 60, 0.0), (60, 64, 1.0), (64, 72, 0.0),
        ]  # fmt: skip
        assert np.isnan(bigwig.values("chr2", 30, 40)).all()


def test_no_region_still_gives_valid_files(exported):
    nothing = RegionsConfig(select="value", threshold=0.5, min_length=100)
    folder = exported(nothing)
    with pysam.TabixFile(str(folder / "elements.bed.gz")) as bed:
        assert list(bed.fetch()) == []
    assert (folder / "elements.narrowPeak").read_text() == ""
    with pyBigWig.open(str(folder / "mask.bw")) as bigwig:
        assert bigwig.stats("chr2", 42, 45, type="max") == [0.75]


def test_repeated_exports_are_identical_and_leave_nothing_behind(exported):
    folder = exported()
    first = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    exported()
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == first
    assert sorted(first) == [
        "chrom.sizes", "elements.bed.gz", "elements.bed.gz.tbi", "elements.narrowPeak", "mask.bw",
        "predictions.tsv",
    ]  # fmt: skip


def test_genes_that_do_not_fit_are_named(exported, tmp_path):
    exported()
    write_masks(tmp_path / "masks", ["g9"], {"mask": np.zeros((1, 20))}, meta={})
    outputs = {
        f"out_{key}": tmp_path / "again" / key for key in ("bed_gz", "tbi", "narrowpeak", "bigwig")
    }
    inputs = [tmp_path / name for name in ("masks", "predictions.tsv", "chrom.sizes")]
    with pytest.raises(UserError, match="gene g9, which has a mask, is missing"):
        export_regions(*inputs, regions=SETTINGS, **outputs)
    write_masks(tmp_path / "masks", ["g1"], {"mask": np.zeros((1, 20))}, meta={})
    inputs[2].write_text("chr10\t100\n")
    with pytest.raises(UserError, match=r"chr2 of gene g1 is not in the chromosome sizes"):
        export_regions(*inputs, regions=SETTINGS, **outputs)


def test_sort_order_is_that_of_sort_in_the_c_locale(exported):
    path = exported() / "elements.narrowPeak"
    command = ["sort", "-k1,1", "-k2,2n", "-k3,3n", "-c", str(path)]
    subprocess.run(command, check=True, env={"LC_ALL": "C"})


@pytest.mark.parametrize("threshold", [0.05, 0.9])
def test_regions_of_a_hard_mask_are_its_ones_whatever_their_share(exported, threshold):
    regions = SETTINGS.model_copy(update={"select": "fraction", "threshold": threshold})
    table = read_elements(exported(regions, hard=True) / "elements.bed.gz")
    found = table[["chrom", "start", "end", "score"]].to_numpy().tolist()
    assert found == [
        ["chr10", 0, 2, 1000],
        ["chr10", 97, 100, 1000],
        ["chr2", 55, 57, 1000],
    ]


def test_a_cut_decides_whatever_select_says(exported):
    regions = SETTINGS.model_copy(update={"select": "fdr", "threshold": 0.1})
    table = read_elements(exported(regions, cut=0.75) / "elements.bed.gz")
    assert table[["chrom", "start", "end"]].to_numpy().tolist() == [
        ["chr10", 0, 2],
        ["chr10", 97, 100],
        ["chr2", 55, 57],
    ]
    # Also of a mask of zeros and ones: none passes where nothing has the rate.
    assert read_elements(exported(regions, hard=True, cut=np.inf) / "elements.bed.gz").empty
    assert len(read_elements(exported(regions, hard=True, cut=1.0) / "elements.bed.gz")) == 3


def test_regions_of_a_part_are_called_by_its_values_and_keep_the_mean_of_the_mask(exported):
    # The mask reversed and halved: chr2 of g1 has .25, .375, .25 at 55-58 and .25 at 42-45.
    regions = SETTINGS.model_copy(update={"threshold": 0.25})
    folder = exported(regions, track="sequence_part", out_bigwig=None)
    assert not (folder / "mask.bw").exists()
    table = read_elements(folder / "elements.bed.gz").query("gene_id == 'g1'")
    rows = table[["start", "end", "name", "score", "mean_mask"]].to_numpy().tolist()
    assert rows == [
        [42, 45, "A|g1:2", 250, 0.5833],
        [55, 58, "A|g1:1", 292, 0.5],
    ]
    peaks = pd.read_csv(folder / "elements.narrowPeak", sep="\t", header=None)
    assert peaks.loc[peaks[3] == "A|g1:1", [6, 9]].to_numpy().tolist() == [[0.375, 1]]
