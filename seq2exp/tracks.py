"""bigWig tracks to arrays: NaN to 0, zeros beyond chromosome ends, chr1 / 1 naming."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyBigWig

from seq2exp.bigwig_file import require_whole_bigwig
from seq2exp.errors import UserError
from seq2exp.reference import match_chromosome, shown
from seq2exp.schemas import whole_file

log = logging.getLogger(__name__)

_PIECE = 1 << 22

Missing = Literal["error", "zeros"]
"""What to do where a file lacks a chromosome (``window.missing_chromosome``)."""


class Track(NamedTuple):
    """An open bigWig. Not to be shared between processes: each opens its own."""

    path: Path
    sizes: dict[str, int]
    handle: Any


def open_bigwig(path: Path) -> Track:
    """Open a bigWig after checking that it is one, and whole.

    Raises
    ------
    UserError
        Missing, empty, HTML, another format or truncated: one line naming the file.
    """
    path = Path(path)
    require_whole_bigwig(path)
    try:
        handle = pyBigWig.open(str(path))
        return Track(path, dict(handle.chroms()), handle)
    except (RuntimeError, AttributeError, TypeError):
        raise UserError(f"{path}: unreadable bigWig; get the file again") from None


def check_assembly(track_sizes: dict[str, int], chrom_sizes: dict[str, int], path: Path) -> None:
    """Check that a file and the genome agree on the length of every chromosome they share.

    Raises
    ------
    UserError
        A length differs, or no chromosome is shared: the file is of another assembly.
    """
    shared = 0
    for name, size in chrom_sizes.items():
        found = match_chromosome(name, track_sizes)
        if found is None:
            continue
        shared += 1
        if track_sizes[found] != size:
            raise UserError(
                f"{path}: {found} has {track_sizes[found]} bp but the genome's {name} has {size}; "
                "the file is of another assembly, get the one of this genome"
            )
    if not shared:
        raise UserError(
            f"{path}: no chromosome in common with the genome ({shown(track_sizes)} against "
            f"{shown(chrom_sizes)}); get the file of this genome"
        )


def read_signal(track: Track, chrom: str, start: int, end: int, *, missing: Missing) -> np.ndarray:
    """Read one value per base.

    Parameters
    ----------
    track
        From :func:`open_bigwig`.
    chrom, start, end
        0-based half-open; may reach beyond the chromosome at both ends.
    missing
        ``zeros``: a chromosome that the track lacks reads as zeros.

    Returns
    -------
    float32 (end - start,)
        In the units of the file; 0 where there is no data and beyond the chromosome.

    Raises
    ------
    UserError
        The track lacks the chromosome (``missing="error"``), or its data are damaged.
    """
    values = np.zeros(end - start, dtype=np.float32)
    name = resolve_chromosome(track.sizes, chrom, track.path, missing=missing)
    if name is None:
        return values
    inside = read_known(track, name, start, end)
    inside[np.isnan(inside)] = 0
    first = max(-start, 0)
    values[first : first + len(inside)] = inside
    return values


def read_known(track: Track, name: str, start: int, end: int) -> np.ndarray:
    """Read the bases of [start, end) that are on the chromosome, NaN where there is no data.

    Parameters
    ----------
    track
        From :func:`open_bigwig`.
    name, start, end
        A chromosome under the file's own name; 0-based half-open.

    Returns
    -------
    float32 (bases on the chromosome,)
    """
    start, end = max(start, 0), min(end, track.sizes[name])
    if start >= end:
        return np.zeros(0, dtype=np.float32)
    try:
        return track.handle.values(name, start, end, numpy=True)
    except RuntimeError:
        raise UserError(
            f"{track.path}: damaged data at {name}:{start}-{end}; get the file again"
        ) from None


def write_bedgraph(bigwig: Path, out: Path) -> None:
    """Write a bigWig as bedGraph, sorted by chromosome as in the file and by start.

    Raises
    ------
    UserError
        The bigWig is not one, or damaged.
    """
    track = open_bigwig(bigwig)
    with whole_file(out) as temporary, open(temporary, "w", encoding="utf-8") as handle:
        for chrom, size in track.sizes.items():
            for start in range(0, size, _PIECE):
                handle.writelines(_bedgraph_lines(track, chrom, start, min(start + _PIECE, size)))


def _bedgraph_lines(track: Track, chrom: str, start: int, end: int) -> Iterator[str]:
    """Yield the intervals that overlap [start, end), cut to it."""
    try:
        intervals = track.handle.intervals(chrom, start, end) or ()
    except RuntimeError:
        raise UserError(
            f"{track.path}: damaged data at {chrom}:{start}-{end}; get the file again"
        ) from None
    for first, last, value in intervals:
        if value == value:  # no NaN
            yield f"{chrom}\t{max(first, start)}\t{min(last, end)}\t{value:.6g}\n"


def check_chromosomes(
    chroms: Iterable[str], sizes: dict[str, int], path: Path, *, missing: Missing
) -> None:
    """Check that a file has the chromosome of every gene, before anything is read.

    Parameters
    ----------
    chroms
        The chromosome of each gene.
    sizes, path
        Of the file.
    missing
        ``zeros``: chromosomes that the file lacks are logged with the number of their genes.

    Raises
    ------
    UserError
        The file lacks one, with ``missing="error"``.
    """
    for chrom, count in Counter(chroms).items():
        if resolve_chromosome(sizes, chrom, path, missing=missing) is None:
            log.warning("%s: no chromosome %s: %d genes read zeros from it", path, chrom, count)


def resolve_chromosome(
    sizes: dict[str, int], chrom: str, path: Path, *, missing: Missing
) -> str | None:
    """Find a genome's chromosome in a file; None where the file lacks it and zeros are asked for.

    Raises
    ------
    UserError
        The file lacks it and ``missing`` is ``error``.
    """
    name = match_chromosome(chrom, sizes)
    if name is None and missing == "error":
        raise UserError(
            f"{path}: no chromosome {chrom!r}, it has {shown(sizes)}; use a file that covers it, "
            "drop it from genome.chromosomes, or set window.missing_chromosome: zeros "
            "(hic.missing_chromosome for a contact map)"
        )
    return name
