"""Accuracy of all models: every seed, the mean with its interval, and what is published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from seq2exp.figures.panels import (
    METRIC_LABELS,
    Point,
    at_place,
    draw_points,
    panel_grid,
    place_title,
    places_of,
    published_handle,
)
from seq2exp.figures.style import BLUE, GREY, save, styled
from seq2exp.schemas import read_table

METRICS = ("pearson", "mse")


@styled
def accuracy_of_models(accuracy: Path, seeds: Path, outs: Sequence[Path]) -> None:
    """Draw r and MSE of every model, a row of panels a cell line and assay.

    Parameters
    ----------
    accuracy
        accuracy.tsv of the paper's tables: published numbers are in it.
    seeds
        seeds.tsv of the paper's numbers.
    outs
        Files to write; the suffix is the format.
    """
    text = ("cell_line", "assay", "model", "published_name")
    table = read_table(accuracy, text, text=text)
    per_seed = read_table(seeds, ("cell_line", "assay", "model", *METRICS), text=text[:3])
    places = places_of(table)
    figure, grid = panel_grid([len(at_place(table, place)) for place in places], len(METRICS))
    for row, place in enumerate(places):
        own, own_seeds = at_place(table, place), at_place(per_seed, place)
        for column, metric in enumerate(METRICS):
            axes = grid[row, column]
            draw_points(axes, points(own, own_seeds, metric))
            axes.set_xlabel(METRIC_LABELS[metric])
            if column:
                axes.set_yticklabels([])
        grid[row, 0].set_title(place_title(place), loc="left")
    figure.legend(handles=_legend(table), loc="outside upper right", ncols=4)
    save(figure, outs)


def points(table: pd.DataFrame, seeds: pd.DataFrame, metric: str) -> list[Point]:
    """One point a model, published ones that the config lacks last."""
    return [
        Point(
            row["model"] or row["published_name"],
            *(row[metric], row[f"{metric}_low"], row[f"{metric}_high"]),
            seeds=tuple(seeds.loc[seeds["model"] == row["model"], metric]),
            published=row[f"{metric}_published"],
        )
        for row in table.to_dict("records")
    ]


def _legend(table: pd.DataFrame) -> list[Line2D]:
    handles = [
        Line2D([], [], marker="o", color=BLUE, linewidth=1.6, label="mean, 95% interval"),
        Line2D([], [], marker=".", color=GREY, linewidth=0, label="one seed"),
    ]
    if np.isfinite(table[[f"{metric}_published" for metric in METRICS]].to_numpy(float)).any():
        handles.append(published_handle("published"))
    return handles
