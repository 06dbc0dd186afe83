"""The selective scan on GPUs, by kernels in Triton: no compiler and no build step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
from torch import Tensor

from seq2exp.scan import triton_kernel as kernels

if TYPE_CHECKING:
    from seq2exp.scan import ScanInputs

# To be tuned on the machine. LANES: one warp's, so that a scan needs no shared memory. Two
# channels a warp fill its registers; the more channels a program has, the fewer atomics.
LANES = 32
NUM_WARPS = 4
BLOCK_E = 2 * NUM_WARPS

LOG2_E = 1.4426950408889634


def _launch(x: Tensor) -> tuple[tuple[int, int], dict[str, int], int]:
    """(grid, block sizes, number of chunks)."""
    batch, channels, length = x.shape
    run = kernels.RUN.value
    lanes = min(LANES, triton.next_power_of_2(triton.cdiv(length, run)))
    grid = (triton.cdiv(channels, BLOCK_E), batch)
    blocks = {"BLOCK_E": BLOCK_E, "LANES": lanes, "num_warps": NUM_WARPS}
    return grid, blocks, triton.cdiv(length, lanes * run)


def forward(
    inputs: ScanInputs, *, reverse: bool, keep: bool, start: None = None
) -> tuple[Tensor, Tensor, None]:
    """Scan; returns y and, if `keep`, the state before every chunk. No state is carried on.

    x, delta, B, C and gate may each be float32, bfloat16 or float16; the state is float32.
    """
    inputs = _as_kernels_read(inputs)
    x, A = inputs.x, inputs.A
    batch, channels, length = x.shape
    grid, blocks, chunks = _launch(x)
    slots = chunks if keep else 2
    states = torch.empty(batch, slots, channels, A.shape[1], device=x.device)
    y = torch.empty_like(x)
    sizes = (channels, length, A.shape[1], slots)
    flags = {"GATED": inputs.gate is not None, "REVERSE": reverse}
    with torch.cuda.device_of(x):
        kernels.forward_kernel[grid](*inputs, y, states, *sizes, **flags, **blocks)
    return y, states, None


def backward(
    dy: Tensor, states: Tensor, inputs: ScanInputs, *, reverse: bool, carry: None = None
) -> tuple[tuple[Tensor | None, ...], None]:
    """Gradients of the inputs, in their order."""
    inputs = _as_kernels_read(inputs)
    x, delta, A, B, C, _, _, gate = inputs
    batch, channels, length = x.shape
    dx, ddelta = torch.empty_like(x), torch.empty_like(delta)
    dA, dB, dC = (torch.zeros_like(v, dtype=torch.float32) for v in (A, B, C))
    dD, dbias = (x.new_empty(batch, channels, dtype=torch.float32) for _ in range(2))
    dgate = None if gate is None else torch.zeros_like(gate, dtype=torch.float32)
    gradients = (dx, ddelta, dA, dB, dC, dD, dbias, dgate)
    carries = torch.empty(batch, 2, channels, A.shape[1], device=x.device)
    grid, blocks, slots = _launch(x)
    sizes = (channels, length, A.shape[1], slots)
    flags = {"GATED": gate is not None, "REVERSE": reverse}
    with torch.cuda.device_of(x):
        kernels.backward_kernel[grid](
            *inputs, states, dy.contiguous(), *gradients, carries, *sizes, **flags, **blocks
        )
    dgate = None if gate is None or dgate is None else dgate.to(gate.dtype)
    dB, dC = dB.to(B.dtype), dC.to(C.dtype)
    return (dx, ddelta, dA, dB, dC, dD.sum(0), dbias.sum(0), dgate), None


def _as_kernels_read(inputs: ScanInputs) -> ScanInputs:
    """Contiguous, parameters in float32, and A as the exponent of 2."""
    parameters = {name: getattr(inputs, name).float() for name in ("A", "D", "delta_bias")}
    parameters["A"] = parameters["A"] * LOG2_E
    return inputs._replace(**parameters).map(Tensor.contiguous)
