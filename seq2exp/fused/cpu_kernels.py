# mypy: ignore-errors
# (numba infers the types, from values that mypy does not know)
"""Numba kernels of the fused functions: one task = the rows of 16 channels of one sequence.

Rows are worked through in tiles of TILE positions, copied to scratch with a margin of one or two
vectors on either side (0 beyond a row's ends), so that the inner loops know neither strides nor
ends. With s the sum of a convolution or the gate's z, and sigma the sigmoid,

    SiLU(s) = s sigma(s)        SiLU'(s) = sigma(s) (1 + s (1 - sigma(s)))
"""

import numpy as np
from numba import boolean, float32, int64, njit, types, void

from seq2exp.scan.cpu_tiles import zeros
from seq2exp.scan.simd import LANES, fma, load, sigmoid, splat, store

TILE = 1024

_tensor = types.Array(types.float32, 3, "A")
_taps = float32[:, ::1]
_task = types.UniTuple(int64, 2)


@njit(nogil=True, cache=True)
def _fill(source, sequence, channel, start, margin, scratch):
    """Copy positions from start - margin to start + TILE + margin of a row."""
    row = source[sequence, channel]
    for i in range(TILE + 2 * margin):
        position = start - margin + i
        scratch[i] = row[position] if 0 <= position < row.size else np.float32(0.0)


@njit(nogil=True, cache=True)
def _copy(scratch, margin, target, sequence, channel, start):
    """Copy a tile without its margin to its place in a row."""
    row = target[sequence, channel]
    for i in range(min(TILE, row.size - start)):
        row[start + i] = scratch[margin + i]


@njit(forceinline=True)
def _offset(tap, taps, leftward):
    """Where a tap looks, from the position it belongs to."""
    return taps - 1 - tap if leftward else tap - taps + 1


@njit(nogil=True, cache=True)
def _convolve(x, weight, bias, leftward, sums, margin):
    """Sums on a tile and `margin` positions on either side, from x with a vector more of both."""
    taps = weight.size
    for at in range(0, TILE + 2 * margin, LANES):
        total = splat(bias)
        for tap in range(taps):
            near = load(x, at + LANES + _offset(tap, taps, leftward))
            total = fma(splat(weight[tap]), near, total)
        store(sums, at, total)


@njit(forceinline=True)
def _silu_slope(value):
    one = splat(1.0)
    share = sigmoid(value)
    return share * fma(value, one - share, one)


@njit(void(_tensor, _taps, float32[::1], _tensor, _task, boolean), nogil=True, cache=True)
def conv_silu_forward(x, weight, bias, out, task, leftward):
    """Write SiLU of the convolution of x (B, E, L); task = (sequence, first channel)."""
    sequence, first = task
    near, sums = zeros(TILE + 2 * LANES), zeros(TILE)
    for channel in range(first, min(first + LANES, x.shape[1])):
        for start in range(0, x.shape[2], TILE):
            _fill(x, sequence, channel, start, LANES, near)
            _convolve(near, weight[channel], bias[channel], leftward, sums, 0)
            for at in range(0, TILE, LANES):
                value = load(sums, at)
                store(sums, at, value * sigmoid(value))
            _copy(sums, 0, out, sequence, channel, start)


@njit(nogil=True, cache=True)
def _sum_gradients(x, weight, bias, dout, leftward, start, length, gradient):
    """Gradient of the sums on a tile and a vector on either side; 0 beyond the row's ends."""
    _convolve(x, weight, bias, leftward, gradient, LANES)
    for at in range(0, TILE + 2 * LANES, LANES):
        store(gradient, at, _silu_slope(load(gradient, at)) * load(dout, at))
    for i in range(TILE + 2 * LANES):
        if not 0 <= start - LANES + i < length:
            gradient[i] = np.float32(0.0)


@njit(nogil=True, cache=True)
def _add_weight_gradients(x, gradient, taps, leftward, totals):
    """Add a tile's part of the gradients of taps and bias, lane by lane."""
    for tap in range(taps):
        total = load(totals, tap * LANES)
        for at in range(0, TILE, LANES):
            near = load(x, at + 2 * LANES + _offset(tap, taps, leftward))
            total = fma(load(gradient, at + LANES), near, total)
        store(totals, tap * LANES, total)
    total = load(totals, taps * LANES)
    for at in range(0, TILE, LANES):
        total = total + load(gradient, at + LANES)
    store(totals, taps * LANES, total)


@njit(
    void(_tensor, _taps, float32[::1], _tensor, _tensor, float32[:, :, ::1], _task, boolean),
    nogil=True,
    cache=True,
)
def conv_silu_backward(x, weight, bias, dout, dx, sums, task, leftward):
    """Gradients of one task: dx, and in sums (B, E, W + 1) those of the taps and the bias."""
    sequence, first = task
    taps = weight.shape[1]
    x_near, d_near = zeros(TILE + 4 * LANES), zeros(TILE + 2 * LANES)
    gradient, result = zeros(TILE + 2 * LANES), zeros(TILE)
    totals = zeros((taps + 1) * LANES)
    for channel in range(first, min(first + LANES, x.shape[1])):
        own = weight[channel]
        totals[:] = 0.0
        for start in range(0, x.shape[2], TILE):
            _fill(x, sequence, channel, start, 2 * LANES, x_near)
            _fill(dout, sequence, channel, start, LANES, d_near)
            _sum_gradients(
                x_near, own, bias[channel], d_near, leftward, start, x.shape[2], gradient
            )
            _add_weight_gradients(x_near, gradient, taps, leftward, totals)
            for at in range(0, TILE, LANES):
                total = splat(0.0)
                for tap in range(taps):
                    near = load(gradient, at + LANES - _offset(tap, taps, leftward))
                    total = fma(splat(own[tap]), near, total)
                store(result, at, total)
            _copy(result, 0, dx, sequence, channel, start)
        for tap in range(taps + 1):
            sums[sequence, channel, tap] = totals[tap * LANES : (tap + 1) * LANES].sum()


@njit(void(_tensor, _tensor, _tensor, _task), nogil=True, cache=True)
def gate_silu_forward(y, z, out, task):
    """Write y SiLU(z), all (B, E, L)."""
    sequence, first = task
    own, gate = zeros(TILE), zeros(TILE)
    for channel in range(first, min(first + LANES, y.shape[1])):
        for start in range(0, y.shape[2], TILE):
            _fill(y, sequence, channel, start, 0, own)
            _fill(z, sequence, channel, start, 0, gate)
            for at in range(0, TILE, LANES):
                value = load(gate, at)
                store(own, at, load(own, at) * (value * sigmoid(value)))
            _copy(own, 0, out, sequence, channel, start)


@njit(void(_tensor, _tensor, _tensor, _tensor, _tensor, _task), nogil=True, cache=True)
def gate_silu_backward(y, z, dout, dy, dz, task):
    """Gradients of y and z."""
    sequence, first = task
    own, gate, given = zeros(TILE), zeros(TILE), zeros(TILE)
    for channel in range(first, min(first + LANES, y.shape[1])):
        for start in range(0, y.shape[2], TILE):
            _fill(y, sequence, channel, start, 0, own)
            _fill(z, sequence, channel, start, 0, gate)
            _fill(dout, sequence, channel, start, 0, given)
            for at in range(0, TILE, LANES):
                value = load(gate, at)
                d = load(given, at)
                store(gate, at, d * load(own, at) * _silu_slope(value))
                store(own, at, d * (value * sigmoid(value)))
            _copy(own, 0, dy, sequence, channel, start)
            _copy(gate, 0, dz, sequence, channel, start)
