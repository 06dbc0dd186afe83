"""Motifs that called regions have more often than matched random regions do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seq2exp.evidence.motifs import MOTIF_COLUMNS
from seq2exp.figures.style import GREEN, GREY, new_figure, note, save, styled
from seq2exp.schemas import read_table

SHOWN = 15


@styled
def motif_shares(motifs: Path, outs: Sequence[Path], *, title: str) -> None:
    """Draw the share of regions with each of the motifs of the smallest p.

    Parameters
    ----------
    motifs
        Table of :func:`seq2exp.evidence.motif_scores.write_motif_scores`.
    outs
        Files to write; the suffix is the format.
    title
        What was trained on what.
    """
    table = read_table(motifs, MOTIF_COLUMNS, text=("motif",)).dropna(subset="p").head(SHOWN)
    figure = new_figure(6.4, 1.4 + 0.32 * max(len(table), 3))
    figure.suptitle(title, fontsize=10)
    axes = figure.subplots()
    if table.empty:
        note(axes, "no region of a test gene to look at")
        save(figure, outs)
        return
    rows = np.arange(len(table))
    axes.hlines(rows, table["expected"], table["observed"], color=GREY, linewidth=1.2, zorder=1)
    axes.plot(
        table["expected"], rows, "o", color=GREY, clip_on=False, label="matched random regions"
    )
    axes.plot(table["observed"], rows, "o", color=GREEN, clip_on=False, label="called regions")
    labels = [f"{row.name}  q = {row.q:.2g}" for row in table.itertuples(index=False)]
    axes.set_yticks(rows, labels)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("share of regions with the motif")
    axes.set_title(f"{table['regions'].iloc[0]:,} regions", fontsize=9)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    save(figure, outs)
