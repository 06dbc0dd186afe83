"""Regions and mask against reference regions: enrichment, and peaks at equal numbers of bases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from seq2exp.evidence.enrichment import ENRICHMENT_COLUMNS
from seq2exp.evidence.equal_bases import EQUAL_COLUMNS, PEAKS, SCORES
from seq2exp.figures.style import (
    COLOURS,
    GREY,
    NAMES,
    VERMILION,
    intervals,
    new_figure,
    note,
    save,
    styled,
)
from seq2exp.schemas import read_table


@styled
def reference_overlap(enrichment: Path, equal: Path, outs: Sequence[Path], *, title: str) -> None:
    """Draw the fold of each reference, and how much of peaks and scores lies in it.

    Parameters
    ----------
    enrichment, equal
        Tables of :func:`seq2exp.evidence.reference_scores.write_reference_scores`; the second may
        be empty.
    outs
        Files to write; the suffix is the format.
    title
        What was trained on what.
    """
    folds = read_table(enrichment, ENRICHMENT_COLUMNS, text=("reference",))
    shares = read_table(equal, EQUAL_COLUMNS, text=("reference", "score"))
    height = 1.8 + 0.42 * max(len(folds), len(shares) / 3)
    figure = new_figure(8.4 if len(shares) else 5.2, height)
    figure.suptitle(title, fontsize=10)
    known = folds[folds["fold"] > 0]
    if known.empty:
        note(figure.subplots(), "no region of a test gene overlaps a reference")
        save(figure, outs)
        return
    panels = figure.subplots(1, 1 + bool(len(shares)), squeeze=False)[0]
    _folds(panels[0], known)
    if len(shares):
        _shares(panels[1], shares)
    save(figure, outs)


def _folds(axes: Axes, table: pd.DataFrame) -> None:
    low = np.maximum(table["fold_low"], table["fold"] / 100)
    high = np.minimum(table["fold_high"].fillna(np.inf), table["fold"] * 100)
    values = pd.DataFrame({"value": table["fold"], "low": low, "high": high})
    intervals(axes, values, np.arange(len(table)), colours=[VERMILION] * len(table))
    axes.axvline(1, color=GREY, linestyle=":", linewidth=1)
    _log_scale(axes)
    labels = [f"{row.reference}\np = {row.p:.2g}" for row in table.itertuples()]
    axes.set_yticks(range(len(table)), labels)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_xlabel("overlap of regions over that of random ones")
    axes.set_title(f"{table['regions'].iloc[0]:,} regions", fontsize=9)


def _shares(axes: Axes, table: pd.DataFrame) -> None:
    references = table["reference"].unique().tolist()
    names = [name for name in (PEAKS, *SCORES) if name in set(table["score"])]
    steps = np.linspace(-0.3, 0.3, len(names))
    for name, step in zip(names, steps, strict=True):
        part = table[table["score"] == name].set_index("reference").loc[references]
        # On a log scale there is no place for a share of 0.
        values = part[["overlap", "overlap_low", "overlap_high"]].replace(0, np.nan)
        rows = np.arange(len(references)) + step
        colours = [COLOURS[name]] * len(rows)
        intervals(axes, values.set_axis(["value", "low", "high"], axis=1), rows, colours=colours)
        axes.plot([], [], "o", color=COLOURS[name], markersize=5, label=NAMES[name])
    axes.set_yticks(range(len(references)), references)
    axes.set_ylim(len(references) - 0.5, -0.5)
    _log_scale(axes)
    axes.set_xlabel("share of bases in the reference")
    bases, genes = table[["bases", "genes"]].iloc[0]
    axes.set_title(f"as many bases as in peaks: {bases:,}, {genes} genes", fontsize=9)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _log_scale(axes: Axes) -> None:
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
