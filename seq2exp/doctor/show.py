"""Checkups for the eye: tables of at most 110 columns, readable without colour, and as a page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seq2exp.doctor.checkup import Checkup, Value
from seq2exp.doctor.compare import RHO_WITH
from seq2exp.doctor.genes import ITEM as GENES
from seq2exp.doctor.hic import ITEM as HIC
from seq2exp.doctor.peaks import ITEM as PEAKS
from seq2exp.schemas import whole_file

WIDTH = 110
STYLES = {"error": "bold red", "warning": "bold yellow", "hint": "bold cyan"}

TRACKS = {
    "assembly": "assembly",
    "chroms": "chromosomes",
    "covered": "covered",
    "zero": "zero",
    "min": "min",
    "median": "median",
    "99.9%": "q999",
    "max": "max",
    "active": "active",
    "at TSS": "at_tss",
    "values": "kind",
}
LABELS = {
    "genes": "genes",
    "zero": "zero",
    "min": "min",
    "median": "median",
    "max": "max",
    "r H3K27ac": "rho_h3k27ac",
    "r DNase": "rho_dnase",
}
SHARES = {"covered", "zero", "active", "n_mean", "n_max", "in_peaks", "promoters"}
LEGEND = (
    "covered: bases with data; zero: bases that read 0; active: bases above the half of the mask's "
    "prior; at TSS: mean within 500 bp of a TSS over the mean of the windows; r: Spearman, labels "
    "with the mean signal within 500 bp of the TSS."
)


def show_checkups(checkups: Sequence[Checkup], console: Console) -> None:
    """Print tables and findings of each checkup."""
    for checkup in checkups:
        _show(checkup, console)
    comparison = _comparison(checkups)
    if comparison is not None:
        console.print("labels (rows) with tracks (columns), mean Spearman r:", highlight=False)
        console.print(comparison)
    if any(_is_examined(checkup) for checkup in checkups if checkup.cell_line):
        console.print(LEGEND, style="dim", highlight=False)


def write_page(checkups: Sequence[Checkup], path: Path) -> None:
    """Write the same as a page of HTML."""
    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_terminal=True)
    show_checkups(checkups, console)
    with whole_file(path) as temporary:
        temporary.write_text(console.export_html(inline_styles=True))


def _show(checkup: Checkup, console: Console) -> None:
    items = list(dict.fromkeys(figure.item for figure in checkup.figures))
    name = checkup.cell_line or "all cell lines"
    console.rule(f"[bold]{name}", align="left", characters="-", style="dim")
    for columns, key in ((TRACKS, "assembly"), (LABELS, "median")):
        rows = [item for item in items if checkup.get(item, key) is not None]
        rows = [
            item for item in rows if (columns is LABELS) == (checkup.get(item, "genes") is not None)
        ]
        if rows:
            console.print(_table(checkup, rows, columns))
    lines = [_genes_line(checkup), _contacts_line(checkup), _peaks_line(checkup)]
    lines += [_label_line(checkup, item) for item in items]
    lines += [_file_line(checkup, item) for item in items]
    for line in filter(None, lines):
        console.print(line, highlight=False)
    for level, item, text in sorted(checkup.findings, key=lambda f: list(STYLES).index(f.level)):
        console.print(Text.assemble((f"{level}: ", STYLES[level]), f"{item}: {text}"))
    if not checkup.findings and _is_examined(checkup):
        console.print("nothing odd found", style="green")
    console.print()


def _is_examined(checkup: Checkup) -> bool:
    """Whether there was anything to look at: more than names of files."""
    return any(figure.name not in ("file", "state") for figure in checkup.figures)


def _genes_line(checkup: Checkup) -> str:
    kept = checkup.get(GENES, "kept")
    if kept is None:
        return ""
    parts = [f"genes: {kept} kept"]
    parts += [
        f"{figure.value} dropped ({figure.name.removeprefix('dropped: ')})"
        for figure in checkup.figures
        if figure.item == GENES and figure.name.startswith("dropped: ")
    ]
    shares = [_written("n_mean", checkup.get(GENES, name)) for name in ("n_mean", "n_max")]
    return f"{', '.join(parts)}; N around a TSS: {shares[0]}, at most {shares[1]}"


def _contacts_line(checkup: Checkup) -> str:
    own, count = checkup.get(HIC, "contact_at_tss"), checkup.get(HIC, "genes_read")
    if own is None:
        return ""
    return (
        f"hic: a TSS's bin has {_written('', own)} contacts with itself (median of {count} genes)"
    )


def _peaks_line(checkup: Checkup) -> str:
    count, enrichment = checkup.get(PEAKS, "peaks"), checkup.get(PEAKS, "enrichment")
    if count is None:
        return ""
    shares = [_written(name, checkup.get(PEAKS, name)) for name in ("in_peaks", "promoters")]
    dnase = (
        "" if enrichment is None else f"; DNase in them {_written('at_tss', enrichment)} its mean"
    )
    return f"peaks: {count}, over {shares[0]} of the bases and {shares[1]} of the promoters{dnase}"


def _label_line(checkup: Checkup, item: str) -> str:
    splits = [f for f in checkup.figures if f.item == item and f.name.startswith("fold")]
    lacking = checkup.get(item, "lacking")
    if lacking is None:
        return ""
    counts = "".join(f", {figure.name} {figure.value}" for figure in splits)
    without = "every gene has a label" if lacking == "none" else f"without label: {lacking}"
    return f"{item}: {checkup.get(item, 'genes')} labels{counts}; {without}"


def _file_line(checkup: Checkup, item: str) -> str:
    file, state = checkup.get(item, "file"), checkup.get(item, "state")
    if file is None:
        return f"{item}: {state}" if state else ""
    return f"{item}: {file}{f' ({state})' if state else ''}"


def _comparison(checkups: Sequence[Checkup]) -> Table | None:
    """Labels of each row's cell line against the tracks of each column's."""
    names = [checkup.cell_line for checkup in checkups if checkup.cell_line]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("", *names):
        table.add_column(name, justify="right" if name else "left")
    for checkup in checkups:
        found = [f for f in checkup.figures if f.name.startswith(RHO_WITH)]
        for assay in dict.fromkeys(figure.item for figure in found):
            rhos = [checkup.get(assay, f"{RHO_WITH}{name}") for name in names]
            table.add_row(f"{checkup.cell_line} {assay}", *(_written("rho", rho) for rho in rhos))
    return table if table.row_count else None


def _table(checkup: Checkup, items: list[str], columns: dict[str, str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", no_wrap=True)
    heads = {
        head: name
        for head, name in columns.items()
        if any(checkup.get(item, name) is not None for item in items)
    }
    for head in heads:
        left = head in ("assembly", "values")
        width = 8 if head == "values" else None
        table.add_column(
            head, justify="left" if left else "right", no_wrap=width is None, min_width=width
        )
    for item in items:
        table.add_row(item, *(_written(name, checkup.get(item, name)) for name in heads.values()))
    return table


def _written(name: str, value: Value | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if name in SHARES:
        return f"{value:.1%}"
    if name == "at_tss":
        return f"{value:.3g}x"
    if name.startswith("rho"):
        return f"{round(value, 2) + 0:.2f}"  # no -0.00
    return f"{value:.4g}" if isinstance(value, float) else str(value)
