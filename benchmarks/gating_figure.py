"""Picture of `benchmarks.gating`: accuracy by window, what masks tell apart, what arrives from afar."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from seq2exp.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    new_figure,
    note,
    save,
    styled,
)

COLOURS = (VERMILION, BLUE, GREEN, ORANGE, PURPLE, SKY, BLACK)
HALF_WIDTH = 0.3
"""Of the group of models around each tick, in ticks."""


@styled
def draw_benchmark(runs: pd.DataFrame, by_bin: pd.DataFrame, out: Path) -> None:
    """Draw the models that every window has; a dot a genome, a line at their mean.

    Parameters
    ----------
    runs, by_bin
        From :func:`benchmarks.gating_figures.run_figures`, with their keys.
    """
    windows = runs.groupby("model")["window"].nunique()
    models = windows.index[windows == windows.max()].tolist()
    runs, by_bin = (table[table["model"].isin(models)] for table in (runs, by_bin))
    figure = new_figure(11, 3.6)
    accuracy, masks, arrival = figure.subplots(1, 3)
    _dots(accuracy, runs.assign(at=runs["window"]), "pearson", models)
    for place, (_, own) in enumerate(runs.groupby("window")):
        ceiling = own["noise_ceiling"].mean()
        accuracy.plot([place - 0.4, place + 0.4], [ceiling] * 2, color=GREY, linestyle=":")
    accuracy.set(xlabel="window (kb)", ylabel="Pearson r, test genes", title="Accuracy")
    if "auroc_mask" in runs:
        _dots(masks, runs.assign(at=runs["window"]), "auroc_mask", models)
        masks.axhline(0.5, color=GREY, linestyle=":")
        masks.set(xlabel="window (kb)", ylabel="AUROC, active over decoy", ylim=(-0.03, 1.03))
        masks.set_title("Mean mask of elements")
    else:
        note(masks, "none of these models has a mask")
    longest = by_bin[by_bin["window"] == by_bin["window"].max()]
    places = longest["low"].map("{:.0f}".format) + "-" + longest["high"].map("{:.0f}".format)
    _dots(arrival, longest.assign(at=longest["low"], label=places), "arrives", models)
    for level in (0, 1):
        arrival.axhline(level, color=GREY, linestyle=":")
    length = int(longest["window"].iloc[0]) // 1_000
    arrival.set(xlabel="distance to TSS (bp)", ylabel="planted effect that is predicted (share)")
    arrival.set_title(f"What arrives, windows of {length} kb")
    handles, labels = accuracy.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(models))
    save(figure, [out])


def _dots(axes: Axes, table: pd.DataFrame, column: str, models: list[str]) -> None:
    """Dots of each model side by side at every value of ``at``."""
    ticks = sorted(table["at"].unique())
    step = 2 * HALF_WIDTH / max(len(models) - 1, 1)
    for i, (model, colour) in enumerate(zip(models, COLOURS, strict=False)):
        for place, tick in enumerate(ticks):
            own = table[(table["model"] == model) & (table["at"] == tick)][column].dropna()
            x = place - HALF_WIDTH + i * step
            label = model if place == 0 else None
            axes.plot([x] * len(own), own, "o", markersize=3.5, color=colour, label=label)
            if len(own):
                axes.plot([x - 0.07, x + 0.07], [own.mean()] * 2, color=colour, linewidth=2)
    names = table.drop_duplicates("at").set_index("at")
    labels = names.loc[ticks, "label"] if "label" in names else [f"{t / 1_000:g}" for t in ticks]
    axes.set_xticks(range(len(ticks)), labels)
