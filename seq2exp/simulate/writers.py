"""The simulated genome in the file formats of real sources."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig

from seq2exp.simulate.grammar import LETTERS
from seq2exp.simulate.layout import Element, Gene, Layout, blocks, transcript_positions
from seq2exp.simulate.peaks import call_peaks
from seq2exp.simulate.settings import CAGE_HALF, Settings
from seq2exp.simulate.signals import cage_profile, runs

LINE = 50  # bases a FASTA line, as UCSC has it
LOWER = np.uint8(32)


def write_gzip(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a gzip file whose bytes depend on nothing but ``chunks`` (no time, no name)."""
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", 4, raw, mtime=0) as file:
        for chunk in chunks:
            file.write(chunk)


def write_fasta(path: Path, genome: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    """Write base codes as .fa.gz, with random soft-masked (lower-case) stretches."""
    write_gzip(path, (_fasta_record(chrom, codes, rng) for chrom, codes in genome.items()))


def _fasta_record(chrom: str, codes: np.ndarray, rng: np.random.Generator) -> bytes:
    letters = LETTERS[codes]
    edges = np.cumsum(rng.integers(100, 1_000, size=2 * (len(codes) // 2_000)))
    for start, end in edges.reshape(-1, 2):
        letters[start:end] |= LOWER
    whole = len(letters) // LINE * LINE
    lines = np.full((whole // LINE, LINE + 1), ord("\n"), dtype=np.uint8)
    lines[:, :LINE] = letters[:whole].reshape(-1, LINE)
    rest = letters[whole:].tobytes() + b"\n" if whole < len(letters) else b""
    return f">{chrom}\n".encode() + lines.tobytes() + rest


def write_annotation(path: Path, genes: list[Gene]) -> None:
    """Write a GENCODE-like GTF (1-based closed): CDS without, UTR with the stop codon."""
    header = b"##description: simulated genome\n##format: gtf\n"
    write_gzip(path, [header, *(line for gene in genes for line in _gtf_lines(gene))])


def _gtf_lines(gene: Gene) -> Iterator[bytes]:
    positions = transcript_positions(gene)
    cds_end = gene.utr5 + gene.cds - 3
    features = [
        ("exon", positions),
        ("CDS", positions[gene.utr5 : cds_end]),
        ("start_codon", positions[gene.utr5 : gene.utr5 + 3]),
        ("stop_codon", positions[cds_end : cds_end + 3]),
        ("UTR", positions[: gene.utr5]),
        ("UTR", positions[cds_end:]),
    ]
    span = (gene.exons[0][0], gene.exons[-1][1])
    shared = f'gene_type "protein_coding"; gene_name "{gene.gene_name}";'
    transcript = (
        f'gene_id "{gene.gene_id}.1"; transcript_id "{gene.gene_id.replace("G", "T")}.1"; '
        f'{shared} transcript_type "protein_coding"; '
        f'transcript_name "{gene.gene_name}-201"; tag "basic"; tag "Ensembl_canonical";'
    )
    yield _gtf_line(gene, "gene", span, ".", f'gene_id "{gene.gene_id}.1"; {shared}')
    yield _gtf_line(gene, "transcript", span, ".", transcript)
    for name, where in features:
        for block in blocks(where):
            first = block[0] if gene.strand == "+" else block[1] - 1
            # The phase: bases to skip to the next codon, from the block's 5' end.
            phase = -int(np.flatnonzero(where == first)[0]) % 3
            frame = str(phase) if name in ("CDS", "start_codon", "stop_codon") else "."
            yield _gtf_line(gene, name, block, frame, transcript)


def _gtf_line(
    gene: Gene, feature: str, span: tuple[int, int], frame: str, attributes: str
) -> bytes:
    start, end = span
    fields = [gene.chrom, "SIM", feature, start + 1, end, ".", gene.strand, frame, attributes]
    return ("\t".join(map(str, fields)) + "\n").encode()


def write_bigwig(
    path: Path,
    chrom_sizes: dict[str, int],
    intervals: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> None:
    """Write (starts, ends, values) of each chromosome as bigWig; elsewhere there is no data."""
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(chrom_sizes.items()))
        for chrom, (starts, ends, values) in intervals.items():
            names = np.full(len(starts), chrom)
            file.addEntries(names, starts, ends=ends, values=values)


def write_track(
    path: Path, chrom_sizes: dict[str, int], tracks: dict[str, np.ndarray], step: int
) -> None:
    """Write a signal that has a value every ``step`` bp as bigWig."""
    found = {chrom: runs(track, chrom_sizes[chrom], step) for chrom, track in tracks.items()}
    write_bigwig(path, chrom_sizes, found)


def write_peaks(
    path: Path, chrom_sizes: dict[str, int], tracks: dict[str, np.ndarray], step: int
) -> None:
    """Write the peaks of a signal that has a value every ``step`` bp: BED4, numbered in order."""
    rows = [
        (chrom, start, end)
        for chrom, track in tracks.items()
        for start, end in call_peaks(track, step, chrom_sizes[chrom])
    ]
    table = pd.DataFrame(rows)
    table["name"] = [f"peak_{i}" for i in range(1, len(table) + 1)]
    write_table(path, table, header=False)


def write_cage(path: Path, layout: Layout, labels: pd.Series) -> None:
    """Write CAGE bigWig whose sum over [tss - 192, tss + 192) is 10 ** label - 1.

    Parameters
    ----------
    labels : label of each gene id.
    """
    intervals = {}
    profile = cage_profile()
    by_chrom: dict[str, list[Gene]] = {}
    for gene in layout.genes:
        by_chrom.setdefault(gene.chrom, []).append(gene)
    for chrom, genes in by_chrom.items():
        starts = [np.arange(gene.tss - CAGE_HALF, gene.tss + CAGE_HALF) for gene in genes]
        values = [profile * (10 ** labels[gene.gene_id] - 1) for gene in genes]
        start = np.concatenate(starts)
        intervals[chrom] = (start, start + 1, np.concatenate(values))
    write_bigwig(path, layout.chrom_sizes, intervals)


def write_table(path: Path, table: pd.DataFrame, header: bool = True) -> None:
    """Write a tab-separated table; truth values as True and False, 10 significant digits."""
    table.to_csv(path, sep="\t", index=False, header=header, float_format="%.10g")


def write_blacklist(path: Path, blacklist: dict[str, list[tuple[int, int]]]) -> None:
    """Write a BED4 like the ENCODE blacklist's."""
    rows = [
        (c, *place, "High Signal Region") for c, places in blacklist.items() for place in places
    ]
    write_table(path, pd.DataFrame(rows), header=False)


def write_elements(path: Path, elements: list[Element], settings: Settings) -> None:
    """Write the planted elements: BED6, then kind, cell lines where open, motif, copies."""
    most = settings.motif_copies[1]
    rows = [
        (
            *(element.chrom, element.start, element.end, element.name),
            1_000 * element.copies // most if element.kind == "active" else 0,
            *(".", element.kind),
            ",".join(
                c for c, flag in zip(settings.cell_lines, element.open_in, strict=True) if flag
            ),
            *(element.motif or ".", element.copies),
        )
        for element in elements
    ]
    write_table(path, pd.DataFrame(rows), header=False)


def label_table(expression: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Return one row a gene: {cell}_CAGE, the sum over 384 bp (not logged), and {cell}_RNA, logged.

    These are the scales of the published tables: CAGE is logged by the reader, RNA is not.
    """
    table = pd.DataFrame({"gene_id": expression["gene_id"].unique()})
    for cell_line in settings.cell_lines:
        own = expression[expression["cell_line"] == cell_line]
        table[f"{cell_line}_CAGE"] = 10 ** own["label"].to_numpy() - 1
        table[f"{cell_line}_RNA"] = own["rna"].to_numpy()
    return table
