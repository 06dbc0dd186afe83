# mypy: ignore-errors
# ruff: noqa: RUF005
# (Triton infers the types, and its tuples know no stars)
"""Triton kernel of the selective scan's backward pass; see triton_steps.

It walks the chunks, each LANES x RUN positions, against the order of the scan. It scans a chunk
again from the state that the forward pass kept, states (batch, chunk, E, N), and carries the gradient of the state on from
chunk to chunk, through memory, two slots in turn: carries (batch, 2, E, N). dB and dC are summed
over the program's channels before they are added to those of other programs; only there, and at
the end of a chunk, do warps wait for each other.
"""

import triton
import triton.language as tl

from seq2exp.scan.triton_runs import join_run, load_float, positions, split_run
from seq2exp.scan.triton_steps import (
    decays,
    for_channels,
    load_opening,
    load_row,
    scan_lanes,
    scan_run,
    softplus,
    store_lane,
)


@triton.jit
def _enter_backwards(a, c, dy):
    """Give a g before each lane's run, g_t = C_t dy_t + a_{t+1} g_{t+1}, from 0 after the run."""
    G = tl.zeros_like(dy[0])
    for k in tl.static_range(len(a) - 1, -1, -1):
        G = a[k] * (c[k] * dy[k] + G)
    return G


@triton.jit
def _run_backwards(a, value, b, c, dy, before, size, rate, G, dvalue, dsize):
    """Run each lane's positions backwards from G, the a g after its run.

    Returns the gradients of value and size with this n's part added, the channels' parts of dB
    and dC, and this n's dA, summed over the run.
    """
    dA = tl.zeros_like(G)
    dvalues = ()
    dsizes = ()
    dB = ()
    dC = ()
    for k in tl.static_range(len(a) - 1, -1, -1):
        h = a[k] * before[k] + value[k] * b[k]
        g = c[k] * dy[k] + G
        G = a[k] * g
        u = G * before[k]  # g_t a_t h_{t-1}
        dA += u * size[k]
        more_value = dvalue[k] + g * b[k]
        more_size = dsize[k] + u * rate
        part_B = g * value[k]
        part_C = dy[k] * h
        dvalues = (more_value,) + dvalues
        dsizes = (more_size,) + dsizes
        dB = (part_B,) + dB
        dC = (part_C,) + dC
    return dvalues, dsizes, dB, dC, dA


@triton.jit
def _sum_over_warps(tile):
    """(WARPS, width) -> (width,): an exchange, then sums in threads; tl.sum exchanges more."""
    warps: tl.constexpr = tile.shape[0]
    width: tl.constexpr = tile.shape[1]
    parts = tl.trans(tile)
    for level in tl.static_range(5):
        if (1 << level) < warps:
            left, right = tl.split(tl.reshape(parts, [width, warps >> (level + 1), 2]))
            parts = left + right
    return tl.reshape(parts, [width])


@triton.jit
def _add_to_rows(rows, stride, first, L, dB, dC, WARPS: tl.constexpr, REVERSE: tl.constexpr):
    """Sum runs over channels, and add them to a row of dB and, `stride` further on, of dC."""
    channels: tl.constexpr = dB[0].shape[0]
    lanes: tl.constexpr = dB[0].shape[1]
    length: tl.constexpr = len(dB)
    both = dC + dB if REVERSE else dB + dC
    parts = ()
    for k in tl.static_range(2 * length):
        part = tl.reshape(both[k], [channels // WARPS, WARPS, lanes])
        parts = parts + (tl.sum(part, 0),)
    total = tl.reshape(_sum_over_warps(join_run(parts, REVERSE)), [lanes, 2, length])
    t = first + tl.arange(0, lanes)[:, None, None] * length + tl.arange(0, length)[None, None, :]
    at = tl.arange(0, 2)[None, :, None] * stride + t
    tl.atomic_add(rows + at, total, mask=tl.broadcast_to(t < L, total.shape), sem="relaxed")


@triton.jit
def _add_over_lanes(pointers, tile, valid):
    """Add the sum over lanes at (E,) addresses, without moving it to other threads."""
    lane = tl.arange(0, tile.shape[1])[None, :]
    total = tl.broadcast_to(tl.sum(tile, 1, keep_dims=True), tile.shape)
    tl.atomic_add(pointers[:, None] + lane, total, mask=valid[:, None] & (lane == 0), sem="relaxed")


@triton.jit
def _add_to_gate(dgate, at, tile, inside):
    """Sum a tile over channels, and add it where other programs add too."""
    tl.atomic_add(dgate + at, tl.sum(tile, 0, keep_dims=True), mask=inside, sem="relaxed")


@triton.jit
def _state_backwards(
    B, C, decay, old, carry, new_carry, dBC, dBC_stride, ddecay, first, L, valid,
    started, carried, size, value, dy, dvalue, dsize,
    BLOCK_E: tl.constexpr, LANES: tl.constexpr, WARPS: tl.constexpr, REVERSE: tl.constexpr,
):  # fmt: skip
    """One chunk of one state entry: adds to dvalue, dsize and to dB, dC, dA in memory.

    B and C are rows as read; the others point at this entry's numbers.
    """
    b = for_channels(B, BLOCK_E, LANES, REVERSE)
    c = for_channels(C, BLOCK_E, LANES, REVERSE)
    rate = tl.load(decay, mask=valid, other=0.0)[:, None]
    start = tl.load(old, mask=valid & started, other=0.0)
    G_start = tl.load(carry, mask=valid & carried, other=0.0)
    a, passed = decays(size, rate)
    local = scan_run(a, value, b, tl.zeros_like(passed))[1]
    h = scan_lanes(passed, local, start, REVERSE)[0]
    before = scan_run(a, value, b, h)[0]
    local = _enter_backwards(a, c, dy)
    G, after = scan_lanes(passed, local, G_start, not REVERSE)
    store_lane(new_carry, after, valid, LANES - 1)
    dvalue, dsize, dB, dC, dA = _run_backwards(
        a, value, b, c, dy, before, size, rate, G, dvalue, dsize
    )
    _add_to_rows(dBC, dBC_stride, first, L, dB, dC, WARPS, REVERSE)
    _add_over_lanes(ddecay, dA, valid)
    return dvalue, dsize


@triton.jit
def backward_kernel(
    x, delta, decay, B, C, D, bias, gate, states, dy,
    dx, ddelta, ddecay, dBC, dD, dbias, dgate, carries,
    E, units, N, slots,
    UNIT: tl.constexpr, GATED: tl.constexpr, REVERSE: tl.constexpr,
    BLOCK_E: tl.constexpr, WARPS: tl.constexpr, LANES: tl.constexpr, RUN: tl.constexpr,
):  # fmt: skip
    """Write the gradients of x and delta, and D's and bias's per sequence; add to the others.

    dBC is dB and dC, (2, batch, N, L).
    """
    L = units * UNIT
    sequence = tl.program_id(1).to(tl.int64)
    dBC_stride = tl.num_programs(1).to(tl.int64) * N * L
    e = tl.program_id(0) * BLOCK_E + tl.arange(0, BLOCK_E)
    valid = e < E
    skip = tl.load(D + e, mask=valid, other=0.0)[:, None]
    shift = tl.load(bias + e, mask=valid, other=0.0)[:, None]
    skip_sum = tl.zeros([BLOCK_E], tl.float32)
    bias_sum = tl.zeros([BLOCK_E], tl.float32)
    chunks = tl.cdiv(L, LANES * RUN)
    for done in range(chunks):
        chunk = done if REVERSE else chunks - 1 - done
        first = chunk * LANES * RUN
        t, inside = positions(first, L, LANES * RUN)
        here = valid[:, None] & inside
        at = (sequence * E + e)[:, None] * L + t
        rising, slope = softplus(load_float(delta + at, here) + shift)
        opening = load_opening(gate, sequence * L + t, inside, GATED)
        raw = load_float(x + at, here)
        dy_t = load_float(dy + at, here)
        size = split_run(rising * opening, LANES, REVERSE)
        value = split_run(rising * opening * raw, LANES, REVERSE)
        dy_run = split_run(dy_t, LANES, REVERSE)
        dvalue = split_run(tl.zeros_like(raw), LANES, REVERSE)
        dsize = split_run(tl.zeros_like(raw), LANES, REVERSE)
        old = states + (sequence * slots + chunk) * E * N + e * N
        carry = carries + (sequence * 2 + done % 2) * E * N + e * N
        new_carry = carries + (sequence * 2 + (done + 1) % 2) * E * N + e * N
        row = sequence * N * L + t
        next_b = load_row(B + row, inside, WARPS)
        next_c = load_row(C + row, inside, WARPS)
        for n in range(N):
            b = next_b
            c = next_c
            following = (sequence * N + tl.minimum(n + 1, N - 1)) * L + t  # read ahead of use
            next_b = load_row(B + following, inside, WARPS)
            next_c = load_row(C + following, inside, WARPS)
            dvalue, dsize = _state_backwards(
                b, c, decay + e * N + n, old + n, carry + n, new_carry + n,
                dBC + (sequence * N + n) * L, dBC_stride, ddecay + e * N + n,
                first, L, valid, done < chunks - 1, done > 0, size, value, dy_run, dvalue, dsize,
                BLOCK_E, LANES, WARPS, REVERSE,
            )  # fmt: skip
        through = join_run(dvalue, REVERSE)
        # decay is A log2(e): dsize holds sum_n u A log2(e)
        dstep = join_run(dsize, REVERSE) * 0.6931471805599453 + raw * through
        draw = dstep * opening * slope
        tl.store(dx + at, rising * opening * through + skip * dy_t, mask=here)
        tl.store(ddelta + at, draw, mask=here)
        if GATED:
            _add_to_gate(dgate, sequence * L + t, dstep * rising, inside)
        skip_sum += tl.sum(dy_t * raw, 1)
        bias_sum += tl.sum(draw, 1)
        tl.debug_barrier()  # as in the forward kernel
    tl.store(dD + sequence * E + e, skip_sum, mask=valid)
    tl.store(dbias + sequence * E + e, bias_sum, mask=valid)
