"""Motifs in regions: scores and places against a loop, a planted motif, and random regions."""

import itertools
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact

from seq2exp.evidence.motif_files import Motif
from seq2exp.evidence.motif_regions import RANDOM_REGIONS, draw_sequences
from seq2exp.evidence.motif_scan import (
    P_VALUE,
    Text,
    letter_frequencies,
    log_odds,
    score_threshold,
)
from seq2exp.evidence.motif_scores import write_motif_scores
from seq2exp.evidence.motifs import MOTIF_COLUMNS, motif_enrichment
from seq2exp.masks import write_masks
from seq2exp.schemas import ELEMENT_COLUMNS, read_table
from seq2exp.simulate.grammar import ACTIVE_MOTIF, DECOY_MOTIF
from seq2exp.store import open_store

LENGTH, PROMOTER = 2_000, 200
GENES = ["G2", "G4", "G5", "G7"]  # of windows that do not overlap
FIRST = {"G2": 100, "G4": 5_000, "G5": 7_000, "G7": 3_000}


def motif_of(letters, name="m", sharpness=0.97):
    matrix = np.full((len(letters), 4), (1 - sharpness) / 3)
    matrix[range(len(letters)), ["ACGT".index(letter) for letter in letters]] = sharpness
    return Motif(name, name, matrix)


# ------------------------------------------------------------------------- scanning


def codes_of(letters):
    return np.array(["ACGTN".index(letter) for letter in letters], dtype=np.uint8)


def test_scores_are_log_odds_against_the_background():
    scores = log_odds(motif_of("AC", sharpness=0.7), gc=0.4)
    # (0.7 + 0.01 x 0.3) / 1.01 over 0.3, and (0.1 + 0.01 x 0.2) / 1.01 over 0.2; in 1/100 bit
    assert scores[0, 0] == round(100 * np.log2(0.703 / 1.01 / 0.3))
    assert scores[0, 1] == round(100 * np.log2(0.102 / 1.01 / 0.2))
    assert letter_frequencies(0.4) == pytest.approx([0.3, 0.2, 0.2, 0.3])


def all_words(scores, frequencies):
    """Score and chance of every word, best first."""
    words = np.array(list(itertools.product(range(4), repeat=len(scores))))
    totals = scores[np.arange(len(scores)), words].sum(axis=1)
    chances = frequencies[words].prod(axis=1)
    order = np.argsort(-totals, kind="stable")
    return totals[order], chances[order]


@pytest.mark.parametrize("p_value", [1e-4, 1e-3, 0.05])
def test_thresholds_are_exact(p_value):
    rng = np.random.default_rng(4)
    frequencies = letter_frequencies(0.42)
    for _ in range(5):
        matrix = rng.dirichlet([0.4] * 4, 6)
        scores = log_odds(Motif("m", "m", matrix), 0.42)
        threshold = score_threshold(scores, frequencies, p_value)
        totals, chances = all_words(scores, frequencies)
        assert chances[totals >= threshold].sum() <= p_value
        assert chances[totals >= threshold - 1].sum() > p_value


def test_a_motif_of_few_letters_is_never_found():
    # Of 6 letters even the best word is at 1 in 4,096 places.
    scores = log_odds(motif_of("ACGTAC"), 0.5)
    assert score_threshold(scores, letter_frequencies(0.5), P_VALUE) == scores.max(1).sum() + 1
    second = all_words(scores, letter_frequencies(0.5))[0][1]
    reachable = score_threshold(scores, letter_frequencies(0.5), 4.0**-6)
    assert second < reachable <= scores.max(1).sum()
    assert not Text([codes_of("ACGTAC")]).having(motif_of("ACGTAC")).any()


def slow_having(text, sequences, motif):
    """Every place of every sequence on both strands."""
    scores = log_odds(motif, text.gc)
    threshold = score_threshold(scores, letter_frequencies(text.gc), P_VALUE)
    padded = np.column_stack([scores, np.full(len(scores), -np.inf)])

    def places(codes):
        for strand in (codes, np.where(codes < 4, 3 - codes, 4)[::-1]):
            for first in range(len(strand) - len(scores) + 1):
                yield padded[np.arange(len(scores)), strand[first : first + len(scores)]].sum()

    return [max(places(codes), default=-np.inf) >= threshold for codes in sequences]


@pytest.mark.parametrize("sharpness", [0.9, 0.6])
def test_places_against_a_loop(sharpness):
    rng = np.random.default_rng(0)
    motif = motif_of("TGACTCA", sharpness=sharpness)
    sequences = ["".join(rng.choice(list("ACGT"), rng.integers(0, 60))) for _ in range(150)]
    for i in range(0, 150, 3):  # on either strand, some with a wrong letter or an N
        word = ["TGACTCA", "TGAGTCA", "TGACTCC", "TGANTCA"][i // 3 % 4]
        sequences[i] = sequences[i][: i % 11] + word + sequences[i][i % 11 :]
    coded = [codes_of(sequence) for sequence in sequences]
    text = Text(coded)
    found = text.having(motif).tolist()
    assert found == slow_having(text, coded, motif)
    assert 25 <= sum(found) < 75


def test_no_hit_reaches_from_one_sequence_into_the_next():
    texts = [codes_of(letters) for letters in ("AACACGT", "GACTTAA", "AACACGTGACTTA")]
    assert Text(texts).having(motif_of("CACGTGACTT")).tolist() == [0, 0, 1]
    assert Text([codes_of("ACG")]).having(motif_of("CACGTGACTT")).tolist() == [False]
    assert Text([]).having(motif_of("CACGTGACTT")).shape == (0,)


@pytest.mark.parametrize("gc", [0.2, 0.5])
def test_as_many_places_of_random_sequences_are_hit_as_p_says(gc):
    rng = np.random.default_rng(1)
    sequences = list(rng.choice(4, (100_000, 20), p=letter_frequencies(gc)).astype(np.uint8))
    motif = Motif("m", "m", rng.dirichlet([0.6] * 4, 10))
    # Places of a sequence on both strands; at most P_VALUE, and near it for so many letters.
    share = Text(sequences).having(motif).mean() / (2 * 11)
    assert 0.85 * P_VALUE < share < 1.1 * P_VALUE


# ------------------------------------------------------------------------- regions


def regions_table(rows):
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "gene_id"])
    return table.assign(mean_mask=np.linspace(1, 0.5, len(table)))


def random_regions(rng, count, genes=GENES):
    """Regions of 40 to 60 bp outside promoters, apart from each other."""
    rows, taken = [], {gene_id: [(850, 1_150)] for gene_id in genes}
    while len(rows) < count:
        gene_id = genes[rng.integers(len(genes))]
        start, size = int(rng.integers(0, LENGTH - 60)), int(rng.integers(40, 60))
        if all(start + size + 5 < low or start - 5 > high for low, high in taken[gene_id]):
            taken[gene_id].append((start, start + size))
            first = FIRST[gene_id] + start
            chrom = "chr2" if gene_id == "G7" else "chr1"
            rows.append((chrom, first, first + size, gene_id))
    return regions_table(rows)


HOW = {"window_length": LENGTH, "promoter_length": PROMOTER}


def test_random_regions_have_length_and_gc_of_theirs_and_touch_none(toy, toy_store):
    regions = random_regions(np.random.default_rng(2), 25)
    found = draw_sequences(regions, regions, toy_store, GENES, **HOW, seed=0)
    assert len(found.background) == RANDOM_REGIONS * len(found.regions)
    assert len(found.regions) + found.unmatched == 25
    assert len(found.regions) > 15
    texts = {toy.sequence[row.chrom][row.start : row.end].upper() for row in regions.itertuples()}
    regions_found, background = (
        ["".join("ACGTNNNN"[code] for code in codes) for codes in side] for side in found[:2]
    )
    assert set(regions_found) <= texts
    for i, drawn in enumerate(background):
        own = regions_found[i // RANDOM_REGIONS]
        gc, own_gc = (sum(map(text.count, "CG")) * 10 // len(own) for text in (drawn, own))
        assert (len(drawn), gc) == (len(own), own_gc)
        assert "N" not in drawn
        places = [
            (chrom, first)
            for chrom, sequence in toy.sequence.items()
            if (first := sequence.upper().find(drawn)) >= 0
        ]
        for chrom, first in places:  # 40 letters are somewhere once
            same = regions[regions["chrom"] == chrom]
            assert ((same["end"] <= first) | (same["start"] >= first + len(drawn))).all()


def test_regions_with_unusable_bases_or_without_a_match_are_left_out(toy_store):
    rows = [
        ("chr1", 790, 830, "G2"),  # N from 800 on
        ("chr1", 7_950, 8_000, "G5"),  # promoter
        ("chr1", 7_000, 7_890, "G5"),  # nearly as long as a side of a window: nowhere else
        ("chr1", 5_200, 5_250, "G4"),
        ("chr1", 6_500, 6_550, "G4"),
    ]
    found = draw_sequences(
        regions_table(rows), regions_table(rows), toy_store, ["G4"], **HOW, seed=0
    )
    assert (len(found.regions), found.unmatched) == (2, 3)


@pytest.fixture(scope="module")
def planted(toy_store_dir, tmp_path_factory):
    """The toy store with the active motif in 12 of 20 regions, and in 2 places outside them."""
    folder = tmp_path_factory.mktemp("planted") / "store"
    shutil.copytree(toy_store_dir, folder)
    store = open_store(folder)
    regions = random_regions(np.random.default_rng(3), 20)
    codes = np.load(folder / "codes.npy", mmap_mode="r+")
    rows = {gene_id: row for row, gene_id in enumerate(store.genes["gene_id"])}

    def write(gene_id, start):
        offset = store.offsets[rows[gene_id]] + start - FIRST[gene_id]
        codes[offset : offset + 10] = ["ACGT".index(letter) for letter in ACTIVE_MOTIF]

    for region in regions.head(12).itertuples():
        write(region.gene_id, region.start + 15)
    codes.flush()
    return open_store(folder), regions


MOTIFS = [
    motif_of(DECOY_MOTIF, "decoy"),
    motif_of("TTGACATGAT", "other"),
    motif_of(ACTIVE_MOTIF, "active"),
    motif_of("CATTAGCATC", "another"),
]


def test_a_planted_motif_is_on_top(planted):
    store, regions = planted
    table = motif_enrichment(regions, store, GENES, MOTIFS, **HOW, max_regions=100)
    assert list(table.columns) == list(MOTIF_COLUMNS)
    top = table.iloc[0]
    assert top["motif"] == "active"
    assert top["width"] == 10
    n, m = top["regions"], top["background"]
    assert n + top["unmatched"] == 20
    assert m == RANDOM_REGIONS * n
    assert 10 <= top["region_hits"] <= 13
    assert top["background_hits"] <= 1
    assert top["observed"] == pytest.approx(top["region_hits"] / n)
    hits, others = top["region_hits"], top["background_hits"]
    fisher = fisher_exact([[hits, n - hits], [others, m - others]], alternative="greater")
    assert top["p"] == pytest.approx(fisher.pvalue)
    assert top["q"] == pytest.approx(4 * top["p"])  # the smallest of four
    assert top["q"] < 1e-6
    assert (table["q"][1:] > 0.05).all()


def test_the_regions_of_the_highest_masks_are_taken(planted):
    store, regions = planted
    table = motif_enrichment(regions, store, GENES, MOTIFS, **HOW, max_regions=6)
    top = table.iloc[0]
    assert top["regions"] + top["unmatched"] == 6
    assert top["region_hits"] == top["regions"]  # the first twelve have the motif


def test_random_regions_have_no_motif_more_often():
    # A store of 40 windows, so that random regions hardly ever overlap.
    rng = np.random.default_rng(8)
    genes = pd.DataFrame({"gene_id": [f"g{i}" for i in range(40)], "chrom": "c"})
    genes["tss"] = np.arange(40) * LENGTH + LENGTH // 2
    store = SimpleNamespace(
        genes=genes,
        offsets=np.arange(40) * LENGTH,
        window_length=LENGTH,
        codes=rng.choice(4, 40 * LENGTH, p=[0.3, 0.2, 0.2, 0.3]).astype(np.uint8),
    )
    motifs = [Motif(f"m{i}", f"m{i}", rng.dirichlet([0.5] * 4, 8)) for i in range(15)]
    ids = genes["gene_id"].tolist()
    small, found = [], []
    for seed in range(15):
        draw = np.random.default_rng([9, seed])
        starts = draw.integers(0, 850, 40) + np.arange(40) * LENGTH
        places = zip(["c"] * 40, starts, starts + 50, ids, strict=True)
        table = motif_enrichment(
            *(regions_table(places), store, ids, motifs), **HOW, max_regions=100, seed=seed
        )
        assert table["unmatched"].max() == 0
        small.append((table["p"] <= 0.1).mean())
        found.append((table["q"] <= 0.05).any())
    # Fisher's test is conservative where few regions are hit: 10% at most.
    assert np.mean(small) <= 0.1
    assert sum(found) <= 1


def test_no_region_at_all(toy_store):
    table = motif_enrichment(regions_table([]), toy_store, GENES, MOTIFS, **HOW, max_regions=100)
    assert table["regions"].tolist() == [0] * 4
    assert table[["observed", "expected", "fold", "p", "q"]].isna().all(axis=None)


def test_scores_of_a_run(planted, tmp_path):
    store, regions = planted
    meta = {"promoter_length": PROMOTER}
    write_masks(tmp_path / "masks", GENES, {"mask": np.zeros((4, LENGTH))}, meta=meta)
    others = dict.fromkeys(set(ELEMENT_COLUMNS) - set(regions.columns), 0)
    called = regions.assign(**others)[list(ELEMENT_COLUMNS)].rename(columns={"chrom": "#chrom"})
    called.to_csv(tmp_path / "elements.bed.gz", sep="\t", index=False)
    splits = ["test", "test", "test", "train"]
    columns = ("gene_name", "chrom", "tss", "strand", "observed", "predicted", "mask_ratio")
    genes = pd.DataFrame({"gene_id": GENES, "split": splits}).assign(**dict.fromkeys(columns, 0))
    genes.to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    counts = "\n".join(
        f"{letter} [ {' '.join(str(9 * (x == letter)) for x in ACTIVE_MOTIF)} ]"
        for letter in "ACGT"
    )
    (tmp_path / "m.jaspar").write_text(f">MA1.1 act\n{counts}\n")
    write_motif_scores(
        elements=tmp_path / "elements.bed.gz",
        masks_dir=tmp_path / "masks",
        store_dir=store.path,
        predictions=tmp_path / "p.tsv",
        motifs=tmp_path / "m.jaspar",
        max_regions=100,
        out_table=tmp_path / "out.tsv",
    )
    (row,) = read_table(tmp_path / "out.tsv", MOTIF_COLUMNS, text=("motif",)).to_dict("records")
    assert (row["motif"], row["name"]) == ("MA1.1", "act")
    assert row["regions"] + row["unmatched"] == (regions["gene_id"] != "G7").sum()
    assert row["q"] < 1e-4
