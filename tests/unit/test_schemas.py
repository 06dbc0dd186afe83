"""Tables: what is read is what was written, and bad tables are one clear line."""

import gzip
import os

import numpy as np
import pandas as pd
import pytest

from seq2exp.errors import UserError
from seq2exp.schemas import (
    numbers,
    read_header,
    read_table,
    strip_version,
    whole_file,
    write_table,
)


def test_round_trip_keeps_text_numbers_and_gaps(tmp_path):
    frame = pd.DataFrame(
        {
            "gene_id": ["1", "NA"],
            "chrom": ["1", "X"],
            "fold3": ["", "test"],
            "observed": [1 / 3, np.nan],
            "tss": [248_956_421, 7],
        }
    )
    write_table(frame, tmp_path / "t.tsv")
    assert (tmp_path / "t.tsv").read_bytes() == (
        b"gene_id\tchrom\tfold3\tobserved\ttss\n1\t1\t\t0.33333333\t248956421\nNA\tX\ttest\t\t7\n"
    )
    back = read_table(tmp_path / "t.tsv", ["observed", "gene_id"])
    assert back.gene_id.tolist() == ["1", "NA"]
    assert back.fold3.tolist() == ["", "test"]
    assert back.chrom.tolist() == ["1", "X"]
    assert back.observed.iloc[0] == pytest.approx(1 / 3, abs=1e-8)
    assert np.isnan(back.observed.iloc[1])
    assert back.tss.tolist() == [248_956_421, 7]


def test_comma_and_gzip_by_name(tmp_path):
    (tmp_path / "a.csv").write_text("\ufeffid,x\nA,1\n")
    with gzip.open(tmp_path / "b.tsv.gz", "wt") as handle:
        handle.write("id\tx\nA\t1\n")
    for name in ("a.csv", "b.tsv.gz"):
        assert read_header(tmp_path / name) == ["id", "x"]
        assert read_table(tmp_path / name, ["id"]).x.tolist() == [1]


def test_separators_at_the_end_of_lines_are_no_column(tmp_path):
    # Roadmap's 57epigenomes.RPKM.pc.gz has them, but not in its header.
    (tmp_path / "t.tsv").write_text("gene_id\tE000\tE123\nENSG1\t23.5\t43\t\nENSG2\t1\t\t\n")
    table = read_table(tmp_path / "t.tsv", ["E123"])
    assert table.columns.tolist() == ["gene_id", "E000", "E123"]
    assert table["gene_id"].tolist() == ["ENSG1", "ENSG2"]
    np.testing.assert_array_equal(table["E123"], [43, np.nan])
    (tmp_path / "t.tsv").write_text("gene_id\tE000\nENSG1\t23.5\t\nENSG2\t1\t7\n")
    with pytest.raises(UserError, match=r"t\.tsv: not a readable table \(a line is longer than"):
        read_table(tmp_path / "t.tsv")
    (tmp_path / "t.tsv").write_text("gene_id\tE000\n")
    assert read_table(tmp_path / "t.tsv").shape == (0, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"t\.tsv: the file is empty; expected text or gzip"),
        (b"\n  <!DOCTYPE html><html>", r"t\.tsv: an HTML page instead of text"),
        (b"a\tb\n1\t2\n", r"t\.tsv: no column 'c'; the columns are a, b"),
        (b"c\tc\n1\t2\n", r"t\.tsv: column 'c' occurs twice"),
        (b"c\td\n1\t2\t3\n", r"t\.tsv: not a readable table"),
        (b"c\td\n1\t2\n1\t2\t3\n", r"t\.tsv: not a readable table \(.*line 3.*\); correct"),
        (b"c\td\n\xff\xfe\t2\n", r"t\.tsv: not UTF-8 text"),
        (b"\x1f\x8b\x08\x00\x00\x00", r"t\.tsv: not a readable table|not UTF-8"),
    ],
)
def test_bad_tables_are_one_line(tmp_path, content, message):
    (tmp_path / "t.tsv").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_table(tmp_path / "t.tsv", ["c"])
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UserError, match=r"nope\.tsv: no such file"):
        read_table(tmp_path / "nope.tsv")
    with pytest.raises(UserError, match="is a folder"):
        read_table(tmp_path)


def test_truncated_gzip_is_named(tmp_path):
    body = gzip.compress(b"a\tb\n" + os.urandom(4000).hex().encode() + b"\t1\n")
    (tmp_path / "t.tsv.gz").write_bytes(body[: len(body) // 2])
    with pytest.raises(UserError, match=r"t\.tsv\.gz: not a readable table"):
        read_table(tmp_path / "t.tsv.gz")


def test_numbers_names_line_column_and_value(tmp_path):
    frame = pd.DataFrame({"x": ["1", "2.5", None], "y": ["1", "oops", "3"]})
    np.testing.assert_array_equal(numbers(frame, "x", tmp_path / "t"), [1, 2.5, np.nan])
    with pytest.raises(UserError, match=r"t: line 3, column 'y': 'oops' is not a number"):
        numbers(frame, "y", tmp_path / "t")
    with pytest.raises(UserError, match=r"t: line 3, column 'x': '2.5' is not a whole number"):
        numbers(frame, "x", tmp_path / "t", whole=True)
    whole = numbers(frame.iloc[:1], "x", tmp_path / "t", whole=True)
    assert whole.dtype == np.int64


def test_whole_file_leaves_the_old_one_and_no_scraps_when_writing_fails(tmp_path):
    target = tmp_path / "out" / "t.txt"

    def write(text, fail):
        with whole_file(target) as temporary:
            temporary.write_text(text)
            if fail:
                raise RuntimeError("disk full")

    write("old", fail=False)
    with pytest.raises(RuntimeError, match="disk full"):
        write("new", fail=True)
    assert target.read_text() == "old"
    assert [p.name for p in target.parent.iterdir()] == ["t.txt"]


def test_gene_quantifications_of_encode(tmp_path):
    # RSEM's columns: ids of tRNAs are numbers, those of genes have versions.
    (tmp_path / "q.tsv").write_text(
        "gene_id\ttranscript_id(s)\tlength\teffective_length\texpected_count\tTPM\tFPKM\n"
        "10904\t10904\t93.00\t0.00\t0.00\t0.00\t0.00\n"
        "ENSG00000000003.14\tENST1.8,ENST2.1\t2206.00\t2100.30\t21.00\t0.61\t0.55\n"
        "ENSG00000002586.19_PAR_Y\tENST3.1\t1.00\t0.00\t0.00\t0.00\t0.00\n"
        "gSpikein_ERCC-00002\tg\t1061.00\t955.28\t0.00\t0.00\t0.00\n"
    )
    table = read_table(tmp_path / "q.tsv", ["gene_id", "TPM"])
    assert table["gene_id"].map(strip_version).tolist() == [
        "10904",
        "ENSG00000000003",
        "ENSG00000002586_PAR_Y",
        "gSpikein_ERCC-00002",
    ]
    assert table["TPM"].tolist() == [0, 0.61, 0, 0]
