# mypy: ignore-errors
# (Triton infers the types)
"""Triton kernels of add_rms_norm. Arrays are (rows, d), dense, d = WIDTH."""

import triton
import triton.language as tl

from seq2exp.scan.triton_runs import load_float


@triton.jit
def _tile(block, count, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Offsets of some rows, and which entries exist."""
    row = block * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, COLUMNS)[None, :]
    return row.to(tl.int64) * WIDTH + column, (row < count) & (column < WIDTH)


@triton.jit
def _scale(total, WIDTH: tl.constexpr, eps):
    """1 / root mean square of each row, (row, 1)."""
    return tl.rsqrt(tl.sum(total * total, 1, keep_dims=True) / WIDTH + eps)


@triton.jit
def forward_kernel(
    residual, hidden, weight, total, normed, count, eps,
    ADD: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write the norm of residual + hidden and, if there is something to add, the sum."""
    column = tl.arange(0, COLUMNS)
    factor = load_float(weight + column, column < WIDTH)[None, :]
    at, inside = _tile(tl.program_id(0), count, WIDTH, ROWS, COLUMNS)
    values = load_float(residual + at, inside)
    if ADD:
        values += load_float(hidden + at, inside)
        tl.store(total + at, values, mask=inside)
    tl.store(normed + at, values * _scale(values, WIDTH, eps) * factor, mask=inside)


@triton.jit
def backward_kernel(
    total, weight, dtotal, dnormed, dresidual, dhidden, partial, count, eps,
    ADD: tl.constexpr, SUMMED: tl.constexpr,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Write the gradients of residual and hidden, and of weight this program's part.

    partial is (program, WIDTH). ADD: hidden has a gradient. SUMMED: the sum has one.
    """
    column = tl.arange(0, COLUMNS)
    factor = load_float(weight + column, column < WIDTH)[None, :]
    sums = tl.zeros([ROWS, COLUMNS], tl.float32)
    for block in range(tl.program_id(0), tl.cdiv(count, ROWS), tl.num_programs(0)):
        at, inside = _tile(block, count, WIDTH, ROWS, COLUMNS)
        values = load_float(total + at, inside)
        scale = _scale(values, WIDTH, eps)
        unit = values * scale
        g = load_float(dnormed + at, inside)
        sums += g * unit
        g *= factor
        g = (g - unit * (tl.sum(g * unit, 1, keep_dims=True) / WIDTH)) * scale
        if SUMMED:
            g += load_float(dtotal + at, inside)
        tl.store(dresidual + at, g, mask=inside)
        if ADD:
            tl.store(dhidden + at, g, mask=inside)
    own = partial + tl.program_id(0) * WIDTH + column
    tl.store(own, tl.sum(sums, 0), mask=column < WIDTH)
