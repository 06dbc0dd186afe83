"""How often an element meets a TSS: the law of the simulation and its noisy matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seq2exp.hictk import load_hictkpy
from seq2exp.simulate.settings import Settings


def contact(distance: np.ndarray | float, settings: Settings) -> np.ndarray:
    """Return the expected contact of two places, 1 when near.

    ``c(d) = (max(d, d0) / d0) ** -gamma`` with d0 = window / 8 and gamma = contact_exponent:
    with the defaults 1 up to 250 bp, .59 at 500 bp, and .35 at 1 kb, the edge of the window.
    """
    scale = settings.contact_scale
    distances = np.maximum(np.abs(np.asarray(distance, dtype=float)), scale)
    return (distances / scale) ** -settings.contact_exponent


def contact_counts(
    length: int, unknown: np.ndarray, settings: Settings, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the contact counts of one chromosome, for pairs up to two windows apart.

    Parameters
    ----------
    length : bp of the chromosome.
    unknown : (bins,) bool, bins that are mostly N: no read maps there.

    Returns
    -------
    Bin numbers (first <= second, sorted) within the chromosome and the counts above 0, each a
    Poisson draw around contact_depth * c(distance of the bins).
    """
    resolution = settings.contact_resolution
    bins = -(-length // resolution)
    offsets = np.arange(min(2 * settings.window // resolution + 1, bins))
    means = settings.contact_depth * contact(offsets * resolution, settings)
    counts = rng.poisson(means, size=(bins, len(offsets)))
    first = np.repeat(np.arange(bins), len(offsets))
    second = first + np.tile(offsets, bins)
    count = counts.ravel()
    kept = (second < bins) & (count > 0)
    first, second, count = first[kept], second[kept], count[kept]
    known = ~(unknown[first] | unknown[second])
    return first[known], second[known], count[known]


def write_contacts(
    path: Path,
    chrom_sizes: dict[str, int],
    gaps: dict[str, list[tuple[int, int]]],
    settings: Settings,
    rng: np.random.Generator,
) -> None:
    """Write a .cool file of raw counts, without balancing weights.

    ``gaps`` holds the N runs of each chromosome (0-based half-open).
    """
    resolution = settings.contact_resolution
    open_writer = load_hictkpy().cooler.FileWriter
    with open_writer(path, chrom_sizes, resolution, tmpdir=path.parent) as writer:
        first_bin = 0
        for chrom, length in chrom_sizes.items():
            bins = -(-length // resolution)
            unknown = np.zeros(bins, dtype=bool)
            for start, end in gaps[chrom]:
                unknown[round(start / resolution) : round(end / resolution)] = True
            first, second, count = contact_counts(length, unknown, settings, rng)
            pixels = {
                "bin1_id": first + first_bin,
                "bin2_id": second + first_bin,
                "count": count.tolist(),  # hictkpy 1.4 takes no array here
            }
            writer.add_pixels_from_dict(pixels, sorted=True)
            first_bin += bins
