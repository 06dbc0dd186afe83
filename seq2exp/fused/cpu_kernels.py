# mypy: ignore-errors
# (numba infers the types, from values that mypy does not know)
"""Numba kernels of the fused functions: one task = the rows of 16 channels of one sequence.

Tensors (B, E, L) come as (flat, strides): their memory from their first element on, and the
distances between sequences and between channels; positions lie side by side. Rows are worked
through in tiles of TILE positions, copied to scratch with a margin of one or two vectors on either
side (0 beyond a row's ends), so that the inner loops know no ends. With s the sum of a convolution or the gate's z, and sigma the sigmoid,

    SiLU(s) = s sigma(s)        SiLU'(s) = sigma(s) (1 + s (1 - sigma(s)))
"""

import numpy as np
from numba import njit

from seq2exp.scan.cpu_tiles import zeros
from seq2exp.scan.simd import LANES, fma, load, sigmoid, splat, store

TILE = 1024


@njit(forceinline=True)
def _row(tensor, sequence, channel):
    """Where a row begins."""
    return sequence * tensor[1][0] + channel * tensor[1][1]


@njit(nogil=True, cache=True)
def _fill(tensor, row, length, start, margin, scratch):
    """Copy positions from start - margin to start + TILE + margin of a row."""
    flat = tensor[0]
    first, count = start - margin, TILE + 2 * margin
    if first >= 0 and first + count <= length:
        for i in range(0, count, LANES):
            store(scratch, i, load(flat, row + first + i))
        return
    for i in range(count):
        inside = 0 <= first + i < length
        scratch[i] = flat[row + first + i] if inside else np.float32(0.0)


@njit(nogil=True, cache=True)
def _copy(scratch, tensor, row, length, start):
    """Copy a tile to its place in a row."""
    flat = tensor[0]
    if start + TILE <= length:
        for i in range(0, TILE, LANES):
            store(flat, row + start + i, load(scratch, i))
        return
    for i in range(length - start):
        flat[row + start + i] = scratch[i]


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


@njit(nogil=True, cache=True)
def conv_silu_forward(x, weight, bias, out, task, leftward):
    """Write SiLU of the convolution; task = (sequence, first channel, end of channels, L)."""
    sequence, first, end, length = task
    near, sums = zeros(TILE + 2 * LANES), zeros(TILE)
    for channel in range(first, end):
        source, target = _row(x, sequence, channel), _row(out, sequence, channel)
        for start in range(0, length, TILE):
            _fill(x, source, length, start, LANES, near)
            _convolve(near, weight[channel], bias[channel], leftward, sums, 0)
            for at in range(0, TILE, LANES):
                value = load(sums, at)
                store(sums, at, value * sigmoid(value))
            _copy(sums, out, target, length, start)


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


@njit(nogil=True, cache=True)
def conv_silu_backward(x, weight, bias, dout, dx, sums, task, leftward):
    """Gradients of one task: dx, and in sums (B, E, W + 1) those of the taps and the bias."""
    sequence, first, end, length = task
    taps = weight.shape[1]
    x_near, d_near = zeros(TILE + 4 * LANES), zeros(TILE + 2 * LANES)
    gradient, result = zeros(TILE + 2 * LANES), zeros(TILE)
    totals = zeros((taps + 1) * LANES)
    for channel in range(first, end):
        own = weight[channel]
        row, given = _row(x, sequence, channel), _row(dout, sequence, channel)
        totals[:] = 0.0
        for start in range(0, length, TILE):
            _fill(x, row, length, start, 2 * LANES, x_near)
            _fill(dout, given, length, start, LANES, d_near)
            _sum_gradients(x_near, own, bias[channel], d_near, leftward, start, length, gradient)
            _add_weight_gradients(x_near, gradient, taps, leftward, totals)
            for at in range(0, TILE, LANES):
                total = splat(0.0)
                for tap in range(taps):
                    near = load(gradient, at + LANES - _offset(tap, taps, leftward))
                    total = fma(splat(own[tap]), near, total)
                store(result, at, total)
            _copy(result, dx, _row(dx, sequence, channel), length, start)
        for tap in range(taps + 1):
            sums[sequence, channel, tap] = totals[tap * LANES : (tap + 1) * LANES].sum()


@njit(nogil=True, cache=True)
def gate_silu_forward(y, z, out, task):
    """Write y SiLU(z)."""
    sequence, first, end, length = task
    own, gate = zeros(TILE), zeros(TILE)
    for channel in range(first, end):
        for start in range(0, length, TILE):
            _fill(y, _row(y, sequence, channel), length, start, 0, own)
            _fill(z, _row(z, sequence, channel), length, start, 0, gate)
            for at in range(0, TILE, LANES):
                value = load(gate, at)
                store(own, at, load(own, at) * (value * sigmoid(value)))
            _copy(own, out, _row(out, sequence, channel), length, start)


@njit(nogil=True, cache=True)
def gate_silu_backward(y, z, dout, dy, dz, task):
    """Gradients of y and z."""
    sequence, first, end, length = task
    own, gate, given = zeros(TILE), zeros(TILE), zeros(TILE)
    for channel in range(first, end):
        for start in range(0, length, TILE):
            _fill(y, _row(y, sequence, channel), length, start, 0, own)
            _fill(z, _row(z, sequence, channel), length, start, 0, gate)
            _fill(dout, _row(dout, sequence, channel), length, start, 0, given)
            for at in range(0, TILE, LANES):
                value = load(gate, at)
                d = load(given, at)
                store(gate, at, d * load(own, at) * _silu_slope(value))
                store(own, at, d * (value * sigmoid(value)))
            _copy(own, dy, _row(dy, sequence, channel), length, start)
            _copy(gate, dz, _row(dz, sequence, channel), length, start)
