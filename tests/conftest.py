"""A tiny genome with tracks, contacts, genes and labels, small enough to check by hand."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from seq2exp.config import PowerLaw, WindowConfig
from seq2exp.contacts import HiCInputs
from seq2exp.expression import LabelInputs
from seq2exp.hictk import load_hictkpy
from seq2exp.reference import prepare_genome
from seq2exp.store import build_store, open_store

SIZES = {"chr1": 12_000, "chr2": 8_000, "chr3": 5_100}
CONTACT_BIN = 500
FIRST_BIN = {"chr1": 0, "chr2": 24, "chr3": 40}

# gene, chromosome, TSS, strand: windows of 2,000 bp over both ends of chr1, two genes on one TSS,
# overlapping and touching windows, one alone.
GENES = [
    ("G1", "chr1", 300, "+"),
    ("G2", "chr1", 1_100, "-"),
    ("G3", "chr1", 1_100, "+"),
    ("G4", "chr1", 6_000, "-"),
    ("G5", "chr1", 8_000, "+"),
    ("G6", "chr1", 11_900, "-"),
    ("G7", "chr2", 4_000, "+"),
    ("G8", "chr3", 5_050, "+"),
]


# Out of order, spelled 1 and chr1, overlapping (1,150 to 1,400), over a window's end (7,000), and on a
# sequence that the genome lacks.
PEAKS = "".join(
    f"{chrom}\t{start}\t{end}\tp\t500\t.\t7.5\t-1\t-1\t50\n"
    for chrom, start, end in [
        *[("chr2", 3_900, 4_101), ("1", 1_150, 1_300), ("chr1", 200, 255), ("chr1", 1_290, 1_400)],
        *[("chr1", 6_950, 7_050), ("chrUn", 1, 900), ("chr3", 5_099, 5_100)],
    ]
)
IN_PEAKS = {
    "chr1": {*range(200, 255), *range(1_150, 1_400), *range(6_950, 7_050)},
    "chr2": {*range(3_900, 4_101)},
    "chr3": {5_099},
}


@dataclass(frozen=True)
class Toy:
    """Paths of the toy files, and the arrays they were written from."""

    folder: Path
    sequence: dict[str, str]
    signals: dict[str, dict[str, np.ndarray]]
    contacts: np.ndarray
    """Counts between the bins of chr1, chr2 and chr3, one after another."""
    window: WindowConfig = field(
        default_factory=lambda: WindowConfig(length=2_000, promoter_length=200)
    )

    def path(self, name: str) -> Path:
        return self.folder / name

    def inputs(self) -> dict:
        """Arguments of build_store but the output folder."""
        return {
            "cell_line": "Toy",
            "genome_name": "toy1",
            "fasta": self.path("genome.fa"),
            "chrom_sizes": self.path("chrom.sizes"),
            "genes_table": self.path("genes.tsv"),
            "blacklist": self.path("blacklist.bed"),
            "h3k27ac": self.path("h3k27ac.bw"),
            "dnase": self.path("dnase.bw"),
            "hic": HiCInputs(self.path("contacts.cool"), CONTACT_BIN, "NONE"),
            "labels": {
                "CAGE": LabelInputs(replicates=((self.path("cage.bw"),),), span=384),
                "RNA": LabelInputs(table=self.path("rna.tsv"), column=("rpkm",), transform="none"),
            },
            "window": self.window,
            "power_law": PowerLaw(bin=CONTACT_BIN),
            "peaks": self.path("peaks.narrowPeak"),
        }


def write_bigwig(path: Path, signal: dict[str, np.ndarray], sizes: dict[str, int]) -> None:
    """Write arrays; NaN bases are left out of the file."""
    with pyBigWig.open(str(path), "w") as out:
        out.addHeader(list(sizes.items()))
        for chrom, values in signal.items():
            known = np.flatnonzero(~np.isnan(values))
            for stretch in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
                if len(stretch):
                    out.addEntries(
                        chrom, int(stretch[0]), values=values[stretch].tolist(), span=1, step=1
                    )


def write_cooler(path: Path, sizes: dict[str, int], resolution: int, counts: np.ndarray) -> None:
    """Write a symmetric matrix of counts as .cool, without balancing weights."""
    first, second = np.nonzero(np.triu(counts))
    open_writer = load_hictkpy().cooler.FileWriter
    with open_writer(path, sizes, resolution, tmpdir=path.parent) as writer:
        values = counts[first, second].tolist()  # hictkpy 1.4 takes no array here
        pixels = {"bin1_id": first, "bin2_id": second, "count": values}
        writer.add_pixels_from_dict(pixels, sorted=True)


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Toy:
    """Three chromosomes with an N run, NaN in the tracks, two blacklisted regions."""
    folder = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(7)
    sequence = {c: "".join(rng.choice(list("ACGTacgt"), n)) for c, n in SIZES.items()}
    sequence["chr1"] = sequence["chr1"][:800] + "N" * 100 + sequence["chr1"][900:]
    (folder / "raw.fa").write_text(
        "".join(
            f">{c} toy\n" + "".join(s[i : i + 70] + "\n" for i in range(0, len(s), 70))
            for c, s in sequence.items()
        )
    )
    prepare_genome(folder / "raw.fa", folder / "genome.fa", folder / "chrom.sizes", None)
    signals = {}
    for name in ("h3k27ac", "dnase", "cage"):
        signals[name] = {c: rng.gamma(1, 2, n).astype(np.float32) for c, n in SIZES.items()}
        signals[name]["chr1"][1_000:1_050] = np.nan
        write_bigwig(folder / f"{name}.bw", signals[name], SIZES)
    bins = sum(-(-n // CONTACT_BIN) for n in SIZES.values())
    counts = rng.poisson(20, (bins, bins))
    counts = np.triu(counts) + np.triu(counts, 1).T
    write_cooler(folder / "contacts.cool", SIZES, CONTACT_BIN, counts)
    (folder / "blacklist.bed").write_text("chr1\t250\t260\tx\nchr1\t11990\t12000\nchr2\t0\t10\n")
    (folder / "peaks.narrowPeak").write_text(PEAKS)
    genes = pd.DataFrame(GENES, columns=["gene_id", "chrom", "tss", "strand"])
    genes.insert(1, "gene_name", genes["gene_id"].str.lower())
    genes.to_csv(folder / "genes.tsv", sep="\t", index=False)
    (folder / "rna.tsv").write_text("gene_id\trpkm\nG1.4\t-1.5\nG4\t2.25\nG7\t\nOTHER\t1\n")
    return Toy(folder, sequence, signals, counts)


def slow_window(toy, chrom, tss, length, shift=0):
    """One-hot (L, 4), signals (L, 3) and blacklist (L,), base by base; centre at tss + shift."""
    onehot, signals = np.zeros((length, 4)), np.zeros((length, 3))
    black = np.zeros(length, bool)
    regions = {"chr1": [*range(250, 260), *range(11_990, 12_000)], "chr2": [*range(10)]}
    tss_bin = FIRST_BIN[chrom] + tss // CONTACT_BIN
    for i in range(length):
        position = tss + shift - length // 2 + i
        if not 0 <= position < SIZES[chrom]:
            continue
        base = toy.sequence[chrom][position].upper()
        if base != "N":
            onehot[i, "ACGT".index(base)] = 1
        for column, name in enumerate(("h3k27ac", "dnase")):
            value = toy.signals[name][chrom][position]
            signals[i, column] = 0 if np.isnan(value) else np.float16(value)
        contact = toy.contacts[FIRST_BIN[chrom] + position // CONTACT_BIN, tss_bin]
        signals[i, 2] = np.float32(np.log10(1 + contact))
        black[i] = position in regions.get(chrom, ())
    return onehot, signals, black


@pytest.fixture(scope="session")
def toy_store_dir(toy, tmp_path_factory) -> Path:
    """The toy genome's window store (to be read only)."""
    folder = tmp_path_factory.mktemp("store") / "Toy"
    build_store(folder, **toy.inputs())
    return folder


@pytest.fixture(scope="session")
def toy_store(toy_store_dir):
    return open_store(toy_store_dir)


@pytest.fixture(scope="session")
def realdata() -> Path:
    """A folder of measured data that is not part of the project; tests skip without it."""
    default = Path(__file__).parents[2] / "shared" / "realdata"
    folder = Path(os.environ.get("SEQ2EXP_REALDATA", default))
    if not (folder / "genes.tsv").exists():
        pytest.skip("no real data: set SEQ2EXP_REALDATA")
    return folder


@pytest.fixture(scope="session")
def real_store(realdata, tmp_path_factory):
    """Window store of the measured chromosome 20, GM12878, 200 kb windows."""
    folder = tmp_path_factory.mktemp("real")
    prepare_genome(
        realdata / "hg19.chr20_chr22.fa.gz", folder / "genome.fa", folder / "sizes", ("chr20",)
    )
    genes = pd.read_csv(realdata / "genes.tsv", sep="\t").query("chrom == 'chr20'")
    genes.to_csv(folder / "genes.tsv", sep="\t", index=False)
    build_store(
        folder / "GM12878",
        cell_line="GM12878",
        genome_name="hg19",
        fasta=folder / "genome.fa",
        chrom_sizes=folder / "sizes",
        genes_table=folder / "genes.tsv",
        blacklist=realdata / "blacklist.bed",
        h3k27ac=realdata / "GM12878.H3K27ac.bw",
        dnase=realdata / "GM12878.DNase.bw",
        hic=HiCInputs(realdata / "GM12878.chr20.25kb.cool", 25_000, "weight"),
        labels={
            "CAGE": LabelInputs(
                table=realdata / "GM12878.expression.tsv", column=("cage_tpm_384bp",)
            )
        },
        window=WindowConfig(),
        power_law=PowerLaw(),
    )
    return open_store(folder / "GM12878")
