"""The examination as jobs of the workflow: files in, files out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Console

from seq2exp.config import WindowConfig
from seq2exp.doctor.cell_line import CellLine, Reference, check_cell_line
from seq2exp.doctor.checkup import Checkup, Finding, read_checkups, write_checkups
from seq2exp.doctor.compare import Promoters, compare_cell_lines
from seq2exp.doctor.genes import note_splits
from seq2exp.doctor.show import WIDTH, show_checkups, write_page
from seq2exp.errors import UserError
from seq2exp.schemas import read_table, write_table


def write_check(
    cell_line: CellLine,
    reference: Reference,
    window: WindowConfig,
    *,
    out_table: Path,
    out_promoters: Path,
) -> list[str]:
    """Examine a cell line, print what is found, and write it.

    Parameters
    ----------
    cell_line, reference, window
        See :func:`seq2exp.doctor.cell_line.check_cell_line`.
    out_table, out_promoters
        All figures and findings; labels and promoter signals by gene.

    Returns
    -------
    list of str
        The warnings, a line each.

    Raises
    ------
    UserError
        There are errors: all of them, in one line.
    """
    checkup, promoters = check_cell_line(cell_line, reference, window)
    show_checkups([checkup], Console(width=WIDTH))
    _refuse_errors([checkup])
    write_table(promoters.table, out_promoters)
    write_checkups([checkup], out_table)
    return _warnings([checkup])


def write_all_checks(
    tables: Sequence[Path],
    promoters: Sequence[Path],
    folds: Path,
    runs: Sequence[int],
    *,
    out_table: Path,
    out_page: Path,
) -> list[str]:
    """Put the checks of all cell lines together, with genes by split and a comparison.

    Parameters
    ----------
    tables, promoters
        Of each cell line, from :func:`write_check`.
    folds, runs
        ``folds.tsv``, and the folds that are run.
    out_table, out_page
        All figures and findings; the same for the eye, as HTML.

    Returns
    -------
    list of str
        The warnings that are new here, a line each.
    """
    checkups = [checkup for path in tables for checkup in read_checkups(path)]
    before = {(c.cell_line, finding) for c in checkups for finding in c.findings}
    found = [
        Promoters(checkup.cell_line, read_table(path, ["gene_id"]))
        for checkup, path in zip(checkups, promoters, strict=True)
    ]
    splits = read_table(folds, ["gene_id"])
    for checkup, own in zip(checkups, found, strict=True):
        note_splits(checkup, own, splits, runs)
    compare_cell_lines(found, checkups)
    show_checkups(checkups, Console(width=WIDTH))
    _refuse_errors(checkups)
    write_page(checkups, out_page)
    write_checkups(checkups, out_table)
    return _warnings(checkups, before)


def _refuse_errors(checkups: Sequence[Checkup]) -> None:
    errors = [f"{c.cell_line}: {item}: {text}" for c in checkups for _, item, text in c.errors()]
    if errors:
        raise UserError("; ".join(errors))


def _warnings(
    checkups: Sequence[Checkup], before: Collection[tuple[str, Finding]] = ()
) -> list[str]:
    return [
        f"{finding.level}: {checkup.cell_line}: {finding.item}: {finding.text}"
        for checkup in checkups
        for finding in checkup.findings
        if finding.level == "warning" and (checkup.cell_line, finding) not in before
    ]
