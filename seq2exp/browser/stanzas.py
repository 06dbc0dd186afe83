"""The text of track hubs: stanzas of settings, a blank line between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from seq2exp.errors import UserError

Stanza = Mapping[str, str]


def write_stanzas(stanzas: Iterable[Stanza], path: Path) -> None:
    """Write stanzas, a setting a line, subtracks indented as UCSC's are."""
    texts = []
    for stanza in stanzas:
        indent = "    " if "parent" in stanza else ""
        lines = [f"{indent}{key} {one_line(value)}" for key, value in stanza.items()]
        texts.append("\n".join(lines) + "\n")
    path.write_text("\n".join(texts), encoding="utf-8")


def read_stanzas(path: Path) -> list[dict[str, str]]:
    """Read stanzas back: lines that begin with # are comments, a backslash continues a line.

    Raises
    ------
    UserError
        A setting has no value, or occurs twice in a stanza: names the line.
    """
    stanzas: list[dict[str, str]] = []
    current: dict[str, str] = {}
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for number, line in enumerate([*text.splitlines(), ""], 1):
        line = line.strip()
        if line.startswith("#"):
            continue
        if not line:
            if current:
                stanzas.append(current)
            current = {}
            continue
        key, _, value = line.partition(" ")
        if not value.strip():
            raise UserError(f"{path}: line {number}: {key} has no value; give one")
        if key in current:
            raise UserError(f"{path}: line {number}: {key} occurs twice in a stanza; remove one")
        current[key] = value.strip()
    return stanzas


def one_line(text: str) -> str:
    """Join whatever whitespace there is to single spaces: a line break would end a setting."""
    return " ".join(text.split())
