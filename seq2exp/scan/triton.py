"""The selective scan on GPUs, by kernels in Triton: no compiler and no build step."""

from typing import Any

import torch
import triton
from torch import Tensor

from seq2exp.scan import triton_kernel as kernels

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


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, reverse: bool, keep: bool, *tensors: Any) -> Tensor:
        contiguous: list[Any] = [
            None if tensor is None else tensor.contiguous() for tensor in tensors
        ]
        x, _, A, *_, gate = contiguous
        batch, channels, length = x.shape
        grid, blocks, chunks = _launch(x)
        slots = chunks if keep else 2
        states = torch.empty(batch, slots, channels, A.shape[1], device=x.device)
        contiguous[2] = A * LOG2_E
        y = torch.empty_like(x)
        sizes = (channels, length, A.shape[1], slots)
        flags = {"GATED": gate is not None, "REVERSE": reverse}
        with torch.cuda.device_of(x):
            kernels.forward_kernel[grid](*contiguous, y, states, *sizes, **flags, **blocks)
        if keep:
            ctx.reverse = reverse
            ctx.save_for_backward(states, *contiguous)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        states, *inputs = ctx.saved_tensors
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
        flags = {"GATED": gate is not None, "REVERSE": ctx.reverse}
        with torch.cuda.device_of(x):
            kernels.backward_kernel[grid](
                *inputs, states, dy.contiguous(), *gradients, carries, *sizes, **flags, **blocks
            )
        dB, dC = dB.to(B.dtype), dC.to(C.dtype)
        dgate = None if dgate is None else dgate.to(gate.dtype)
        return None, None, dx, ddelta, dA, dB, dC, dD.sum(0), dbias.sum(0), dgate


def triton_scan(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    *,
    reverse: bool = False,
    gate: Tensor | None = None,
) -> Tensor:
    """Mamba-1 selective scan; arguments as in seq2exp.scan.selective_scan.

    x, delta, B, C and gate may each be float32, bfloat16 or float16; the state is float32.
    """
    tensors = (x, delta, A.float(), B, C, D.float(), delta_bias.float(), gate)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    return _Scan.apply(reverse, keep, *tensors)
