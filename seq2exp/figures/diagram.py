"""Boxes, circles and arrows of the drawings that show no data."""

from __future__ import annotations

from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from seq2exp.figures.style import BLACK, new_figure


class Box(NamedTuple):
    """A box by its middle; all in inches."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> tuple[float, float]:
        """Middle of the left side."""
        return self.x - self.width / 2, self.y

    @property
    def right(self) -> tuple[float, float]:
        """Middle of the right side."""
        return self.x + self.width / 2, self.y

    @property
    def top(self) -> tuple[float, float]:
        """Middle of the upper side."""
        return self.x, self.y + self.height / 2

    @property
    def bottom(self) -> tuple[float, float]:
        """Middle of the lower side."""
        return self.x, self.y - self.height / 2


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Make an empty figure whose data units are inches."""
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_axis_off()
    return figure, axes


def draw_box(axes: Axes, box: Box, text: str, colour: str, *, fontsize: float = 8) -> None:
    """Draw a rounded box, light in its colour, with text."""
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    for face, alpha in ((colour, 0.16), ("none", 1.0)):
        patch = FancyBboxPatch(
            *(corner, box.width, box.height),
            boxstyle="round,pad=0,rounding_size=0.07",
            facecolor=face,
            edgecolor=colour if face == "none" else "none",
            alpha=alpha,
            linewidth=1.2,
        )
        axes.add_patch(patch)
    axes.text(box.x, box.y, text, ha="center", va="center", fontsize=fontsize, linespacing=1.35)


def draw_circle(
    axes: Axes, centre: tuple[float, float], radius: float, text: str, *, filled: str = "white"
) -> None:
    """Draw a circle with text."""
    axes.add_patch(
        Circle(centre, radius, facecolor=filled, edgecolor=BLACK, linewidth=1.2, zorder=3)
    )
    axes.text(
        *centre, text, ha="center", va="center", fontsize=12 if radius > 0.2 else 10, zorder=4
    )


def draw_arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], *, bend: float = 0.0
) -> None:
    """Draw an arrow from one point to another, straight or bent."""
    axes.add_patch(
        FancyArrowPatch(
            *(start, end),
            arrowstyle="-|>",
            mutation_scale=10,
            color=BLACK,
            linewidth=1.1,
            shrinkA=1,
            shrinkB=1,
            connectionstyle=f"arc3,rad={bend}",
            zorder=2,
        )
    )


def draw_elbow(axes: Axes, *points: tuple[float, float]) -> None:
    """Draw an arrow along straight lines through all points."""
    *corners, last = points
    axes.plot(*zip(*corners, strict=True), color=BLACK, linewidth=1.1, zorder=1)
    draw_arrow(axes, corners[-1], last)
