"""What an examination has found: figures, and findings in plain sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import pandas as pd

from seq2exp.errors import UserError
from seq2exp.schemas import CHECK_COLUMNS, read_table, write_table

Level = Literal["hint", "warning", "error"]
"""error: training would fail or be meaningless; warning: probably wrong; hint: worth knowing."""
Value = str | int | float


class Figure(NamedTuple):
    """One figure of an item (a track, a label, the genes)."""

    item: str
    name: str
    value: Value


class Finding(NamedTuple):
    """One sentence about an item, with its remedy."""

    level: Level
    item: str
    text: str


@dataclass
class Checkup:
    """Figures and findings of a cell line, or of what all cell lines share (no name)."""

    cell_line: str = ""
    figures: list[Figure] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def note(self, item: str, **figures: Value) -> None:
        """Add figures of an item."""
        self.figures += [Figure(item, name, value) for name, value in figures.items()]

    def say(self, level: Level, item: str, text: str) -> None:
        """Add a finding."""
        self.findings.append(Finding(level, item, text))

    def get(self, item: str, name: str) -> Value | None:
        """Return a figure, None where it was not taken."""
        found = [f.value for f in self.figures if (f.item, f.name) == (item, name)]
        return found[-1] if found else None

    def errors(self) -> list[Finding]:
        """Findings with which training should not begin."""
        return [finding for finding in self.findings if finding.level == "error"]

    @contextmanager
    def examining(self, item: str) -> Iterator[None]:
        """Turn an error of the user's data into a finding, so that the examination goes on."""
        try:
            yield
        except UserError as error:
            self.say("error", item, str(error))


def write_checkups(checkups: Sequence[Checkup], path: Path) -> None:
    """Write a table of ``schemas.CHECK_COLUMNS``: all figures, then all findings, of each checkup.

    The figure of a finding is its level, the value its sentence.
    """
    rows = []
    for checkup in checkups:
        for item, name, value in checkup.figures:
            text = f"{value:.6g}" if isinstance(value, float) else str(value)
            rows.append((checkup.cell_line, item, name, text))
        for level, item, text in checkup.findings:
            rows.append((checkup.cell_line, item, level, text))
    write_table(pd.DataFrame(rows, columns=list(CHECK_COLUMNS)), path)


def read_checkups(path: Path) -> list[Checkup]:
    """Read what :func:`write_checkups` has written."""
    table = read_table(path, CHECK_COLUMNS, text=CHECK_COLUMNS)
    checkups: dict[str, Checkup] = {}
    for name, item, figure, value in table[list(CHECK_COLUMNS)].itertuples(index=False):
        checkup = checkups.setdefault(name, Checkup(name))
        if figure in get_args(Level):
            checkup.say(figure, item, value)
        else:
            checkup.note(item, **{figure: _parsed(value)})
    return list(checkups.values())


def _parsed(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
