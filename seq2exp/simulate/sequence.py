"""The bases of the simulated chromosomes: background, genes, planted motif copies, N."""

from __future__ import annotations

import numpy as np

from seq2exp.simulate.grammar import (
    ACTIVE_MOTIF,
    MOTIF_LENGTH,
    PROMOTER_MOTIF,
    N,
    background,
    cell_line_motifs,
    coding_sequence,
    copy_offsets,
    encode,
    remove_chance_hits,
)
from seq2exp.simulate.layout import Layout, transcript_positions
from seq2exp.simulate.settings import Settings


def paint_genome(
    layout: Layout, promoter_copies: np.ndarray, settings: Settings, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return the base codes (uint8) of every chromosome.

    The active motif occurs nowhere but where it was planted; coding sequences are open reading
    frames in the transcript's direction.

    Parameters
    ----------
    promoter_copies : (gene, 1 + cell lines) copies of the promoter motifs.
    """
    motifs = [encode(m) for m in (PROMOTER_MOTIF, *cell_line_motifs(len(settings.cell_lines)))]
    genome = {}
    copies_of = dict(zip((g.gene_id for g in layout.genes), promoter_copies, strict=True))
    for chrom, length in layout.chrom_sizes.items():
        codes = background(length, rng)
        protected = np.zeros(length, dtype=bool)
        for start, end in layout.gaps[chrom]:
            codes[start:end] = N
            protected[start:end] = True
        for gene in (g for g in layout.genes if g.chrom == chrom):
            positions = transcript_positions(gene)[gene.utr5 : gene.utr5 + gene.cds]
            coding = coding_sequence(gene.cds // 3 - 1, rng)
            codes[positions] = coding if gene.strand == "+" else 3 - coding
            protected[positions] = True
            planted = [m for m, n in zip(motifs, copies_of[gene.gene_id], strict=True)
                       for _ in range(n)]  # fmt: skip
            start = gene.tss - settings.promoter // 2
            _plant(codes, protected, start, settings.promoter, planted, rng)
        for element in (e for e in layout.elements if e.chrom == chrom and e.copies):
            planted = [encode(element.motif)] * element.copies
            _plant(codes, protected, element.start, element.end - element.start, planted, rng)
        remove_chance_hits(codes, ACTIVE_MOTIF, protected)
        genome[chrom] = codes
    return genome


def _plant(
    codes: np.ndarray,
    protected: np.ndarray,
    start: int,
    length: int,
    motifs: list[np.ndarray],
    rng: np.random.Generator,
) -> None:
    """Write motif copies, in random order, at random places of [start, start + length)."""
    order = rng.permutation(len(motifs))
    for offset, i in zip(copy_offsets(length, len(motifs), rng), order, strict=True):
        site = slice(start + offset, start + offset + MOTIF_LENGTH)
        codes[site] = motifs[i]
        protected[site] = True
