# mypy: ignore-errors
# (Triton infers the types)
"""Triton kernels of gate_silu: y * SiLU(z).

Arrays are (B, n), n = E L, the last axis dense; each has a stride of its own for the first.
"""

import triton
import triton.language as tl

from seq2exp.scan.triton_runs import load_float


@triton.jit
def _sigmoid(v):
    return 1.0 / (1.0 + tl.exp2(v * -1.4426950408889634))


@triton.jit
def _entries(n, BLOCK: tl.constexpr):
    """Row and columns of this program, and which of them exist."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    return tl.program_id(1).to(tl.int64), at, at < n


@triton.jit
def forward_kernel(y, z, out, n, y_stride, z_stride, out_stride, BLOCK: tl.constexpr):
    """Write y * SiLU(z)."""
    row, at, inside = _entries(n, BLOCK)
    gate = load_float(z + row * z_stride + at, inside)
    value = load_float(y + row * y_stride + at, inside)
    tl.store(out + row * out_stride + at, value * gate * _sigmoid(gate), mask=inside)


@triton.jit
def backward_kernel(
    y, z, dout, dy, dz, n, y_stride, z_stride, dout_stride, dy_stride, dz_stride,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Write the gradients of y and z."""
    row, at, inside = _entries(n, BLOCK)
    gate = load_float(z + row * z_stride + at, inside)
    value = load_float(y + row * y_stride + at, inside)
    g = load_float(dout + row * dout_stride + at, inside)
    s = _sigmoid(gate)
    tl.store(dy + row * dy_stride + at, g * gate * s, mask=inside)
    tl.store(dz + row * dz_stride + at, g * value * s * (1.0 + gate * (1.0 - s)), mask=inside)
