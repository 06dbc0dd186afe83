# mypy: ignore-errors
# ruff: noqa: RUF005
# (Triton infers the types, and its tuples know no stars)
"""Triton kernel of the selective scan's forward pass; see triton_steps.

A lane's run has PIECES pieces of RUN positions, so that fewer results are scanned across lanes. A
chunk is as wide as PIECES chunks of the backward pass, which wants the state before each of its
own: states (batch, slot, E, N), a slot for each and one more; or four in turn, where no backward
pass will come, since the states also pass from chunk to chunk here.
"""

import triton
import triton.language as tl

from seq2exp.scan.triton_runs import join_run, load_float, piece_positions, split_run
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
def _append(run, piece, REVERSE: tl.constexpr):
    """A run longer by one more piece, read from left to right."""
    return piece + run if REVERSE else run + piece


@triton.jit
def _load_inputs(
    x, delta, gate, row, gate_row, valid, skip, shift, first, L,
    GATED: tl.constexpr, REVERSE: tl.constexpr,
    LANES: tl.constexpr, RUN: tl.constexpr, PIECES: tl.constexpr,
):  # fmt: skip
    """Runs of the step size, of the step size times x, and of D x."""
    size = ()
    value = ()
    skipped = ()
    for piece in tl.static_range(PIECES):
        t, inside = piece_positions(first, piece, L, LANES, RUN, PIECES)
        here = valid[:, None] & inside
        step = softplus(load_float(delta + row + t, here) + shift)[0]
        step *= load_opening(gate, gate_row + t, inside, GATED)
        raw = load_float(x + row + t, here)
        size = _append(size, split_run(step, LANES, REVERSE), REVERSE)
        value = _append(value, split_run(step * raw, LANES, REVERSE), REVERSE)
        skipped = _append(skipped, split_run(skip * raw, LANES, REVERSE), REVERSE)
    return size, value, skipped


@triton.jit
def _load_rows(
    row, first, L, WARPS: tl.constexpr, LANES: tl.constexpr, RUN: tl.constexpr,
    PIECES: tl.constexpr,
):  # fmt: skip
    """The pieces of a row of B or C."""
    tiles = ()
    for piece in tl.static_range(PIECES):
        t, inside = piece_positions(first, piece, L, LANES, RUN, PIECES)
        tiles = tiles + (load_row(row + t, inside, WARPS),)
    return tiles


@triton.jit
def _join_rows(tiles, BLOCK_E: tl.constexpr, LANES: tl.constexpr, REVERSE: tl.constexpr):
    """The run that pieces of a row make."""
    run = ()
    for piece in tl.static_range(len(tiles)):
        run = _append(run, for_channels(tiles[piece], BLOCK_E, LANES, REVERSE), REVERSE)
    return run


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
def _store_run(
    row, valid, first, run, L, LANES: tl.constexpr, RUN: tl.constexpr, PIECES: tl.constexpr,
    REVERSE: tl.constexpr,
):  # fmt: skip
    for piece in tl.static_range(PIECES):
        part = ()
        for k in tl.static_range(RUN):
            part = part + (run[(PIECES - 1 - piece if REVERSE else piece) * RUN + k],)
        t, inside = piece_positions(first, piece, L, LANES, RUN, PIECES)
        tl.store(row + t, join_run(part, REVERSE), mask=valid[:, None] & inside)


@triton.jit
def _store_states(
    states, slot, slots, size, after, valid, PIECES: tl.constexpr, REVERSE: tl.constexpr
):  # fmt: skip
    """Store the states after each PIECES-th of the lanes, in the slots that follow `slot`."""
    lanes: tl.constexpr = after.shape[1]
    for part in tl.static_range(1, PIECES + 1):
        following = (slot + (slots - part if REVERSE else part)) % slots
        at = states + following.to(tl.int64) * size
        store_lane(at, after, valid, part * lanes // PIECES - 1)


@triton.jit
def forward_kernel(
    x, delta, decay, B, C, D, bias, gate, y, states,
    E, units, N, slots,
    UNIT: tl.constexpr, GATED: tl.constexpr, REVERSE: tl.constexpr, BLOCK_E: tl.constexpr,
    WARPS: tl.constexpr, LANES: tl.constexpr, RUN: tl.constexpr, PIECES: tl.constexpr,
):  # fmt: skip
    """Write y, and the states before every chunk of the backward pass but the first."""
    L = units * UNIT
    sequence = tl.program_id(1).to(tl.int64)
    e = tl.program_id(0) * BLOCK_E + tl.arange(0, BLOCK_E)
    valid = e < E
    skip = tl.load(D + e, mask=valid, other=0.0)[:, None]
    shift = tl.load(bias + e, mask=valid, other=0.0)[:, None]
    row = (sequence * E + e)[:, None] * L
    chunks = tl.cdiv(L, LANES * RUN * PIECES)
    for done in range(chunks):
        chunk = chunks - 1 - done if REVERSE else done
        first = chunk * LANES * RUN * PIECES
        size, value, total = _load_inputs(
            x, delta, gate, row, sequence * L, valid, skip, shift, first, L,
            GATED, REVERSE, LANES, RUN, PIECES,
        )  # fmt: skip
        slot = chunk * PIECES + (PIECES - 1 if REVERSE else 0)
        kept = states + sequence * slots * E * N + e * N
        old = kept + (slot % slots).to(tl.int64) * E * N
        next_b = _load_rows(B + sequence * N * L, first, L, WARPS, LANES, RUN, PIECES)
        next_c = _load_rows(C + sequence * N * L, first, L, WARPS, LANES, RUN, PIECES)
        next_rate = tl.load(decay + e * N, mask=valid, other=0.0)
        for n in range(N):
            b = _join_rows(next_b, BLOCK_E, LANES, REVERSE)
            c = _join_rows(next_c, BLOCK_E, LANES, REVERSE)
            rate = next_rate[:, None]
            start = tl.load(old + n, mask=valid & (done > 0), other=0.0)
            following = tl.minimum(n + 1, N - 1)  # read ahead of use
            ahead = (sequence * N + following) * L
            next_b = _load_rows(B + ahead, first, L, WARPS, LANES, RUN, PIECES)
            next_c = _load_rows(C + ahead, first, L, WARPS, LANES, RUN, PIECES)
            next_rate = tl.load(decay + e * N + following, mask=valid, other=0.0)
            a, passed = decays(size, rate)
            local = scan_run(a, value, b, tl.zeros_like(passed))[1]
            h, after = scan_lanes(passed, local, start, REVERSE)
            _store_states(kept + n, slot, slots, E * N, after, valid, PIECES, REVERSE)
            total = _add_outputs(total, a, value, b, c, h)
        _store_run(y + row, valid, first, total, L, LANES, RUN, PIECES, REVERSE)
        tl.debug_barrier()  # the next chunk reads the states that other threads have written
