"""How much of a window each model keeps: the distribution of the mask ratio over test genes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from seq2exp.figures.panels import (
    Point,
    at_place,
    draw_published,
    label_rows,
    panel_grid,
    place_title,
    places_of,
    published_handle,
)
from seq2exp.figures.style import BLACK, SKY, note, save, styled
from seq2exp.schemas import read_table

TEXT = ("cell_line", "assay", "model")
BOX, WHISKERS = (25, 75), (5, 95)


@styled
def mask_ratios(
    mask_ratio: Path, accuracy: Path, outs: Sequence[Path], *, models: Sequence[str]
) -> None:
    """Draw a box a model with a mask, a panel a cell line and assay.

    Parameters
    ----------
    mask_ratio
        mask_ratio.tsv of the paper's numbers.
    accuracy
        accuracy.tsv of the paper's tables, for the published means.
    outs
        Files to write; the suffix is the format.
    models
        Which to draw, from top to bottom.
    """
    table = read_table(mask_ratio, (*TEXT, "percentile", "mask_ratio"), text=TEXT)
    published = read_table(accuracy, (*TEXT, "mask_ratio_published"), text=TEXT)
    drawn = published["model"].isin(models)
    places = places_of(published)
    figure, grid = panel_grid([max(len(models), 1)] * len(places), 1, width=5.6)
    for axes, place in zip(grid[:, 0], places, strict=True):
        axes.set_title(place_title(place), loc="left")
        if not models:
            note(axes, "no model has a mask")
            continue
        boxes = at_place(table, place).set_index(["model", "percentile"])["mask_ratio"]
        means = at_place(published, place).set_index("model")["mask_ratio_published"]
        _boxes(axes, models, boxes, means)
    box = Line2D(
        [], [], color=SKY, linewidth=7, label="middle half of the genes, median, 5% to 95%"
    )
    handles = [box]
    if published.loc[drawn, "mask_ratio_published"].notna().any():
        handles.append(published_handle("published mean"))
    figure.legend(handles=handles, loc="outside upper right", ncols=2)
    save(figure, outs)


def _boxes(axes: Axes, models: Sequence[str], boxes: pd.Series, means: pd.Series) -> None:
    points = []
    for row, model in enumerate(models):
        own = boxes[model] if model in boxes.index.get_level_values(0) else None
        mean = float(means.get(model, float("nan")))
        points.append(Point(model, float("nan") if own is None else own[50], published=mean))
        if own is not None:
            axes.plot(
                [own[low] for low in WHISKERS], [row, row], color=BLACK, linewidth=1, zorder=2
            )
            width = own[BOX[1]] - own[BOX[0]]
            axes.barh(row, width, left=own[BOX[0]], height=0.6, color=SKY, linewidth=0, zorder=3)
            axes.plot([own[50]] * 2, [row - 0.3, row + 0.3], color=BLACK, linewidth=1.6, zorder=4)
        draw_published(axes, mean, row)
    label_rows(axes, points)
    axes.set_xlim(0, 1)
    axes.set_xlabel("mask ratio: mean of the mask over a gene's window")
