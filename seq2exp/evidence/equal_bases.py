"""Peaks and mask at equal numbers of bases: which of the two lies more in reference regions.

In each gene's window the peaks take some bases outside the promoter. The mask is given as many, its
highest; and so are its two parts, and DNase itself.

Axes: S scores (the peaks are the first), F references, G genes, R bootstrap samples.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from seq2exp.evidence.references import by_chromosome, cover
from seq2exp.masks import TRACKS, MaskStore
from seq2exp.planted import windows
from seq2exp.store import WindowStore

PEAKS = "peaks"
SCORES = (*TRACKS, "dnase")
SAMPLES = 1_000
EQUAL_COLUMNS = (
    *("score", "reference", "genes", "bases"),
    *("overlap", "overlap_low", "overlap_high", "gain", "gain_low", "gain_high"),
)


def equal_bases(
    store: WindowStore,
    masks: MaskStore,
    peaks: pd.DataFrame,
    references: Mapping[str, pd.DataFrame],
    gene_ids: list[str],
    *,
    promoter_length: int,
    samples: int = SAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """Share of the peaks' bases, and of as many with the highest score, in each reference.

    Bases that share the lowest score taken count in proportion, as if drawn among them.

    Parameters
    ----------
    store, masks
        The cell line's windows, and the masks of a model.
    peaks, references
        From :func:`seq2exp.evidence.references.read_regions`.
    gene_ids
        Genes with a mask.
    promoter_length
        bp in the middle that are left out, as N, blacklisted bases and those off the chromosome.
    samples, seed
        Of the bootstrap over genes.

    Returns
    -------
    DataFrame
        EQUAL_COLUMNS, a row a score and reference: ``overlap``, the share of bases in the
        reference, and ``gain``, the same less that of the peaks, with 95% bootstrap intervals.
        Empty where no peak is in any window.
    """
    names = [PEAKS, *(name for name in SCORES if getattr(masks, name, True) is not None)]
    called = by_chromosome(peaks)
    places = [by_chromosome(table) for table in references.values()]
    counts, hits = [], []
    half = promoter_length // 2
    for window in windows(store, masks, gene_ids, masks.length):
        usable = window.usable.copy()
        usable[masks.length // 2 - half : masks.length // 2 + half] = False
        where = (window.chrom, window.start, masks.length)
        in_peaks = np.diff(cover(called, *where)).astype(bool)[usable]
        count = int(in_peaks.sum())
        if not count:
            continue
        in_references = [np.diff(cover(place, *where)).astype(bool)[usable] for place in places]
        scores = [window.scores[name][usable] for name in names[1:]]
        counts.append(count)
        hits.append(
            [[float(hit[in_peaks].sum()) for hit in in_references]]
            + [[top_hits(values, hit, count) for hit in in_references] for values in scores]
        )
    if not counts:
        return pd.DataFrame(columns=list(EQUAL_COLUMNS))
    shares = _shares(np.array(hits), np.array(counts), samples, seed)  # (1 + R, S, F)
    rows = [
        (name, reference, len(counts), sum(counts), *_row(shares[:, i, j], shares[:, 0, j]))
        for j, reference in enumerate(references)
        for i, name in enumerate(names)
    ]
    return pd.DataFrame(rows, columns=list(EQUAL_COLUMNS))


def top_hits(scores: np.ndarray, hit: np.ndarray, count: int) -> float:
    """Hits among the ``count`` highest scores; those tied for the last places in proportion.

    Parameters
    ----------
    scores : float16 (n,)
        None of them negative.
    hit : bool (n,)
    count
        From 1 to n.
    """
    bits = (scores + np.float16(0)).view(np.uint16)  # of the same order, and fast to select from
    lowest = np.partition(bits, len(bits) - count)[len(bits) - count]
    above, tied = bits > lowest, bits == lowest
    return float(hit[above].sum() + (count - above.sum()) * hit[tied].mean())


def _shares(hits: np.ndarray, counts: np.ndarray, samples: int, seed: int) -> np.ndarray:
    """Share of bases of (G, S, F) hits among (G,) bases: of all genes first, then of samples."""
    genes = len(counts)
    drawn = np.random.default_rng(seed).multinomial(genes, np.full(genes, 1 / genes), size=samples)
    weights = np.concatenate([np.ones((1, genes)), drawn])  # (1 + R, G)
    return np.tensordot(weights, hits, axes=1) / (weights @ counts)[:, None, None]


def _row(share: np.ndarray, share_of_peaks: np.ndarray) -> tuple[float, ...]:
    gain = share - share_of_peaks
    return tuple(
        float(value)
        for figure in (share, gain)
        for value in (figure[0], *np.quantile(figure[1:], [0.025, 0.975]))
    )
