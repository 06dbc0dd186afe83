"""What each change costs: differences to a reference, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from seq2exp.evaluation_config import FULL_VIEW
from seq2exp.figures.panels import (
    METRIC_LABELS,
    Point,
    at_place,
    label_rows,
    panel_grid,
    place_title,
    places_of,
)
from seq2exp.figures.style import BLACK, BLUE, note, save, styled
from seq2exp.schemas import read_table

METRICS = ("pearson", "mse")
TEXT = ("cell_line", "assay", "model")


@styled
def ablation_bars(comparison: Path, outs: Sequence[Path], *, group: str) -> None:
    """Draw the differences of a group's variants to their base.

    Parameters
    ----------
    comparison
        comparison.tsv of the paper's numbers.
    outs
        Files to write; the suffix is the format.
    group
        Name of the group in ``ablations``.
    """
    table = read_table(
        comparison, (*TEXT, "group", "reference"), text=(*TEXT, "group", "reference")
    )
    table = table[table["group"] == group]
    base = table["reference"].iloc[0]
    labels = table["model"].str.removeprefix(f"{base}-")
    _draw(table.assign(label=labels), outs, f"difference to {base}")


@styled
def view_bars(views: Path, outs: Sequence[Path]) -> None:
    """Draw what trained models lose in each view of the test windows (views.tsv of the numbers)."""
    table = read_table(views, (*TEXT, "view", "skipped"), text=(*TEXT, "view", "skipped"))
    table = table[(table["skipped"] == "") & (table["view"] != FULL_VIEW)]
    _draw(
        table.assign(label=table["model"] + ": " + table["view"]), outs, "difference to full view"
    )


def _draw(table: pd.DataFrame, outs: Sequence[Path], label: str) -> None:
    places = places_of(table)
    figure, grid = panel_grid([len(at_place(table, place)) for place in places] or [1], 2)
    if table.empty:
        for axes in grid[0]:
            note(axes, "no view applies to these models")
    for row, place in enumerate(places):
        own = at_place(table, place)
        for column, metric in enumerate(METRICS):
            axes = grid[row, column]
            points = [_point(record, metric) for record in own.to_dict("records")]
            for place_of, point in enumerate(points):
                axes.barh(place_of, point.value, height=0.6, color=BLUE, alpha=0.55, linewidth=0)
                axes.plot(
                    [point.low, point.high], [place_of] * 2, color=BLACK, linewidth=1.3, zorder=4
                )
            axes.axvline(0, color=BLACK, linewidth=0.8)
            label_rows(axes, points)
            axes.locator_params(axis="x", nbins=5)
            axes.set_xlabel(f"{METRIC_LABELS[metric]}: {label}")
            if column:
                axes.set_yticklabels([])
        grid[row, 0].set_title(place_title(place), loc="left")
    save(figure, outs)


def _point(row: dict, metric: str) -> Point:
    key = f"{metric}_difference"
    return Point(row["label"], row[key], row[f"{key}_low"], row[f"{key}_high"])
