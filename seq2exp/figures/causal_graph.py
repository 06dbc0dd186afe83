"""What is taken to cause what (after figure 1 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seq2exp.figures.diagram import canvas, draw_arrow, draw_circle
from seq2exp.figures.style import LIGHT, save, styled

RADIUS = 0.3
X, M, Y, Z = (1.05, 2.35), (3.1, 2.35), (5.15, 2.35), (3.1, 1.05)


@styled
def causal_graph(outs: Sequence[Path]) -> None:
    """Draw sequence, active elements, signals and expression, and what follows for the mask."""
    figure, axes = canvas(6.2, 3.2)
    for place, letter, filled in (
        (X, "X", LIGHT),
        (M, "M", "white"),
        (Y, "Y", LIGHT),
        (Z, "Z", LIGHT),
    ):
        draw_circle(axes, place, RADIUS, f"${letter}$", filled=filled)
    draw_arrow(axes, (X[0] + RADIUS, X[1]), (M[0] - RADIUS, M[1]))
    draw_arrow(axes, (M[0] + RADIUS, M[1]), (Y[0] - RADIUS, Y[1]))
    draw_arrow(axes, (M[0], M[1] - RADIUS), (Z[0], Z[1] + RADIUS))
    for place, words in (
        *((X, "DNA sequence"), (M, "active regulatory\nelements")),
        (Y, "gene expression"),
    ):
        axes.text(place[0], place[1] + 0.38, words, ha="center", va="bottom")
    axes.text(Z[0] + 0.42, Z[1], "epigenomic signals\n(H3K27ac, DNase, Hi-C)", va="center")
    axes.text(
        *(0.75, 1.05),
        "grey: observed\nwhite: to be found",
        va="center",
        fontsize=8,
    )
    axes.text(
        *(3.1, 0.34),
        r"Given $M$, $X$ and $Z$ are independent, so "
        r"$p(M\,|\,X,Z) \propto p(M\,|\,X)\;p(M\,|\,Z)\,/\,p(M)$:"
        "\nevidence of the sequence and of the signals are multiplied.",
        ha="center",
        va="center",
        fontsize=8.5,
        linespacing=1.5,
    )
    save(figure, outs)
