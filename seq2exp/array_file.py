"""Pieces of a .npy file, read by explicit calls into memory that the caller gives.

Beside a memory map, which reads as fast: a file that shrinks or a network file system that fails is
an error here and kills the process there, and the pages read do not count as its memory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from seq2exp.errors import UserError


@dataclass(frozen=True)
class ArrayFile:
    """A C-ordered array on disk; its rows are along the first axis."""

    path: Path
    data_start: int
    """Byte at which row 0 begins."""
    row_bytes: int

    @classmethod
    def behind(cls, mapped: np.memmap) -> ArrayFile:
        """The file behind an array of ``np.load(..., mmap_mode="r")``."""
        assert mapped.flags.c_contiguous
        return cls(Path(str(mapped.filename)), mapped.offset, mapped.strides[0])

    def read_into(self, out: np.ndarray, starts: np.ndarray) -> None:
        """Fill ``out[i]`` with the rows that begin at ``starts[i]``.

        Parameters
        ----------
        out
            (pieces, rows, ...), C-ordered, of the file's dtype.
        starts
            (pieces,), first row of each piece.

        Raises
        ------
        UserError
            The file ends before a piece does.
        """
        places = [self.data_start + int(start) * self.row_bytes for start in starts]
        with open(self.path, "rb", buffering=0) as file:
            _announce(file, places, out[0].nbytes)
            for piece, place in zip(out, places, strict=True):
                file.seek(place)
                missing = memoryview(piece).cast("B")
                while count := file.readinto(missing):
                    missing = missing[count:]
                if len(missing):
                    raise UserError(
                        f"{self.path}: ends {len(missing)} bytes too early; build it again"
                    )


def _announce(file: BinaryIO, places: list[int], size: int) -> None:
    """Let the kernel fetch all pieces at once where it can (Linux); a third faster from a disk."""
    if hasattr(os, "posix_fadvise"):
        for place in places:
            os.posix_fadvise(file.fileno(), place, size, os.POSIX_FADV_WILLNEED)
