"""Reference regions: cCREs, enhancers, peaks, from BED-like files."""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np
import pandas as pd

from seq2exp.bed import read_bed
from seq2exp.errors import UserError
from seq2exp.evidence.intervals import union
from seq2exp.filetypes import require_kind
from seq2exp.reference import match_chromosome, shown
from seq2exp.schemas import numbers

log = logging.getLogger(__name__)

_HEADS = ("#", "track", "browser")


class ReferenceInputs(NamedTuple):
    """Which regions of a file are meant; see :class:`seq2exp.evaluation_config.ReferenceSource`."""

    path: Path
    column: int | None = None
    """Column of the file, counted from 1, that says what a region is."""
    values: tuple[str, ...] = ()
    """What it says of the regions that are meant."""


def read_regions(inputs: ReferenceInputs, chroms: Collection[str]) -> pd.DataFrame:
    """Read a set of regions, each base once.

    Parameters
    ----------
    inputs
        BED or narrowPeak, plain or .gz; 0-based half-open. A cell of ``column`` may hold several
        words with commas between them, of which one in ``values`` is enough.
    chroms
        The genome's; the file may say ``1`` for ``chr1``.

    Returns
    -------
    DataFrame
        ``chrom``, ``start``, ``end``, sorted; regions that overlap are one.

    Raises
    ------
    UserError
        Not BED, no such column, no region with such a value, or none on these chromosomes.
    """
    path, column, values = inputs
    table = _read(path, column)
    for name in ("start", "end"):
        table[name] = numbers(table, name, path, whole=True)
    if (table["start"] >= table["end"]).any() or (table["start"] < 0).any():
        wrong = (table["start"] >= table["end"]) | (table["start"] < 0)
        row = table[wrong].iloc[0]
        raise UserError(
            f"{path}: {row['chrom']}:{row['start']}-{row['end']} is not an interval (0-based start "
            "< end); give BED"
        )
    if column is not None:
        wanted = set(values)
        words = table["value"].fillna("")
        kept = {word: bool(wanted & set(word.split(","))) for word in words.unique()}
        table = table[words.map(kept).astype(bool)]
        if table.empty:
            raise UserError(
                f"{path}: no region has {' or '.join(values)} in column {column}, which holds "
                f"{shown(sorted(kept))}; correct values"
            )
    return _on_genome(table, chroms, path)


def read_peaks(path: Path, chroms: Collection[str]) -> pd.DataFrame:
    """Read a cell line's peaks, as its window store does: the result of :func:`read_regions`."""
    return _on_genome(read_bed(path), chroms, path)


def _on_genome(table: pd.DataFrame, chroms: Collection[str], path: Path) -> pd.DataFrame:
    names = {chrom: match_chromosome(chrom, chroms) for chrom in table["chrom"].unique()}
    here = table.assign(chrom=table["chrom"].map(names)).dropna(subset="chrom")
    if here.empty:
        raise UserError(
            f"{path}: no region on the genome's chromosomes; it has {shown(list(names))}; give the "
            "file of this genome"
        )
    regions = union(here)
    log.info("%s: %d regions, %d bp", path, len(here), (regions["end"] - regions["start"]).sum())
    return regions


def _read(path: Path, column: int | None) -> pd.DataFrame:
    """Read ``chrom``, ``start``, ``end`` and, of a column, ``value`` as text."""
    kind = require_kind(path, "text", "gzip")
    names = {0: "chrom", 1: "start", 2: "end"}
    if column is not None:
        names[column - 1] = "value"
    try:
        with gzip.open(path, "rb") if kind == "gzip" else open(path, "rb") as handle:
            skipped = _head_lines(cast(IO[bytes], handle))
        table = pd.read_csv(
            path,
            sep="\t",
            header=None,
            skiprows=skipped,
            usecols=sorted(names),
            dtype="str",
            compression="gzip" if kind == "gzip" else None,
            comment="#",
        ).rename(columns=names)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else "unreadable"
        wanted = f" with {column} columns" if column else ""
        raise UserError(f"{path}: not BED{wanted} ({reason}); give tab-separated BED") from None
    table.index += skipped - 1  # of a table with a header, for messages
    return table


def _head_lines(handle: IO[bytes]) -> int:
    """Count the comment and track lines at the top."""
    heads = tuple(head.encode() for head in _HEADS)
    count = 0
    for line in handle:
        if line.strip() and not line.startswith(heads):
            break
        count += 1
    return count


def by_chromosome(regions: pd.DataFrame) -> dict[str, np.ndarray]:
    """Starts and ends of regions from :func:`read_regions`: int64 (n, 2) a chromosome."""
    return {
        str(chrom): part[["start", "end"]].to_numpy(np.int64)
        for chrom, part in regions.groupby("chrom")
    }


def cover(regions: Mapping[str, np.ndarray], chrom: str, start: int, length: int) -> np.ndarray:
    """Count the covered bases before each base of a window: int32 (length + 1,), prefix sums.

    Parameters
    ----------
    regions
        From :func:`by_chromosome`.
    chrom, start, length
        The window's, 0-based; ``start`` may be negative.
    """
    own = regions.get(chrom, np.empty((0, 2), dtype=np.int64))
    first = np.searchsorted(own[:, 1], start, "right")
    last = np.searchsorted(own[:, 0], start + length, "left")
    inside = np.clip(own[first:last] - start, 0, length)
    steps = np.zeros(length + 1, dtype=np.int8)
    np.add.at(steps, inside[:, 0], 1)
    np.add.at(steps, inside[:, 1], -1)
    covered = np.cumsum(steps[:-1], dtype=np.int8)
    return np.concatenate([[0], np.cumsum(covered, dtype=np.int32)])
