"""How well each score of an element ranks the pairs of element and gene that were planted.

Candidates are, in the windows of the test genes: every planted element, active or decoy, open in the
cell line or closed; and as a background, for each of them a stretch of the same length in the same
window that no planted element touches. A candidate is positive where the element acts on this gene in
this cell line: it is active and open. Axes: n candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from seq2exp.element_columns import RANKED_SCORES
from seq2exp.evidence.precision_recall import ranking_areas
from seq2exp.evidence.references import by_chromosome, cover
from seq2exp.planted import Window, planted_elements, planted_pairs, windows, within_windows
from seq2exp.store import WindowStore

BACKGROUND = "background"
RANKING_COLUMNS = (
    *("score", "auprc", "auprc_low", "auprc_high", "base_rate"),
    *("auroc", "auroc_low", "auroc_high", "active", "decoys", "candidates"),
)


def candidates(
    pairs: Path,
    elements: Path,
    store: WindowStore,
    gene_ids: list[str],
    *,
    length: int,
    promoter: slice,
    seed: int = 0,
) -> pd.DataFrame:
    """Planted pairs of some genes with as many stretches of background.

    Parameters
    ----------
    pairs, elements
        Of :class:`seq2exp.planted.PlantedTruth`.
    store, gene_ids, length
        The cell line's windows, genes of it, and the window length of the model, bp.
    promoter
        In coordinates of the window: no background there, nor on N, blacklisted bases or bases off
        the chromosome.
    seed
        Background is drawn from it and from the element's place.

    Returns
    -------
    DataFrame
        ``element`` (empty for background), ``kind`` (active, decoy, background), ``open``,
        ``chrom``, ``start``, ``end``, ``gene_id``, ``gene_name``, ``distance`` from the middle to
        the TSS (bp), ``planted_effect``. Elements that no free stretch is as long as have none.
    """
    found = within_windows(planted_pairs(pairs, store.cell_line, gene_ids), store, length)
    planted = by_chromosome(planted_elements(elements, None))
    members = found.groupby("gene_id").indices
    background = [
        row
        for window in windows(store, None, [str(gene_id) for gene_id in members], length)
        for row in _background(window, found.iloc[members[window.gene_id]], planted, promoter, seed)
    ]
    table = pd.concat([found, pd.DataFrame(background, columns=found.columns)], ignore_index=True)
    # Of no rows at all, columns have no kind of their own.
    table = table.astype({"start": int, "end": int, "open": bool, "planted_effect": float})
    tss = store.genes.set_index("gene_id")["tss"].reindex(table["gene_id"]).to_numpy()
    table["distance"] = np.abs((table["start"] + table["end"]) / 2 - tss)
    return table


def _background(
    window: Window,
    elements: pd.DataFrame,
    planted: dict[str, np.ndarray],
    promoter: slice,
    seed: int,
) -> Iterator[dict[str, object]]:
    """Yield a stretch of background for each element of one window."""
    length = len(window.usable)
    free = window.usable & (np.diff(cover(planted, window.chrom, window.start, length)) == 0)
    free[promoter] = False
    free_before = np.concatenate([[0], np.cumsum(free)])
    for element in elements.to_dict("records"):
        size = element["end"] - element["start"]
        places = np.flatnonzero(free_before[size:] - free_before[:-size] == size)
        if len(places):
            rng = np.random.default_rng([seed, element["start"], element["end"]])
            start = window.start + int(rng.choice(places))
            yield element | {
                **{"element": "", "kind": BACKGROUND, "open": False, "planted_effect": 0.0},
                **{"start": start, "end": start + size},
            }


def rank_candidates(table: pd.DataFrame) -> pd.DataFrame:
    """Say what each score is worth.

    Parameters
    ----------
    table
        Of :func:`candidates`, with RANKED_SCORES but ``nearness``; a column may be all NaN.

    Returns
    -------
    DataFrame
        RANKING_COLUMNS, a row a score: AUPRC of the active open elements among all candidates (as
        :func:`seq2exp.evidence.precision_recall.auprc` has it), of which they are a share of
        ``base_rate``; AUROC of them over the open decoys alone. 95% intervals are of 1,000
        bootstrap samples of genes. NaN where a score has one value only, or nothing to rank.
    """
    table = table.assign(nearness=-table["distance"])
    rows = []
    for name in RANKED_SCORES:
        known = table[np.isfinite(table[name])]
        positive = (known["kind"] == "active") & known["open"]
        decoy = (known["kind"] == "decoy") & known["open"]
        both = positive | decoy
        auprc, _ = _areas(known, name, positive)
        _, auroc = _areas(known[both], name, positive[both])
        counts = (int(positive.sum()), int(decoy.sum()), len(known))
        base_rate = counts[0] / counts[2] if counts[2] else np.nan
        rows.append((name, *auprc, base_rate, *auroc, *counts))
    return pd.DataFrame(rows, columns=list(RANKING_COLUMNS))


def _areas(table: pd.DataFrame, score: str, positive: pd.Series) -> tuple[tuple[float, ...], ...]:
    if not 0 < positive.sum() < len(positive):
        return ((np.nan,) * 3,) * 2
    genes = table["gene_id"].factorize()[0]
    return ranking_areas(table[score].to_numpy(np.float64), positive.to_numpy(bool), genes)
