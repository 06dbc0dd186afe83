# mypy: ignore-errors
# (numba infers the types, from values that mypy does not know)
"""Numba kernel of the selective scan: one task = one sequence x some blocks of 16 channels.

Arrays are flat float32: x, delta, y (batch, channels, length); b, c (batch, states, length);
gate (batch, length) or empty. Parameters come in blocks of 16 channels, zero-padded: decay
(blocks, states, 16) is A log2(e), its states padded to a multiple of UNROLL; skip (D) and
bias (blocks, 16). The inner loops keep the state of 16 channels x UNROLL entries in registers.
"""

from numba import njit

from seq2exp.scan.cpu_tiles import (
    STEPS,
    TILE,
    chunk_span,
    empty,
    load_gate,
    load_rows,
    load_tile,
    prefetch_rows,
    store_tile,
    zeros,
)
from seq2exp.scan.simd import (
    LANES,
    exp2,
    fma,
    load,
    select_less,
    softplus_and_slope,
    splat,
    store,
)

UNROLL = 2
_NEGLIGIBLE = 1e-30


@njit(nogil=True, cache=True)
def drop_negligible(state):
    """Set states near 0 to 0 before they become subnormal, which many CPUs handle slowly."""
    zero = splat(0.0)
    for at in range(0, state.size, LANES):
        value = load(state, at)
        kept = select_less(splat(-_NEGLIGIBLE), value, zero, value)
        store(state, at, select_less(value, splat(_NEGLIGIBLE), kept, value))


@njit(nogil=True, cache=True)
def _prepare_block(tiles, gate, skip, bias):
    """Of one block: delta -> step size, x -> step size * x, y = skip * x."""
    x, delta, y = tiles
    for step in range(STEPS):
        t = step * LANES
        softplus, _ = softplus_and_slope(load(delta, t) + bias)
        size = softplus * splat(gate[step])
        value = load(x, t)
        store(y, t, value * skip)
        store(delta, t, size)
        store(x, t, size * value)


@njit(nogil=True, cache=True)
def _advance_block(tiles, b, c, decay, state, own, states):
    """Advance one block of 16 channels by one chunk; y gains C h."""
    scaled, delta, y = tiles
    for n in range(0, states, UNROLL):
        first = own + n * LANES
        second = first + LANES
        decay0 = load(decay, first)
        decay1 = load(decay, second)
        h0 = load(state, first)
        h1 = load(state, second)
        row0 = n * STEPS
        row1 = row0 + STEPS
        for step in range(STEPS):
            t = step * LANES
            size = load(delta, t)
            value = load(scaled, t)
            h0 = fma(exp2(size * decay0), h0, value * splat(b[row0 + step]))
            h1 = fma(exp2(size * decay1), h1, value * splat(b[row1 + step]))
            total = fma(h0, splat(c[row0 + step]), load(y, t))
            store(y, t, fma(h1, splat(c[row1 + step]), total))
        store(state, first, h0)
        store(state, second, h1)


@njit(nogil=True, cache=True)
def scan_forward(inputs, y, checkpoints, carried, task, shape, reverse):
    """Scan the task's blocks; write their y, and their state at each chunk's start.

    inputs = (x, delta, b, c, gate, decay, skip, bias); task = (sequence, first channel, its
    number of blocks, its offset in checkpoints); shape = (channels, length, states, padded
    states). checkpoints, (chunk, block, padded state, 16) for each task, is not written when
    empty. carried, (sequence, block, padded state, 16), holds the state before the scan and
    then the one after it.
    """
    x, delta, b, c, gate, decay, skip, bias = inputs
    sequence, channel, blocks, kept = task
    channels, length, states, padded = shape
    tiles = (empty(TILE), empty(TILE), empty(TILE))
    tile_b, tile_c = zeros(padded * STEPS), zeros(padded * STEPS)
    tile_gate = empty(STEPS)
    size = blocks * padded * LANES
    first = (sequence * len(skip) + channel) * padded
    state = carried[first : first + size]
    own_decay = decay[channel * padded : channel * padded + size]
    ahead = -STEPS if reverse else STEPS
    for chunk in range((length + STEPS - 1) // STEPS):
        span = chunk_span(chunk, length, reverse)
        drop_negligible(state)
        if checkpoints.size:
            at = kept + chunk * size
            checkpoints[at : at + size] = state
        for source in (b, c):
            prefetch_rows(source, sequence * states, states, length, span[0] + ahead)
        load_rows(b, sequence * states, states, length, span, tile_b)
        load_rows(c, sequence * states, states, length, span, tile_c)
        load_gate(gate, sequence, length, span, tile_gate)
        for block in range(blocks):
            lanes = channel + block * LANES
            row, rows = sequence * channels + lanes, channels - lanes
            for source in (x, delta):
                prefetch_rows(source, row, LANES, length, span[0] + ahead)
            prefetch_rows(y, row, LANES, length, span[0])
            load_tile(x, row, rows, length, span, tiles[0], 0)
            load_tile(delta, row, rows, length, span, tiles[1], 0)
            _prepare_block(tiles, tile_gate, load(skip, lanes), load(bias, lanes))
            own = block * padded * LANES
            _advance_block(tiles, tile_b, tile_c, own_decay, state, own, padded)
            store_tile(tiles[2], 0, y, row, rows, length, span)
