"""The check of DNase peaks: figures by hand on the toy genome, findings, measured data."""

import numpy as np
import pandas as pd
import pytest

from seq2exp.config import WindowConfig
from seq2exp.doctor.cell_line import CellLine, Reference, check_cell_line
from seq2exp.doctor.checkup import Checkup
from seq2exp.doctor.peaks import LOW_ENRICHMENT, LOW_PROMOTERS, note_peaks
from seq2exp.reference import read_chrom_sizes
from seq2exp.tracks import open_bigwig

from ..conftest import GENES, IN_PEAKS, SIZES

TABLE = pd.DataFrame(GENES, columns=["gene_id", "chrom", "tss", "strand"])
PEAKS = "peaks.narrowPeak"


def examined(path, dnase=None, genes=TABLE, sizes=SIZES, length=2_000, promoter_length=200):
    checkup = Checkup("Toy")
    lengths = {"length": length, "promoter_length": promoter_length}
    note_peaks(checkup, path, genes, sizes, dnase, **lengths)
    return checkup


def test_figures_by_hand(toy):
    checkup = examined(toy.path(PEAKS), open_bigwig(toy.path("dnase.bw")))
    assert checkup.get("peaks", "peaks") == 5  # two overlap, one lies on another sequence
    assert checkup.get("peaks", "chromosomes") == "3/3"
    # Of [tss - 100, tss + 100): G1 (55 bases), G2 and G3 (50), G7 (all), G8 (1); not G4 to G6.
    assert checkup.get("peaks", "promoters") == 5 / 8
    within = total = bases = 0.0
    for _, chrom, tss, _ in GENES:
        for position in range(tss - 1_000, tss + 1_000):
            inside = position in IN_PEAKS[chrom]
            bases += inside
            if 0 <= position < SIZES[chrom]:
                value = np.nan_to_num(toy.signals["dnase"][chrom][position])
                total += value
                within += value * inside
    assert checkup.get("peaks", "in_peaks") == pytest.approx(bases / 16_000)
    expected = (within / bases) / (total / 16_000)
    assert checkup.get("peaks", "enrichment") == pytest.approx(expected, rel=1e-5)
    # Random peaks over noise: as high in them as anywhere.
    assert expected < LOW_ENRICHMENT
    (finding,) = checkup.findings
    assert finding.level == "warning"
    assert finding.text.startswith(f"DNase in them is {expected:.2g} times that around genes")


@pytest.mark.parametrize(
    ("peaks", "words"),
    [
        ("chr1 6900 7100", ["no peak on chr2, chr3, where 2 genes are", "only 0% of the genes"]),
        # All but the 700 + 900 + 950 of 16,000 bases that are off the chromosomes.
        ("chr1 0 12000\nchr2 0 8000\nchr3 0 5100", ["84.06% of the bases", "a higher cutoff"]),
        # Two bases in the windows of G1, G2 and G3.
        ("chr1 300 302\nchr2 9 10\nchr3 0 1", ["0.04% of the bases", "a lower cutoff"]),
    ],
)
def test_odd_peaks(tmp_path, peaks, words):
    (tmp_path / "p.bed").write_text(peaks + "\n")
    text = " ".join(finding.text for finding in examined(tmp_path / "p.bed").findings)
    assert not [word for word in words if word not in text], text


def test_another_assembly_is_an_error_and_the_examination_goes_on(toy, tmp_path):
    (tmp_path / "p.bed").write_text("chr2\t7990\t8001\n")
    reference = Reference(SIZES, TABLE, pd.DataFrame({"reason": []}))
    tracks = {"h3k27ac": toy.path("h3k27ac.bw"), "dnase": toy.path("dnase.bw"), "hic": None}
    window = WindowConfig(length=2_000, promoter_length=200)

    def check(peaks, absent=()):
        cell_line = CellLine("Toy", **tracks, labels={}, peaks=peaks, absent=dict(absent))
        return check_cell_line(cell_line, reference, window)[0]

    (error,) = check(tmp_path / "p.bed").errors()
    assert error.item == "peaks"
    assert error.text.endswith(
        "p.bed: an interval ends at chr2:8001, but chr2 has 8000 bp; the file is of another "
        "assembly, get the one of this genome"
    )
    absent = check(toy.path(PEAKS), [(toy.path(PEAKS), "not fetched yet")])
    assert absent.get("peaks", "state") == "not fetched yet"
    assert absent.get("peaks", "peaks") is None
    without_dnase = check(toy.path(PEAKS), [(tracks["dnase"], "no such file")])
    assert without_dnase.get("peaks", "promoters") == 5 / 8
    assert without_dnase.get("peaks", "enrichment") is None


def test_measured_peaks(realdata, tmp_path):
    """ENCODE's peaks of K562 lie where DNase is, and no longer when moved by 100 kb."""
    genes = pd.read_csv(realdata / "genes.tsv", sep="\t")
    sizes = read_chrom_sizes(realdata / "chrom.sizes")
    dnase = open_bigwig(realdata / "K562.DNase.bw")
    given = (dnase, genes, sizes, 200_000, 2_000)
    own = examined(realdata / "K562.DNase.peaks.bed.gz", *given)
    assert own.findings == []
    assert own.get("peaks", "enrichment") > 10
    assert own.get("peaks", "promoters") > 2 * LOW_PROMOTERS
    table = pd.read_csv(realdata / "K562.DNase.peaks.bed.gz", sep="\t", header=None)
    table[[1, 2]] += 100_000
    table = table[table[2] <= table[0].map(sizes)]
    table.to_csv(tmp_path / "moved.bed", sep="\t", header=False, index=False)
    (finding,) = examined(tmp_path / "moved.bed", *given).findings
    assert "probably of another assembly" in finding.text
