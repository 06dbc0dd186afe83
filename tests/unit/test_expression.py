"""Labels worked out by hand, and tables that do not fit."""

import gzip
import logging

import numpy as np
import pandas as pd
import pytest

from seq2exp.errors import UserError
from seq2exp.expression import (
    LabelInputs,
    labels_from_table,
    promoter_activity,
    read_labels,
    sums_of_tracks,
)
from seq2exp.tracks import open_bigwig

from ..conftest import write_bigwig

GENES = pd.DataFrame(
    {
        "gene_id": ["A", "B.7", "C"],
        "gene_name": ["alpha", "beta", "gamma"],
        "chrom": ["chr1", "chr1", "2"],
        "tss": [10, 2, 99],
        "strand": ["+", "-", "-"],
    }
)
SIZES = {"chr1": 50, "chr2": 100}


@pytest.fixture
def strands(tmp_path):
    """Forward: 1 on every base, NaN from 12 to 14; reverse: 10 on every base of chr1, 0 on chr2."""
    forward = {chrom: np.ones(size) for chrom, size in SIZES.items()}
    forward["chr1"][12:14] = np.nan
    reverse = {"chr1": np.full(50, 10.0), "chr2": np.zeros(100)}
    for name, signal in (("fwd", forward), ("rev", reverse)):
        write_bigwig(tmp_path / f"{name}.bw", signal, SIZES)
    return [open_bigwig(tmp_path / f"{name}.bw") for name in ("fwd", "rev")]


def test_cage_sums_by_hand(strands):
    forward, reverse = strands
    # Span 8: A is [6, 14) of which 2 bases are NaN; B [-2, 6) has 6 bases; C [95, 103) has 5.
    sums = sums_of_tracks([[forward], [reverse], strands], GENES, 8, "error")
    assert sums.tolist() == [[6, 6, 5], [80, 60, 0], [86, 66, 5]]
    own = sums_of_tracks([strands, [forward]], GENES, 8, "error", strand="own")
    # A is on +, B and C on -; a track without a partner has no strand.
    assert own.tolist() == [[6, 60, 0], [6, 6, 5]]
    assert sums_of_tracks([[forward]], GENES, 3, "error").tolist() == [[3, 3, 2]]


def test_replicates_are_averaged_before_the_transform(strands, tmp_path):
    fwd, rev = (tmp_path / f"{name}.bw" for name in ("fwd", "rev"))
    sizes = {"chr1": 50, "2": 100}
    for inputs, expected in (
        (LabelInputs(((fwd,),), span=8), [6, 6, 5]),
        (LabelInputs(((fwd, rev),), span=8), [86, 66, 5]),
        (LabelInputs(((fwd, rev),), span=8, strand="own"), [6, 60, 0]),
        (LabelInputs(((fwd, rev), (fwd, fwd)), span=8), [49, 39, 7.5]),
        (LabelInputs(((fwd,), (rev,), (rev,)), span=8), [166 / 3, 42, 5 / 3]),
    ):
        labels = read_labels(inputs, GENES, sizes, "error")
        np.testing.assert_allclose(labels.per_gene, np.log10(np.array(expected) + 1), rtol=1e-12)
        assert labels.lacking == {}


def test_a_negative_reverse_strand_is_read_without_its_sign(strands, tmp_path, caplog):
    signal = {"chr1": np.full(50, -10.0), "chr2": np.zeros(100)}
    write_bigwig(tmp_path / "minus.bw", signal, SIZES)
    minus = open_bigwig(tmp_path / "minus.bw")
    with caplog.at_level(logging.INFO):
        sums = sums_of_tracks([[strands[0], minus]], GENES, 8, "error")
    assert sums.tolist() == [[86, 66, 5]]
    assert "minus.bw: holds negative values; as one of two strands it is read wi" in caplog.text
    # A track of its own keeps its sign, and log10 refuses it.
    alone = LabelInputs(((tmp_path / "minus.bw",),), span=8)
    with pytest.raises(UserError, match=r"minus\.bw: holds -80, and log10\(x \+ 1\) is for values"):
        read_labels(alone, GENES, SIZES, "error")


def test_cage_track_without_the_chromosome(strands):
    genes = GENES.assign(chrom=["chr1", "chr1", "chr9"])
    with pytest.raises(UserError, match=r"fwd\.bw: no chromosome 'chr9', it has chr1, chr2"):
        sums_of_tracks([strands], genes, 8, "error")
    assert sums_of_tracks([strands], genes, 8, "zeros").tolist() == [[86, 66, 0]]


def test_sums_are_exact_in_double_precision(tmp_path):
    values = np.full(400, 0.1, dtype=np.float32)
    values[0] = 1e7
    write_bigwig(tmp_path / "x.bw", {"chr1": values}, {"chr1": 400})
    genes = GENES[:1].assign(tss=200)
    sums = sums_of_tracks([[open_bigwig(tmp_path / "x.bw")]], genes, 400, "error")
    assert sums[0, 0] == values.astype(np.float64).sum()


def table(folder, text, name="labels.tsv"):
    (folder / name).write_text(text)
    return folder / name


def of_table(path, *column, **settings):
    return labels_from_table(LabelInputs(table=path, column=column, **settings), GENES)


def test_table_by_id_without_version(tmp_path, caplog):
    path = table(
        tmp_path, "gene_id\tx*3\ty\nB.12\t9\t1\nZ\t5\t1\nA.1\t99\t1\nC\t\t1\n\t3\t1\n\t4\t1\n"
    )
    with caplog.at_level(logging.WARNING):
        labels = of_table(path, "x*3")
    np.testing.assert_array_equal(labels.per_gene, [2, 1, np.nan])
    assert labels.lacking == {"empty cell": 1}
    assert "labels.tsv: 1 of 3 genes have no label: empty cell" in caplog.text
    path = table(tmp_path, "ENSID,x\nA,-2\nC,3\n", "labels.csv")
    labels = of_table(path, "x", id_column="ENSID", transform="none")
    np.testing.assert_array_equal(labels.per_gene, [-2, np.nan, 3])
    assert labels.lacking == {"not in the table": 1}


def test_columns_are_averaged_before_the_transform(tmp_path):
    with gzip.open(tmp_path / "labels.tsv.gz", "wt") as handle:
        handle.write("gene_id\tr1\tr2\nA\t8\t10\nB\t\t10\nC\t99\t99\n")
    labels = of_table(tmp_path / "labels.tsv.gz", "r1", "r2")
    # A: log10(9 + 1); B has no number in r1.
    np.testing.assert_allclose(labels.per_gene, [1, np.nan, 2])
    assert labels.lacking == {"empty cell": 1}


def test_symbols_that_are_not_unique_belong_to_nobody(tmp_path):
    text = "name\ttpm\nalpha\t9\nbeta\t1\nbeta\t2\ngamma\t99\nAC1.1\t5\n"
    path = table(tmp_path, text)
    named = {"id_column": "name", "id_kind": "gene_name"}
    labels = of_table(path, "tpm", **named)
    np.testing.assert_array_equal(labels.per_gene, [1, np.nan, 2])
    assert labels.lacking == {"symbol of several genes or rows": 1}
    # Two genes of one symbol, a symbol that looks like a version, one that is not there.
    genes = pd.concat([GENES, GENES.assign(gene_id=["D", "E", "F"])], ignore_index=True)
    genes["gene_name"] = ["alpha", "alpha", "gamma", "AC1.1", "AC1", "AC1"]
    labels = labels_from_table(LabelInputs(table=path, column=("tpm",), **named), genes)
    np.testing.assert_allclose(labels.per_gene, [np.nan, np.nan, 2, np.log10(6), np.nan, np.nan])
    assert labels.lacking == {"not in the table": 2, "symbol of several genes or rows": 2}


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        (
            "gene_id\tK562\tGM\nA\t1\t2\n",
            "HepG2",
            r"no column 'HepG2'; the columns are gene_id, K562",
        ),
        ("id\tx\nA\t1\n", "x", r"no column 'gene_id'; the columns are id, x"),
        ("gene_id\tx\nA.1\t1\nA.2\t2\n", "x", r"gene 'A' occurs twice in 'gene_id'; keep one"),
        ("gene_id\tx\nA\t1\nB\thigh\n", "x", r"line 3, column 'x': 'high' is not a number"),
        ("gene_id\tx\nA\t-0.5\n", "x", r"column 'x': holds -0\.5, and log10.*set transform: none"),
        ("gene_id\tx\nA\tinf\n", "x", r"column 'x': holds an infinite value"),
        (
            "gene_id\tx\nGAPDH\t1\n",
            "x",
            r"none of the genes is in column 'gene_id' \('GAPDH' against 'A'\); set id_column",
        ),
        ("<html></html>", "x", r"an HTML page instead of text"),
        ("", "x", r"the file is empty"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, text, column, message):
    path = table(tmp_path, text)
    with pytest.raises(UserError, match=rf"labels\.tsv: {message}"):
        of_table(path, column)


def test_promoter_activity_is_the_geometric_mean_of_means():
    assert promoter_activity(np.array([1.0, 3.0]), np.array([8.0, 8.0])) == pytest.approx(4)
    assert promoter_activity(np.zeros(5), np.ones(5)) == 0


def test_real_labels(realdata):
    genes = pd.read_csv(realdata / "genes.tsv", sep="\t")
    path = realdata / "GM12878.expression.tsv"
    labels = labels_from_table(LabelInputs(table=path, column=("cage_tpm_384bp",)), genes).per_gene
    aak = genes.index[genes["gene_id"] == "ENSG00000000419"][0]
    assert labels[aak] == pytest.approx(np.log10(150.98478999999998), rel=1e-9)
    assert not np.isnan(labels).any()
    assert labels.min() == 0
