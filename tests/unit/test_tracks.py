"""Signals against the arrays they were written from, and bigWigs that are none."""

import numpy as np
import pybigtools
import pytest

from seq2exp import tracks
from seq2exp.errors import UserError
from seq2exp.tracks import check_assembly, open_bigwig, read_signal

from ..conftest import SIZES, write_bigwig


def slow_signal(values, start, end):
    inside = {i: 0 if np.isnan(v) else v for i, v in enumerate(values)}
    return [inside.get(i, 0) for i in range(start, end)]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 50),
        (-30, 40),
        (11_980, 12_050),
        (-10, 12_010),
        (990, 1_060),
        (-90, -40),
        (13_000, 13_009),
    ],
)
def test_signal_is_exact_with_zeros_for_nan_and_beyond(toy, start, end):
    track = open_bigwig(toy.path("dnase.bw"))
    values = read_signal(track, "chr1", start, end, missing="error")
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, slow_signal(toy.signals["dnase"]["chr1"], start, end))


def test_both_namings_and_missing_chromosomes(toy, tmp_path):
    track = open_bigwig(toy.path("dnase.bw"))
    bare = read_signal(track, "2", 5, 25, missing="error")
    np.testing.assert_array_equal(bare, toy.signals["dnase"]["chr2"][5:25])
    write_bigwig(tmp_path / "bare.bw", {"2": toy.signals["dnase"]["chr2"]}, {"2": 8_000})
    prefixed = read_signal(open_bigwig(tmp_path / "bare.bw"), "chr2", 5, 25, missing="error")
    np.testing.assert_array_equal(prefixed, bare)
    expected = (
        r"dnase\.bw: no chromosome 'chr9', it has chr1, chr2, chr3; .*missing_chromosome: zer"
    )
    with pytest.raises(UserError, match=expected):
        read_signal(track, "chr9", 0, 5, missing="error")
    assert read_signal(track, "chr9", 0, 5, missing="zeros").tolist() == [0] * 5


def test_assemblies():
    genome = {"chr1": 100, "chr2": 50}
    check_assembly({"chr1": 100, "chrUn": 3}, genome, "x.bw")
    check_assembly({"1": 100, "2": 50}, genome, "x.bw")
    with pytest.raises(
        UserError, match=r"x\.bw: 2 has 51 bp but the genome's chr2 has 50; the file"
    ):
        check_assembly({"1": 100, "2": 51}, genome, "x.bw")
    with pytest.raises(
        UserError, match=r"x\.bw: no chromosome in common with the genome \(a against"
    ):
        check_assembly({"a": 100}, genome, "x.bw")


def written_by_pybigtools(path):
    rng = np.random.default_rng(0)
    rows = [
        (chrom, start, start + 3, float(rng.random()))
        for chrom, size in SIZES.items()
        for start in range(0, size - 3, 3)
    ]
    pybigtools.open(str(path), "w").write(SIZES, iter(rows))


@pytest.mark.parametrize("writer", ["libBigWig", "pybigtools"])
def test_every_truncation_is_seen(toy, tmp_path, writer):
    """Header, chromosome table, data, index, zoom levels: at 300 places and each of the last 50."""
    path = tmp_path / "x.bw"
    if writer == "pybigtools":
        written_by_pybigtools(path)
    else:
        write_bigwig(path, toy.signals["dnase"], SIZES)
    assert open_bigwig(path).sizes == SIZES
    whole = path.read_bytes()
    # The last 4 bytes repeat the magic number and hold nothing.
    last = len(whole) - 5
    for size in {*np.linspace(0, last, 300).astype(int).tolist(), *range(last - 50, last + 1)}:
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"x\.bw: .*(truncated|empty|not a bigWig)"):
            open_bigwig(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"the file is empty; expected bigWig"),
        (b"<!doctype HTML><html>", r"an HTML page instead of bigWig"),
        (b"chr1\t0\t5\t1.0\n", r"not a bigWig file \(found text\)"),
        (b"\xeb\xf2\x89\x87" + bytes(80), r"not a bigWig file \(found bigBed\)"),
        (
            b"\x26\xfc\x8f\x88" + bytes(500),
            r"truncated or damaged bigWig \(504 bytes; chromosome t",
        ),
    ],
)
def test_not_a_bigwig(tmp_path, content, message):
    (tmp_path / "x.bw").write_bytes(content)
    with pytest.raises(UserError, match=rf"x\.bw: {message}"):
        open_bigwig(tmp_path / "x.bw")
    with pytest.raises(UserError, match=r"absent\.bw: no such file"):
        open_bigwig(tmp_path / "absent.bw")


def test_damage_in_the_middle_is_named(tmp_path):
    write_bigwig(
        tmp_path / "x.bw", {"chr1": np.random.default_rng(0).random(60_000)}, {"chr1": 60_000}
    )
    damaged = bytearray((tmp_path / "x.bw").read_bytes())
    data = int.from_bytes(damaged[16:24], "little")
    damaged[data + 10_000 : data + 20_000] = bytes(10_000)
    (tmp_path / "x.bw").write_bytes(damaged)
    with pytest.raises(UserError, match=r"x\.bw: damaged data at chr1:0-60000; get the file again"):
        read_signal(open_bigwig(tmp_path / "x.bw"), "chr1", 0, 60_000, missing="error")


def test_bedgraph_has_every_base_of_the_bigwig(tmp_path, monkeypatch):
    signal = {"c1": np.array([0.5, 0.5, np.nan, 2.25, 2.25, 1e-3], np.float32), "c2": np.ones(3)}
    write_bigwig(tmp_path / "s.bw", signal, {"c1": 8, "c2": 3})
    monkeypatch.setattr(tracks, "_PIECE", 4)
    tracks.write_bedgraph(tmp_path / "s.bw", tmp_path / "s.bedGraph")
    read = {"c1": np.full(8, np.nan), "c2": np.full(3, np.nan)}
    for line in (tmp_path / "s.bedGraph").read_text().splitlines():
        chrom, start, end, value = line.split("\t")
        assert np.isnan(read[chrom][int(start) : int(end)]).all()
        read[chrom][int(start) : int(end)] = float(value)
    np.testing.assert_allclose(read["c1"], [*signal["c1"], np.nan, np.nan], rtol=1e-5)
    np.testing.assert_array_equal(read["c2"], 1)
