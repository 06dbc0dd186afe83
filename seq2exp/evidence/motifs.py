"""Motifs in called regions, against random regions of the same length and GC.

A region has a motif where some place on either strand scores as high as one in 10,000 places of a
random sequence does. Whether more regions than random ones have it is asked by Fisher's exact test; q
is Benjamini and Hochberg's over all motifs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control, hypergeom

from seq2exp.evidence.motif_files import Motif
from seq2exp.evidence.motif_regions import draw_sequences
from seq2exp.evidence.motif_scan import Text
from seq2exp.progress import logged
from seq2exp.store import WindowStore

log = logging.getLogger(__name__)

MOTIF_COLUMNS = (
    *("motif", "name", "width", "regions", "unmatched", "region_hits"),
    *("background", "background_hits", "observed", "expected", "fold", "p", "q"),
)


def motif_enrichment(
    regions: pd.DataFrame,
    store: WindowStore,
    gene_ids: Sequence[str],
    motifs: Sequence[Motif],
    *,
    window_length: int,
    promoter_length: int,
    max_regions: int,
    seed: int = 0,
) -> pd.DataFrame:
    """How many regions have each motif, against random regions that match them.

    Parameters
    ----------
    regions
        Called elements; what several genes' windows share is one region.
    store, gene_ids
        The cell line's windows, and the genes in whose windows random regions lie: those in whose
        windows regions were called.
    motifs
        From :func:`seq2exp.evidence.motif_files.read_motifs`.
    window_length, promoter_length
        Of the model, bp.
    max_regions
        The called elements with the highest mean mask are taken, at most so many.
    seed
        Random regions are drawn from it.

    Returns
    -------
    DataFrame
        MOTIF_COLUMNS, a row a motif, the smallest p first: ``regions`` and ``background`` (random
        ones) compared, and how many of each have the motif; ``observed`` and ``expected`` shares,
        their ``fold`` (infinite where no random region has it), one-sided p and q.
    """
    chosen = regions.nlargest(max_regions, "mean_mask")
    found = draw_sequences(
        *(chosen, regions, store, gene_ids),
        window_length=window_length,
        promoter_length=promoter_length,
        seed=seed,
    )
    n, m = len(found.regions), len(found.background)
    log.info("%d regions and %d random ones, %d unmatched", n, m, found.unmatched)
    text = Text([*found.regions, *found.background])
    rows = []
    for motif in logged(motifs, len(motifs), "motifs"):
        having = text.having(motif)
        hits, others = int(having[:n].sum()), int(having[n:].sum())
        # Of all hits, as many or more among the regions.
        p = float(hypergeom.sf(hits - 1, n + m, hits + others, n)) if n and m else np.nan
        observed, expected = hits / n if n else np.nan, others / m if m else np.nan
        fold = np.divide(observed, expected) if others else (np.inf if hits else np.nan)
        counts = (len(motif.probabilities), n, found.unmatched, hits, m, others)
        rows.append((motif.motif, motif.name, *counts, observed, expected, fold, p))
    table = pd.DataFrame(rows, columns=list(MOTIF_COLUMNS[:-1]))
    known = table["p"].notna()
    table.loc[known, "q"] = false_discovery_control(table.loc[known, "p"]) if known.any() else []
    return table.sort_values(["p", "fold"], ascending=[True, False], ignore_index=True)
