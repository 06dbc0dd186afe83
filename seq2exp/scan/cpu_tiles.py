# mypy: ignore-errors
# (numba infers the types, from values that mypy does not know)
"""Tiles: a chunk of a (rows, length) array, turned so that 16 rows lie side by side.

The sequence is walked in chunks of STEPS positions. A tile is (step, 16 rows) in the order
the scan runs, so that the inner loops know neither direction nor ragged ends: what lies past
an end is 0. A chunk's span is (start, count, reverse): its first position in the sequence, its
number of positions, and whether step 0 is its last position.
"""

import numpy as np
from numba import njit

from seq2exp.scan.simd import LANES, load, mirror, prefetch, row_sums, store, transpose

STEPS = 32
TILE = STEPS * LANES


@njit(nogil=True, cache=True)
def empty(size):
    """Scratch whose first element starts a cache line."""
    block = np.empty(size + LANES, np.float32)
    skip = (-(block.ctypes.data // 4)) % LANES
    return block[skip : skip + size]


@njit(nogil=True, cache=True)
def zeros(size):
    """As empty, filled with 0."""
    block = empty(size)
    block[:] = 0.0
    return block


@njit(nogil=True, cache=True)
def chunk_span(chunk, length, reverse):
    """Span of a chunk; chunk 0 is where the scan begins, the last one may be short."""
    count = min(STEPS, length - chunk * STEPS)
    start = length - chunk * STEPS - count if reverse else chunk * STEPS
    return start, count, reverse


@njit(forceinline=True)
def _half(half, reverse):
    """Step of the tile that holds position `half` of a full chunk, and the next one's offset."""
    if reverse:
        return STEPS - 1 - half, -LANES
    return half, LANES


@njit(nogil=True, cache=True)
def load_tile(source, row, rows, length, span, tile, offset):
    """Copy the span of the first 16 (or fewer: `rows`) rows from `row` on to tile[offset:]."""
    start, count, reverse = span
    if rows >= LANES and count == STEPS:
        for half in range(0, STEPS, LANES):
            first, stride = _half(half, reverse)
            at = row * length + start + half
            transpose(source, at, length, tile, offset + first * LANES, stride)
        return
    tile[offset : offset + TILE] = 0.0
    for step in range(count):
        position = start + (count - 1 - step if reverse else step)
        for lane in range(min(rows, LANES)):
            value = source[(row + lane) * length + position]
            tile[offset + step * LANES + lane] = value


@njit(nogil=True, cache=True)
def prefetch_rows(array, row, rows, length, start):
    """Fetch a chunk's positions of some rows ahead of their use.

    A chunk touches only two cache lines of each row, too few for the CPU to see the pattern.
    """
    for index in range(row, row + rows):
        for step in range(0, STEPS, LANES):
            prefetch(array, index * length + start + step)


@njit(nogil=True, cache=True)
def store_tile(tile, offset, target, row, rows, length, span):
    """The inverse of load_tile."""
    start, count, reverse = span
    if rows >= LANES and count == STEPS:
        for half in range(0, STEPS, LANES):
            first, stride = _half(half, reverse)
            at = row * length + start + half
            transpose(tile, offset + first * LANES, stride, target, at, length)
        return
    for step in range(count):
        position = start + (count - 1 - step if reverse else step)
        for lane in range(min(rows, LANES)):
            value = tile[offset + step * LANES + lane]
            target[(row + lane) * length + position] = value


@njit(nogil=True, cache=True)
def store_row_sums(tile, offset, target, row, length, span):
    """Sum the lanes of each step of a tile into the span of one row of the target."""
    start, count, reverse = span
    if count == STEPS:
        for half in range(0, STEPS, LANES):
            first, stride = _half(half, reverse)
            total = row_sums(tile, offset + first * LANES, stride)
            store(target, row * length + start + half, total)
        return
    for step in range(count):
        position = start + (count - 1 - step if reverse else step)
        total = np.float32(0.0)
        for lane in range(LANES):
            total += tile[offset + step * LANES + lane]
        target[row * length + position] = total


@njit(nogil=True, cache=True)
def load_rows(source, row, rows, length, span, target):
    """Copy the span of whole rows to target (row, step), untransposed."""
    start, count, reverse = span
    for index in range(rows):
        base = (row + index) * length + start
        at = index * STEPS
        if count == STEPS:
            for half in range(0, STEPS, LANES):
                values = load(source, base + half)
                if reverse:
                    store(target, at + STEPS - LANES - half, mirror(values))
                else:
                    store(target, at + half, values)
            continue
        target[at + count : at + STEPS] = 0.0
        for step in range(count):
            target[at + step] = source[base + (count - 1 - step if reverse else step)]


@njit(nogil=True, cache=True)
def load_gate(gate, sequence, length, span, target):
    """The span's gate, 1 where there is none; 0 past the end, where nothing may change."""
    if gate.size:
        load_rows(gate, sequence, 1, length, span, target)
    else:
        target[: span[1]] = 1.0
        target[span[1] :] = 0.0


@njit(nogil=True, cache=True)
def add_exactly(sums, at, errors, vector):
    """Kahan: add the vector to sums[at:], keeping what rounding lost in errors[at:]."""
    before = load(sums, at)
    wanted = vector - load(errors, at)
    after = before + wanted
    store(errors, at, (after - before) - wanted)
    store(sums, at, after)
