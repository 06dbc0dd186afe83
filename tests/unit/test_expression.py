"""Labels worked out by hand, and tables that do not fit."""

import numpy as np
import pandas as pd
import pytest

from seq2exp.errors import UserError
from seq2exp.expression import label_from_bigwig, label_from_table, promoter_activity
from seq2exp.tracks import open_bigwig

from ..conftest import write_bigwig

GENES = pd.DataFrame(
    {"gene_id": ["A", "B.7", "C"], "chrom": ["chr1", "chr1", "2"], "tss": [10, 2, 99]}
)


@pytest.fixture
def strands(tmp_path):
    """Forward: 1 on every base, NaN from 12 to 14; reverse: 10 on every base of chr1, 0 on chr2."""
    sizes = {"chr1": 50, "chr2": 100}
    forward = {chrom: np.ones(size) for chrom, size in sizes.items()}
    forward["chr1"][12:14] = np.nan
    reverse = {"chr1": np.full(50, 10.0), "chr2": np.zeros(100)}
    for name, signal in (("fwd", forward), ("rev", reverse)):
        write_bigwig(tmp_path / f"{name}.bw", signal, sizes)
    return [open_bigwig(tmp_path / f"{name}.bw") for name in ("fwd", "rev")]


def test_cage_sums_by_hand(strands):
    # Span 8: A is [6, 14) of which 2 bases are NaN; B [-2, 6) has 6 bases; C [95, 103) has 5.
    one = label_from_bigwig(strands[:1], GENES, 8, "none", "error")
    assert one.tolist() == [6, 6, 5]
    both = label_from_bigwig(strands, GENES, 8, "none", "error")
    assert both.tolist() == [86, 66, 5]
    logs = label_from_bigwig(strands, GENES, 8, "log10_1p", "error")
    np.testing.assert_allclose(logs, np.log10([87, 67, 6]), rtol=1e-12)
    assert label_from_bigwig(strands[:1], GENES, 3, "none", "error").tolist() == [3, 3, 2]


def test_cage_track_without_the_chromosome(strands):
    genes = GENES.assign(chrom=["chr1", "chr1", "chr9"])
    with pytest.raises(UserError, match=r"fwd\.bw: no chromosome 'chr9', it has chr1, chr2"):
        label_from_bigwig(strands, genes, 8, "none", "error")
    assert label_from_bigwig(strands, genes, 8, "none", "zeros").tolist() == [86, 66, 0]


def test_sums_are_exact_in_double_precision(tmp_path):
    values = np.full(400, 0.1, dtype=np.float32)
    values[0] = 1e7
    write_bigwig(tmp_path / "x.bw", {"chr1": values}, {"chr1": 400})
    genes = GENES[:1].assign(tss=200)
    label = label_from_bigwig([open_bigwig(tmp_path / "x.bw")], genes, 400, "none", "error")
    assert label[0] == values.astype(np.float64).sum()


def table(folder, text, name="labels.tsv"):
    (folder / name).write_text(text)
    return folder / name


def test_table_by_id_without_version(tmp_path):
    path = table(tmp_path, "gene_id\tx*3\ty\nB.12\t9\t1\nZ\t5\t1\nA.1\t99\t1\nC\t\t1\n")
    labels = label_from_table(path, GENES, "x*3", "gene_id", "log10_1p")
    np.testing.assert_array_equal(labels, [2, 1, np.nan])
    path = table(tmp_path, "ENSID,x\nA,-2\nC,3\n", "labels.csv")
    labels = label_from_table(path, GENES, "x", "ENSID", "none")
    np.testing.assert_array_equal(labels, [-2, np.nan, 3])


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
            r"none of the genes is in column 'gene_id' \('GAPDH' against",
        ),
        ("<html></html>", "x", r"an HTML page instead of text"),
        ("", "x", r"the file is empty"),
    ],
)
def test_tables_that_do_not_fit(tmp_path, text, column, message):
    path = table(tmp_path, text)
    with pytest.raises(UserError, match=rf"labels\.tsv: {message}"):
        label_from_table(path, GENES, column, "gene_id", "log10_1p")


def test_promoter_activity_is_the_geometric_mean_of_means():
    assert promoter_activity(np.array([1.0, 3.0]), np.array([8.0, 8.0])) == pytest.approx(4)
    assert promoter_activity(np.zeros(5), np.ones(5)) == 0


def test_real_labels(realdata):
    genes = pd.read_csv(realdata / "genes.tsv", sep="\t")
    path = realdata / "GM12878.expression.tsv"
    labels = label_from_table(path, genes, "cage_tpm_384bp", "gene_id", "log10_1p")
    aak = genes.index[genes["gene_id"] == "ENSG00000000419"][0]
    assert labels[aak] == pytest.approx(np.log10(150.98478999999998), rel=1e-9)
    assert not np.isnan(labels).any()
    assert labels.min() == 0
