"""Intervals from BED and the formats that begin like it (narrowPeak): 0-based half-open."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from seq2exp.errors import UserError
from seq2exp.filetypes import require_kind
from seq2exp.reference import match_chromosome, shown


def read_bed(path: Path, *, names: bool = False) -> pd.DataFrame:
    """Read intervals in the order of the file (plain or .gz): ``chrom, start, end``.

    With ``names`` also the fourth column, ``name``, empty where there is none.

    Raises
    ------
    UserError
        A line has fewer than three columns or no valid interval: names the line.
    """
    opener = gzip.open if require_kind(path, "text", "gzip") == "gzip" else open
    rows = []
    try:
        with opener(path, "rt", encoding="utf-8") as handle:
            for number, line in enumerate(handle, 1):
                if not line.strip() or line.startswith(("#", "track", "browser")):
                    continue
                rows.append(_interval(line, f"{path}: line {number}"))
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise UserError(f"{path}: truncated or damaged ({error}); get the file again") from None
    table = pd.DataFrame(rows, columns=["chrom", "start", "end", "name"])
    return table if names else table.drop(columns="name")


def _interval(line: str, place: str) -> tuple[str, int, int, str]:
    fields = line.split()
    if len(fields) < 3:
        raise UserError(f"{place}: {line.strip()!r} has fewer than 3 columns; give BED")
    if not (fields[1].isdigit() and fields[2].isdigit() and int(fields[1]) < int(fields[2])):
        raise UserError(
            f"{place}: {fields[1]}-{fields[2]} is not an interval (0-based start < end); give BED"
        )
    # A name may hold spaces where tabs separate.
    columns = line.rstrip().split("\t") if "\t" in line else fields
    name = columns[3] if len(columns) > 3 else ""
    return fields[0], int(fields[1]), int(fields[2]), name


def merged_intervals(table: pd.DataFrame, chroms: Collection[str]) -> dict[str, np.ndarray]:
    """Sort the intervals of each chromosome, and join those that overlap or touch.

    Parameters
    ----------
    table
        From :func:`read_bed`.
    chroms
        The chromosomes that are wanted, under the names to use (chr1 also finds 1).

    Returns
    -------
    dict
        int64 (n, 2), start and end; chromosomes without an interval are left out.
    """
    merged: dict[str, np.ndarray] = {}
    for spelled, rows in table.groupby("chrom", sort=False).indices.items():
        name = match_chromosome(str(spelled), chroms)
        if name is not None:
            places = table.iloc[rows][["start", "end"]].to_numpy(np.int64)
            merged[name] = np.concatenate([merged.get(name, places[:0]), places])
    return {name: _joined(places) for name, places in merged.items()}


def _joined(places: np.ndarray) -> np.ndarray:
    places = places[np.argsort(places[:, 0], kind="stable")]
    reach = np.maximum.accumulate(places[:, 1])
    first = np.flatnonzero(np.append(True, places[1:, 0] > reach[:-1]))
    last = np.append(first[1:], len(places)) - 1
    return np.column_stack([places[first, 0], reach[last]])


def check_bed_assembly(table: pd.DataFrame, sizes: Mapping[str, int], path: Path) -> None:
    """Check that intervals can be of a genome: on its chromosomes, and within their lengths.

    Intervals on sequences that the genome lacks are let pass if there are others.

    Parameters
    ----------
    table, path
        From :func:`read_bed`, and where they were read.
    sizes
        Length of each chromosome.

    Raises
    ------
    UserError
        There is no interval, none on the genome, or one ends beyond a chromosome.
    """
    if table.empty:
        raise UserError(f"{path}: holds no interval; get the file again")
    furthest = table.groupby("chrom", sort=False)["end"].max()
    names = {str(spelled): match_chromosome(str(spelled), sizes) for spelled in furthest.index}
    for spelled, name in names.items():
        if name is not None and furthest[spelled] > sizes[name]:
            raise UserError(
                f"{path}: an interval ends at {spelled}:{furthest[spelled]}, but {name} has "
                f"{sizes[name]} bp; the file is of another assembly, get the one of this genome"
            )
    if not any(names.values()):
        raise UserError(
            f"{path}: no chromosome in common with the genome ({shown(names)} against "
            f"{shown(sizes)}); get the file of this genome"
        )
