"""One page with every table and figure, in one file that can be sent."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from seq2exp import __version__
from seq2exp.matrix import Cell
from seq2exp.paper.results import DONE, RunResult
from seq2exp.paper.writers import ShownTable, html_page, html_table
from seq2exp.schemas import whole_file


class Picture(NamedTuple):
    """A PNG and what is said of it."""

    path: Path
    title: str
    caption: str


def write_page(
    page: Path,
    *,
    runs: Sequence[RunResult],
    drawings: Sequence[Picture],
    tables: Sequence[ShownTable],
    figures: Sequence[Picture],
    loci: Sequence[Path],
    example: Cell | None,
) -> None:
    """Write index.html: which runs are there, drawings, tables, figures, and loci of one run."""
    parts = [
        _status(runs),
        *_contents(["Model", "Tables", "Figures", "Example loci"]),
        '<h2 id="Model">Model</h2>',
        *map(_picture, drawings),
        '<h2 id="Tables">Tables</h2>',
        *(f"<h3>{html.escape(table.title)}</h3>\n{html_table(table)}" for table in tables),
        '<h2 id="Figures">Figures</h2>',
        *map(_picture, figures),
        '<h2 id="Example loci">Example loci</h2>',
        *_loci(loci, example),
    ]
    with whole_file(page) as temporary:
        temporary.write_text(html_page("Tables and figures", "\n".join(parts)), encoding="utf-8")


def _status(runs: Sequence[RunResult]) -> str:
    """How many runs there are, and which are not."""
    absent = [run for run in runs if run.status != DONE]
    done = f"{len(runs) - len(absent)} of {len(runs)} runs are done"
    text = f"<p>{done}; seq2exp {__version__}. What the columns mean: docs/paper.md.</p>"
    if not absent:
        return text
    names = "\n".join(f"<li>{html.escape(run.cell.folder)}: {run.status}</li>" for run in absent)
    return (
        f"{text}\n<details><summary>The other {len(absent)}</summary><ul>\n{names}\n</ul></details>"
    )


def _contents(sections: Sequence[str]) -> Iterable[str]:
    links = (f'<a href="#{section}">{section}</a>' for section in sections)
    return [f"<p>{' · '.join(links)}</p>"]


def _picture(picture: Picture) -> str:
    title, caption = html.escape(picture.title), html.escape(picture.caption)
    return (
        f'<figure>\n<h3>{title}</h3>\n<img alt="{title}" src="{_embedded(picture.path)}">\n'
        f'<figcaption><p class="note">{caption}</p></figcaption>\n</figure>'
    )


def _embedded(png: Path) -> str:
    """The picture itself as an address."""
    return "data:image/png;base64," + base64.b64encode(png.read_bytes()).decode("ascii")


def _loci(loci: Sequence[Path], example: Cell | None) -> Iterable[str]:
    there = [path for path in loci if path.exists()]
    if example is None or not there:
        return ['<p class="note">None drawn.</p>']
    said = f"Test genes at even steps of observed expression; {example.folder}."
    pictures = [
        f'<figure><img alt="locus {number}" src="{_embedded(path)}"></figure>'
        for number, path in enumerate(there, start=1)
    ]
    return [f'<p class="note">{html.escape(said)}</p>', *pictures]
