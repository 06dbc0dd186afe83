"""Building and opening stores: what is in the files, and how bad inputs end."""

import json
import logging

import numpy as np
import pandas as pd
import pytest

from seq2exp import store_bases
from seq2exp.base_codes import PEAK_BIT
from seq2exp.config import PowerLaw, WindowConfig
from seq2exp.contacts import HiCInputs
from seq2exp.errors import UserError
from seq2exp.expression import LabelInputs
from seq2exp.store import build_store, open_store
from seq2exp.store_bases import window_runs

from ..conftest import CONTACT_BIN, GENES, SIZES, write_bigwig, write_cooler


def test_meta_says_what_is_inside(toy_store):
    meta = toy_store.meta
    assert (toy_store.window_length, toy_store.promoter_length) == (2_000, 200)
    assert (toy_store.cell_line, meta["genome"], meta["assays"]) == ("Toy", "toy1", ["CAGE", "RNA"])
    assert (toy_store.contact_bin, meta["contacts_from"]) == (CONTACT_BIN, "contacts.cool")
    assert (toy_store.has_peaks, meta["peaks_from"]) == (True, "peaks.narrowPeak")
    assert toy_store.feature_names == ("promoter_activity",)
    assert toy_store.genes.columns.tolist() == [
        *("gene_id", "gene_name", "chrom", "tss", "strand", "offset", "contact_phase"),
        *("promoter_activity", "label_CAGE", "label_RNA"),
    ]
    assert toy_store.genes["offset"].tolist() == [0, 800, 800, 2_800, 4_800, 6_800, 8_800, 10_800]


def test_labels_and_promoter_activity(toy, toy_store):
    labels, features = toy_store.labels("CAGE"), toy_store.features
    for row, (_, chrom, tss, _) in enumerate(GENES):
        first, last = max(tss - 192, 0), tss + 192
        total = np.nansum(toy.signals["cage"][chrom][first:last], dtype=np.float64)
        assert labels[row] == pytest.approx(np.log10(1 + total), rel=1e-6)
        # Bases without data and beyond the chromosome count as 0 in the mean over 1,000.
        sums = [
            np.nansum(toy.signals[name][chrom][max(tss - 500, 0) : tss + 500], dtype=np.float64)
            for name in ("h3k27ac", "dnase")
        ]
        assert features[row, 0] == pytest.approx(np.sqrt(sums[0] * sums[1]) / 1_000, rel=1e-6)
    rna = toy_store.labels("RNA")
    assert rna[[0, 3]].tolist() == [-1.5, 2.25]
    assert np.isnan(np.delete(rna, [0, 3])).all()


def test_same_inputs_give_the_same_bytes(toy, toy_store_dir, tmp_path):
    build_store(tmp_path / "again", **toy.inputs())
    for file in toy_store_dir.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_a_store_without_peaks_differs_in_their_bit_alone(toy, toy_store, tmp_path):
    build_store(tmp_path / "s", **{**toy.inputs(), "peaks": None})
    without = open_store(tmp_path / "s")
    assert (without.has_peaks, without.meta["peaks_from"]) == (False, None)
    np.testing.assert_array_equal(without.codes, toy_store.codes & ~np.uint8(PEAK_BIT))
    # chr1: 55 of [200, 255), 250 of [1150, 1400), 100 around 7000, where two windows touch; 201; 1.
    assert int(((toy_store.codes & PEAK_BIT) != 0).sum()) == 55 + 250 + 100 + 201 + 1


def test_peaks_of_another_assembly(toy, tmp_path):
    (tmp_path / "p.bed").write_text("chr3\t5000\t5101\n")
    with pytest.raises(
        UserError, match=r"p\.bed: an interval ends at chr3:5101, but chr3 has 5100"
    ):
        build_store(tmp_path / "s", **{**toy.inputs(), "peaks": tmp_path / "p.bed"})
    assert list(tmp_path.iterdir()) == [tmp_path / "p.bed"]


def test_intervals_over_the_ends_of_pieces(toy, toy_store, tmp_path, monkeypatch):
    monkeypatch.setattr(store_bases, "_PIECE", 97)
    build_store(tmp_path / "s", **toy.inputs())
    np.testing.assert_array_equal(open_store(tmp_path / "s").codes, toy_store.codes)


def test_no_hic_means_power_law(toy, tmp_path):
    build_store(tmp_path / "s", **{**toy.inputs(), "hic": None, "power_law": PowerLaw(bin=400)})
    store = open_store(tmp_path / "s")
    assert (store.contact_bin, store.meta["contacts_from"]) == (400, "power law")
    assert store.contacts.shape == (8, 6)
    # G7: TSS 4000 in bin 10, window start 3000 in bin 7.
    apart = np.array([3, 2, 1, 1, 1, 2])
    expected = np.log10(1 + 100 * apart**-1.024238616787792)
    np.testing.assert_allclose(store.contacts[6], expected, rtol=1e-6)


def test_mrna_features_come_first(toy, tmp_path):
    genes = pd.read_csv(toy.path("genes.tsv"), sep="\t")
    genes["CDSGC"], genes["UTR5GC"] = 0.25, np.arange(8) / 8
    genes.to_csv(tmp_path / "genes.tsv", sep="\t", index=False)
    build_store(tmp_path / "s", **{**toy.inputs(), "genes_table": tmp_path / "genes.tsv"})
    store = open_store(tmp_path / "s")
    assert store.feature_names == ("UTR5GC", "CDSGC", "promoter_activity")
    assert store.features[:, :2].tolist() == [[i / 8, 0.25] for i in range(8)]
    genes.loc[4, "CDSGC"] = np.nan
    genes.to_csv(tmp_path / "genes.tsv", sep="\t", index=False)
    with pytest.raises(UserError, match=r"genes\.tsv: gene 'G5' has no CDSGC; fill"):
        build_store(tmp_path / "t", **{**toy.inputs(), "genes_table": tmp_path / "genes.tsv"})


def test_genes_without_label_are_left_out_aloud(toy, tmp_path, caplog):
    labels = {"RNA": toy.inputs()["labels"]["RNA"]}
    with caplog.at_level(logging.WARNING):
        build_store(tmp_path / "s", **{**toy.inputs(), "labels": labels})
    assert open_store(tmp_path / "s").genes["gene_id"].tolist() == ["G1", "G4"]
    assert "6 genes without any label are left out" in caplog.text


def test_clipping_is_said_aloud(toy, tmp_path, caplog):
    loud = {c: v.copy() for c, v in toy.signals["dnase"].items()}
    loud["chr1"][6_000:6_003] = [65_504, 70_000, 1e6]
    write_bigwig(tmp_path / "loud.bw", loud, SIZES)
    with caplog.at_level(logging.WARNING):
        build_store(tmp_path / "s", **{**toy.inputs(), "dnase": tmp_path / "loud.bw"})
    assert "loud.bw: 2 bases above 65504 (largest 1e+06) are stored as 65504" in caplog.text
    at = 2_800 + 1_000
    assert open_store(tmp_path / "s").signals[at : at + 3, 1].tolist() == [65_504] * 3


def test_negative_signal_is_refused(toy, tmp_path):
    ratio = {c: v.copy() for c, v in toy.signals["h3k27ac"].items()}
    ratio["chr2"][4_321] = -0.5
    write_bigwig(tmp_path / "ratio.bw", ratio, SIZES)
    with pytest.raises(UserError, match=r"ratio\.bw: chr2:4321 holds -0\.5, .* not be negative"):
        build_store(tmp_path / "s", **{**toy.inputs(), "h3k27ac": tmp_path / "ratio.bw"})
    assert list(tmp_path.iterdir()) == [tmp_path / "ratio.bw"]


def test_track_without_a_chromosome(toy, tmp_path, caplog):
    part = {c: toy.signals["dnase"][c] for c in ("chr1", "chr2")}
    write_bigwig(tmp_path / "part.bw", part, {c: SIZES[c] for c in part})
    inputs = {**toy.inputs(), "dnase": tmp_path / "part.bw"}
    with pytest.raises(
        UserError, match=r"part\.bw: no chromosome 'chr3', it has chr1, chr2; .*zer"
    ):
        build_store(tmp_path / "s", **inputs)
    zeros = WindowConfig(length=2_000, promoter_length=200, missing_chromosome="zeros")
    with caplog.at_level(logging.WARNING):
        build_store(tmp_path / "s", **{**inputs, "window": zeros})
    assert "part.bw: no chromosome chr3: 1 genes read zeros from it" in caplog.text
    store = open_store(tmp_path / "s")
    assert store.signals[10_800:, 1].max() == 0
    assert store.signals[10_800:, 0].max() > 0
    assert store.signals[:10_800, 1].max() > 0


def test_label_and_contact_files_without_a_chromosome(toy, tmp_path, caplog):
    part = {c: toy.signals["cage"][c] for c in ("chr1", "chr2")}
    write_bigwig(tmp_path / "part.bw", part, {c: SIZES[c] for c in part})
    (bins, counts) = 24, toy.contacts[:24, :24]
    write_cooler(tmp_path / "part.cool", {"chr1": bins * CONTACT_BIN}, CONTACT_BIN, counts)
    cage = {"labels": {"CAGE": LabelInputs(replicates=((tmp_path / "part.bw",),))}}
    part_map = HiCInputs(tmp_path / "part.cool", CONTACT_BIN, "NONE")
    contact = {"hic": part_map}
    with pytest.raises(UserError, match=r"part\.bw: no chromosome 'chr3', it has chr1, chr2"):
        build_store(tmp_path / "s", **{**toy.inputs(), **cage})
    with pytest.raises(
        UserError, match=r"part\.cool: no chromosome 'chr2', it has chr1; use a fil"
    ):
        build_store(tmp_path / "s", **{**toy.inputs(), **contact})
    zeros = toy.window.model_copy(update={"missing_chromosome": "zeros"})
    contact = {"hic": part_map._replace(missing_chromosome="zeros")}
    with caplog.at_level(logging.WARNING):
        build_store(tmp_path / "s", **{**toy.inputs(), **cage, **contact, "window": zeros})
    assert "part.bw: no chromosome chr3: 1 genes" in caplog.text
    assert "part.cool: no chromosome chr2: 1 genes" in caplog.text
    store = open_store(tmp_path / "s")
    assert store.labels("CAGE")[7] == 0
    assert store.contacts[6:].max() == 0
    assert (store.contacts[:6].max(axis=1) > 0).all()


def test_contacts_by_distance_where_the_map_lacks_a_chromosome(toy, tmp_path):
    bins, counts = 24, toy.contacts[:24, :24]
    write_cooler(tmp_path / "part.cool", {"chr1": bins * CONTACT_BIN}, CONTACT_BIN, counts)
    part = HiCInputs(tmp_path / "part.cool", CONTACT_BIN, "NONE", "distance")
    build_store(tmp_path / "s", **{**toy.inputs(), "hic": part})
    store = open_store(tmp_path / "s")
    tss, start = store.genes["tss"].to_numpy(), store.genes["tss"].to_numpy() - 1_000
    bin_of = start[:, None] // CONTACT_BIN + np.arange(store.contacts.shape[1])
    apart = abs(bin_of - tss[:, None] // CONTACT_BIN)
    on_map = (store.genes["chrom"] == "chr1").to_numpy()
    for row in np.flatnonzero(~on_map):
        for column, distance in enumerate(apart[row]):
            known = 10 ** store.contacts[on_map][apart[on_map] == distance].astype(float) - 1
            expected = np.log10(1 + known.mean())
            assert store.contacts[row, column] == pytest.approx(expected, rel=1e-5)


def test_track_of_another_assembly(toy, tmp_path):
    sizes = {**SIZES, "chr2": 8_001}
    write_bigwig(tmp_path / "other.bw", toy.signals["dnase"], sizes)
    with pytest.raises(
        UserError, match=r"other\.bw: chr2 has 8001 bp but the genome's chr2 has 80"
    ):
        build_store(tmp_path / "s", **{**toy.inputs(), "dnase": tmp_path / "other.bw"})


def test_no_label_at_all(toy, tmp_path):
    (tmp_path / "rna.tsv").write_text("gene_id\trpkm\nG1\t\n")
    labels = {"RNA": LabelInputs(table=tmp_path / "rna.tsv", column=("rpkm",), transform="none")}
    with pytest.raises(UserError, match="no gene has a label for RNA"):
        build_store(tmp_path / "s", **{**toy.inputs(), "labels": labels})


def test_replaces_a_store_but_never_other_files(toy, tmp_path):
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "store.json").write_text("old")
    build_store(folder, **toy.inputs())
    assert open_store(folder).cell_line == "Toy"
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds 'notes\.txt'"):
        build_store(folder, **toy.inputs())
    assert (folder / "notes.txt").read_text() == "mine"


def test_damaged_stores_are_named(toy_store_dir, tmp_path):
    with pytest.raises(UserError, match=r"no readable store\.json; build the windows first"):
        open_store(tmp_path)
    for file in toy_store_dir.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    whole = (tmp_path / "signals.npy").read_bytes()
    (tmp_path / "signals.npy").write_bytes(whole[:-100])
    with pytest.raises(UserError, match=r"signals\.npy: missing or truncated"):
        open_store(tmp_path)
    np.save(tmp_path / "signals.npy", np.zeros((5, 2), np.float16))
    with pytest.raises(UserError, match=r"signals\.npy: shape \(5, 2\), store\.json says \(12800"):
        open_store(tmp_path)
    meta = json.loads((tmp_path / "store.json").read_text())
    (tmp_path / "store.json").write_text(json.dumps({**meta, "format": 99}))
    with pytest.raises(UserError, match="store format 99, not 2"):
        open_store(tmp_path)


def test_runs_keep_the_order_of_the_genes():
    genes = pd.DataFrame({"chrom": ["b", "a", "b", "b"], "tss": [500, 0, 120, 0]})
    runs, offsets = window_runs(genes, 100)
    assert [tuple(run) for run in runs] == [
        ("b", -50, 50, 0),
        ("b", 70, 170, 100),
        ("b", 450, 550, 200),
        ("a", -50, 50, 300),
    ]
    assert offsets.tolist() == [200, 300, 100, 0]


def test_gene_on_a_chromosome_the_genome_lacks(toy, tmp_path):
    text = toy.path("genes.tsv").read_text() + "G9\tg9\tchr9\t10\t+\n"
    (tmp_path / "genes.tsv").write_text(text)
    with pytest.raises(UserError, match=r"genes\.tsv: gene 'G9' is on 'chr9'"):
        build_store(tmp_path / "s", **{**toy.inputs(), "genes_table": tmp_path / "genes.tsv"})


def test_real_chromosome(realdata, real_store):
    """Chromosome 20 of GM12878: size, labels and contacts against their files."""
    genes = real_store.genes
    assert len(genes) == 517
    expression = pd.read_csv(realdata / "GM12878.expression.tsv", sep="\t", index_col=0)
    expected = np.log10(1 + expression["cage_tpm_384bp"].reindex(genes["gene_id"]).to_numpy())
    np.testing.assert_allclose(real_store.labels("CAGE"), expected, rtol=1e-6)
    assert real_store.contacts.shape == (517, 9)
    assert not np.isnan(real_store.contacts).any()
    assert real_store.codes.shape[0] < 517 * 200_000
