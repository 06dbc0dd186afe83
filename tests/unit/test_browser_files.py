import shutil
import struct
import subprocess

import numpy as np
import pandas as pd
import pybedtools
import pybigtools
import pyBigWig
import pysam
import pytest

from seq2exp import regions
from seq2exp.browser.bed_rules import bed_problems, interact_problems, narrowpeak_problems
from seq2exp.browser.bigbed import Column, autosql, write_bigbed
from seq2exp.browser.colours import LOWERS, RAISES, rgb, shades
from seq2exp.browser.links import links_table
from seq2exp.errors import UserError
from seq2exp.masks import write_masks
from seq2exp.regions import export_bigwig
from seq2exp.schemas import ELEMENT_COLUMNS

from .browser_case import (
    ELEMENTS,
    GENES,
    LENGTH,
    SIZES,
    bigbed_rows,
    masks,
    write_case,
    write_links,
)


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return write_case(tmp_path_factory.mktemp("case"))


def lines(path):
    return [line.split("\t") for line in path.read_text().splitlines()]


# ------------------------------------------------------------------------- the mask's parts


@pytest.mark.parametrize("track", ["mask", "sequence_part", "prior"])
def test_bigwigs_hold_the_largest_of_overlapping_windows(case, track):
    values = masks()[track].astype(np.float16)
    with pyBigWig.open(str(case.folder / f"{track}.bw")) as bigwig:
        assert bigwig.chroms() == SIZES
        for chrom, size in SIZES.items():
            expected = np.full(size, np.nan)
            for row, gene in enumerate(GENES.itertuples()):
                for i in range(LENGTH):
                    place = gene.tss - LENGTH // 2 + i
                    if gene.chrom == chrom and 0 <= place < size:
                        expected[place] = np.nanmax([expected[place], values[row, i]])
            found = np.array(bigwig.values(chrom, 0, size))
            np.testing.assert_array_equal(found, expected)


def test_bigwig_of_the_sequence_part_as_intervals(case):
    """A's element is 200-240 with .5, B's 180-210 with .25."""
    found = pybigtools.open(str(case.folder / "sequence_part.bw")).records("chr1", 130, 260)
    assert list(found) == [(130, 180, 0.0), (180, 200, 0.25), (200, 240, 0.5), (240, 260, 0.0)]


def test_a_part_that_the_model_lacks_is_named(case, tmp_path):
    shutil.copytree(case.masks, tmp_path / "masks")
    index = (tmp_path / "masks" / "masks.json").read_text()
    (tmp_path / "masks" / "masks.json").write_text(index.replace(',\n  "prior"', ""))
    with pytest.raises(UserError, match="no track 'prior'; it has mask, sequence_part"):
        export_bigwig(
            tmp_path / "masks", case.predictions, case.sizes, track="prior", out=tmp_path / "p.bw"
        )
    assert not (tmp_path / "p.bw").exists()


# ------------------------------------------------------------------------- elements


def test_bigbed_has_the_elements_of_the_bed(case):
    expected = [tuple(str(value) for value in row) for row in ELEMENTS]
    assert bigbed_rows(case.folder / "elements.bb") == expected
    bed = pd.read_csv(case.folder / "elements.bed.gz", sep="\t")
    assert [tuple(row) for row in bed.itertuples(index=False)] == ELEMENTS
    reader = pybigtools.open(str(case.folder / "elements.bb"))
    assert list(reader.records("chr2")) == [(0, 20, *expected[3][3:])]
    assert reader.chroms() == {"chr1": 1_000, "chr2": 300}


def test_bigbed_says_what_its_columns_are_and_which_of_them_are_beds(case):
    with pyBigWig.open(str(case.folder / "elements.bb")) as bigbed:
        fields = [line.split(";")[0].split() for line in bigbed.SQL().decode().splitlines()[3:-1]]
    assert [name for _, name in fields][6:] == list(ELEMENT_COLUMNS[6:])
    assert [kind for kind, _ in fields] == [
        *("string", "uint", "uint", "string", "uint", "char[1]"),
        *("string", "string", "int", "float"),
    ]
    for name, columns, of_bed in (("elements", 10, 6), ("links", 18, 5)):
        head = (case.folder / f"{name}.bb").read_bytes()[:36]
        assert struct.unpack_from("<HH", head, 32) == (columns, of_bed)


def test_tabix_bedtools_and_bigbed_find_the_same_elements(case):
    query = ("chr1", 205, 215)
    with pysam.TabixFile(str(case.folder / "elements.bed.gz")) as bed:
        by_tabix = [line.split("\t")[3] for line in bed.fetch(*query)]
    bed = pybedtools.BedTool(str(case.folder / "elements.bed.gz"))
    region = pybedtools.BedTool("\t".join(map(str, query)), from_string=True)
    by_bedtools = [hit.name for hit in bed.intersect(region, u=True, sorted=True)]
    with pyBigWig.open(str(case.folder / "elements.bb")) as bigbed:
        by_bigbed = [rest.split("\t")[0] for _, _, rest in bigbed.entries(*query)]
    assert by_tabix == by_bedtools == by_bigbed == ["B|gB:1", "A|gA:1"]
    peaks = pybedtools.BedTool(str(case.folder / "elements.narrowPeak"))
    # 180-240 of A and B, 20 of C, 20 of D
    assert sum(len(place) for place in peaks.merge()) == 60 + 20 + 20


def test_elements_links_and_peaks_keep_ucscs_rules(case):
    assert bed_problems(bigbed_rows(case.folder / "elements.bb"), SIZES) == []
    assert interact_problems(bigbed_rows(case.folder / "links.bb"), SIZES) == []
    assert narrowpeak_problems(lines(case.folder / "elements.narrowPeak"), SIZES) == []
    peaks = {
        row[3]: (float(row[6]), int(row[9])) for row in lines(case.folder / "elements.narrowPeak")
    }
    assert peaks == {"B|gB:1": (0.875, 15), "A|gA:1": (0.75, 20), "C|gC:1": (0.625, 10), "D|gD:1": (0.75, 10)}  # fmt: skip


def test_without_elements_there_are_files_without_rows(case, tmp_path):
    empty = pd.DataFrame(columns=["chrom", "chromStart", "chromEnd"], dtype=object)
    sql = autosql("t", "none", [Column("string", "chrom", "c")] * 3)
    write_bigbed(empty, SIZES, tmp_path / "none.bb", sql=sql, bed_columns=3)
    with pyBigWig.open(str(tmp_path / "none.bb")) as bigbed:
        assert bigbed.isBigBed()
        assert bigbed.chroms() == SIZES
        assert bigbed.SQL().decode() == sql
        assert not bigbed.entries("chr1", 0, 1_000)
    reader = pybigtools.open(str(tmp_path / "none.bb"))
    assert (reader.chroms(), list(reader.records("chr2"))) == (SIZES, [])


@pytest.mark.parametrize(
    "row", [("chr1", 990, 1_001), ("chr1", 5, 5), ("chr1", -1, 5), ("chr9", 1, 5)]
)
def test_places_off_the_genome_are_refused(row, tmp_path):
    table = pd.DataFrame([row], columns=["chrom", "chromStart", "chromEnd"])
    with pytest.raises(UserError, match=f"{row[0]}:{row[1]}-{row[2]} is not on the chromosomes"):
        write_bigbed(table, SIZES, tmp_path / "x.bb", sql="", bed_columns=3)
    assert list(tmp_path.iterdir()) == []


def test_bigbeds_are_sorted_whatever_the_order_of_the_table(tmp_path):
    rows = [("chr2", 7, 9, "c"), ("chr10", 5, 6, "b"), ("chr2", 7, 8, "a"), ("chr10", 1, 6, "d")]
    table = pd.DataFrame(rows, columns=["chrom", "chromStart", "chromEnd", "name"])
    sizes = {"chr2": 10, "chr10": 10}
    write_bigbed(table, sizes, tmp_path / "x.bb", sql="", bed_columns=4)
    assert [row[3] for row in bigbed_rows(tmp_path / "x.bb")] == ["d", "b", "a", "c"]


# ------------------------------------------------------------------------- links


def test_links_go_from_each_element_to_the_promoter_of_its_gene(case):
    rows = {row[3]: row for row in bigbed_rows(case.folder / "links.bb")}
    # Promoters: A 140-160, B 220-240, C 940-960, D 30-50.
    assert {name: row[:3] for name, row in rows.items()} == {
        "A|gA:1": ("chr1", "140", "240"),
        "B|gB:1": ("chr1", "180", "240"),
        "C|gC:1": ("chr1", "940", "1000"),
        "D|gD:1": ("chr2", "0", "50"),
    }
    full = rgb("#D55E00")
    shade = dict(
        zip((0.875, 0.75, 0.625), shades("#D55E00", np.array([1, 6 / 7, 5 / 7])), strict=True)
    )
    assert shade[0.875] == full == "213,94,0"
    assert rows["B|gB:1"][4:] == (
        *("875", "0.875", "mean_mask", full, "chr1", "180", "210", "B|gB:1", "."),
        *("chr1", "220", "240", "B", "-"),
    )  # fmt: skip
    assert rows["D|gD:1"][4:8] == ("750", "0.75", "mean_mask", shade[0.75])
    assert [rows[name][17] for name in sorted(rows)] == ["+", "-", "+", "-"]


def scored(case, effects):
    table = pd.read_csv(case.folder / "elements.bed.gz", sep="\t").rename(
        columns={"#chrom": "chrom"}
    )
    table = table.assign(effect_removed=table["name"].map(effects)).sample(frac=1, random_state=0)
    table.to_csv(case.folder / "element_scores.tsv", sep="\t", index=False)
    return case.folder / "element_scores.tsv"


def test_links_have_the_effects_where_elements_are_scored(tmp_path):
    case = write_case(tmp_path)
    scores = scored(case, {"A|gA:1": 0.5, "B|gB:1": -0.25, "C|gC:1": 0.0})  # D was not measured
    write_links(case, scores)
    rows = {row[3]: row[4:8] for row in bigbed_rows(tmp_path / "links.bb")}
    red, blue = rgb(RAISES), shades(LOWERS, np.array([0.5]))[0]
    none = shades(RAISES, np.array([0.0]))[0]
    assert rows == {
        "A|gA:1": ("1000", "0.5", "effect_removed", red),
        "B|gB:1": ("500", "-0.25", "effect_removed", blue),
        "C|gC:1": ("0", "0", "effect_removed", none),
        "D|gD:1": ("0", "0", "effect_removed", none),
    }
    assert interact_problems(bigbed_rows(tmp_path / "links.bb"), SIZES) == []
    scores.write_text(
        "\n".join(line for line in scores.read_text().split("\n") if "D|gD" not in line)
    )
    with pytest.raises(UserError, match=r"no element D\|gD:1; score the elements again"):
        write_links(case, scores)


def test_an_element_of_an_unknown_gene_is_named():
    elements = pd.DataFrame(ELEMENTS, columns=list(ELEMENT_COLUMNS)).assign(gene_id="gX")
    with pytest.raises(UserError, match="gene gX of an element has no prediction"):
        links_table(elements, GENES, SIZES, 20)


def test_promoters_are_clipped_to_the_chromosome():
    elements = pd.DataFrame(ELEMENTS, columns=list(ELEMENT_COLUMNS))
    table = links_table(elements, GENES, SIZES, 120).set_index("name")
    assert table.loc["C|gC:1", ["targetStart", "targetEnd"]].tolist() == [890, 1_000]
    assert table.loc["D|gD:1", ["targetStart", "targetEnd"]].tolist() == [0, 100]
    assert table.loc["D|gD:1", ["chromStart", "chromEnd"]].tolist() == [0, 100]


def test_shades_go_from_pale_to_full():
    assert shades("#B2182B", np.array([1.0, 0.0, 2.0])) == ["178,24,43", "240,209,213", "178,24,43"]


# ------------------------------------------------------------------------- UCSC's rules

GOOD = ["chr1", "10", "20", "x", "500", "+"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({0: "chr9"}, "no such chromosome"),
        ({1: "20"}, "not an interval on chr1"),
        ({2: "1001"}, "not an interval on chr1, which has 1000 bp"),
        ({1: "1.5"}, "whole numbers"),
        ({3: ""}, "the name is empty"),
        ({4: "1001"}, "score 1001"),
        ({4: "0.5"}, "score 0.5"),
        ({4: "-1"}, "score -1"),
        ({5: "x"}, "strand 'x'"),
    ],
)
def test_a_bad_row_of_bed_is_named(change, said):
    row = [change.get(i, value) for i, value in enumerate(GOOD)]
    (problem,) = bed_problems([row], SIZES)
    assert said in problem
    assert bed_problems([GOOD], SIZES) == []


def test_the_order_of_rows_is_asked_for():
    after = ["chr1", "9", *GOOD[2:]]
    assert bed_problems([after, GOOD], SIZES) == []
    assert "not sorted" in bed_problems([GOOD, after], SIZES)[0]
    assert "not sorted" in bed_problems([["chr2", *GOOD[1:]], GOOD], SIZES)[0]
    assert "5 columns, not 6" in bed_problems([GOOD[:5]], SIZES)[0]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [(6, "-2", "signalValue"), (7, "-3", "pValue or qValue"), (9, "10", "peak 10 is outside")],
)
def test_a_bad_row_of_narrowpeak_is_named(column, value, said):
    row = [*GOOD, "1", "-1", "2.5", "9"]
    assert narrowpeak_problems([row], SIZES) == []
    row[column] = value
    assert said in narrowpeak_problems([row], SIZES)[0]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (1, "11", "11-50 is not what its ends span, 10-50"),
        (7, "300,0,0", "colour '300,0,0'"),
        (10, "1001", "chr1:10-1001 is not an interval"),
        (13, "chr2", "an end on chr2 in a row of chr1"),
        (17, "", "strands"),
    ],
)
def test_a_bad_row_of_interact_is_named(column, value, said):
    row = ["chr1", "10", "50", "x", "500", "0.5", "e", "1,2,3"]
    row += ["chr1", "10", "20", "x", ".", "chr1", "30", "50", "g", "-"]
    assert interact_problems([row], SIZES) == []
    row[column] = value
    assert any(said in problem for problem in interact_problems([row], SIZES))


def test_sorted_as_sort_sorts(case):
    for name in ("elements", "links"):
        text = "\n".join("\t".join(row) for row in bigbed_rows(case.folder / f"{name}.bb"))
        command = ["sort", "-k1,1", "-k2,2n", "-c"]
        subprocess.run(command, input=text + "\n", text=True, check=True, env={"LC_ALL": "C"})


@pytest.mark.parametrize("batch", [1, 7, 64, 500_000])
def test_bigwigs_of_noise_and_of_runs_hold_every_base(batch, tmp_path, monkeypatch):
    """What changes at every base is written base by base, what does not as runs."""
    monkeypatch.setattr(regions, "BIGWIG_BATCH", batch)
    case = write_case(tmp_path)
    values = np.random.default_rng(0).random((4, LENGTH)).astype(np.float16)
    values[2, 20:120] = 0.5  # C's window, 850 to 1050, alone there
    write_masks(case.masks, GENES["gene_id"].tolist(), {"mask": values})
    out = tmp_path / "noise.bw"
    export_bigwig(case.masks, case.predictions, case.sizes, track="mask", out=out)
    with pyBigWig.open(str(out)) as bigwig:
        found = np.array(bigwig.values("chr1", 850, 1_000))
        np.testing.assert_array_equal(found, values[2, :150])
        overlap = np.array(bigwig.values("chr1", 130, 250))
        np.testing.assert_array_equal(overlap, np.maximum(values[0, 80:], values[1, :120]))
        np.testing.assert_array_equal(bigwig.values("chr2", 0, 140), values[3, 60:])
        assert np.isnan(bigwig.values("chr1", 330, 850)).all()


def test_room_that_a_mask_takes_which_changes_at_every_base(tmp_path):
    length = 100_000
    genes = GENES[:1].assign(tss=length // 2)
    genes.to_csv(tmp_path / "genes.tsv", sep="\t", index=False)
    (tmp_path / "sizes").write_text(f"chr1\t{length}\n")
    noise = np.random.default_rng(0).random((1, length)).astype(np.float16)
    write_masks(tmp_path / "masks", ["gA"], {"mask": noise})
    inputs = (tmp_path / "masks", tmp_path / "genes.tsv", tmp_path / "sizes")
    export_bigwig(*inputs, track="mask", out=tmp_path / "mask.bw")
    bytes_a_base = (tmp_path / "mask.bw").stat().st_size / length
    assert 2 < bytes_a_base < 4, bytes_a_base
