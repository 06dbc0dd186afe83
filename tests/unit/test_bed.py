"""BED and narrowPeak: every way a line can be wrong, names, order, overlaps, other assemblies."""

import gzip

import numpy as np
import pandas as pd
import pytest

from seq2exp.bed import check_bed_assembly, merged_intervals, read_bed
from seq2exp.errors import UserError


def test_comments_and_extra_columns_are_left_out(tmp_path):
    text = "track name=x\n# c\n\nchr1\t5\t9\tHigh Signal Region\nchr2 0 1\n"
    (tmp_path / "b.bed").write_text(text)
    (tmp_path / "b.bed.gz").write_bytes(gzip.compress(text.encode()))
    for name in ("b.bed", "b.bed.gz"):
        rows = read_bed(tmp_path / name).to_numpy().tolist()
        assert rows == [["chr1", 5, 9], ["chr2", 0, 1]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("chr1\t5", r"line 2: 'chr1\\t5' has fewer than 3 columns; give BED"),
        ("chr1\t9\t9", r"line 2: 9-9 is not an interval \(0-based start < end\); give BED"),
        ("chr1\t-1\t9", r"line 2: -1-9 is not an interval"),
        ("chrom\tstart\tend", r"line 2: start-end is not an interval"),
    ],
)
def test_bad_lines(tmp_path, line, message):
    (tmp_path / "b.bed").write_text(f"chr1\t1\t2\n{line}\n")
    with pytest.raises(UserError, match=rf"b\.bed: {message}"):
        read_bed(tmp_path / "b.bed")


def test_truncated_gzip(tmp_path):
    whole = gzip.compress(b"chr1\t1\t2\n" * 1_000)
    (tmp_path / "b.bed.gz").write_bytes(whole[:-12])
    with pytest.raises(UserError, match=r"b\.bed\.gz: truncated or damaged \(.*get the file again"):
        read_bed(tmp_path / "b.bed.gz")


def frame(*rows):
    return pd.DataFrame(rows, columns=["chrom", "start", "end"])


def test_sorted_joined_and_under_the_wanted_names():
    table = frame(
        *[("1", 40, 50), ("chr1", 5, 9), ("1", 9, 12), ("1", 6, 8), ("1", 13, 14)],
        *[("2", 0, 1), ("chrUn", 3, 4), ("chr1", 45, 46), ("1", 49, 60)],
    )
    merged = merged_intervals(table, {"chr1", "2", "chr3"})
    assert {name: places.tolist() for name, places in merged.items()} == {
        "chr1": [[5, 12], [13, 14], [40, 60]],
        "2": [[0, 1]],
    }
    assert merged["chr1"].dtype == np.int64
    assert merged_intervals(frame(), {"chr1"}) == {}


def test_joined_covers_the_same_bases_as_a_slow_union():
    rng = np.random.default_rng(3)
    for _ in range(20):
        starts = rng.integers(0, 300, 25)
        ends = starts + rng.integers(1, 30, 25)
        table = frame(*zip(["c"] * 25, starts.tolist(), ends.tolist(), strict=True))
        (joined,) = merged_intervals(table, {"c"}).values()
        covered = sorted({i for s, e in zip(starts, ends, strict=True) for i in range(s, e)})
        assert [i for s, e in joined.tolist() for i in range(s, e)] == covered
        assert (joined[1:, 0] > joined[:-1, 1]).all()


def test_assembly_by_the_chromosomes_and_their_ends(tmp_path):
    path, sizes = tmp_path / "p.bed", {"chr1": 100, "chr2": 50}
    check_bed_assembly(frame(("1", 0, 100), ("chrUn", 0, 10**9)), sizes, path)
    with pytest.raises(UserError, match=r"p\.bed: an interval ends at 1:101, but chr1 has 100 bp"):
        check_bed_assembly(frame(("1", 0, 101), ("chr2", 0, 1)), sizes, path)
    with pytest.raises(UserError, match=r"no chromosome in common .*\(chrX against chr1, chr2\)"):
        check_bed_assembly(frame(("chrX", 0, 10)), sizes, path)
    with pytest.raises(UserError, match=r"p\.bed: holds no interval; get the file again"):
        check_bed_assembly(frame(), sizes, path)
