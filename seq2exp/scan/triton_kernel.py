# mypy: ignore-errors
# ruff: noqa: RUF005
# (Triton infers the types, and its tuples know no stars)
"""Triton kernels of the selective scan.

A program owns BLOCK_E channels of one sequence and walks it in chunks of LANES x RUN positions,
for one state entry n after the other. Each lane holds a run of RUN consecutive positions in
registers. It scans its run from a state of 0, the lanes' results are scanned across lanes, and
then each lane scans its run again from its true state. So every exponential is computed once in
either pass (the scan is bound by arithmetic), sums over n stay inside a thread, B and C are read
once for BLOCK_E channels, and dB and dC are summed over these before the atomic additions.

Arrays are (batch, E, L), (batch, N, L) and (batch, L), contiguous; decay is A log2(e). States
pass from chunk to chunk through memory, (batch, slot, E, N): a slot for each chunk where the
backward pass needs them, else two in turn. Tiles are (E, lane, position in the run); a run is a
tuple of RUN tensors (E, lane) in the order of the scan, and so are "before" and "after".
"""

import triton
import triton.language as tl

LOG_RUN = tl.constexpr(3)
RUN = tl.constexpr(8)


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
def _unzip(tile, REVERSE: tl.constexpr):
    """Tile -> run, without leaving the thread."""
    e: tl.constexpr = tile.shape[0]
    lanes: tl.constexpr = tile.shape[1]
    parts = (tile,)
    for level in tl.static_range(LOG_RUN):  # parts[r] holds positions r, r + 2^level, ...
        even = ()
        odd = ()
        for r in tl.static_range(1 << level):
            pair = tl.split(tl.reshape(parts[r], [e, lanes, RUN >> (level + 1), 2]))
            even = even + (pair[0],)
            odd = odd + (pair[1],)
        parts = even + odd
    run = ()
    for r in tl.static_range(RUN):
        part = tl.reshape(parts[r], [e, lanes])
        run = (part,) + run if REVERSE else run + (part,)
    return run


@triton.jit
def _zip(run, REVERSE: tl.constexpr):
    """The inverse of _unzip."""
    e: tl.constexpr = run[0].shape[0]
    lanes: tl.constexpr = run[0].shape[1]
    parts = ()
    for r in tl.static_range(RUN):
        parts = (run[r],) + parts if REVERSE else parts + (run[r],)
    for level in tl.static_range(LOG_RUN - 1, -1, -1):
        joined = ()
        for r in tl.static_range(1 << level):
            both = tl.join(parts[r], parts[r + (1 << level)])
            joined = joined + (tl.reshape(both, [e, lanes, RUN >> level]),)
        parts = joined
    return parts[0]


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
def _load(pointers, mask):
    return tl.load(pointers, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _load_opening(gate, at, inside, GATED: tl.constexpr):
    """The gate, 1 where there is none; 0 past the end, where nothing may change."""
    if GATED:
        return _load(gate + at, inside)
    return tl.where(inside, 1.0, 0.0)


@triton.jit
def _positions(chunk, L, LANES: tl.constexpr):
    """Positions (1, lane, RUN) of a chunk of the sequence, and which of them exist."""
    lane = tl.arange(0, LANES)[None, :, None]
    t = (chunk * LANES + lane) * RUN + tl.arange(0, RUN)[None, None, :]
    return t, t < L


@triton.jit
def _decays(size, rate):
    """Decay at each position of a run, and over the whole run."""
    a = ()
    total = tl.zeros_like(size[0])
    for k in tl.static_range(RUN):
        a = a + (tl.exp2(size[k] * rate),)
        total += size[k]
    return a, tl.exp2(total * rate)


@triton.jit
def _scan_run(a, value, b, h):
    """Scan each lane's run from state h: the states before each position, and the last one."""
    before = ()
    for k in tl.static_range(RUN):
        before = before + (h,)
        h = a[k] * h + value[k] * b[k]
    return before, h


@triton.jit
def _add_outputs(y, a, value, b, c, h):
    """Scan each lane's run from state h, adding C h to y."""
    total = ()
    for k in tl.static_range(RUN):
        h = a[k] * h + value[k] * b[k]
        out = y[k] + c[k] * h
        total = total + (out,)
    return total


@triton.jit
def forward_kernel(
    x, delta, decay, B, C, D, bias, gate, y, states,
    E, L, N, slots,
    GATED: tl.constexpr, REVERSE: tl.constexpr, BLOCK_E: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Write y, and the states before every chunk but the first."""
    sequence = tl.program_id(1).to(tl.int64)
    e = tl.program_id(0) * BLOCK_E + tl.arange(0, BLOCK_E)
    valid = e < E
    last = tl.arange(0, LANES)[None, :] == LANES - 1
    skip = tl.load(D + e, mask=valid, other=0.0)[:, None, None]
    shift = tl.load(bias + e, mask=valid, other=0.0)[:, None, None]
    chunks = tl.cdiv(L, LANES * RUN)
    for chunk in range(chunks):
        t, inside = _positions(chunks - 1 - chunk if REVERSE else chunk, L, LANES)
        here = valid[:, None, None] & inside
        at = (sequence * E + e)[:, None, None] * L + t
        softplus = _softplus(_load(delta + at, here) + shift)[0]
        step = softplus * _load_opening(gate, sequence * L + t, inside, GATED)
        raw = _load(x + at, here)
        size = _unzip(step, REVERSE)
        value = _unzip(step * raw, REVERSE)
        total = _unzip(skip * raw, REVERSE)
        old = states + (sequence * slots + chunk % slots) * E * N + e * N
        new = states + (sequence * slots + (chunk + 1) % slots) * E * N + e * N
        for n in range(N):
            row = (sequence * N + n) * L + t
            b = _unzip(_load(B + row, inside), REVERSE)
            c = _unzip(_load(C + row, inside), REVERSE)
            rate = tl.load(decay + e * N + n, mask=valid, other=0.0)[:, None]
            start = tl.load(old + n, mask=valid & (chunk > 0), other=0.0)
            a, passed = _decays(size, rate)
            local = _scan_run(a, value, b, tl.zeros_like(passed))[1]
            h, after = _scan_lanes(passed, local, start, REVERSE)
            pointers = tl.broadcast_to((new + n)[:, None], after.shape)
            tl.store(pointers, after, mask=valid[:, None] & last)
            total = _add_outputs(total, a, value, b, c, h)
        tl.store(y + at, _zip(total, REVERSE), mask=here)
        tl.debug_barrier()  # the next chunk reads the states that other threads have written


@triton.jit
def _enter_backwards(a, c, dy):
    """Give a g before each lane's run, g_t = C_t dy_t + a_{t+1} g_{t+1}, from 0 after the run."""
    G = tl.zeros_like(dy[0])
    for i in tl.static_range(RUN):
        G = a[RUN - 1 - i] * (c[RUN - 1 - i] * dy[RUN - 1 - i] + G)
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
    for k in tl.static_range(RUN - 1, -1, -1):
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
def _add_to_row(gradient, at, tile, inside):
    """Sum a tile over channels and add it at positions that other programs add to as well."""
    summed = tl.sum(tile, 0, keep_dims=True)
    tl.atomic_add(gradient + at, summed, mask=inside, sem="relaxed")


@triton.jit
def _state_backwards(
    n, B, C, decay, old, carry, new_carry, dB, dC, ddecay,
    row, inside, e, N, valid, started, carried, size, value, dy, dvalue, dsize,
    REVERSE: tl.constexpr,
):  # fmt: skip
    """One chunk of one state entry: adds to dvalue, dsize and to dB, dC, dA in memory."""
    b = _unzip(_load(B + row, inside), REVERSE)
    c = _unzip(_load(C + row, inside), REVERSE)
    rate = tl.load(decay + e * N + n, mask=valid, other=0.0)[:, None]
    start = tl.load(old + n, mask=valid & started, other=0.0)
    G_start = tl.load(carry + n, mask=valid & carried, other=0.0)
    a, passed = _decays(size, rate)
    local = _scan_run(a, value, b, tl.zeros_like(passed))[1]
    h = _scan_lanes(passed, local, start, REVERSE)[0]
    before = _scan_run(a, value, b, h)[0]
    local = _enter_backwards(a, c, dy)
    G, after = _scan_lanes(passed, local, G_start, not REVERSE)
    last = tl.arange(0, after.shape[1])[None, :] == after.shape[1] - 1
    pointers = tl.broadcast_to((new_carry + n)[:, None], after.shape)
    tl.store(pointers, after, mask=valid[:, None] & last)
    dvalue, dsize, dB_run, dC_run, dA = _run_backwards(
        a, value, b, c, dy, before, size, rate, G, dvalue, dsize
    )
    _add_to_row(dB, row, _zip(dB_run, REVERSE), inside)
    _add_to_row(dC, row, _zip(dC_run, REVERSE), inside)
    tl.atomic_add(ddecay + e * N + n, tl.sum(dA, 1), mask=valid, sem="relaxed")
    return dvalue, dsize


@triton.jit
def backward_kernel(
    x, delta, decay, B, C, D, bias, gate, states, dy,
    dx, ddelta, ddecay, dB, dC, dD, dbias, dgate, carries,
    E, L, N, slots,
    GATED: tl.constexpr, REVERSE: tl.constexpr, BLOCK_E: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Write the gradients of x and delta, and D's and bias's per sequence; add to the others."""
    sequence = tl.program_id(1).to(tl.int64)
    e = tl.program_id(0) * BLOCK_E + tl.arange(0, BLOCK_E)
    valid = e < E
    skip = tl.load(D + e, mask=valid, other=0.0)[:, None, None]
    shift = tl.load(bias + e, mask=valid, other=0.0)[:, None, None]
    skip_sum = tl.zeros([BLOCK_E, LANES], tl.float32)
    bias_sum = tl.zeros([BLOCK_E, LANES], tl.float32)
    chunks = tl.cdiv(L, LANES * RUN)
    for done in range(chunks):
        chunk = chunks - 1 - done
        t, inside = _positions(done if REVERSE else chunk, L, LANES)
        here = valid[:, None, None] & inside
        at = (sequence * E + e)[:, None, None] * L + t
        softplus, slope = _softplus(_load(delta + at, here) + shift)
        opening = _load_opening(gate, sequence * L + t, inside, GATED)
        raw = _load(x + at, here)
        dy_t = _load(dy + at, here)
        size = _unzip(softplus * opening, REVERSE)
        value = _unzip(softplus * opening * raw, REVERSE)
        dy_run = _unzip(dy_t, REVERSE)
        dvalue = _unzip(tl.zeros_like(raw), REVERSE)
        dsize = _unzip(tl.zeros_like(raw), REVERSE)
        old = states + (sequence * slots + chunk % slots) * E * N + e * N
        carry = carries + (sequence * 2 + done % 2) * E * N + e * N
        new_carry = carries + (sequence * 2 + (done + 1) % 2) * E * N + e * N
        for n in range(N):
            dvalue, dsize = _state_backwards(
                n, B, C, decay, old, carry, new_carry, dB, dC, ddecay,
                (sequence * N + n) * L + t, inside, e, N, valid, chunk > 0, done > 0,
                size, value, dy_run, dvalue, dsize, REVERSE,
            )  # fmt: skip
        through = _zip(dvalue, REVERSE)
        # decay is A log2(e): dsize holds sum_n u A log2(e)
        dstep = _zip(dsize, REVERSE) * 0.6931471805599453 + raw * through
        draw = dstep * opening * slope
        tl.store(dx + at, softplus * opening * through + skip * dy_t, mask=here)
        tl.store(ddelta + at, draw, mask=here)
        if GATED:
            _add_to_row(dgate, sequence * L + t, dstep * softplus, inside)
        skip_sum += tl.sum(dy_t * raw, 2)
        bias_sum += tl.sum(draw, 2)
        tl.debug_barrier()  # as in the forward kernel
    tl.store(dD + sequence * E + e, tl.sum(skip_sum, 1), mask=valid)
    tl.store(dbias + sequence * E + e, tl.sum(bias_sum, 1), mask=valid)
