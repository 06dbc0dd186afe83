# mypy: ignore-errors
# ruff: noqa: RUF005
# (Triton infers the types, and its tuples know no stars)
"""Tiles and runs: consecutive positions of a row in the registers of one thread.

A tile is (row, position), LANES runs wide, as it lies in memory: two axes, so that every version
of Triton gives the positions to a warp's threads in their order, 16 bytes to a thread. A run is a
tuple of tensors (row, lane), one for each position of a lane, in the order of the walk: from left
to right, or REVERSE. A run may be longer than what a thread reads at once: then it is read in
PIECES, each a tile of its own.
"""

import triton
import triton.language as tl


@triton.jit
def load_float(pointers, mask):
    """Load as float32, 0 where masked."""
    return tl.load(pointers, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def positions(first, L, WIDTH: tl.constexpr):
    """WIDTH positions (1, WIDTH) from `first` on, and which of them exist."""
    t = first + tl.arange(0, WIDTH)[None, :]
    return t, (t >= 0) & (t < L)


@triton.jit
def piece_positions(
    first, piece, L, LANES: tl.constexpr, RUN: tl.constexpr, PIECES: tl.constexpr
):  # fmt: skip
    """One of the PIECES of each lane's run, (1, LANES RUN), and which positions exist."""
    if PIECES == 1:
        return positions(first, L, LANES * RUN)
    column = tl.arange(0, LANES * RUN)[None, :]
    t = first + ((column // RUN) * PIECES + piece) * RUN + column % RUN
    return t, t < L


@triton.jit
def split_run(tile, LANES: tl.constexpr, REVERSE: tl.constexpr):
    """Tile -> run, without leaving the thread where it holds whole runs."""
    rows: tl.constexpr = tile.shape[0]
    length: tl.constexpr = tile.shape[1] // LANES
    parts = (tl.reshape(tile, [rows, LANES, length]),)
    for level in tl.static_range(4):  # parts[r] holds positions r, r + 2^level, ...
        if (1 << level) < length:
            even = ()
            odd = ()
            for r in tl.static_range(1 << level):
                pair = tl.split(tl.reshape(parts[r], [rows, LANES, length >> (level + 1), 2]))
                even = even + (pair[0],)
                odd = odd + (pair[1],)
            parts = even + odd
    run = ()
    for r in tl.static_range(length):
        part = tl.reshape(parts[r], [rows, LANES])
        run = (part,) + run if REVERSE else run + (part,)
    return run


@triton.jit
def join_run(run, REVERSE: tl.constexpr):
    """The inverse of split_run, for runs of up to 16."""
    rows: tl.constexpr = run[0].shape[0]
    lanes: tl.constexpr = run[0].shape[1]
    length: tl.constexpr = len(run)
    parts = ()
    for r in tl.static_range(length):
        parts = (run[r],) + parts if REVERSE else parts + (run[r],)
    for level in tl.static_range(3, -1, -1):
        if (1 << level) < length:
            joined = ()
            for r in tl.static_range(1 << level):
                both = tl.join(parts[r], parts[r + (1 << level)])
                joined = joined + (tl.reshape(both, [rows, lanes, length >> level]),)
            parts = joined
    return tl.reshape(parts[0], [rows, lanes * length])
