"""Motifs of transcription factors from files: JASPAR's and the MEME suite's."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from seq2exp.errors import UserError
from seq2exp.filetypes import require_kind

_NUMBER = re.compile(r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?")


class Motif(NamedTuple):
    """Which letters a factor binds."""

    motif: str
    """Identifier, e.g. MA0139.1; unique in its file."""
    name: str
    """Of the factor; the identifier where the file gives none."""
    probabilities: np.ndarray
    """float64 (width, 4): of A, C, G, T at each position; rows sum to 1."""


def read_motifs(path: Path) -> list[Motif]:
    """Read every motif of a file, plain or .gz.

    Parameters
    ----------
    path
        JASPAR (``>ID name``, then four lines of counts, with or without ``A [ ... ]``) or MEME
        (``MEME version``, ``MOTIF ID name``, ``letter-probability matrix``).

    Raises
    ------
    UserError
        Neither format, a matrix that is not one, an identifier that occurs twice, or no motif.
    """
    kind = require_kind(path, "text", "gzip")
    try:
        with gzip.open(path, "rt") if kind == "gzip" else open(path) as file:
            lines = [line.strip() for line in file]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: unreadable ({error}); give motifs as JASPAR or MEME") from None
    written = [line for line in lines if line]
    if written and written[0].startswith("MEME version"):
        found = _meme(lines, path)
    elif written and written[0].startswith(">"):
        found = _jaspar(written, path)
    else:
        raise UserError(f"{path}: neither JASPAR (>ID) nor MEME (MEME version); give one of them")
    motifs, known = [], set[str]()
    for motif in found:
        if motif.motif in known:
            raise UserError(f"{path}: motif {motif.motif} occurs twice; rename or remove one")
        known.add(motif.motif)
        motifs.append(motif)
    if not motifs:
        raise UserError(f"{path}: no motif in it; give another file")
    return motifs


def _jaspar(lines: list[str], path: Path) -> Iterator[Motif]:
    for i, line in enumerate(lines):
        if not line.startswith(">"):
            continue
        # The rows of A, C, G and T, with or without the letter.
        rows = [row for row in lines[i + 1 : i + 5] if not row.startswith(">")]
        counts = [[float(x) for x in _NUMBER.findall(row)] for row in rows]
        whole = len(counts) == 4 and len({len(row) for row in counts}) == 1
        columns = [list(column) for column in zip(*counts, strict=True)] if whole else []
        yield _motif(line[1:], columns, whole, path)


def _meme(lines: list[str], path: Path) -> Iterator[Motif]:
    head = ""
    for i, line in enumerate(lines):
        if line.startswith("MOTIF"):
            head = line[len("MOTIF") :]
        elif line.startswith("letter-probability matrix"):
            width = re.search(r"w=\s*(\d+)", line)
            rows = []
            for row in lines[i + 1 :]:
                if not re.match(r"[\d.+-]", row):
                    break
                rows.append([float(x) for x in _NUMBER.findall(row)])
            whole = all(len(row) == 4 for row in rows)
            yield _motif(head, rows, whole and (not width or len(rows) == int(width[1])), path)


def _motif(head: str, rows: list[list[float]], whole: bool, path: Path) -> Motif:
    """Make a motif of its line of names and its rows of counts or probabilities."""
    words = head.split()
    if not words:
        raise UserError(f"{path}: a motif without an identifier; name it")
    values = np.array(rows, dtype=np.float64) if whole and rows else np.empty((0, 4))
    if not len(values) or (values < 0).any() or (values.sum(axis=1) <= 0).any():
        raise UserError(
            f"{path}: motif {words[0]} is no matrix of A, C, G, T; correct or remove it"
        )
    probabilities = values / values.sum(axis=1, keepdims=True)
    return Motif(words[0], words[1] if len(words) > 1 else words[0], probabilities)
