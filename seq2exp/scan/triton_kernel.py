# mypy: ignore-errors
# ruff: noqa: RUF005
# (Triton infers the types, and its tuples know no stars)
"""Triton kernels of the selective scan.

A program owns BLOCK_E channels of one sequence and walks it in chunks of LANES x RUN positions,
for one state entry n after the other. Each lane holds a run of RUN consecutive positions in
registers. It scans its run from a state of 0, the lanes' results are scanned across lanes, and
then each lane scans its run again from its true state. So every exponential is computed once in
either pass (the scan is bound by arithmetic), sums over n stay inside a thread, and dB and dC are
summed over BLOCK_E channels before the atomic additions. A warp owns whole channels: warps wait
for each other only where they sum dB and dC, and at the end of a chunk.

Arrays are (batch, E, L), (batch, N, L) and (batch, L), contiguous; decay is A log2(e). L is given
in UNITs, so that the compiler knows what divides it and reads 16 bytes at once. States pass from
chunk to chunk through memory, (batch, slot, E, N): a slot for each chunk where the backward pass
needs them, else two in turn. Tiles and runs are as in triton_runs, their rows being channels; runs
are in the order of the scan, and so are "before" and "after".
"""

import triton
import triton.language as tl

from seq2exp.scan.triton_runs import join_run, load_float, positions, split_run


@triton.jit
def _then(decay, state, next_decay, next_state):
    """Two stretches of h -> decay h + state, one after the other."""
    return decay * next_decay, next_decay * state + next_state


@triton.jit
def _scan_lanes(decay, state, start, REVERSE: tl.constexpr):
    """State before each lane's run, and the states after each run in the order of the scan.

    All (E, lane); start (E,) is the state before the first run. Gathers within a warp turn the
    lanes round: the scan's own reverse option takes four times as many shuffles.
    """
    lanes: tl.constexpr = decay.shape[1]
    lane = tl.arange(0, lanes)
    opposite = lane * -1 + (lanes - 1)
    if REVERSE:
        turned = tl.broadcast_to(opposite[None, :], decay.shape)
        decay = tl.gather(decay, turned, 1)
        state = tl.gather(state, turned, 1)
    passed, local = tl.associative_scan((decay, state), 1, _then)
    after = local + passed * start[:, None]
    previous = tl.maximum((opposite if REVERSE else lane) - 1, 0)
    before = tl.gather(after, tl.broadcast_to(previous[None, :], after.shape), 1)
    at_start = lane == (lanes - 1 if REVERSE else 0)
    return tl.where(at_start[None, :], start[:, None], before), after


@triton.jit
def _softplus(v):
    """log(1 + exp(v)) and its derivative; log1p(e) / e on [0, 1] is a minimax polynomial."""
    e = tl.exp2(-tl.abs(v) * 1.4426950408889634)
    p = e * 0.005232690027 - 0.02950521992
    p = e * p + 0.07822591751
    p = e * p - 0.136632425
    p = e * p + 0.1910600499
    p = e * p - 0.2484298169
    p = e * p + 0.3331909673
    p = e * p - 0.4999949314
    p = e * p + 0.9999999699
    return tl.maximum(v, 0.0) + e * p, tl.where(v > 0, 1.0, e) / (1.0 + e)


@triton.jit
def _load_opening(gate, at, inside, GATED: tl.constexpr):
    """The gate, 1 where there is none; 0 past the end, where nothing may change."""
    if GATED:
        return load_float(gate + at, inside)
    return tl.where(inside, 1.0, 0.0)


@triton.jit
def _load_row(row, inside, WARPS: tl.constexpr):
    """A row of B or C, (WARPS, position): each warp reads it for itself, and waits for none."""
    shape: tl.constexpr = [WARPS, row.shape[1]]
    return tl.load(tl.broadcast_to(row, shape), mask=tl.broadcast_to(inside, shape), other=0.0)


@triton.jit
def _for_channels(tile, BLOCK_E: tl.constexpr, LANES: tl.constexpr, REVERSE: tl.constexpr):
    """A row of B or C as a run (E, lane); copy w is that of channels w, w + WARPS, ..."""
    warps: tl.constexpr = tile.shape[0]
    own = split_run(tile.to(tl.float32), LANES, REVERSE)
    run = ()
    for k in tl.static_range(len(own)):
        copies = tl.broadcast_to(own[k][None], [BLOCK_E // warps, warps, LANES])
        run = run + (tl.reshape(copies, [BLOCK_E, LANES]),)
    return run


@triton.jit
def _decays(size, rate):
    """Decay at each position of a run, and over the whole run."""
    a = ()
    total = tl.zeros_like(size[0])
    for k in tl.static_range(len(size)):
        a = a + (tl.exp2(size[k] * rate),)
        total += size[k]
    return a, tl.exp2(total * rate)


@triton.jit
def _scan_run(a, value, b, h):
    """Scan each lane's run from state h: the states before each position, and the last one."""
    before = ()
    for k in tl.static_range(len(a)):
        before = before + (h,)
        h = a[k] * h + value[k] * b[k]
    return before, h


@triton.jit
def _add_outputs(y, a, value, b, c, h):
    """Scan each lane's run from state h, adding C h to y."""
    total = ()
    for k in tl.static_range(len(a)):
        h = a[k] * h + value[k] * b[k]
        out = y[k] + c[k] * h
        total = total + (out,)
    return total


@triton.jit
def _store_last(pointers, states, valid):
    """Store the last lane's states. Addresses that follow the lanes keep these where they are."""
    lanes: tl.constexpr = states.shape[1]
    lane = tl.arange(0, lanes)[None, :]
    here = valid[:, None] & (lane == lanes - 1)
    tl.store(pointers[:, None] + (lane - (lanes - 1)), states, mask=here)


@triton.jit
def forward_kernel(
    x, delta, decay, B, C, D, bias, gate, y, states,
    E, units, N, slots,
    UNIT: tl.constexpr, GATED: tl.constexpr, REVERSE: tl.constexpr,
    BLOCK_E: tl.constexpr, WARPS: tl.constexpr, LANES: tl.constexpr, RUN: tl.constexpr,
):  # fmt: skip
    """Write y, and the states before every chunk but the first."""
    L = units * UNIT
    sequence = tl.program_id(1).to(tl.int64)
    e = tl.program_id(0) * BLOCK_E + tl.arange(0, BLOCK_E)
    valid = e < E
    skip = tl.load(D + e, mask=valid, other=0.0)[:, None]
    shift = tl.load(bias + e, mask=valid, other=0.0)[:, None]
    chunks = tl.cdiv(L, LANES * RUN)
    for chunk in range(chunks):
        first = (chunks - 1 - chunk if REVERSE else chunk) * LANES * RUN
        t, inside = positions(first, L, LANES * RUN)
        here = valid[:, None] & inside
        at = (sequence * E + e)[:, None] * L + t
        softplus = _softplus(load_float(delta + at, here) + shift)[0]
        step = softplus * _load_opening(gate, sequence * L + t, inside, GATED)
        raw = load_float(x + at, here)
        size = split_run(step, LANES, REVERSE)
        value = split_run(step * raw, LANES, REVERSE)
        total = split_run(skip * raw, LANES, REVERSE)
        old = states + (sequence * slots + chunk % slots) * E * N + e * N
        new = states + (sequence * slots + (chunk + 1) % slots) * E * N + e * N
        row = sequence * N * L + t
        next_b = _load_row(B + row, inside, WARPS)
        next_c = _load_row(C + row, inside, WARPS)
        next_rate = tl.load(decay + e * N, mask=valid, other=0.0)
        for n in range(N):
            b = _for_channels(next_b, BLOCK_E, LANES, REVERSE)
            c = _for_channels(next_c, BLOCK_E, LANES, REVERSE)
            rate = next_rate[:, None]
            start = tl.load(old + n, mask=valid & (chunk > 0), other=0.0)
            following = tl.minimum(n + 1, N - 1)  # read ahead of use
            row = (sequence * N + following) * L + t
            next_b = _load_row(B + row, inside, WARPS)
            next_c = _load_row(C + row, inside, WARPS)
            next_rate = tl.load(decay + e * N + following, mask=valid, other=0.0)
            a, passed = _decays(size, rate)
            local = _scan_run(a, value, b, tl.zeros_like(passed))[1]
            h, after = _scan_lanes(passed, local, start, REVERSE)
            _store_last(new + n, after, valid)
            total = _add_outputs(total, a, value, b, c, h)
        tl.store(y + at, join_run(total, REVERSE), mask=here)
        tl.debug_barrier()  # the next chunk reads the states that other threads have written


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
    b = _for_channels(B, BLOCK_E, LANES, REVERSE)
    c = _for_channels(C, BLOCK_E, LANES, REVERSE)
    rate = tl.load(decay, mask=valid, other=0.0)[:, None]
    start = tl.load(old, mask=valid & started, other=0.0)
    G_start = tl.load(carry, mask=valid & carried, other=0.0)
    a, passed = _decays(size, rate)
    local = _scan_run(a, value, b, tl.zeros_like(passed))[1]
    h = _scan_lanes(passed, local, start, REVERSE)[0]
    before = _scan_run(a, value, b, h)[0]
    local = _enter_backwards(a, c, dy)
    G, after = _scan_lanes(passed, local, G_start, not REVERSE)
    _store_last(new_carry, after, valid)
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
        chunk = chunks - 1 - done
        first = (done if REVERSE else chunk) * LANES * RUN
        t, inside = positions(first, L, LANES * RUN)
        here = valid[:, None] & inside
        at = (sequence * E + e)[:, None] * L + t
        softplus, slope = _softplus(load_float(delta + at, here) + shift)
        opening = _load_opening(gate, sequence * L + t, inside, GATED)
        raw = load_float(x + at, here)
        dy_t = load_float(dy + at, here)
        size = split_run(softplus * opening, LANES, REVERSE)
        value = split_run(softplus * opening * raw, LANES, REVERSE)
        dy_run = split_run(dy_t, LANES, REVERSE)
        dvalue = split_run(tl.zeros_like(raw), LANES, REVERSE)
        dsize = split_run(tl.zeros_like(raw), LANES, REVERSE)
        old = states + (sequence * slots + chunk % slots) * E * N + e * N
        carry = carries + (sequence * 2 + done % 2) * E * N + e * N
        new_carry = carries + (sequence * 2 + (done + 1) % 2) * E * N + e * N
        row = sequence * N * L + t
        next_b = _load_row(B + row, inside, WARPS)
        next_c = _load_row(C + row, inside, WARPS)
        for n in range(N):
            b = next_b
            c = next_c
            following = (sequence * N + tl.minimum(n + 1, N - 1)) * L + t  # read ahead of use
            next_b = _load_row(B + following, inside, WARPS)
            next_c = _load_row(C + following, inside, WARPS)
            dvalue, dsize = _state_backwards(
                b, c, decay + e * N + n, old + n, carry + n, new_carry + n,
                dBC + (sequence * N + n) * L, dBC_stride, ddecay + e * N + n,
                first, L, valid, chunk > 0, done > 0, size, value, dy_run, dvalue, dsize,
                BLOCK_E, LANES, WARPS, REVERSE,
            )  # fmt: skip
        through = join_run(dvalue, REVERSE)
        # decay is A log2(e): dsize holds sum_n u A log2(e)
        dstep = join_run(dsize, REVERSE) * 0.6931471805599453 + raw * through
        draw = dstep * opening * slope
        tl.store(dx + at, softplus * opening * through + skip * dy_t, mask=here)
        tl.store(ddelta + at, draw, mask=here)
        if GATED:
            _add_to_gate(dgate, sequence * L + t, dstep * softplus, inside)
        skip_sum += tl.sum(dy_t * raw, 1)
        bias_sum += tl.sum(draw, 1)
        tl.debug_barrier()  # as in the forward kernel
    tl.store(dD + sequence * E + e, skip_sum, mask=valid)
    tl.store(dbias + sequence * E + e, bias_sum, mask=valid)
