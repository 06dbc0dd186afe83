"""Accuracy against a numeric setting: how long a window, how large a mask is worth having."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from seq2exp.evaluation_config import FULL_VIEW
from seq2exp.figures.panels import at_place, place_title, places_of
from seq2exp.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILION,
    new_figure,
    save,
    styled,
)
from seq2exp.matrix import Matrix
from seq2exp.paper_config import setting
from seq2exp.schemas import read_table

TEXT = ("cell_line", "assay", "model", "view", "skipped")
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, BLACK)
MARKERS = "os^vDP"
LABELS = {"window_length": "window length (kb)", "fraction": "share of bases that the mask keeps"}
MOST_TICKS = 9


@styled
def accuracy_along_axis(
    accuracy: Path, views: Path, outs: Sequence[Path], *, matrix: Matrix, axis: str
) -> None:
    """Draw r against a setting: a line a group of ablations that has it as its axis.

    Along ``window_length``, a dashed line shows the group's base model with its test windows cropped,
    where the config has such views.

    Parameters
    ----------
    accuracy, views
        Tables of the paper's numbers.
    outs
        Files to write; the suffix is the format.
    matrix
        Models, groups and views.
    axis
        The setting.
    """
    table = read_table(accuracy, TEXT[:3], text=TEXT)
    seen = read_table(views, TEXT, text=TEXT)
    places = places_of(table)
    figure = new_figure(3.4 * len(places) + 0.6, 3.6)
    panels = figure.subplots(1, len(places), squeeze=False, sharey=True, sharex=True)[0]
    for panel, place in zip(panels, places, strict=True):
        found = curves(at_place(table, place), at_place(seen, place), matrix, axis)
        for curve in found:
            _draw(panel, curve)
        panel.set_title(place_title(place), loc="left")
        panel.set_xlabel(LABELS.get(axis, axis))
        _ticks(panel, sorted({x for curve in found for x in curve.points["x"]}), axis)
    panels[0].set_ylabel("Pearson r, 95% interval")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    save(figure, outs)


class Curve(NamedTuple):
    """One line: points by x, with y, low and high (NaN where not run)."""

    label: str
    points: pd.DataFrame
    colour: str
    marker: str
    dashed: bool


def curves(accuracy: pd.DataFrame, views: pd.DataFrame, matrix: Matrix, axis: str) -> list[Curve]:
    """Lines of one cell line and assay: each group's models, then their base in cropped windows."""
    groups = [group for group in matrix.ablations.values() if group.axis == axis]
    styles = cycle(zip(COLOURS, MARKERS, strict=True))
    found = []
    for group in groups:
        names = list(dict.fromkeys([group.model, *group.names()]))
        lengths = [setting(matrix.models[name], axis, matrix.window_length) for name in names]
        trained = _points(accuracy, dict(zip(names, lengths, strict=True)), "model")
        found.append(Curve(group.model, trained, *next(styles), dashed=False))
        crops = {
            name: float(view["window_length"])
            for name, view in matrix.views.items()
            if list(view) == ["window_length"]
        }
        own = views[(views["model"] == group.model) & (views["skipped"] == "")]
        if axis == "window_length" and crops and not own.empty:
            cropped = _points(own, {FULL_VIEW: lengths[0], **crops}, "view")
            label = f"{group.model}, cropped at test time only"
            found.append(Curve(label, cropped, *next(styles), dashed=True))
    return found


def _points(table: pd.DataFrame, places: dict[str, float | None], column: str) -> pd.DataFrame:
    points = table[table[column].isin(places)]
    points = points.assign(x=points[column].map(places))
    points = points.rename(columns={"pearson": "y", "pearson_low": "low", "pearson_high": "high"})
    return points[["x", "y", "low", "high"]].sort_values("x", ignore_index=True)


def _draw(panel: Axes, curve: Curve) -> None:
    points = curve.points
    panel.vlines(points["x"], points["low"], points["high"], color=curve.colour, linewidth=1.4)
    for end in ("low", "high"):  # caps, by which intervals at the same place are told apart
        panel.plot(points["x"], points[end], "_", color=curve.colour, markersize=6)
    panel.plot(
        *(points["x"], points["y"]),
        color=curve.colour,
        marker=curve.marker,
        markersize=5,
        markerfacecolor="white" if curve.dashed else curve.colour,
        linestyle="--" if curve.dashed else "-",
        label=curve.label,
    )


def _ticks(panel: Axes, values: list[float], axis: str) -> None:
    """Log scale where the values call for it, and a tick a value where there is room."""
    if values and values[0] > 0 and values[-1] / values[0] >= 10:
        panel.set_xscale("log")
    if len(values) <= MOST_TICKS:
        scale = 1_000 if axis == "window_length" else 1
        panel.set_xticks(values, [f"{value / scale:g}" for value in values])
        panel.set_xticks([], minor=True)
