"""FASTA to UCSC's .2bit, for track hubs of genomes that UCSC does not have.

Format: https://genome.ucsc.edu/FAQ/FAQformat.html#format7 (version 0, little-endian).
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pyfaidx

from seq2exp.errors import UserError
from seq2exp.schemas import whole_file

MAGIC = 0x1A412743
LARGEST = 2**32  # offsets within the file are 32 bits wide

_CODES = np.zeros(256, dtype=np.uint8)  # T 0, C 1, A 2, G 3; N as T, under a block of Ns
_CODES[np.frombuffer(b"CAGcag", dtype=np.uint8)] = [1, 2, 3, 1, 2, 3]
_KNOWN = np.zeros(256, dtype=bool)
_KNOWN[np.frombuffer(b"ACGTacgt", dtype=np.uint8)] = True


def write_twobit(fasta: Path, out: Path) -> None:
    """Write every sequence of a FASTA, one in memory at a time.

    Parameters
    ----------
    fasta
        Plain, with .fai. Bases other than A, C, G and T are N; case is not kept.
    out
        The .2bit.

    Raises
    ------
    UserError
        The genome is larger than the format allows (about 16 Gb).
    """
    with pyfaidx.Fasta(str(fasta), as_raw=True, rebuild=False) as genome:
        names = list(genome.keys())
        index_size = sum(1 + len(name.encode()) + 4 for name in names)
        offsets = []
        with whole_file(out) as temporary, open(temporary, "wb") as file:
            file.write(struct.pack("<IIII", MAGIC, 0, len(names), 0) + bytes(index_size))
            for name in names:
                offsets.append(file.tell())
                bases = np.frombuffer(str(genome[name][:]).encode("ascii"), dtype=np.uint8)
                file.write(_record(bases))
                if file.tell() >= LARGEST:
                    raise UserError(f"{fasta}: too large for .2bit; leave browser.hub out")
            file.seek(16)
            for name, offset in zip(names, offsets, strict=True):
                text = name.encode()
                file.write(struct.pack("<B", len(text)) + text + struct.pack("<I", offset))


def _record(bases: np.ndarray) -> bytes:
    """Length, blocks of N, no masked blocks, and four bases a byte, the first in the high bits."""
    edges = np.flatnonzero(np.diff((~_KNOWN[bases]).astype(np.int8), prepend=0, append=0))
    starts, sizes = edges[0::2], edges[1::2] - edges[0::2]
    codes = np.zeros(-(-len(bases) // 4) * 4, dtype=np.uint8)
    codes[: len(bases)] = _CODES[bases]
    quads = codes.reshape(-1, 4)
    packed = quads[:, 0] << 6 | quads[:, 1] << 4 | quads[:, 2] << 2 | quads[:, 3]
    blocks = np.concatenate([[len(starts)], starts, sizes, [0, 0]]).astype("<u4")
    return struct.pack("<I", len(bases)) + blocks.tobytes() + packed.tobytes()
