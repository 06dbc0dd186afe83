"""What the figures over all runs share: a row of panels a cell line, and points with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from seq2exp.figures.style import BLACK, BLUE, GREY, LIGHT, new_figure

METRIC_LABELS = {"pearson": "Pearson r", "mse": "MSE", "mae": "MAE"}
ROW_HEIGHT = 0.26  # inches of a model
MARGIN_HEIGHT = 0.95  # of a panel's title, ticks and label


class Point(NamedTuple):
    """One row of a panel; NaN is not drawn."""

    label: str
    value: float
    low: float = np.nan
    high: float = np.nan
    seeds: tuple[float, ...] = ()
    published: float = np.nan


def places_of(table: pd.DataFrame) -> list[tuple[str, str]]:
    """Cell lines and assays in order."""
    return list(dict.fromkeys(zip(table["cell_line"], table["assay"], strict=True)))


def at_place(table: pd.DataFrame, place: tuple[str, str]) -> pd.DataFrame:
    """Rows of one cell line and assay."""
    return table[(table["cell_line"] == place[0]) & (table["assay"] == place[1])]


def place_title(place: tuple[str, str]) -> str:
    """Name a panel."""
    return f"{place[0]}, {place[1]}"


def panel_grid(
    heights: Sequence[int], columns: int, width: float = 7.2
) -> tuple[Figure, np.ndarray]:
    """Make a figure with a row of panels for each of ``heights``, counted in rows of points."""
    inches = [ROW_HEIGHT * height + MARGIN_HEIGHT for height in heights]
    figure = new_figure(width, sum(inches))
    axes = figure.subplots(
        len(heights), columns, squeeze=False, gridspec_kw={"height_ratios": inches}
    )
    return figure, axes


def draw_points(axes: Axes, points: Sequence[Point], *, colour: str = BLUE) -> None:
    """Draw points from top to bottom: seeds as dots, means with intervals, published as diamonds."""
    for row, point in enumerate(points):
        if np.isfinite(point.low) and np.isfinite(point.high):
            axes.plot([point.low, point.high], [row, row], color=colour, linewidth=1.6, zorder=2)
        for seed in point.seeds:
            axes.plot(seed, row, ".", color=GREY, markersize=4, zorder=3)
        if np.isfinite(point.value):
            axes.plot(point.value, row, "o", color=colour, markersize=5, zorder=4)
        draw_published(axes, point.published, row)
    label_rows(axes, points)


def draw_published(axes: Axes, value: float, row: int) -> None:
    """Draw a published number; nothing where it is NaN."""
    axes.plot(value, row, "D", mfc="none", mec=BLACK, markersize=5.5, zorder=5)


def published_handle(label: str) -> Line2D:
    """Legend of published numbers."""
    return Line2D([], [], linewidth=0, marker="D", mfc="none", mec=BLACK, label=label)


def label_rows(axes: Axes, points: Sequence[Point]) -> None:
    """Name the rows, top to bottom; a row with nothing in it says so."""
    axes.set_yticks(range(len(points)), [point.label for point in points])
    axes.set_ylim(len(points) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=LIGHT, linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    for row, point in enumerate(points):
        if not np.isfinite([point.value, point.published]).any():
            axes.text(
                *(0.02, row, "not run"),
                transform=axes.get_yaxis_transform(),
                color=GREY,
                fontsize=8,
                va="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
