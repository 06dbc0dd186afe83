"""From the files of runs to the paper's tables, figures and page."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from seq2exp.matrix import Matrix
from seq2exp.paper.estimates import estimate
from seq2exp.paper.figures import PaperFigure, paper_figures
from seq2exp.paper.page import Picture, write_page
from seq2exp.paper.results import RunFiles, read_runs
from seq2exp.paper.settings import settings_table
from seq2exp.paper.tables import shown_tables
from seq2exp.paper.writers import write_shown
from seq2exp.schemas import write_table

log = logging.getLogger(__name__)

DRAWINGS = 2
"""The first figures show no results."""


def build_paper(
    matrix: Matrix, files: Sequence[RunFiles], folder: Path, *, loci: Sequence[Path] = ()
) -> None:
    """Write all that :mod:`seq2exp.paper.files` names, from the runs that are there.

    Parameters
    ----------
    matrix
        What there should be.
    files
        Where the runs are; those that are not there are shown as missing.
    folder
        ``numbers/`` holds the tables of :mod:`seq2exp.paper.estimates`, from which figures are
        drawn; ``tables/``, ``figures/`` and ``index.html`` are for readers.
    loci
        Pictures of the example run (PNG); those that are not there are left out.
    """
    runs = read_runs(files)
    estimates = estimate(runs, matrix)
    for name, table in estimates._asdict().items():
        write_table(table, folder / "numbers" / f"{name}.tsv")
    tables = shown_tables(estimates, settings_table(runs, matrix), matrix)
    for shown in tables:
        write_shown(shown, folder / "tables")
    figures = paper_figures(matrix, folder / "numbers", folder / "tables")
    for figure in figures:
        figure.draw([folder / "figures" / f"{figure.name}.{kind}" for kind in ("png", "pdf")])
    pictures = [_picture(figure, folder) for figure in figures]
    write_page(
        folder / "index.html",
        runs=runs,
        drawings=pictures[:DRAWINGS],
        tables=tables,
        figures=pictures[DRAWINGS:],
        loci=loci,
        example=matrix.example(),
    )
    log.info("wrote %d tables and %d figures to %s", len(tables), len(figures), folder)


def _picture(figure: PaperFigure, folder: Path) -> Picture:
    return Picture(folder / "figures" / f"{figure.name}.png", figure.title, figure.caption)
