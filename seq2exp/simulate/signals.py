"""H3K27ac, DNase and CAGE signal of a cell line, as runs of constant value."""

from __future__ import annotations

import numpy as np

from seq2exp.simulate.layout import Layout
from seq2exp.simulate.settings import CAGE_HALF, Settings

ASSAYS = ("H3K27ac", "DNase")
MEDIAN_HEIGHT = {"H3K27ac": 0.8, "DNase": 0.5}
BACKGROUND_MEAN = {"H3K27ac": 0.03, "DNase": 0.01}
PROMOTER_SPREAD = 300  # bp, an element of this length would give a peak of the promoter's width
BLACKLIST_HEIGHT = 40.0
UNMAPPABLE_EVERY = 20_000  # bp of chromosome for each run without data


def peak_shape(offset: np.ndarray, length: int, assay: str) -> np.ndarray:
    """Return the peak of an element of ``length`` bp at ``offset`` bp from its middle, top 1.

    DNase is one narrow bump. H3K27ac sits on the nucleosomes at either side: two broad bumps
    half a length from the middle, with a shallow dip between them.
    """
    if assay == "DNase":
        return np.exp(-0.5 * (offset / (length / 5)) ** 2)
    sd = 0.35 * length
    bumps = [np.exp(-0.5 * ((offset - side * length / 2) / sd) ** 2) for side in (-1, 1)]
    return np.asarray(sum(bumps)) / (1 + np.exp(-0.5 * (length / sd) ** 2))


def element_heights(count: int, assay: str, rng: np.random.Generator) -> np.ndarray:
    """Draw the peak heights of open elements, active or decoy alike: log-normal."""
    return MEDIAN_HEIGHT[assay] * np.clip(rng.lognormal(0, 0.4, count), 0.4, 3)


def promoter_heights(strength: np.ndarray, assay: str, rng: np.random.Generator) -> np.ndarray:
    """Draw promoter peak heights (gene,), which follow the promoter strength with noise."""
    log_height = 0.5 * strength + rng.normal(0, 0.35, len(strength))
    return MEDIAN_HEIGHT[assay] * np.clip(np.exp(log_height), 0.25, 6)


def draw_tracks(
    layout: Layout,
    strength: np.ndarray,
    cell_index: int,
    assay: str,
    settings: Settings,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Draw one assay's signal in one cell line, a value every ``signal_step`` bp.

    Parameters
    ----------
    strength : (gene,) promoter strengths in this cell line.

    Returns
    -------
    For each chromosome (runs,) float32, NaN where nothing maps: N and some short stretches.
    """
    step = settings.signal_step
    tracks = {
        chrom: np.zeros(-(-length // step), dtype=np.float32)
        for chrom, length in layout.chrom_sizes.items()
    }
    elements = [e for e in layout.elements if e.open_in[cell_index]]
    for element, height in zip(elements, element_heights(len(elements), assay, rng), strict=True):
        centre = (element.start + element.end) / 2
        length = element.end - element.start
        _add_peak(tracks[element.chrom], centre, length, float(height), assay, step)
    heights = promoter_heights(strength, assay, rng)
    for gene, height in zip(layout.genes, heights, strict=True):
        _add_peak(tracks[gene.chrom], gene.tss, PROMOTER_SPREAD, float(height), assay, step)
    for chrom, track in tracks.items():
        track *= rng.lognormal(0, 0.15, len(track))
        track += rng.gamma(1.0, BACKGROUND_MEAN[assay], len(track))
        for start, end in layout.blacklist[chrom]:
            track[start // step : -(-end // step)] += BLACKLIST_HEIGHT
        track[:] = np.round(track, 2)
        _remove_unmapped(track, layout, chrom, step, rng)
    return tracks


def _add_peak(
    track: np.ndarray, centre: float, length: int, height: float, assay: str, step: int
) -> None:
    """Add, in place, a peak out to two element lengths from its centre."""
    first = max(int((centre - 2 * length) // step), 0)
    last = min(int((centre + 2 * length) // step) + 1, len(track))
    offset = (np.arange(first, last) + 0.5) * step - centre
    track[first:last] += height * peak_shape(offset, length, assay)


def _remove_unmapped(
    track: np.ndarray, layout: Layout, chrom: str, step: int, rng: np.random.Generator
) -> None:
    """Set NaN on N gaps and on random stretches outside promoters, exons and elements."""
    for start, end in layout.gaps[chrom]:
        track[start // step : -(-end // step)] = np.nan
    taken = layout.taken[chrom]
    for start in rng.integers(0, len(taken), size=len(taken) // UNMAPPABLE_EVERY).tolist():
        end = start + int(rng.integers(20, 200))
        if not taken[start:end].any():
            track[start // step : end // step + 1] = np.nan


def runs(track: np.ndarray, length: int, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return starts, ends and values of the runs of equal value, leaving out NaN."""
    change = np.flatnonzero(track[1:] != track[:-1]) + 1
    first = np.concatenate([[0], change])
    starts = first * step
    ends = np.minimum(np.concatenate([change, [len(track)]]) * step, length)
    kept = ~np.isnan(track[first])
    return starts[kept], ends[kept], track[first][kept].astype(float)


def cage_profile() -> np.ndarray:
    """Return the share of a gene's CAGE at each of the 384 bp of [tss - 192, tss + 192)."""
    offset = np.arange(-CAGE_HALF, CAGE_HALF)
    profile = np.exp(-np.abs(offset) / 25)
    return profile / profile.sum()
