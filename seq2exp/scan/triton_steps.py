# mypy: ignore-errors
# ruff: noqa: RUF005
# (Triton infers the types, and its tuples know no stars)
"""What both Triton kernels of the selective scan do: scans, loads and stores.

A program owns BLOCK_E channels of one sequence, each of its warps whole channels, and walks it in
chunks, for one state entry n after the other. Each lane holds a run of consecutive positions in
registers. It scans its run from a state of 0, the lanes' results are scanned across lanes, and
then each lane scans its run again from its true state. So every exponential is computed once in
either pass (the scan is bound by arithmetic), sums over n stay inside a thread, and no warp waits
for another.

Arrays are (batch, E, L), (batch, N, L) and (batch, L), contiguous; decay is A log2(e). L is given
in UNITs, so that the compiler knows what divides it and reads 16 bytes at once. Tiles and runs
are as in triton_runs, their rows being channels; runs are in the order of the scan, and so are
"before" and "after".
"""

import triton
import triton.language as tl

from seq2exp.scan.triton_runs import load_float, split_run


@triton.jit
def _then(decay, state, next_decay, next_state):
    """Two stretches of h -> decay h + state, one after the other."""
    return decay * next_decay, next_decay * state + next_state


@triton.jit
def scan_lanes(decay, state, start, REVERSE: tl.constexpr):
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
def softplus(v):
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
def load_opening(gate, at, inside, GATED: tl.constexpr):
    """The gate, 1 where there is none; 0 past the end, where nothing may change."""
    if GATED:
        return load_float(gate + at, inside)
    return tl.where(inside, 1.0, 0.0)


@triton.jit
def load_row(row, inside, WARPS: tl.constexpr):
    """A row of B or C, (WARPS, position): each warp reads it for itself, and waits for none."""
    shape: tl.constexpr = [WARPS, row.shape[1]]
    return tl.load(tl.broadcast_to(row, shape), mask=tl.broadcast_to(inside, shape), other=0.0)


@triton.jit
def for_channels(tile, BLOCK_E: tl.constexpr, LANES: tl.constexpr, REVERSE: tl.constexpr):
    """A row of B or C as a run (E, lane); copy w is that of channels w, w + WARPS, ..."""
    warps: tl.constexpr = tile.shape[0]
    own = split_run(tile.to(tl.float32), LANES, REVERSE)
    run = ()
    for k in tl.static_range(len(own)):
        copies = tl.broadcast_to(own[k][None], [BLOCK_E // warps, warps, LANES])
        run = run + (tl.reshape(copies, [BLOCK_E, LANES]),)
    return run


@triton.jit
def decays(size, rate):
    """Decay at each position of a run, and over the whole run."""
    a = ()
    total = tl.zeros_like(size[0])
    for k in tl.static_range(len(size)):
        a = a + (tl.exp2(size[k] * rate),)
        total += size[k]
    return a, tl.exp2(total * rate)


@triton.jit
def scan_run(a, value, b, h):
    """Scan each lane's run from state h: the states before each position, and the last one."""
    before = ()
    for k in tl.static_range(len(a)):
        before = before + (h,)
        h = a[k] * h + value[k] * b[k]
    return before, h


@triton.jit
def store_lane(pointers, states, valid, LANE: tl.constexpr):
    """Store one lane's states (E, lane) at (E,) addresses.

    As addresses that follow the lanes: so the states stay in the threads where they are.
    """
    lane = tl.arange(0, states.shape[1])[None, :]
    here = valid[:, None] & (lane == LANE)
    tl.store(pointers[:, None] + (lane - LANE), states, mask=here)
