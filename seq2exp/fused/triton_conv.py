# mypy: ignore-errors
# ruff: noqa: RUF005
# (Triton infers the types, and its tuples know no stars)
"""Triton kernels of conv_silu.

A thread holds a run of RUN >= W - 1 consecutive positions in registers, and the runs beside it,
all read by aligned loads of 16 bytes. Walking from right to left turns the leftward convolution
into the rightward one; "before" and "after" mean in the order of the walk.

Arrays are (B, E, L), the last axis dense, with strides of their own for the others. L and the
strides are given in UNITs, so that the compiler knows what divides them and reads 16 bytes at
once. Tiles and runs are as in seq2exp.scan.triton_runs, their rows being channels.
"""

import triton
import triton.language as tl

from seq2exp.scan.triton_runs import join_run, load_float, positions, split_run


@triton.jit
def _sigmoid(u):
    return 1.0 / (1.0 + tl.exp2(u * -1.4426950408889634))


@triton.jit
def _row(stride_b, stride_e, e, UNIT: tl.constexpr):
    """Where the channels of this program's sequence lie, (row, 1)."""
    return (tl.program_id(2).to(tl.int64) * stride_b + e.to(tl.int64) * stride_e) * UNIT


@triton.jit
def _load_run(row, valid, first, L, LEFTWARD: tl.constexpr, LANES: tl.constexpr, RUN: tl.constexpr):
    """The runs of all lanes, from a first position on; 0 beyond the ends."""
    t, inside = positions(first, L, LANES * RUN)
    return split_run(load_float(row + t, valid & inside), LANES, LEFTWARD)


@triton.jit
def _store_run(row, valid, first, run, L, LEFTWARD: tl.constexpr, LANES: tl.constexpr):
    t, inside = positions(first, L, LANES * len(run))
    tl.store(row + t, join_run(run, LEFTWARD), mask=valid & inside)


@triton.jit
def _load_taps(weight, bias, e, valid, W: tl.constexpr):
    """The taps and the bias of each channel, (row, 1)."""
    taps = ()
    for w in tl.static_range(W):
        taps = taps + (load_float(weight + e * W + w, valid),)
    return taps, load_float(bias + e, valid)


@triton.jit
def _convolve(before, own, taps, shift, COUNT: tl.constexpr):
    """Sums at the first COUNT positions of a run, from it and the run before."""
    W: tl.constexpr = len(taps)
    x = before + own
    sums = ()
    for k in tl.static_range(COUNT):
        total = x[len(before) + k] * taps[W - 1] + shift
        for w in tl.static_range(W - 1):
            total += x[len(before) + k - (W - 1) + w] * taps[w]
        sums = sums + (total,)
    return sums


@triton.jit
def forward_kernel(
    x, weight, bias, y,
    E, units, x_stride_b, x_stride_e, y_stride_b, y_stride_e,
    W: tl.constexpr, LEFTWARD: tl.constexpr, UNIT: tl.constexpr,
    ROWS: tl.constexpr, LANES: tl.constexpr, RUN: tl.constexpr,
):  # fmt: skip
    """Write y; a program has LANES x RUN positions of ROWS channels."""
    L = units * UNIT
    e = tl.program_id(1) * ROWS + tl.arange(0, ROWS)[:, None]
    valid = e < E
    first = tl.program_id(0) * LANES * RUN
    x_row = x + _row(x_stride_b, x_stride_e, e, UNIT)
    y_row = y + _row(y_stride_b, y_stride_e, e, UNIT)
    taps, shift = _load_taps(weight, bias, e, valid, W)
    previous = first + (RUN if LEFTWARD else -RUN)
    before = _load_run(x_row, valid, previous, L, LEFTWARD, LANES, RUN)
    own = _load_run(x_row, valid, first, L, LEFTWARD, LANES, RUN)
    sums = _convolve(before, own, taps, shift, RUN)
    run = ()
    for k in tl.static_range(RUN):
        run = run + (sums[k] * _sigmoid(sums[k]),)
    _store_run(y_row, valid, first, run, L, LEFTWARD, LANES)


@triton.jit
def _through_silu(sums, dy):
    """Gradients of the first sums of a run."""
    gradients = ()
    for k in tl.static_range(len(sums)):
        s = _sigmoid(sums[k])
        gradients = gradients + (dy[k] * s * (1.0 + sums[k] * (1.0 - s)),)
    return gradients


@triton.jit
def _spread(g, taps, COUNT: tl.constexpr):
    """Gradient of x at the first COUNT positions; g reaches W - 1 positions further."""
    W: tl.constexpr = len(taps)
    run = ()
    for k in tl.static_range(COUNT):
        total = g[k] * taps[W - 1]
        for w in tl.static_range(W - 1):
            total += g[k + W - 1 - w] * taps[w]
        run = run + (total,)
    return run


@triton.jit
def _add_to_sums(sums, g, before, own):
    """Add a run's part of the gradients of the taps and the bias, (row, lane) each."""
    W: tl.constexpr = len(sums) - 1
    x = before + own
    added = ()
    for w in tl.static_range(W):
        total = sums[w]
        for k in tl.static_range(len(own)):
            total += g[k] * x[len(before) + k - (W - 1) + w]
        added = added + (total,)
    total = sums[W]
    for k in tl.static_range(len(own)):
        total += g[k]
    return added + (total,)


@triton.jit
def backward_kernel(
    x, weight, bias, dy, dx, partial,
    E, units, x_stride_b, x_stride_e, dy_stride_b, dy_stride_e, dx_stride_b, dx_stride_e, chunks,
    W: tl.constexpr, LEFTWARD: tl.constexpr, UNIT: tl.constexpr,
    ROWS: tl.constexpr, LANES: tl.constexpr, RUN: tl.constexpr,
):  # fmt: skip
    """Write dx, and this program's part of dweight and dbias: partial (B, program, W + 1, E).

    A program walks `chunks` chunks of LANES x RUN positions. x_t is read by the W - 1 positions
    after t, which are computed again where they belong to the next lane.
    """
    L = units * UNIT
    e = tl.program_id(1) * ROWS + tl.arange(0, ROWS)[:, None]
    valid = e < E
    x_row = x + _row(x_stride_b, x_stride_e, e, UNIT)
    dy_row = dy + _row(dy_stride_b, dy_stride_e, e, UNIT)
    dx_row = dx + _row(dx_stride_b, dx_stride_e, e, UNIT)
    taps, shift = _load_taps(weight, bias, e, valid, W)
    sums = ()
    for _ in tl.static_range(W + 1):
        sums = sums + (tl.zeros([ROWS, LANES], tl.float32),)
    ahead = -RUN if LEFTWARD else RUN
    begin = tl.program_id(0) * chunks
    for chunk in range(begin, tl.minimum(begin + chunks, tl.cdiv(L, LANES * RUN))):
        first = chunk * LANES * RUN
        before = _load_run(x_row, valid, first - ahead, L, LEFTWARD, LANES, RUN)
        own = _load_run(x_row, valid, first, L, LEFTWARD, LANES, RUN)
        dy_run = _load_run(dy_row, valid, first, L, LEFTWARD, LANES, RUN)
        g = _through_silu(_convolve(before, own, taps, shift, RUN), dy_run)
        sums = _add_to_sums(sums, g, before, own)
        if W > 1:
            after = _load_run(x_row, valid, first + ahead, L, LEFTWARD, LANES, RUN)
            dy_run = _load_run(dy_row, valid, first + ahead, L, LEFTWARD, LANES, RUN)
            g = g + _through_silu(_convolve(own, after, taps, shift, W - 1), dy_run)
        _store_run(dx_row, valid, first, _spread(g, taps, RUN), L, LEFTWARD, LANES)
    part = tl.program_id(2).to(tl.int64) * tl.num_programs(0) + tl.program_id(0)
    for w in tl.static_range(W + 1):
        total = tl.sum(sums[w], 1, keep_dims=True)
        tl.store(partial + (part * (W + 1) + w) * E + e, total, mask=valid)
