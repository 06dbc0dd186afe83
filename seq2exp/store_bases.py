"""What the window store holds per base: runs of windows, sequence codes, signals.

Windows that overlap or touch form a run, and runs lie one after another along an axis of T bases,
so that any window is one contiguous slice.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from seq2exp.base_codes import BLACKLIST_BIT, PEAK_BIT
from seq2exp.bed import merged_intervals, read_bed
from seq2exp.errors import UserError
from seq2exp.reference import open_fasta, read_codes
from seq2exp.tracks import Missing, Track, read_signal

log = logging.getLogger(__name__)

_PIECE = 1 << 21
_LARGEST = float(np.finfo(np.float16).max)


class Run(NamedTuple):
    """A stretch of genome, 0-based half-open, that begins at ``offset`` on the store's axis."""

    chrom: str
    start: int
    end: int
    offset: int


def window_starts(genes: pd.DataFrame, length: int) -> np.ndarray:
    """int64 (genes,): the first base of each window, 0-based; negative near a chromosome start."""
    return genes["tss"].to_numpy(np.int64) - length // 2


def window_runs(genes: pd.DataFrame, length: int) -> tuple[list[Run], np.ndarray]:
    """Merge the windows [tss - length/2, tss + length/2) into runs.

    Parameters
    ----------
    genes
        ``chrom`` and ``tss``, in any order.
    length
        Window length, bp.

    Returns
    -------
    runs
        Windows that overlap or touch, merged; chromosomes as they first occur in ``genes``.
    offsets : int64 (genes,)
        Where each gene's window begins on the axis of the runs laid end to end.
    """
    starts = window_starts(genes, length)
    offsets = np.empty(len(genes), dtype=np.int64)
    runs: list[Run] = []
    total = 0
    for chrom, unsorted in genes.groupby("chrom", sort=False).indices.items():
        rows = np.asarray(unsorted)
        rows = rows[np.argsort(starts[rows], kind="stable")]
        breaks = np.flatnonzero(np.diff(starts[rows]) > length) + 1
        for members in np.split(rows, breaks):
            start, end = int(starts[members[0]]), int(starts[members[-1]]) + length
            runs.append(Run(str(chrom), start, end, total))
            offsets[members] = total + starts[members] - start
            total += end - start
    return runs, offsets


def total_bases(runs: list[Run]) -> int:
    """Length of the axis of runs laid end to end, bp."""
    return sum(run.end - run.start for run in runs)


def write_bases(
    folder: Path,
    runs: list[Run],
    tracks: list[Track],
    fasta_path: Path,
    blacklist: Path | None,
    peaks: Path | None,
    missing: Missing,
) -> dict[str, str]:
    """Write ``codes.npy`` uint8 (T,) and ``signals.npy`` float16 (T, tracks), piece by piece.

    Bases in ``blacklist`` and ``peaks`` (BED) are flagged in their code.

    Returns
    -------
    dict
        SHA-256 of the values of each file.

    Raises
    ------
    UserError
        A signal is negative, or a file is unreadable or lacks a chromosome.
    """
    bases = total_bases(runs)
    codes = _create(folder / "codes.npy", np.uint8, (bases,))
    signals = _create(folder / "signals.npy", np.float16, (bases, len(tracks)))
    hashes = {name: hashlib.sha256() for name in ("codes.npy", "signals.npy")}
    fasta = open_fasta(fasta_path)
    flagged = {BLACKLIST_BIT: _intervals(blacklist, runs), PEAK_BIT: _intervals(peaks, runs)}
    clipping = [_Clipping(track.path) for track in tracks]
    with tqdm(total=bases, unit="bp", unit_scale=True, desc="windows", disable=None) as progress:
        for piece in _pieces(runs):
            stored = slice(piece.offset, piece.offset + piece.end - piece.start)
            codes[stored] = read_codes(fasta, piece.chrom, piece.start, piece.end)
            for bit, intervals in flagged.items():
                _flag(codes[stored], piece, intervals, bit)
            for column, track in enumerate(tracks):
                values = read_signal(track, piece.chrom, piece.start, piece.end, missing=missing)
                signals[stored, column] = clipping[column].apply(values, piece)
            hashes["codes.npy"].update(codes[stored].data)
            hashes["signals.npy"].update(signals[stored].data)
            progress.update(piece.end - piece.start)
    for clipped in clipping:
        clipped.report()
    codes.flush()
    signals.flush()
    return {name: digest.hexdigest() for name, digest in hashes.items()}


def _create(path: Path, dtype: Any, shape: tuple[int, ...]) -> np.memmap:
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def _pieces(runs: list[Run]) -> Iterator[Run]:
    for run in runs:
        for start in range(run.start, run.end, _PIECE):
            end = min(start + _PIECE, run.end)
            yield Run(run.chrom, start, end, run.offset + start - run.start)


def _intervals(bed: Path | None, runs: list[Run]) -> dict[str, np.ndarray]:
    """Intervals of a file on the chromosomes of the runs; none without a file."""
    return {} if bed is None else merged_intervals(read_bed(bed), {run.chrom for run in runs})


def _flag(codes: np.ndarray, piece: Run, intervals: dict[str, np.ndarray], bit: int) -> None:
    """Set a bit in the codes of a piece wherever an interval lies."""
    places = intervals.get(piece.chrom, np.zeros((0, 2), dtype=np.int64))
    first = np.searchsorted(places[:, 1], piece.start, side="right")
    last = np.searchsorted(places[:, 0], piece.end)
    for start, end in places[first:last] - piece.start:
        codes[max(start, 0) : end] |= bit


class _Clipping:
    """Fit values into float16, remember what had to be cut, and say so once."""

    def __init__(self, path: Path) -> None:
        self.path, self.count, self.largest = path, 0, 0.0

    def apply(self, values: np.ndarray, piece: Run) -> np.ndarray:
        if values.min() < 0:
            place = piece.start + int(values.argmin())
            raise UserError(
                f"{self.path}: {piece.chrom}:{place} holds {values.min():.4g}, but signals feed a "
                "Beta distribution and must not be negative; give p-value or read-depth-normalised "
                "signal, not a log ratio"
            )
        above = values > _LARGEST
        if above.any():
            self.count += int(above.sum())
            self.largest = max(self.largest, float(values.max()))
        return np.minimum(values, _LARGEST)

    def report(self) -> None:
        if self.count:
            log.warning(
                "%s: %d bases above %d (largest %.6g) are stored as %d, the float16 maximum",
                *(self.path, self.count, _LARGEST, self.largest, _LARGEST),
            )
