"""Peaks of a simulated signal, as a peak caller with a cutoff sees them.

They are the elements open in the cell line, active or decoy alike, the promoters, and artefacts in
blacklisted regions.
"""

from __future__ import annotations

import numpy as np

CUTOFF = 0.1
"""Of the background, exp(-10) of the values reach it; the top of the lowest element is twice as high."""
MAX_GAP = 40
MIN_LENGTH = 100


def call_peaks(
    track: np.ndarray,
    step: int,
    length: int,
    *,
    cutoff: float = CUTOFF,
    max_gap: int = MAX_GAP,
    min_length: int = MIN_LENGTH,
) -> np.ndarray:
    """Join what is above a cutoff over short gaps, and drop what is short, as bdgpeakcall does.

    Parameters
    ----------
    track
        (runs,) signal of a chromosome, a value every ``step`` bp; NaN where there is no data.
    step, length
        bp; length of the chromosome.
    cutoff
        Least value of a base in a peak.
    max_gap, min_length
        bp: widest gap that is bridged, shortest peak.

    Returns
    -------
    int64 (peaks, 2)
        Start and end, 0-based half-open, in order.
    """
    above = np.nan_to_num(track) >= cutoff
    edges = np.flatnonzero(np.diff(above.astype(np.int8), prepend=0, append=0))
    starts, ends = edges[0::2] * step, np.minimum(edges[1::2] * step, length)
    apart = starts[1:] - ends[:-1] > max_gap
    peaks = np.column_stack(
        [starts[np.append(True, apart)[: len(starts)]], ends[np.append(apart, True)[: len(ends)]]]
    )
    return peaks[peaks[:, 1] - peaks[:, 0] >= min_length]
