"""The simulated genome: its files agree with its truth, and the truth with its settings."""

import gzip

import hictkpy
import numpy as np
import pandas as pd
import pyBigWig
import pytest
from sklearn.metrics import roc_auc_score

from seq2exp.bed import merged_intervals, read_bed
from seq2exp.doctor.peaks import bases_in
from seq2exp.doctor.signals import Window
from seq2exp.simulate import Settings, noise_ceiling, simulate
from seq2exp.simulate.contacts import contact
from seq2exp.simulate.grammar import (
    ACTIVE_MOTIF,
    DECOY_MOTIF,
    PROMOTER_MOTIF,
    cell_line_motifs,
)
from seq2exp.simulate.peaks import call_peaks

SETTINGS = Settings(genes=240, close_pairs=0.25)
BED = ["chrom", "start", "end", "name", "score", "strand", "kind", "open_in", "motif", "copies"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "genome"
    simulate(out, 7, SETTINGS)
    return out


@pytest.fixture(scope="module")
def genome(folder):
    with gzip.open(folder / "genome.fa.gz", "rt") as file:
        records = [record.split("\n", 1) for record in file.read().split(">")[1:]]
    return {name: bases.replace("\n", "") for name, bases in records}


@pytest.fixture(scope="module")
def annotation(folder):
    names = ["chrom", "source", "feature", "start", "end", "score", "strand", "frame", "attributes"]
    table = pd.read_csv(folder / "annotation.gtf.gz", sep="\t", comment="#", names=names, quoting=3)
    table["start"] -= 1
    table["gene_id"] = table["attributes"].str.extract(r'gene_id "(\w+)\.1"')
    return table


@pytest.fixture(scope="module")
def genes(annotation):
    table = annotation[annotation["feature"] == "gene"].set_index("gene_id")
    forward = table["strand"] == "+"
    return table.assign(tss=np.where(forward, table["start"], table["end"] - 1))


@pytest.fixture(scope="module")
def elements(folder):
    return pd.read_csv(folder / "truth" / "elements.bed", sep="\t", names=BED)


def truth(folder, name):
    return pd.read_csv(folder / "truth" / f"{name}.tsv", sep="\t")


def reverse_complement(sequence):
    return sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))


def test_fasta_matches_sizes_gaps_and_soft_mask(folder, genome, genes):
    sizes = pd.read_csv(folder / "chrom.sizes", sep="\t", names=["chrom", "size"])
    assert dict(sizes.itertuples(index=False)) == {c: len(s) for c, s in genome.items()}
    assert len(genome) == 5
    for chrom, sequence in genome.items():
        assert sequence.upper().count("N") >= 2 * 100
        assert 0.1 < np.mean([base.islower() for base in sequence]) < 0.6
        tss = genes.loc[genes["chrom"] == chrom, "tss"]
        assert tss.min() < SETTINGS.half
        assert tss.max() + SETTINGS.half > len(sequence)
        assert tss.min() >= 192
        assert tss.max() + 192 <= len(sequence)
        gaps = sum(
            sequence[max(t - SETTINGS.half, 0) : t + SETTINGS.half].upper().count("N") > 0
            for t in tss
        )
        assert gaps >= 1


def test_genes_have_open_reading_frames(genome, annotation):
    counts = annotation.drop_duplicates("gene_id")["strand"].value_counts()
    assert counts.min() > 0.35 * 240
    assert (annotation.groupby("gene_id")["feature"].apply(set).map(len) == 7).all()
    for _, gene in annotation.groupby("gene_id"):
        chrom, strand = gene["chrom"].iloc[0], gene["strand"].iloc[0]
        parts = {}
        for feature, rows in gene.sort_values("start").groupby("feature"):
            places = zip(rows["start"], rows["end"], strict=True)
            bases = "".join(genome[chrom][a:b] for a, b in places).upper()
            parts[feature] = bases if strand == "+" else reverse_complement(bases)
        coding, stops = parts["CDS"], {"TAA", "TAG", "TGA"}
        assert len(coding) % 3 == 0
        assert coding.startswith("ATG")
        assert parts["start_codon"] == "ATG"
        assert parts["stop_codon"] in stops
        assert not stops & {coding[i : i + 3] for i in range(0, len(coding), 3)}
        assert len(parts["exon"]) == len(parts["UTR"]) + len(coding)


def test_gtf_phase_follows_the_exons(annotation):
    coding = annotation[annotation["feature"] == "CDS"]
    for _, rows in coding.groupby("gene_id"):
        ordered = rows.sort_values("start", ascending=rows["strand"].iloc[0] == "+")
        before = np.concatenate([[0], (ordered["end"] - ordered["start"]).cumsum()[:-1]])
        assert (-before % 3).astype(int).tolist() == ordered["frame"].astype(int).tolist()


def test_planted_copies_are_where_the_truth_says(genome, elements, genes):
    planted = 0
    for row in elements.itertuples():
        bases = genome[row.chrom][row.start : row.end].upper()
        assert 150 <= len(bases) <= 250
        assert "N" not in bases
        assert bases.count(ACTIVE_MOTIF) == (row.copies if row.kind == "active" else 0)
        if row.motif == DECOY_MOTIF:
            assert bases.count(DECOY_MOTIF) == row.copies
            assert 8 <= row.copies <= 12
        planted += bases.count(ACTIVE_MOTIF)
    promoters = [genome[g.chrom][g.tss - 100 : g.tss + 100].upper() for g in genes.itertuples()]
    planted += sum(bases.count(ACTIVE_MOTIF) for bases in promoters)
    everywhere = sum(sequence.upper().count(ACTIVE_MOTIF) for sequence in genome.values())
    assert everywhere == planted
    decoys = elements[elements["kind"] == "decoy"]
    assert 0.35 < (decoys["copies"] == 0).mean() < 0.65


def test_elements_keep_off_promoters_and_exons(elements, annotation, genes):
    promoters = pd.DataFrame(
        {"chrom": genes["chrom"], "start": genes["tss"] - 100, "end": genes["tss"] + 100}
    )
    exons = annotation.loc[annotation["feature"] == "exon", ["chrom", "start", "end"]]
    for other in (promoters, exons, elements):
        for row in elements.itertuples():
            same = other["chrom"] == row.chrom
            hit = same & (other["start"] < row.end) & (other["end"] > row.start)
            assert hit.sum() == (1 if other is elements else 0)


def test_elements_of_three_accessibility_patterns(elements):
    shares = elements["open_in"].value_counts(normalize=True)
    assert set(shares.index) == {"SimA", "SimB", "SimA,SimB"}
    assert shares["SimA,SimB"] == pytest.approx(0.6, abs=0.1)


@pytest.mark.parametrize("assay", ["DNase", "H3K27ac"])
def test_signals_do_not_tell_active_from_decoy(folder, elements, assay):
    kinds, heights, closed = [], [], []
    for cell_line in SETTINGS.cell_lines:
        with pyBigWig.open(str(folder / f"{cell_line}.{assay}.bw")) as track:
            for row in elements.itertuples():
                mean = np.nanmean(track.values(row.chrom, row.start, row.end, numpy=True))
                if cell_line in row.open_in:
                    kinds.append(row.kind == "active")
                    heights.append(mean)
                else:
                    closed.append(mean)
    assert abs(roc_auc_score(kinds, heights) - 0.5) < 0.05
    is_open = np.repeat([1, 0], [len(heights), len(closed)])
    # Some closed elements lie under the broad acetylated shoulder of a neighbour.
    assert roc_auc_score(is_open, [*heights, *closed]) > 0.9


def test_peaks_are_what_is_open(folder, elements, genes):
    for cell_line in SETTINGS.cell_lines:
        peaks = merged_intervals(
            read_bed(folder / f"{cell_line}.DNase.peaks.bed"), set(genes["chrom"])
        )

        def found(row, peaks=peaks):
            return bases_in(peaks, Window(row.chrom, row.start, row.end)).any()

        here = elements["open_in"].str.split(",").map(lambda names, c=cell_line: c in names)
        for kind in ("active", "decoy"):
            of_kind = elements["kind"] == kind
            assert np.mean([found(row) for row in elements[of_kind & here].itertuples()]) > 0.95
            assert not any(found(row) for row in elements[of_kind & ~here].itertuples())
        promoters = genes[["chrom"]].assign(start=genes["tss"] - 100, end=genes["tss"] + 100)
        assert np.mean([found(row) for row in promoters.itertuples()]) > 0.9


def test_peaks_of_a_signal_by_hand():
    track = np.array([0, 0.1, 0.3, np.nan, 0.2, 0, 0, 0.5, 0, 0.09, 1, 1], dtype=np.float32)
    how = {"cutoff": 0.1, "max_gap": 10, "min_length": 20}
    assert call_peaks(track, 10, 115, **how).tolist() == [[10, 50]]
    assert call_peaks(track, 10, 120, **how).tolist() == [[10, 50], [100, 120]]
    assert call_peaks(track, 10, 120, **{**how, "max_gap": 20}).tolist() == [[10, 120]]
    assert call_peaks(track, 10, 120, **{**how, "max_gap": 9}).tolist() == [[10, 30], [100, 120]]
    assert call_peaks(track[:1], 10, 10, **how).tolist() == []


def test_promoter_signal_follows_the_promoter_not_the_distal_part(folder, genes):
    expression = truth(folder, "expression").query("cell_line == 'SimA'").set_index("gene_id")
    with pyBigWig.open(str(folder / "SimA.DNase.bw")) as track:
        signal = [
            np.log1p(np.nanmean(track.values(chrom, tss - 100, tss + 100, numpy=True)))
            for chrom, tss in genes.loc[expression.index, ["chrom", "tss"]].itertuples(index=False)
        ]
    assert np.corrcoef(signal, expression["promoter"])[0, 1] > 0.6
    assert abs(np.corrcoef(signal, expression["distal"])[0, 1]) < 0.2


def test_promoter_motifs_carry_the_promoter_strength(folder, genome, genes):
    motifs = [PROMOTER_MOTIF, *cell_line_motifs(2)]
    places = genes[["chrom", "tss"]].itertuples(index=False)
    sequences = [genome[chrom][tss - 100 : tss + 100].upper() for chrom, tss in places]
    copies = np.array([[s.count(m) for m in motifs] for s in sequences])
    expression = truth(folder, "expression")
    for i, cell_line in enumerate(SETTINGS.cell_lines, start=1):
        own = expression[expression["cell_line"] == cell_line].set_index("gene_id")
        used = np.column_stack([copies[:, [0, i]], np.ones(len(genes))])
        target = own.loc[genes.index, "promoter"].to_numpy()
        fitted = used @ np.linalg.lstsq(used, target)[0]
        assert np.corrcoef(fitted, target)[0, 1] > 0.98  # chance copies may add one


def test_cage_bigwig_sums_to_the_label(folder, genes):
    labels = pd.read_csv(folder / "labels.tsv", sep="\t", index_col="gene_id")
    expression = truth(folder, "expression")
    for cell_line in SETTINGS.cell_lines:
        with pyBigWig.open(str(folder / f"{cell_line}.CAGE.bw")) as track:
            sums = pd.Series(
                {
                    g.Index: np.nansum(track.values(g.chrom, g.tss - 192, g.tss + 192, numpy=True))
                    for g in genes.itertuples()
                }
            )
        np.testing.assert_allclose(sums[labels.index], labels[f"{cell_line}_CAGE"], rtol=1e-5)
        own = expression[expression["cell_line"] == cell_line].set_index("gene_id")
        np.testing.assert_allclose(
            np.log10(1 + sums[own.index]), own["label"], rtol=1e-5, atol=1e-6
        )
        np.testing.assert_allclose(labels.loc[own.index, f"{cell_line}_RNA"], own["rna"])


def test_signal_tracks_have_unmapped_stretches(folder, genome):
    with pyBigWig.open(str(folder / "SimB.H3K27ac.bw")) as track:
        values = track.values("chr1", 0, len(genome["chr1"]), numpy=True)
    bases = np.frombuffer(genome["chr1"].upper().encode(), dtype=np.uint8)
    assert np.isnan(values[bases == ord("N")]).all()
    assert 0 < np.isnan(values[bases != ord("N")]).mean() < 0.05
    assert 0 <= np.nanmedian(values) < 1
    blacklist = pd.read_csv(folder / "blacklist.bed", sep="\t", header=None)
    assert len(blacklist) == 15
    place = blacklist[blacklist[0] == "chr1"].iloc[0]
    assert np.nanmin(values[place[1] : place[2]]) > 30


def test_contacts_fall_with_distance(folder, genome):
    file = hictkpy.File(folder / "SimA.contacts.cool")
    assert file.resolution() == 200
    assert file.chromosomes() == {c: len(s) for c, s in genome.items()}
    matrix = file.fetch("chr1").to_numpy()
    means = [np.diagonal(matrix, offset).mean() for offset in range(11)]
    expected = SETTINGS.contact_depth * contact(200 * np.arange(11), SETTINGS)
    np.testing.assert_allclose(means, expected, rtol=0.1)
    assert (np.diff(means[1:]) < 0).all()
    assert matrix[0, -1] == 0


def test_pairs_add_up_to_the_distal_part(folder, genes, elements):
    pairs, expression = truth(folder, "pairs"), truth(folder, "expression")
    distal = pairs.groupby(["cell_line", "gene_id"])["effect"].sum()
    keys = pd.MultiIndex.from_frame(expression[["cell_line", "gene_id"]])
    np.testing.assert_allclose(distal.reindex(keys, fill_value=0), expression["distal"], atol=1e-8)
    tss = genes.loc[pairs["gene_id"], "tss"].to_numpy()
    assert (tss == pairs["tss"]).all()
    assert (pairs["start"] >= tss - 1_000).all()
    assert (pairs["end"] <= tss + 1_000).all()
    np.testing.assert_allclose(pairs["contact"], contact(pairs["distance"], SETTINGS))
    active = (pairs["kind"] == "active") & pairs["open"]
    assert (active == pairs["regulated"]).all()
    assert (active == (pairs["effect"] > 0)).all()
    copies = elements.set_index("name").loc[pairs["element"], "copies"].to_numpy()
    ratio = (pairs["effect"] / (copies * pairs["contact"]))[active]
    np.testing.assert_allclose(ratio, ratio.iloc[0], rtol=1e-6)


def test_an_element_between_close_genes_acts_on_both(folder):
    pairs = truth(folder, "pairs").query("cell_line == 'SimA'")
    shared = pairs[pairs.duplicated("element", keep=False)]
    assert shared["element"].nunique() >= 5
    for _, rows in shared.groupby("element"):
        assert rows["regulated"].all() or not rows["regulated"].any()


def test_parts_have_their_shares_of_the_variance(folder):
    expression = truth(folder, "expression")
    goal = SETTINGS.label_sd**2
    assert expression["promoter"].var(ddof=0) == pytest.approx(0.46 * goal, rel=0.1)
    assert expression["distal"].var(ddof=0) == pytest.approx(0.46 * goal, rel=1e-6)
    assert expression["noise"].var() == pytest.approx(0.08 * goal, rel=0.2)
    assert expression["label"].mean() == pytest.approx(1.5, abs=0.05)
    assert expression["label"].min() >= 0
    parts = expression["promoter"] + expression["distal"] + expression["noise"]
    np.testing.assert_allclose(parts, expression["label"], atol=1e-8)


def test_noise_ceiling_is_the_closed_form(folder):
    ceilings = truth(folder, "ceiling").set_index(["cell_line", "chrom"])
    expression = truth(folder, "expression")
    for cell_line in SETTINGS.cell_lines:
        row = ceilings.loc[(cell_line, "all")]
        # r = sqrt(1 - noise variance / label variance) for noise independent of the rest
        assert row["noise_ceiling_pearson"] == pytest.approx(np.sqrt(1 - 0.08), abs=0.015)
        assert row["promoter_only_pearson"] == pytest.approx(np.sqrt(0.46), abs=0.08)
        rna = np.sqrt(0.92 / (1 + 0.15**2 / 0.5**2))
        assert row["rna_noise_ceiling_pearson"] == pytest.approx(rna, abs=0.03)
        own = expression[expression["cell_line"] == cell_line]
        some = own[own["chrom"] == "chr4"]
        by_hand = np.corrcoef(some["noiseless"], some["label"])[0, 1]
        assert noise_ceiling(expression, cell_line, some["gene_id"]) == pytest.approx(by_hand)
        assert ceilings.loc[(cell_line, "chr4"), "noise_ceiling_pearson"] == pytest.approx(by_hand)


def test_crispri_screen_agrees_with_the_truth(folder):
    screen, pairs = truth(folder, "crispri_pairs"), truth(folder, "pairs")
    keys = ["cell_line", "chrom", "start", "end", "gene_id"]
    both = screen.merge(pairs[[*keys, "effect", "regulated"]], on=keys, suffixes=("", "_truth"))
    assert len(both) == len(screen) == pairs["open"].sum()
    residual = both["effect_size"] - (10 ** -both["effect"] - 1)
    assert residual.std() == pytest.approx(0.05, rel=0.15)
    assert (both["regulated"] == both["regulated_truth"]).mean() > 0.98
    assert both.loc[both["regulated"], "effect_size"].max() < 0
