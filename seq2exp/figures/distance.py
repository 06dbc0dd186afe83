"""How much of the sequence the mask keeps, by distance to the TSS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seq2exp.figures.style import COLOURS, NAMES, new_figure, save, styled
from seq2exp.masks import TRACKS
from seq2exp.schemas import read_table


@styled
def mask_against_distance(distance: Path, outs: Sequence[Path], *, title: str) -> None:
    """Draw the mean mask of the test genes against the distance, beside its two parts.

    Parameters
    ----------
    distance
        Table of :func:`seq2exp.evaluation.distance_profile`.
    outs
        Files to write; the suffix is the format.
    title
        What was trained on what.
    """
    table = read_table(distance, ("start", "end", "bases", "mask"))
    figure = new_figure(6.0, 3.4)
    axes = figure.subplots()
    edges = [*table["start"], table["end"].iloc[-1]]
    for name in TRACKS:
        if name in table:
            width = 2.0 if name == "mask" else 1.2
            axes.stairs(
                table[name],
                [edge / 1000 for edge in edges],
                baseline=None,
                color=COLOURS[name],
                linewidth=width,
                label=NAMES[name],
            )
    axes.set_xlim(0, edges[-1] / 1000)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("distance to the TSS (kb)")
    axes.set_ylabel("mean over test genes")
    axes.set_title(title)
    axes.legend()
    save(figure, outs)
