# mypy: ignore-errors
# (numba infers the types, from values that mypy does not know)
"""Numba kernel of the selective scan's gradients; arguments as in cpu_forward.py.

Chunks are taken last to first. Of each, the states are recomputed from the state kept at its
start, then the steps are run backwards. With g_t the gradient of h_t and a_t = exp(delta_t A),

    g_t = C_t dy_t + a_{t+1} g_{t+1}        u_t = g_t a_t h_{t-1}
    dC_t = sum_e dy_t h_t                   dB_t = sum_e g_t delta_t x_t
    d(delta_t x_t) = sum_n g_t B_t          d(delta_t) = sum_n u_t A + x_t d(delta_t x_t)
    dA = sum_t u_t delta_t

Sums over all steps are kept with their rounding errors (Kahan): one plain float32 sum over
200,000 steps loses 2e-5.

A task's tiles (block, step, 16 channels) are x, delta, softplus(delta), its slope, delta x, dy,
and the gradients of delta x and delta. Between, delta stands for the step size.
"""

from numba import njit

from seq2exp.scan.cpu_forward import UNROLL, drop_negligible
from seq2exp.scan.cpu_tiles import (
    STEPS,
    TILE,
    add_exactly,
    chunk_span,
    empty,
    load_gate,
    load_rows,
    load_tile,
    prefetch_rows,
    store_row_sums,
    store_tile,
    zeros,
)
from seq2exp.scan.simd import (
    LANES,
    LN_2,
    exp2,
    fma,
    load,
    softplus_and_slope,
    splat,
    store,
)

_TRAIL = 2 * UNROLL * LANES  # of one step: h before it, and a, of UNROLL state entries


@njit(nogil=True, cache=True)
def _prepare_block(tiles, at, gate, bias):
    """Fill one block's softplus, slope, size = gate * softplus, scaled = size * x."""
    x, delta, softplus, slope, scaled, _, _, _ = tiles
    for step in range(STEPS):
        t = at + step * LANES
        value, derivative = softplus_and_slope(load(delta, t) + bias)
        size = value * splat(gate[step])
        store(softplus, t, value)
        store(slope, t, derivative)
        store(delta, t, size)
        store(scaled, t, size * load(x, t))


@njit(nogil=True, cache=True)
def _recompute(tiles, at, b, n, decays, kept, kept_at, trail):
    """From the state at the chunk's start: trail[step] = h before the step and a, for n, n + 1."""
    _, delta, _, _, scaled, _, _, _ = tiles
    decay0, decay1 = decays
    h0 = load(kept, kept_at)
    h1 = load(kept, kept_at + LANES)
    row0 = n * STEPS
    row1 = row0 + STEPS
    for step in range(STEPS):
        size = load(delta, at + step * LANES)
        value = load(scaled, at + step * LANES)
        a0 = exp2(size * decay0)
        a1 = exp2(size * decay1)
        to = step * _TRAIL
        store(trail, to, h0)
        store(trail, to + LANES, h1)
        store(trail, to + 2 * LANES, a0)
        store(trail, to + 3 * LANES, a1)
        h0 = fma(a0, h0, value * splat(b[row0 + step]))
        h1 = fma(a1, h1, value * splat(b[row1 + step]))
    store(trail, STEPS * _TRAIL, h0)
    store(trail, STEPS * _TRAIL + LANES, h1)


@njit(nogil=True, cache=True)
def _accumulate(target, at, factor, other):
    store(target, at, fma(factor, other, load(target, at)))


@njit(nogil=True, cache=True)
def _reverse(tiles, at, rows, n, decays, carry, carry_at, trail, sums, totals):
    """Run one block's chunk backwards for state entries n and n + 1."""
    _, delta, _, _, scaled, y_gradient, scaled_gradient, delta_gradient = tiles
    b, c, _ = rows
    decay0, decay1 = decays
    b_sums, c_sums, _ = sums
    row0 = n * STEPS
    row1 = row0 + STEPS
    back0 = load(carry, carry_at)
    back1 = load(carry, carry_at + LANES)
    sum0 = splat(0.0)
    sum1 = splat(0.0)
    after0 = load(trail, STEPS * _TRAIL)
    after1 = load(trail, STEPS * _TRAIL + LANES)
    for step in range(STEPS - 1, -1, -1):
        t = at + step * LANES
        own = step * LANES
        from_ = step * _TRAIL
        size = load(delta, t)
        value = load(scaled, t)
        dy = load(y_gradient, t)
        _accumulate(c_sums, own, dy, after0)
        _accumulate(c_sums, own + TILE, dy, after1)
        after0 = load(trail, from_)
        after1 = load(trail, from_ + LANES)
        g0 = fma(dy, splat(c[row0 + step]), back0)
        g1 = fma(dy, splat(c[row1 + step]), back1)
        _accumulate(b_sums, own, value, g0)
        _accumulate(b_sums, own + TILE, value, g1)
        total = fma(g0, splat(b[row0 + step]), load(scaled_gradient, t))
        store(scaled_gradient, t, fma(g1, splat(b[row1 + step]), total))
        back0 = g0 * load(trail, from_ + 2 * LANES)
        back1 = g1 * load(trail, from_ + 3 * LANES)
        u0 = back0 * after0
        u1 = back1 * after1
        total = fma(u0, decay0, load(delta_gradient, t))
        store(delta_gradient, t, fma(u1, decay1, total))
        sum0 = fma(u0, size, sum0)
        sum1 = fma(u1, size, sum1)
    store(carry, carry_at, back0)
    store(carry, carry_at + LANES, back1)
    add_exactly(totals[0], carry_at, totals[1], sum0)
    add_exactly(totals[0], carry_at + LANES, totals[1], sum1)


@njit(nogil=True, cache=True)
def _finish_block(tiles, at, gate, skip, gate_sums, channel_sums, lanes):
    """From the step gradients: x's into the x tile, delta's into the delta tile, D's, bias's."""
    x, delta, softplus, slope, _, y_gradient, scaled_gradient, delta_gradient = tiles
    skip_sum = splat(0.0)
    bias_sum = splat(0.0)
    for step in range(STEPS):
        t = at + step * LANES
        value = load(x, t)
        dy = load(y_gradient, t)
        through = load(scaled_gradient, t)
        skip_sum = fma(dy, value, skip_sum)
        store(x, t, fma(load(delta, t), through, dy * skip))
        # decay holds A log2(e): the tile's sum is of u A log2(e)
        size_gradient = fma(load(delta_gradient, t), splat(LN_2), value * through)
        _accumulate(gate_sums, step * LANES, size_gradient, load(softplus, t))
        raw_gradient = size_gradient * splat(gate[step]) * load(slope, t)
        bias_sum = bias_sum + raw_gradient
        store(delta, t, raw_gradient)
    skip_sums, skip_errors, bias_sums, bias_errors = channel_sums
    add_exactly(skip_sums, lanes, skip_errors, skip_sum)
    add_exactly(bias_sums, lanes, bias_errors, bias_sum)


@njit(nogil=True, cache=True)
def _scratch(size, padded):
    """What a task writes over chunk by chunk: tiles, rows (b, c, gate), sums, trail."""
    tiles = (
        empty(size), empty(size), empty(size), empty(size),
        empty(size), empty(size), empty(size), empty(size),
    )  # fmt: skip
    rows = (zeros(padded * STEPS), zeros(padded * STEPS), empty(STEPS))
    sums = (empty(UNROLL * TILE), empty(UNROLL * TILE), empty(TILE))
    return tiles, rows, sums, empty(STEPS * _TRAIL + UNROLL * LANES)


@njit(nogil=True, cache=True)
def _prefetch_chunk(inputs, y_gradient, gradients, task, shape, span):
    """Ask for this chunk's lines to write, and for the next chunk's lines to read."""
    sequence, channel, blocks, _, index = task
    channels, length, states, _ = shape
    start, _, reverse = span
    following = start + STEPS if reverse else start - STEPS
    row = sequence * channels + channel
    for source in (inputs[0], inputs[1], y_gradient):
        prefetch_rows(source, row, blocks * LANES, length, following)
    for source in inputs[2:4]:
        prefetch_rows(source, sequence * states, states, length, following)
    for target in gradients[:2]:
        prefetch_rows(target, row, blocks * LANES, length, start)
    for target in gradients[2:4]:
        prefetch_rows(target, index * states, states, length, start)


@njit(nogil=True, cache=True)
def _load_chunk(inputs, y_gradient, task, shape, span, tiles, rows):
    """Fill the tiles and rows of a chunk."""
    sequence, channel, blocks, _, _ = task
    channels, length, states, _ = shape
    load_rows(inputs[2], sequence * states, states, length, span, rows[0])
    load_rows(inputs[3], sequence * states, states, length, span, rows[1])
    load_gate(inputs[4], sequence, length, span, rows[2])
    for block in range(blocks):
        lanes = channel + block * LANES
        row, rest = sequence * channels + lanes, channels - lanes
        at = block * TILE
        load_tile(inputs[0], row, rest, length, span, tiles[0], at)
        load_tile(inputs[1], row, rest, length, span, tiles[1], at)
        load_tile(y_gradient, row, rest, length, span, tiles[5], at)
        tiles[6][at : at + TILE] = 0.0
        tiles[7][at : at + TILE] = 0.0
        _prepare_block(tiles, at, rows[2], load(inputs[7], lanes))


@njit(nogil=True, cache=True)
def _reverse_chunk(tiles, rows, sums, trail, decay, kept, carry, totals, task, shape, targets):
    """Run a chunk backwards for every state entry; write its part of the gradients of b, c."""
    b_gradient, c_gradient, span = targets
    blocks, index = task[2], task[4]
    _, length, states, padded = shape
    for n in range(0, padded, UNROLL):
        sums[0][:] = 0.0
        sums[1][:] = 0.0
        for block in range(blocks):
            at = block * TILE
            own = (block * padded + n) * LANES
            decays = (load(decay, own), load(decay, own + LANES))
            _recompute(tiles, at, rows[0], n, decays, kept, own, trail)
            _reverse(tiles, at, rows, n, decays, carry, own, trail, sums, totals)
        for entry in range(n, min(n + UNROLL, states)):
            at = (entry - n) * TILE
            row = index * states + entry
            store_row_sums(sums[0], at, b_gradient, row, length, span)
            store_row_sums(sums[1], at, c_gradient, row, length, span)


@njit(nogil=True, cache=True)
def _store_chunk(inputs, gradients, task, shape, span, tiles, rows, sums, totals):
    """Write a chunk's gradients of x, delta and the gate."""
    sequence, channel, blocks, _, index = task
    channels, length, _, _ = shape
    sums[2][:] = 0.0
    for block in range(blocks):
        lanes = channel + block * LANES
        row, rest = sequence * channels + lanes, channels - lanes
        at = block * TILE
        skip = load(inputs[6], lanes)
        _finish_block(tiles, at, rows[2], skip, sums[2], totals, block * LANES)
        store_tile(tiles[0], at, gradients[0], row, rest, length, span)
        store_tile(tiles[1], at, gradients[1], row, rest, length, span)
    if inputs[4].size:
        store_row_sums(sums[2], 0, gradients[4], index, length, span)


@njit(nogil=True, cache=True)
def scan_backward(inputs, y_gradient, checkpoints, carried, gradients, task, shape, reverse):
    """Gradients of one task; inputs, task and shape as in scan_forward, plus the task's index.

    carried, as in scan_forward, holds a_{t+1} g_{t+1} from after the scan, then from before it.

    gradients = (x, delta, b, c, gate, decay, skip, bias). Those of b, c and gate are (task,
    states or nothing, length), to be summed over a sequence's tasks; those of decay (which
    holds dA), skip and bias have one row a sequence, to be summed.
    """
    sequence, channel, blocks, kept, _ = task
    _, length, _, padded = shape
    size = blocks * padded * LANES
    wide = blocks * LANES
    tiles, rows, sums, trail = _scratch(blocks * TILE, padded)
    at = sequence * len(inputs[6]) + channel
    carry = carried[at * padded : at * padded + size]
    totals = (zeros(size), zeros(size))
    channel_totals = (zeros(wide), zeros(wide), zeros(wide), zeros(wide))
    decay = inputs[5][channel * padded : channel * padded + size]
    for chunk in range((length + STEPS - 1) // STEPS - 1, -1, -1):
        span = chunk_span(chunk, length, reverse)
        _prefetch_chunk(inputs, y_gradient, gradients, task, shape, span)
        _load_chunk(inputs, y_gradient, task, shape, span, tiles, rows)
        drop_negligible(carry)
        start = kept + chunk * size
        state = checkpoints[start : start + size]
        targets = (gradients[2], gradients[3], span)
        _reverse_chunk(tiles, rows, sums, trail, decay, state, carry, totals, task, shape, targets)
        _store_chunk(inputs, gradients, task, shape, span, tiles, rows, sums, channel_totals)
    gradients[5][at * padded : at * padded + size] = totals[0]
    gradients[6][at : at + wide] = channel_totals[0]
    gradients[7][at : at + wide] = channel_totals[2]
