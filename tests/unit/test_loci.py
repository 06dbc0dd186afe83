import numpy as np
import pandas as pd
import pytest

from seq2exp.errors import UserError
from seq2exp.loci import choose_genes, example_loci, locus_inputs
from seq2exp.masks import open_masks, write_masks

from ..conftest import slow_window
from .locus_case import LENGTH, RAMP, known_places, write_locus_case


@pytest.fixture
def inputs(toy_store_dir, tmp_path):
    return write_locus_case(tmp_path, toy_store_dir)


def spans(table):
    return [(row.start, row.end) for row in table.itertuples()]


def test_windows_are_what_the_stores_have(inputs, toy):
    loci = {locus.gene.gene_id: locus for locus in example_loci(inputs, 3)}
    assert list(loci) == ["G5", "G4", "G1"]  # by observed expression; G7 is not a test gene
    for gene_id, tss in (("G5", 8_000), ("G4", 6_000), ("G1", 300)):
        locus = loci[gene_id]
        assert (locus.start, locus.end, locus.length) == (tss - 1_000, tss + 1_000, LENGTH)
        assert locus.promoter == (tss - 100, tss + 100)
        onehot, signals, black = slow_window(toy, "chr1", tss, LENGTH)
        for column, name in enumerate(("h3k27ac", "dnase", "contact")):
            np.testing.assert_array_equal(locus.tracks[name], signals[:, column].astype(np.float32))
        np.testing.assert_array_equal(locus.blacklisted, black)
        letters = ["ACGT"[base.argmax()] if base.any() else "N" for base in onehot]
        assert locus.bases == "".join(letters)
        np.testing.assert_array_equal(locus.tracks["mask"], RAMP.astype(np.float32))
        assert "sequence_part" not in locus.tracks
    assert loci["G1"].blacklist() == [(250, 260)]
    assert loci["G1"].bases.startswith("N" * 700)  # before the chromosome


def test_genes_are_those_that_start_in_the_window(inputs):
    *_, locus = example_loci(inputs, 3)
    assert locus.gene.gene_id == "G1"
    genes = list(locus.genes.itertuples(index=False, name=None))
    assert genes == [("G1", "g1", 300, "+"), ("G2", "g2", 1_100, "-"), ("G3", "g3", 1_100, "+")]


def test_without_more_files_there_are_elements_only(inputs):
    locus = next(example_loci(inputs, 1))
    assert locus.gene.gene_id == "G4"  # the middle of three
    assert spans(locus.regions) == [(5_100, 5_220)]
    assert (locus.references, locus.tested, locus.planted) == ({}, None, None)


def test_what_is_known_of_a_window_and_of_its_gene(toy, toy_store_dir, tmp_path):
    inputs = write_locus_case(tmp_path, toy_store_dir, **known_places(toy, tmp_path))
    locus = next(example_loci(inputs, 1))
    assert locus.gene.gene_id == "G4"  # window 5,000 to 7,000
    assert list(locus.references) == ["peaks", "ccres"]
    assert spans(locus.references["peaks"]) == [(6_950, 7_050)]
    # 4,990-5,001 shares a base; 6,990-7,100 and 7,000-7,010 are one region.
    assert spans(locus.references["ccres"]) == [(4_990, 5_001), (6_990, 7_100)]
    assert spans(locus.tested) == [(5_100, 5_200), (6_600, 6_700)]  # not g5's, nor what is far
    assert locus.tested["regulated"].tolist() == [True, False]
    assert locus.planted["kind"].tolist() == ["active", "decoy"]


def test_files_of_a_workflow_become_inputs(tmp_path):
    files = {
        "masks": "m",
        "store": "s",
        "predictions": "p",
        "regions": "r",
        "peaks": [],
        "planted": [],
    }
    files |= {"references": ["a.bed", "b.bed"], "crispri": "c.tsv"}
    sets = {"a": {"column": None, "values": []}, "b": {"column": 4, "values": ["x"]}}
    inputs = locus_inputs(files, sets, "K562")
    assert inputs.peaks is None
    assert inputs.planted is None
    assert (str(inputs.masks), str(inputs.crispri), inputs.cell_type) == ("m", "c.tsv", "K562")
    assert {name: str(given.path) for name, given in inputs.references.items()} == {
        "a": "a.bed", "b": "b.bed",
    }  # fmt: skip
    assert inputs.references["b"].column == 4


def test_genes_are_chosen_at_even_steps_of_expression(tmp_path):
    n = 12
    table = pd.DataFrame(
        {
            "gene_id": [f"G{i}" for i in range(n)],
            "chrom": "chr1",
            "tss": 5_000,
            "split": ["test"] * 10 + ["train"] * 2,
            "observed": np.arange(n, dtype=float),
        }
    )
    write_masks(tmp_path / "m", table["gene_id"].tolist()[1:], {"mask": np.zeros((n - 1, 10))})
    masks = open_masks(tmp_path / "m")
    # Masked test genes are G9 ... G1, highest first: the middles of three thirds.
    assert choose_genes(table, masks, 3, None)["gene_id"].tolist() == ["G8", "G5", "G2"]
    assert choose_genes(table, masks, 1, None)["gene_id"].tolist() == ["G5"]
    assert choose_genes(table, masks, 0, None).empty
    with pytest.raises(UserError, match=r"10 loci to draw, but 9 test genes"):
        choose_genes(table, masks, 10, None)


def test_fewer_loci_where_they_may_be_fewer(inputs):
    with pytest.raises(UserError, match="4 loci to draw, but 3 test genes"):
        list(example_loci(inputs, 4))
    assert len(list(example_loci(inputs, 4, or_fewer=True))) == 3
