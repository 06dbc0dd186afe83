"""A table for readers, in three forms: TSV with all digits, LaTeX (booktabs), HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from seq2exp.schemas import whole_file, write_table

MISSING = "-"
LONG = 40
"""Characters from which on a cell is wrapped."""


class Column(NamedTuple):
    """One column as it is shown."""

    head: str
    cells: list[str]
    group: str = ""
    """Heading above several neighbouring columns."""
    numeric: bool = True
    """Aligned to the right."""


class ShownTable(NamedTuple):
    """A table and what is said about it."""

    name: str
    """File name without suffix."""
    title: str
    note: str
    numbers: pd.DataFrame
    """What the TSV holds: nothing rounded."""
    columns: list[Column]
    blocks: list[int]
    """Rows (0-based) that begin a new block, the first left out."""


def write_shown(table: ShownTable, folder: Path) -> None:
    """Write ``{name}.tsv``, ``.tex`` and ``.html``, each whole or not at all."""
    write_table(table.numbers, folder / f"{table.name}.tsv")
    for suffix, text in (
        ("tex", latex(table)),
        ("html", html_page(table.title, html_table(table))),
    ):
        with whole_file(folder / f"{table.name}.{suffix}") as temporary:
            temporary.write_text(text, encoding="utf-8")


def _groups(table: ShownTable) -> list[tuple[str, int]]:
    """Heading and width of each stretch of columns with the same heading."""
    return [
        (group, len(list(columns))) for group, columns in groupby(table.columns, lambda c: c.group)
    ]


def _rows(table: ShownTable) -> Iterator[list[str]]:
    return map(list, zip(*(column.cells for column in table.columns), strict=True))


# --------------------------------------------------------------------------- LaTeX

_TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
}


def tex_escape(text: str) -> str:
    """Text as LaTeX shows it; a hyphen before a number is a minus."""
    escaped = "".join(_TEX.get(character, character) for character in text)
    return re.sub(r"(?<![\w.)])-(?=\d)", "$-$", escaped)


def latex(table: ShownTable) -> str:
    r"""Write the ``tabular`` alone, for ``\input`` into a table environment (package booktabs)."""
    alignment = "".join(map(_alignment, table.columns))
    lines = [
        *(f"% {line}" for text in (table.title, table.note) for line in text.splitlines()),
        f"\\begin{{tabular}}{{@{{}}{alignment}@{{}}}}",
        r"\toprule",
    ]
    groups = _groups(table)
    if any(group for group, _ in groups):
        heads, rules, first = [], [], 1
        for group, width in groups:
            heads.append(f"\\multicolumn{{{width}}}{{c}}{{{tex_escape(group)}}}")
            if group:
                rules.append(f"\\cmidrule(lr){{{first}-{first + width - 1}}}")
            first += width
        lines += [" & ".join(heads) + r" \\", "".join(rules)]
    lines += [" & ".join(tex_escape(column.head) for column in table.columns) + r" \\", r"\midrule"]
    for number, row in enumerate(_rows(table)):
        if number in table.blocks:
            lines.append(r"\midrule")
        lines.append(" & ".join(map(tex_escape, row)) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _alignment(column: Column) -> str:
    if column.numeric:
        return "r"
    return "p{7cm}" if max(map(len, column.cells), default=0) > LONG else "l"


# --------------------------------------------------------------------------- HTML

STYLE = """
body {font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; margin: 2rem auto; max-width: 92rem;
  padding: 0 1rem}
h1 {font-size: 1.5rem} h2 {font-size: 1.2rem; margin-top: 2.5rem}
p.note {color: #555; max-width: 60rem}
div.wide {overflow-x: auto}
table {border-collapse: collapse; border-top: 2px solid #1a1a1a; border-bottom: 2px solid #1a1a1a;
  font-size: 0.87rem; font-variant-numeric: tabular-nums}
th, td {padding: 0.2rem 0.6rem; text-align: left; white-space: nowrap}
td.wrap {white-space: normal; max-width: 32rem}
thead tr:last-child th {border-bottom: 1px solid #1a1a1a}
th.group {text-align: center; border-bottom: 1px solid #999}
.number {text-align: right}
tr.block td {border-top: 1px solid #999}
img {max-width: 100%; height: auto}
figure {margin: 1rem 0}
a {color: #0072B2}
"""


def html_table(table: ShownTable) -> str:
    """Write the ``<table>`` with its note."""
    head = ""
    groups = _groups(table)
    if any(group for group, _ in groups):
        cells = [
            f'<th colspan="{width}"{_class("group" if group else "")}>{html.escape(group)}</th>'
            for group, width in groups
        ]
        head = f"<tr>{''.join(cells)}</tr>\n"
    classes = ["number" if column.numeric else "" for column in table.columns]
    heads = [
        f"<th{_class(kind)}>{html.escape(column.head)}</th>"
        for kind, column in zip(classes, table.columns, strict=True)
    ]
    rows = [
        f"<tr{_class('block' if number in table.blocks else '')}>"
        + "".join(_td(cell, kind) for kind, cell in zip(classes, row, strict=True))
        + "</tr>"
        for number, row in enumerate(_rows(table))
    ]
    return (
        f'<p class="note">{html.escape(table.note)}</p>\n<div class="wide"><table>\n<thead>\n{head}'
        f"<tr>{''.join(heads)}</tr>\n</thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody>\n"
        "</table></div>"
    )


def _td(cell: str, kind: str) -> str:
    return f"<td{_class(kind or ('wrap' if len(cell) > LONG else ''))}>{html.escape(cell)}</td>"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def html_page(title: str, body: str) -> str:
    """Write a whole page that needs nothing beside it."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )
