# mypy: ignore-errors
# (numba infers the types, from values that mypy does not know)
"""Numba kernels of the residual addition with RMSNorm: one task = ROWS positions.

With r = 1 / sqrt(mean(x^2) + eps) and v = g w, g the gradient of the norm r x w,

    dx = r (v - x r^2 mean(v x)) + the gradient of x itself        dw = sum g r x
"""

import numpy as np
from numba import njit

ROWS = 1024
_FAST = {"reassoc", "contract", "nsz"}  # so that sums over a row are vectorised


@njit(nogil=True, cache=True, fastmath=_FAST)
def _inverse_rms(row, eps):
    total = np.float32(0.0)
    for i in range(row.size):
        total += row[i] * row[i]
    return np.float32(1.0) / np.sqrt(total / np.float32(row.size) + eps)


@njit(nogil=True, cache=True, fastmath=_FAST)
def add_norm_forward(residual, hidden, weight, eps, total, normed, first):
    """Fill rows of total = residual + hidden (or nothing) and its norm; all (rows, d)."""
    for at in range(first, min(first + ROWS, residual.shape[0])):
        if hidden.shape[0]:
            for i in range(weight.size):
                total[at, i] = residual[at, i] + hidden[at, i]
        rms = _inverse_rms(total[at], eps)
        for i in range(weight.size):
            normed[at, i] = total[at, i] * rms * weight[i]


@njit(nogil=True, cache=True, fastmath=_FAST)
def add_norm_backward(total, weight, eps, dtotal, dnormed, dx, dweight, first):
    """Fill rows of dx, and this task's row of dweight (tasks, d)."""
    own = dweight[first // ROWS]
    own[:] = 0.0
    for at in range(first, min(first + ROWS, total.shape[0])):
        rms = _inverse_rms(total[at], eps)
        product = np.float32(0.0)
        for i in range(weight.size):
            product += dnormed[at, i] * weight[i] * total[at, i]
        product *= rms * rms / np.float32(weight.size)
        for i in range(weight.size):
            g, x = dnormed[at, i], total[at, i]
            dx[at, i] = rms * (g * weight[i] - x * product) + dtotal[at, i]
            own[i] += g * (rms * x)
