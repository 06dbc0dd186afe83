"""Windows with edits, base by base against an obvious way to make them; and that of rebuilt stores."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from seq2exp import prediction
from seq2exp.base_codes import BASE_BITS, BLACKLIST_BIT, PEAK_BIT
from seq2exp.config import PowerLaw
from seq2exp.expression import LabelInputs
from seq2exp.packing import unpack
from seq2exp.reference import prepare_genome
from seq2exp.schemas import SCORE_TEXT, read_table
from seq2exp.store import build_store
from seq2exp.variants import table
from seq2exp.variants.edits import Edit, blanked, edit_of
from seq2exp.variants.genome import Genome
from seq2exp.variants.records import Record
from seq2exp.variants.windows import Windows, batch_of
from seq2exp.windows import read_window
from tests.conftest import CONTACT_BIN, FIRST_BIN, IN_PEAKS, SIZES, write_bigwig

from .planted_models import ByPlace, trained

BLACKLISTED = {"chr1": {*range(250, 260), *range(11_990, 12_000)}, "chr2": {*range(10)}}
# Runs of windows of the toy store: (chromosome, first, last) base.
RUNS = [
    *[("chr1", -700, 2_100), ("chr1", 5_000, 9_000), ("chr1", 10_900, 12_900)],
    *[("chr2", 3_000, 5_000), ("chr3", 4_050, 6_050)],
]
STORED_BINS = 5  # of 500 bp, which 2,000 bp can touch


@pytest.fixture(scope="module")
def genome(toy):
    return Genome(toy.path("genome.fa"))


@pytest.fixture(scope="module")
def windows(toy_store, genome):
    return Windows(toy_store, genome, 2_000)


def row_of(store, gene):
    return store.genes["gene_id"].tolist().index(gene)


# --------------------------------------------------------------------------- as it is


@pytest.mark.parametrize("length", [2_000, 600])
def test_without_an_edit_it_is_the_stored_window(toy_store, genome, length):
    windows = Windows(toy_store, genome, length)
    rows = range(len(toy_store.genes))
    ours = batch_of([windows.reference(row) for row in rows], rows, toy_store, torch.device("cpu"))
    for row in rows:
        stored = unpack(
            read_window(toy_store, row, length),
            contact_bin=toy_store.contact_bin,
            has_peaks=True,
        )
        for name in ("sequence", "signals", "blacklist", "peaks", "gene_features", "index"):
            torch.testing.assert_close(
                *(getattr(ours, name)[row : row + 1], getattr(stored, name)), rtol=0, atol=0
            )
        assert windows.reference(row).measured.all()


def test_an_edit_that_changes_nothing_changes_nothing(windows, toy_store):
    row = row_of(toy_store, "G7")
    reference = windows.reference(row)
    same = Edit("chr2", 3_500, 3_520, reference.codes[500:520] & BASE_BITS)
    for before, after in zip(reference, windows.edited(row, same).bases, strict=True):
        np.testing.assert_array_equal(before, after)


# --------------------------------------------------------------------------- the obvious way


def slow_base(toy, gene, position):
    """Letter, H3K27ac, DNase, contact with the gene's TSS, blacklisted, in a peak, measured."""
    _, chrom, tss, run = gene
    if not 0 <= position < SIZES[chrom]:
        return ["", 0, 0, 0, False, False, True]
    first_bin = (tss - 1_000) // CONTACT_BIN
    here = min(max(position // CONTACT_BIN, first_bin), first_bin + STORED_BINS - 1)
    tss_bin = FIRST_BIN[chrom] + tss // CONTACT_BIN
    contact = np.float32(np.log10(1 + toy.contacts[FIRST_BIN[chrom] + here, tss_bin]))
    if not run[1] <= position < run[2]:
        return [toy.sequence[chrom][position].upper(), 0, 0, contact, False, False, False]
    signals = (toy.signals[name][chrom][position] for name in ("h3k27ac", "dnase"))
    return [
        toy.sequence[chrom][position].upper(),
        *(0 if np.isnan(value) else np.float16(value) for value in signals),
        contact,
        position in BLACKLISTED.get(chrom, ()),
        position in IN_PEAKS[chrom],
        True,
    ]


def slow_window(toy, gene, start, end, new, blank=False):
    """The chromosome as a list of bases, the edit made in it, and what is around the TSS cut out."""
    _, _, tss, _ = gene
    before = [slow_base(toy, gene, p) for p in range(tss - 4_000, start)]
    old = [slow_base(toy, gene, p) for p in range(start, end)]
    behind = [slow_base(toy, gene, p) for p in range(end, tss + 4_000)]
    allele = []
    for i, letter in enumerate(new):
        model = old[i] if i < len(old) else (old or before)[-1]
        allele.append([letter, *model[1:]])
    if blank:
        allele += [["N", 0, 0, base[3], base[4], False, base[6]] for base in old[len(new) :]]
    if tss < start:
        centre = 4_000
    elif tss >= end:
        centre = len(before) + len(allele) + tss - end
    else:
        centre = len(before) + tss - start
    edited = before + allele + behind
    return edited[centre - 1_000 : centre + 1_000]


def fast_window(windows, row, edit):
    codes, signals, measured = windows.edited(row, edit).bases
    letters = [*"ACGTN", ""]
    return [
        [letters[code & BASE_BITS], *map(float, values), *map(bool, flags), bool(known)]
        for code, values, known in zip(codes.tolist(), signals, measured, strict=True)
        for flags in [(code & BLACKLIST_BIT, code & PEAK_BIT)]
    ]


G1, G3, G4, G6, G7, G8 = (
    (gene, chrom, tss, RUNS[run])
    for gene, chrom, tss, run in [
        *[("G1", "chr1", 300, 0), ("G3", "chr1", 1_100, 0), ("G4", "chr1", 6_000, 1)],
        *[("G6", "chr1", 11_900, 2), ("G7", "chr2", 4_000, 3), ("G8", "chr3", 5_050, 4)],
    ]
)
EDITS = [
    (G7, 3_500, 3_501, "A"),  # one base
    (G7, 3_999, 4_002, "TTT"),  # several, the TSS among them
    (G7, 3_000, 3_001, "G"),  # first base of the window
    (G7, 4_999, 5_000, "G"),  # last one
    (G7, 3_200, 3_207, ""),  # gone, upstream: bases that were not stored come in
    (G7, 4_200, 4_300, ""),  # downstream
    (G7, 2_900, 3_010, ""),  # over the left edge
    (G7, 4_990, 5_200, ""),  # over the right edge
    (G7, 3_998, 4_000, ""),  # up to the TSS
    (G7, 4_001, 4_900, ""),  # from behind it on
    (G7, 2_000, 3_990, ""),  # nearly all that is left of it
    (G7, 3_950, 3_950, "ACGTACGT"),  # inserted, in a peak
    (G7, 4_000, 4_000, "AC"),  # before the TSS
    (G7, 4_001, 4_001, "AC"),  # behind it
    (G7, 4_999, 4_999, "GGGG"),  # before the last base: three leave with it
    (G7, 3_001, 3_001, "GGGG"),
    (G7, 4_500, 4_500, "C" * 700),  # more than there is room for
    (G7, 3_600, 3_610, "AA"),  # changed and gone
    (G7, 3_600, 3_602, "AATTTTT"),  # changed and inserted
    (G7, 3_998, 4_001, "AATTTTT"),  # the last changed base is the TSS
    (G7, 3_998, 4_003, "AAG"),  # the same, and what follows it gone
    (G4, 6_900, 6_990, ""),  # G5's window lies beyond: its signals come in
    (G4, 5_100, 5_200, ""),  # none lies beyond on this side
    (G3, 1_250, 1_500, ""),  # in a peak
    (G3, 500, 560, ""),  # bases come in from G1's window
    (G1, 0, 100, ""),  # the start of the chromosome
    (G1, 0, 0, "CCC"),  # before it
    (G1, 252, 253, "T"),  # blacklisted
    (G1, 255, 255, "TT"),
    (G1, 790, 850, "NA"),  # N, before and in it
    (G6, 11_950, 12_000, ""),  # the end of the chromosome
    (G6, 12_000, 12_000, "TT"),  # behind it
    (G8, 5_099, 5_099, "ACGT"),  # the last base of the chromosome is in a peak
]


@pytest.mark.parametrize(("gene", "start", "end", "new"), EDITS)
def test_edited_windows_are_those_of_the_edited_chromosome(toy, windows, gene, start, end, new):
    row = row_of(windows.store, gene[0])
    edit = Edit(gene[1], start, end, np.array(["ACGTN".index(base) for base in new], np.uint8))
    assert fast_window(windows, row, edit) == slow_window(toy, gene, start, end, new)
    if end - start > len(new):
        expected = slow_window(toy, gene, start, end, new, blank=True)
        assert fast_window(windows, row, blanked(edit)) == expected


def test_the_allele_is_where_it_is_said_to_be(windows, toy_store):
    row = row_of(toy_store, "G7")
    for start, end, new, place in [
        (3_500, 3_501, [2], (500, 501)),
        (4_500, 4_500, [2, 2, 3], (1_500, 1_503)),
        (3_500, 3_500, [2, 2, 3], (497, 500)),  # bases left of it moved out
        (3_500, 3_510, [1], (509, 510)),
        (4_999, 4_999, [2, 2, 3], (1_999, 2_000)),
        (3_001, 3_001, [2, 2, 3], (0, 1)),
        (3_500, 3_510, [], (510, 510)),
    ]:
        edited = windows.edited(row, Edit("chr2", start, end, np.array(new, np.uint8)))
        assert (edited.allele.start, edited.allele.stop) == place
        shown = edited.bases.codes[edited.allele] & BASE_BITS
        kept = new[-len(shown) :] if start < 4_000 else new[: len(shown)]
        assert shown.tolist() == (kept if len(shown) else [])


# --------------------------------------------------------------------------- rebuilt stores


def rebuilt(toy, folder, chrom, start, end, new):
    """A store of the genome with an edit: its FASTA, tracks, BED files and TSS, all written anew.

    Contacts are those of a power law, labels made up. Without an edit (``new`` None) as it is.
    """
    folder.mkdir()
    new = toy.sequence[chrom][start:end] if new is None else new
    grown = len(new) - (end - start)
    # The old base behind each new one.
    last = start + min(len(new), end - start) - 1
    source = [*range(start), *(min(start + i, last) for i in range(len(new)))]
    source += range(end, SIZES[chrom])
    sizes = SIZES | {chrom: SIZES[chrom] + grown}
    bases = toy.sequence | {
        chrom: toy.sequence[chrom][:start] + new + toy.sequence[chrom][end:],
    }
    (folder / "raw.fa").write_text("".join(f">{c}\n{s}\n" for c, s in bases.items()))
    prepare_genome(folder / "raw.fa", folder / "genome.fa", folder / "chrom.sizes", None)
    for name in ("h3k27ac", "dnase"):
        signals = {c: toy.signals[name][c] for c in SIZES}
        signals[chrom] = signals[chrom][source]
        write_bigwig(folder / f"{name}.bw", signals, sizes)
    genes = pd.read_csv(toy.path("genes.tsv"), sep="\t")
    moved = (genes["chrom"] == chrom) & (genes["tss"] >= end)
    genes["tss"] += grown * moved
    genes.to_csv(folder / "genes.tsv", sep="\t", index=False)
    genes.assign(value=1.0).to_csv(folder / "labels.tsv", sep="\t", index=False)
    own = dataclasses.replace(toy, folder=folder).inputs()
    own |= {
        "hic": None,
        "power_law": PowerLaw(bin=CONTACT_BIN),
        "labels": {"RNA": LabelInputs(table=folder / "labels.tsv", column=("value",))},
        "blacklist": None,
        "peaks": None,
    }
    build_store(folder / "store", **own)
    return folder


@pytest.mark.parametrize(
    # ALT begins with a base of REF where it is written ^.
    ("reads_contacts", "gene", "chrom", "pos", "length", "alt"),
    [
        # Contacts follow the distance in a rebuilt store, and the base in ours: with a base in
        # another's place they stay the same, so that the model may read them.
        (True, "G7", "chr2", 3_501, 1, "A"),
        (True, "G1", "chr1", 299, 4, "CATG"),
        (False, "G4", "chr1", 6_899, 60, "^"),
        (False, "G7", "chr2", 4_801, 1, "^ACGTACGTTAGC"),
        (False, "G3", "chr1", 401, 7, "GG"),
    ],
)
def test_scores_are_those_of_a_rebuilt_genome(
    toy, tmp_path, monkeypatch, reads_contacts, gene, chrom, pos, length, alt
):
    ref = toy.sequence[chrom][pos - 1 : pos - 1 + length].upper()
    alt = alt.replace("^", ref[0])
    edit = edit_of(Record("", chrom, pos, "", ref, alt), Genome(toy.path("genome.fa")))
    before = rebuilt(toy, tmp_path / "before", chrom, pos, pos, None)
    letters = "".join("ACGTN"[code] for code in edit.codes)
    after = rebuilt(toy, tmp_path / "after", chrom, edit.start, edit.end, letters)
    model = trained(ByPlace(reads_contacts))
    for module in (prediction, table):
        monkeypatch.setattr(module, "load_checkpoint", lambda *_: model)
    predicted = {}
    for folder in (before, after):
        prediction.predict(
            *(tmp_path, folder / "store", None), out_table=folder / "p.tsv", out_masks=None
        )
        predicted[folder] = read_table(folder / "p.tsv").set_index("gene_id")["predicted"][gene]
    (tmp_path / "v.vcf").write_text(
        "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"{chrom}\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\n"
    )
    table.score_variants(
        *(tmp_path, before / "store", tmp_path / "v.vcf", before / "genome.fa"),
        out_table=tmp_path / "s.tsv",
        genes=[gene],
    )
    scores = read_table(tmp_path / "s.tsv", text=SCORE_TEXT)
    assert scores["unmeasured_bp"].tolist() == [0]
    assert scores["predicted_ref"][0] == pytest.approx(predicted[before], abs=1e-6)
    assert scores["predicted_alt"][0] == pytest.approx(predicted[after], abs=1e-6)
    assert abs(scores["effect"][0]) > 0.01
