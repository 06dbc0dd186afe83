"""One look for every figure: colours that colour-blind readers tell apart, sizes, file writing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seq2exp.schemas import whole_file

# It says which glyphs of a PDF it keeps, in some thousand lines.
logging.getLogger("fontTools").setLevel(logging.WARNING)

# The palette of Okabe and Ito (2008), https://jfly.uni-koeln.de/color/
BLACK, GREY, LIGHT = "#000000", "#767676", "#D9D9D9"
ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = (
    *("#E69F00", "#56B4E9", "#009E73"),
    *("#0072B2", "#D55E00", "#CC79A7"),
)
COLOURS = {
    "dnase": BLUE,
    "h3k27ac": ORANGE,
    "contact": GREY,
    "mask": VERMILION,
    "sequence_part": PURPLE,
    "prior": SKY,
    "active": GREEN,
    "decoy": GREY,
    "regions": GREEN,
    "peaks": BLACK,
    "abc": BLACK,
    "activity": ORANGE,
    "distance": GREY,
}
NAMES = {
    "dnase": "DNase",
    "h3k27ac": "H3K27ac",
    "contact": "contact with TSS",
    "mask": "mask",
    "sequence_part": "sequence part",
    "prior": "signal prior",
    "regions": "called regions",
    "peaks": "peaks",
    "abc": "activity by contact",
    "activity": "DNase x H3K27ac",
    "distance": "distance to TSS",
}

SETTINGS: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.dpi": 100,
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "seq2exp",  # the same figure is the same file
    "pdf.fonttype": 42,
}

P = ParamSpec("P")


def styled(draw: Callable[P, None]) -> Callable[P, None]:
    """Run a drawing function under SETTINGS, leaving the caller's matplotlib as it was."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> None:
        with mpl.rc_context(SETTINGS):
            draw(*args, **kwargs)

    return inside


def new_figure(width: float, height: float) -> Figure:
    """Make a figure (inches) outside pyplot, which would keep it alive and need a display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, outs: Iterable[Path]) -> None:
    """Write a figure to each path, in the format that its suffix names; all of them or none."""
    with ExitStack() as whole:
        for path in outs:
            dated = {".svg": "Date", ".pdf": "CreationDate"}.get(Path(path).suffix)
            figure.savefig(
                whole.enter_context(whole_file(path)), metadata={dated: None} if dated else None
            )


def intervals(
    axes: Axes, values: pd.DataFrame, rows: np.ndarray, *, colours: list[str], filled: bool = True
) -> None:
    """Draw a dot and its interval a row.

    Parameters
    ----------
    values
        ``value``, ``low``, ``high``; an interval that is not known or has no end reaches the edge.
    rows : (n,)
        Heights.
    colours
        (n,)
    filled
        Whether the dots are.
    """
    for row, value, low, high, colour in zip(
        rows, *values[["value", "low", "high"]].to_numpy().T, colours, strict=True
    ):
        if np.isfinite(value):
            axes.plot([low, min(high, 1e6)], [row, row], color=colour, linewidth=1.2, zorder=2)
            face = colour if filled else "white"
            axes.plot(value, row, "o", markersize=5, color=colour, markerfacecolor=face, zorder=3)


def note(axes: Axes, text: str) -> None:
    """Say in an empty plot why it is empty."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=GREY)
