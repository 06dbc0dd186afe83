"""DNase peaks: whether they are of this genome, lie where DNase is high, and reach promoters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from seq2exp.bed import check_bed_assembly, merged_intervals, read_bed
from seq2exp.doctor.checkup import Checkup
from seq2exp.doctor.signals import Window, gene_windows
from seq2exp.tracks import Track, read_signal

ITEM = "peaks"
LOW_ENRICHMENT = 2.0
"""DNase in peaks over its mean around genes. ENCODE peaks of K562 and GM12878 (hg19, 932 genes of chr20
and chr22, 200 kb): 39 and 40 with their own DNase, 20 and 18 with the other's, 0.7 to 1.3 when moved by
100 kb. Wide peaks have less: those of 15% of the bases 6.7 at most."""
LOW_PROMOTERS = 0.3
"""Share of genes with a peak in the promoter (2 kb): .81 and .76 there, .22 and .19 when moved."""
USUAL_SHARES = (0.002, 0.5)
"""Shares of bases in peaks: .025 there; the paper's masks from MACS3 have .14 and .16."""


def note_peaks(
    checkup: Checkup,
    path: Path,
    genes: pd.DataFrame,
    sizes: Mapping[str, int],
    dnase: Track | None,
    *,
    length: int,
    promoter_length: int,
) -> None:
    """Take the figures of a file of peaks, and find what is odd about them.

    Parameters
    ----------
    checkup
        Gets ``peaks`` (how many, joined where they overlap), ``chromosomes`` (with genes that have
        any), ``in_peaks`` (share of the windows' bases), ``promoters`` (share of genes with a peak
        in the promoter), ``enrichment`` (mean DNase in peaks over that of the windows).
    path
        BED or narrowPeak.
    genes, sizes
        ``chrom`` and ``tss`` of the genes; length of each chromosome of the genome.
    dnase
        The cell line's DNase, where it is there.
    length, promoter_length
        bp around each TSS.

    Raises
    ------
    UserError
        The file is unreadable or of another assembly.
    """
    table = read_bed(path)
    check_bed_assembly(table, sizes, path)
    peaks = merged_intervals(table, genes["chrom"].unique())
    windows = gene_windows(genes, length)
    promoters = gene_windows(genes, promoter_length, most=promoter_length * max(len(genes), 1))
    masks = [bases_in(peaks, window) for window in windows]
    checkup.note(
        ITEM,
        peaks=sum(map(len, peaks.values())),
        chromosomes=f"{len(peaks)}/{genes['chrom'].nunique()}",
        in_peaks=float(np.mean([mask.mean() for mask in masks])),
        promoters=float(np.mean([bases_in(peaks, window).any() for window in promoters])),
    )
    if dnase is not None:
        enrichment = signal_enrichment(dnase, windows, masks)
        if enrichment is not None:
            checkup.note(ITEM, enrichment=enrichment)
    lacking = sorted(set(genes["chrom"]) - set(peaks))
    if lacking:
        checkup.say(
            "warning",
            ITEM,
            f"no peak on {', '.join(lacking)}, where {genes['chrom'].isin(lacking).sum()} genes "
            "are; call peaks on the whole genome, or drop it from genome.chromosomes",
        )
    _judge(checkup)


def bases_in(peaks: Mapping[str, np.ndarray], window: Window) -> np.ndarray:
    """Which bases of a window lie in peaks (from ``merged_intervals``): bool (bases,)."""
    inside = np.zeros(window.end - window.start, dtype=bool)
    places = peaks.get(window.chrom, np.zeros((0, 2), dtype=np.int64))
    touching = (places[:, 0] < window.end) & (places[:, 1] > window.start)
    for start, end in places[touching] - window.start:
        inside[max(start, 0) : end] = True
    return inside


def signal_enrichment(track: Track, windows: list[Window], masks: list[np.ndarray]) -> float | None:
    """Mean signal of the windows' bases in peaks, over that of all; None where either is 0."""
    within = total = 0.0
    for window, mask in zip(windows, masks, strict=True):
        values = read_signal(track, *window, missing="zeros")
        within += values[mask].sum(dtype=np.float64)
        total += values.sum(dtype=np.float64)
    inside = sum(int(mask.sum()) for mask in masks)
    bases = sum(len(mask) for mask in masks)
    return float(within / inside / (total / bases)) if inside and total else None


def _judge(checkup: Checkup) -> None:
    share, promoters = checkup.get(ITEM, "in_peaks"), checkup.get(ITEM, "promoters")
    enrichment = checkup.get(ITEM, "enrichment")
    assert isinstance(share, float)
    assert isinstance(promoters, float)
    if isinstance(enrichment, float) and enrichment < LOW_ENRICHMENT:
        checkup.say(
            "warning",
            ITEM,
            f"DNase in them is {enrichment:.2g} times that around genes (usual is 5 or more): they "
            "are probably of another assembly; check where the file comes from",
        )
    elif not USUAL_SHARES[0] <= share <= USUAL_SHARES[1]:
        much = share > USUAL_SHARES[1]
        checkup.say(
            "warning",
            ITEM,
            f"{share:.2%} of the bases around genes are in peaks (usual is 2 to 20%); call them "
            f"with a {'higher' if much else 'lower'} cutoff",
        )
    elif promoters < LOW_PROMOTERS:
        checkup.say(
            "warning",
            ITEM,
            f"only {promoters:.0%} of the genes have a peak in the promoter (usual is half or more): "
            "the peaks or the TSSs are of another assembly, or the cutoff is too high",
        )
