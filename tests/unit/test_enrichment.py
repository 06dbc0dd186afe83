"""Matched random regions and enrichment: by hand, against loops, and calibrated."""

import gzip

import numpy as np
import pandas as pd
import pytest

from seq2exp.errors import UserError
from seq2exp.evidence.enrichment import (
    FEWEST_PLACES,
    Ground,
    distinct_regions,
    enrichment,
    grounds,
    matched_places,
)
from seq2exp.evidence.references import ReferenceInputs, by_chromosome, cover, read_regions

LENGTH, PROMOTER = 2_000, 200


def regions_table(*rows):
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "gene_id"])


# ------------------------------------------------------------------------- places


def slow_places(codes, start, end):
    """All places that match, one at a time."""
    length, centre = end - start, len(codes) / 2
    usable = [
        (c & 7) < 4 and c < 8 and abs(i + 0.5 - centre) > PROMOTER / 2 for i, c in enumerate(codes)
    ]

    def kind(first):
        bases = codes[first : first + length]
        away = abs(first + length / 2 - centre)
        stratum = int(np.floor(np.log2(away / (PROMOTER / 2))))
        gc = sum(base & 7 in (1, 2) for base in bases)
        return stratum, gc * 10 // length

    found = []
    for first in range(len(codes) - length + 1):
        if all(usable[first : first + length]) and kind(first) == kind(start):
            found.append(first)
    return found if all(usable[start:end]) else []


@pytest.mark.parametrize(("start", "end"), [(300, 340), (0, 25), (1_990, 2_000), (1_101, 1_202)])
def test_matched_places_against_a_loop(start, end):
    rng = np.random.default_rng(4)
    codes = rng.integers(0, 4, LENGTH).astype(np.uint8)
    codes[500:510], codes[1_500:1_520], codes[1_700:1_710] = 4, 5, codes[1_700:1_710] | 8
    ground = Ground.of_codes(codes, "chr1", 0, PROMOTER)
    found = matched_places(ground, start, end).tolist()
    assert found == slow_places(codes.tolist(), start, end)
    assert start in found
    assert len(found) > 20 or end - start == 101


@pytest.mark.parametrize(("start", "end"), [(495, 505), (1_050, 1_150), (1_690, 1_701)])
def test_regions_on_unusable_bases_match_nothing(start, end):
    codes = np.zeros(LENGTH, dtype=np.uint8)
    codes[500:510], codes[1_700:1_710] = 4, 8
    assert len(matched_places(Ground.of_codes(codes, "chr1", 0, PROMOTER), start, end)) == 0


def test_regions_of_several_windows_are_one_of_the_nearest_gene(toy_store):
    regions = regions_table(
        ("chr1", 6_400, 6_500, "G4"),  # TSS 6,000
        ("chr1", 7_200, 7_300, "G5"),  # TSS 8,000
        ("chr1", 7_250, 7_400, "G5"),
        ("chr1", 1_500, 1_600, "G2"),  # G2 and G3 share their TSS
        ("chr1", 1_550, 1_650, "G3"),
        ("chr1", 1_640, 1_700, "G1"),  # TSS 300
    )
    found = distinct_regions(regions, toy_store.genes)
    genes = toy_store.genes["gene_id"].to_numpy()[found["gene_row"]]
    assert list(zip(genes, found["start"], found["end"], strict=True)) == [
        *(("G2", 1_500, 1_700), ("G4", 6_400, 6_500), ("G5", 7_200, 7_400)),
    ]


def test_windows_with_the_regions_in_them(toy, toy_store):
    regions = regions_table(("chr1", 6_400, 6_500, "G4"), ("chr1", 100, 130, "G1"))
    (one, *places), (four, *_) = grounds(regions, toy_store, 1_000, PROMOTER)
    assert (one.chrom, one.start, one.length) == ("chr1", -200, 1_000)
    assert [side.tolist() for side in places] == [[300], [330]]
    assert not one.usable[:200].any()  # off the chromosome
    sequence = toy.sequence["chr1"][5_500:6_500].upper()
    assert four.gc_before[-1] == sequence.count("G") + sequence.count("C")
    assert four.usable.sum() == 1_000 - PROMOTER


# ------------------------------------------------------------------------- enrichment


def half_covered(rng, chrom="chr1", size=12_000):
    """Reference regions over about half of a chromosome."""
    edges = np.cumsum(rng.integers(5, 60, 2 * size // 60))
    table = pd.DataFrame({"chrom": chrom, "start": edges[:-1:2], "end": edges[1::2]})
    return table[table["end"] < size]


GENES = ["G2", "G4", "G5", "G7"]  # of windows that do not overlap


@pytest.fixture
def toy_grounds(toy_store):
    """The usable ground of each of GENES."""
    genes = toy_store.genes.set_index("gene_id").loc[GENES]
    places = zip(genes["chrom"], genes["tss"], genes["tss"] + 1, genes.index, strict=True)
    found = grounds(regions_table(*places), toy_store, LENGTH, PROMOTER)
    by_start = {(ground.chrom, ground.start): ground for ground, *_ in found}
    return {
        gene_id: by_start[gene.chrom, gene.tss - LENGTH // 2] for gene_id, gene in genes.iterrows()
    }


def random_regions(grounds_of_genes, rng, count):
    """Regions of 20 to 60 bp anywhere on usable ground."""
    rows = []
    while len(rows) < count:
        gene_id = GENES[rng.integers(len(GENES))]
        ground, size = grounds_of_genes[gene_id], int(rng.integers(20, 60))
        first = int(rng.integers(LENGTH - size))
        if len(matched_places(ground, first, first + size)) >= FEWEST_PLACES:
            start = ground.start + first
            rows.append((ground.chrom, start, start + size, gene_id))
    return regions_table(*rows)


def test_random_regions_are_not_enriched(toy_store, toy_grounds):
    rng = np.random.default_rng(0)
    references = {
        "even": pd.concat([half_covered(rng), half_covered(rng, "chr2", 8_000)]),
        "blocks": pd.DataFrame({"chrom": "chr1", "start": [5_000, 7_000], "end": [5_700, 7_900]}),
    }
    within, small = dict.fromkeys(references, 0), dict.fromkeys(references, 0)
    for seed in range(100):
        regions = random_regions(toy_grounds, np.random.default_rng([7, seed]), 25)
        table = enrichment(
            *(regions, toy_store, references),
            window_length=LENGTH,
            promoter_length=PROMOTER,
            random_sets=200,
            seed=seed,
        ).set_index("reference")
        for name, row in table.iterrows():
            within[name] += row["fold_low"] <= 1 <= row["fold_high"]
            small[name] += row["p"] <= 0.1
    assert min(within.values()) >= 90
    assert max(within.values()) <= 99  # an interval that always holds says nothing
    assert max(small.values()) <= 18  # 10 expected


def test_regions_in_a_reference_are_enriched_in_it_by_its_rarity(toy_store):
    # A tenth of the chromosome, in all strata alike.
    starts = np.arange(0, 12_000, 200)
    reference = pd.DataFrame({"chrom": "chr1", "start": starts, "end": starts + 20})
    inside = [("chr1", 5_000 + 200 * i, 5_020 + 200 * i, "G4") for i in range(5)]
    table = enrichment(
        *(regions_table(*inside), toy_store, {"a": reference}),
        window_length=LENGTH,
        promoter_length=PROMOTER,
        random_sets=500,
    ).iloc[0]
    assert (table["regions"], table["unmatched"], table["bases"]) == (5, 0, 100)
    assert table["observed"] == 1
    assert table["expected"] == pytest.approx(0.1, abs=0.03)
    assert table["fold"] == pytest.approx(1 / table["expected"])
    assert 2 < table["fold_low"] < table["fold"] < table["fold_high"]
    assert table["p"] == pytest.approx(1 / 501)


def test_gc_is_matched():
    """GC-rich regions are all in GC-rich reference regions, and so are their random ones."""
    rng = np.random.default_rng(5)
    rich = (np.arange(LENGTH) // 100) % 2 == 0
    codes = np.where(rich, rng.choice([1, 2], LENGTH), rng.choice([0, 3], LENGTH)).astype(np.uint8)
    ground = Ground.of_codes(codes, "chr1", 0, PROMOTER)
    places = matched_places(ground, 410, 450)
    assert len(places) == 4 * 61  # of blocks of 100 bp, those from 200 to 400 bp off the TSS
    assert (rich[places] & rich[places + 39]).all()


def test_unmatched_regions_are_counted_and_left_out(toy_store):
    regions = regions_table(
        ("chr1", 5_100, 5_130, "G4"),
        ("chr1", 5_980, 6_020, "G4"),  # promoter
        ("chr1", 7_000, 7_850, "G5"),  # nearly as long as its side of the window
    )
    table = enrichment(
        *(regions, toy_store, {"a": half_covered(np.random.default_rng(1))}),
        window_length=LENGTH,
        promoter_length=PROMOTER,
        random_sets=50,
    ).iloc[0]
    assert (table["regions"], table["unmatched"], table["bases"]) == (1, 2, 30)


def test_a_reference_that_random_regions_hardly_meet(toy_store):
    far = pd.DataFrame({"chrom": ["chr1"], "start": [5_001], "end": [5_002]})
    table = enrichment(
        *(regions_table(("chr1", 6_500, 6_540, "G4")), toy_store, {"far": far}),
        window_length=LENGTH,
        promoter_length=PROMOTER,
    ).iloc[0]
    assert (table["fold_low"], table["fold_high"], table["p"]) == (0, np.inf, 1)
    assert table["observed"] == 0


def test_no_region_at_all(toy_store):
    table = enrichment(
        *(regions_table(), toy_store, {"a": half_covered(np.random.default_rng(1))}),
        window_length=LENGTH,
        promoter_length=PROMOTER,
    ).iloc[0]
    assert table["regions"] == 0
    assert np.isnan(table["fold"])


def test_the_same_seed_gives_the_same_table(toy_store, toy_grounds):
    regions = random_regions(toy_grounds, np.random.default_rng(3), 5)
    tables = [
        enrichment(
            *(regions, toy_store, {"a": half_covered(np.random.default_rng(1))}),
            window_length=LENGTH,
            promoter_length=PROMOTER,
            random_sets=50,
            seed=seed,
        )
        for seed in (1, 1, 2)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert tables[0]["expected"][0] != tables[2]["expected"][0]


@pytest.mark.slow
def test_random_regions_of_a_measured_chromosome_are_not_enriched_in_peaks(real_store, realdata):
    chroms = ["chr20"]
    references = {
        name: read_regions(ReferenceInputs(realdata / f"GM12878.{name}.peaks.bed.gz"), chroms)
        for name in ("DNase", "H3K27ac", "CTCF")
    }
    genes = real_store.genes.iloc[::40]
    within = dict.fromkeys(references, 0)
    for seed in range(100):
        rng = np.random.default_rng([11, seed])
        tss = genes["tss"].to_numpy()[rng.integers(len(genes), size=40)]
        size = rng.integers(100, 1_000, 40)
        start = tss + rng.choice([-1, 1], 40) * rng.integers(2_000, 90_000, 40)
        row_of = dict(zip(genes["tss"], genes["gene_id"], strict=True))
        regions = pd.DataFrame({"chrom": "chr20", "start": start, "end": start + size})
        regions["gene_id"] = [row_of[t] for t in tss]
        table = enrichment(
            *(regions, real_store, references),
            window_length=200_000,
            promoter_length=2_000,
            random_sets=200,
            seed=seed,
        ).set_index("reference")
        for name, row in table.iterrows():
            within[name] += row["fold_low"] <= 1 <= row["fold_high"]
    assert min(within.values()) >= 90


# ------------------------------------------------------------------------- references


def test_regions_of_bed_files(tmp_path):
    bed = tmp_path / "r.bed.gz"
    with gzip.open(bed, "wt") as file:
        file.write('track name="x"\n#chrom\n1\t10\t20\ta\tdELS,CTCF-bound\nchr1\t15\t30\tb\tPLS\n')
        file.write("chr2\t5\t6\tc\tLow-DNase\nchrUn\t5\t6\td\tPLS\n")
    everything = read_regions(ReferenceInputs(bed), ["chr1", "chr2"])
    # chr1 and 1 are the same name, and what overlaps is one region.
    assert everything.to_numpy().tolist() == [["chr1", 10, 30], ["chr2", 5, 6]]
    enhancers = read_regions(ReferenceInputs(bed, 5, ("dELS", "pELS")), ["chr1", "chr2"])
    assert enhancers.to_numpy().tolist() == [["chr1", 10, 20]]


@pytest.mark.parametrize(
    ("text", "inputs", "message"),
    [
        (
            "chr1\t1\t5\tA\n",
            (4, ("B",)),
            r"no region has B in column 4, which holds A; correct val",
        ),
        ("chr1\t1\t5\n", (4, ("B",)), r"not BED with 4 columns"),
        ("chr1 1 5\n", (), r"not BED .*; give tab-separated BED"),
        ("chr1\t1\tx\n", (), r"line 1, column 'end': 'x' is not a whole number"),
        ("chr1\t5\t5\n", (), r"chr1:5-5 is not an interval \(0-based start < end\)"),
        ("chr9\t1\t5\n", (), r"no region on the genome's chromosomes; it has chr9"),
        ("", (), r"the file is empty"),
    ],
)
def test_wrong_references_are_one_line(tmp_path, text, inputs, message):
    (tmp_path / "r.bed").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_regions(ReferenceInputs(tmp_path / "r.bed", *inputs), ["chr1"])
    assert "\n" not in str(caught.value)


def test_cover_against_a_loop():
    rng = np.random.default_rng(2)
    regions = half_covered(rng, "chr1", 3_000)
    for start, length in ((-50, 400), (1_000, 900), (2_800, 500)):
        before = cover(by_chromosome(regions), "chr1", start, length)
        covered = [
            any(s <= start + i < e for s, e in zip(regions["start"], regions["end"], strict=True))
            for i in range(length)
        ]
        assert before.tolist() == [0, *np.cumsum(covered)]
    assert cover(by_chromosome(regions), "chr2", 0, 10).tolist() == [0] * 11
