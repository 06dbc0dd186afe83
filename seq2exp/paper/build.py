"""From the files of runs to the paper's tables: numbers for figures, and tables for readers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from seq2exp.matrix import Matrix
from seq2exp.paper.estimates import Estimates, estimate
from seq2exp.paper.results import RunFiles, read_runs
from seq2exp.paper.settings import settings_table
from seq2exp.paper.tables import shown_tables
from seq2exp.paper.writers import write_shown
from seq2exp.schemas import write_table

log = logging.getLogger(__name__)

NUMBERS = Estimates._fields
"""Tables of numbers, from which figures are drawn."""


def build_tables(matrix: Matrix, files: Sequence[RunFiles], *, numbers: Path, tables: Path) -> None:
    """Write every table of the paper from the runs that are there.

    Parameters
    ----------
    matrix
        What there should be.
    files
        Where the runs are; those that are not there are shown as missing.
    numbers
        Folder of a TSV for each of NUMBERS: see :mod:`seq2exp.paper.estimates` for the columns.
    tables
        Folder of the tables for readers, ``.tsv``, ``.tex`` and ``.html``.
    """
    runs = read_runs(files)
    estimates = estimate(runs, matrix)
    for name, table in estimates._asdict().items():
        write_table(table, numbers / f"{name}.tsv")
    shown = shown_tables(estimates, settings_table(runs, matrix), matrix)
    for table in shown:
        write_shown(table, tables)
    log.info("wrote %d tables", len(shown))
