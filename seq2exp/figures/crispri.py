"""Precision and recall on CRISPRi pairs: the model beside its baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from seq2exp.evidence.crispri import PREDICTED
from seq2exp.evidence.crispri_scores import (
    ALL,
    CURVE_COLUMNS,
    PERFORMANCE_COLUMNS,
    WINDOW,
)
from seq2exp.figures.style import (
    BLACK,
    BLUE,
    COLOURS,
    GREY,
    NAMES,
    intervals,
    new_figure,
    note,
    save,
    styled,
)
from seq2exp.schemas import read_table

BASELINES = ("abc", "activity", "distance")


@styled
def crispri_performance(
    performance: Path, curves: Path, outs: Sequence[Path], *, title: str
) -> None:
    """Draw the curves of the test genes' pairs within windows, and every predictor's AUPRC.

    Parameters
    ----------
    performance, curves
        Tables of :func:`seq2exp.evidence.crispri_scores.write_pooled_scores`.
    outs
        Files to write; the suffix is the format.
    title
        What was trained on what.
    """
    table = read_table(performance, PERFORMANCE_COLUMNS)
    table = table[(table["genes"] == "test") & table["auprc"].notna()]
    points = read_table(curves, CURVE_COLUMNS)
    figure = new_figure(8.4, 3.8)
    figure.suptitle(title, fontsize=10)
    within = table[table["distance"] == WINDOW]
    if within.empty:
        note(figure.subplots(), "no pairs, or of one kind only, in the windows of test genes")
        save(figure, outs)
        return
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": [1, 1.1]})
    _curves(left, points[points["distance"] == WINDOW], within)
    _areas(right, table)
    save(figure, outs)


def _curves(axes: Axes, points: pd.DataFrame, within: pd.DataFrame) -> None:
    pairs, positives = within[["pairs", "positives"]].iloc[0]
    axes.axhline(positives / pairs, color=GREY, linestyle=":", linewidth=1)
    axes.text(0.01, positives / pairs, "chance", color=GREY, fontsize=8, va="bottom")
    for name in reversed(within["predictor"].tolist()):
        curve = points[points["predictor"] == name]
        if len(curve) > 1:
            axes.plot(
                curve["recall"],
                curve["precision"],
                color=COLOURS.get(name, BLUE),
                linestyle=_line(name),
                linewidth=2.0 if name == "mask" else 1.2,
            )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_title(f"within windows: {positives} of {pairs} pairs regulated", fontsize=9)


def _areas(axes: Axes, table: pd.DataFrame) -> None:
    names = table["predictor"].drop_duplicates().tolist()
    for distance, shift, filled in ((WINDOW, -0.13, True), (ALL, 0.13, False)):
        part = table[table["distance"] == distance].set_index("predictor")
        part = part.reindex([name for name in names if name in part.index])
        values = part[["auprc", "auprc_low", "auprc_high"]].set_axis(
            ["value", "low", "high"], axis=1
        )
        rows = np.array([names.index(name) for name in part.index]) + shift
        colours = [COLOURS.get(str(name), BLUE) for name in part.index]
        intervals(axes, values, rows, colours=colours, filled=filled)
    pairs = table.groupby("distance")["pairs"].first()
    keys = (("within windows", WINDOW, BLACK), ("at any distance", ALL, "white"))
    for label, distance, face in keys:
        if distance in pairs.index:
            count = f"{label} ({pairs[distance]} pairs)"
            axes.plot([], [], "o", color=BLACK, markerfacecolor=face, markersize=5, label=count)
    labels = [NAMES.get(name, name.removeprefix(PREDICTED)) for name in names]
    axes.set_yticks(range(len(names)), labels)
    for tick, name in zip(axes.get_yticklabels(), names, strict=True):
        tick.set_color(COLOURS.get(name, BLUE))
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel("area under the curve, 95% interval")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2)


def _line(name: str) -> str:
    """Solid is ours, dashed a baseline, dash-dotted another method."""
    if name.startswith(PREDICTED):
        return "-."
    return "--" if name in BASELINES else "-"
