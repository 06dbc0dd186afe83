"""Is a bigWig whole? Follows the file's own offsets, since readers only fail when they get there.

Source: Kent et al. 2010, supplement (BBI header, chromosome B+ tree, R-tree index).
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from seq2exp.errors import UserError
from seq2exp.filetypes import require_kind

_INDEX_MAGIC = 0x2468ACE0
_MAX_DEPTH = 64


class _TruncatedError(Exception):
    """A structure or the data it points to lies beyond the end of the file."""


def require_whole_bigwig(path: Path) -> None:
    """Check header, chromosome table, data and indices of a bigWig against the file's size.

    Reads a few kB however large the file is: of every index the root and the last path down,
    whose leaf points to the last block of data, which is unpacked.

    Raises
    ------
    UserError
        Not a bigWig, or truncated: names the file, its size and the remedy.
    """
    require_kind(path, "bigWig")
    size = os.path.getsize(path)
    with open(path, "rb") as handle:
        try:
            _check(handle, size)
        except _TruncatedError as reason:
            raise UserError(
                f"{path}: truncated or damaged bigWig ({size} bytes; {reason}); get the file again"
            ) from None


def _check(handle: BinaryIO, size: int) -> None:
    order = "<" if handle.read(4) == b"\x26\xfc\x8f\x88" else ">"
    _, zooms, tree, data, index = _unpack(handle, f"{order}HHQQQ", 4, "header")
    (unpacked_size,) = _unpack(handle, f"{order}I", 52, "header")
    for name, offset in (("chromosome table", tree), ("data", data), ("index", index)):
        if not 64 <= offset < size:
            raise _TruncatedError(f"{name} should begin at byte {offset}")
    indices = [index]
    for zoom in range(zooms):
        *_, zoom_index = _unpack(handle, f"{order}IIQQ", 64 + 24 * zoom, "zoom header")
        indices.append(zoom_index)
    for offset in indices:
        _check_index(handle, order, offset, size, compressed=unpacked_size > 0)


def _check_index(handle: BinaryIO, order: str, offset: int, size: int, *, compressed: bool) -> None:
    magic, _, items = _unpack(handle, f"{order}IIQ", offset, "index")
    if magic != _INDEX_MAGIC:
        raise _TruncatedError(f"no index at byte {offset}")
    if items == 0:
        return
    node = offset + 48
    for _ in range(_MAX_DEPTH):
        is_leaf, _, count = _unpack(handle, f"{order}BBH", node, "index node")
        if count == 0:
            raise _TruncatedError(f"empty index node at byte {node}")
        # A node's last child covers its last stretch of genome: data are written in that order.
        width = 32 if is_leaf else 24
        last = _unpack(
            handle, f"{order}4IQQ" if is_leaf else f"{order}4IQ", node + 4 + width * (count - 1),
            "index node",
        )  # fmt: skip
        if is_leaf:
            _check_block(handle, last[4], last[5], size, compressed=compressed)
            return
        node = last[4]
    raise _TruncatedError(f"the index at byte {offset} runs in circles")


def _check_block(
    handle: BinaryIO, offset: int, length: int, size: int, *, compressed: bool
) -> None:
    if offset + length > size:
        raise _TruncatedError(f"data should reach to byte {offset + length}")
    if not compressed:
        return
    handle.seek(offset)
    try:
        zlib.decompress(handle.read(length))
    except zlib.error as error:
        raise _TruncatedError(f"data at byte {offset}: {error}") from None


def _unpack(handle: BinaryIO, form: str, offset: int, name: str) -> tuple[int, ...]:
    handle.seek(offset)
    raw = handle.read(struct.calcsize(form))
    if len(raw) < struct.calcsize(form):
        raise _TruncatedError(f"{name} should reach beyond byte {offset}")
    return struct.unpack(form, raw)
