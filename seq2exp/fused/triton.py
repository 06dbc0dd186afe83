"""The fused functions on GPUs, by kernels in Triton: no compiler and no build step."""

import math
from typing import Any

import torch
import triton
from torch import Tensor

from seq2exp.fused import triton_conv, triton_gate, triton_norm

# To be tuned on the machine.
NUM_WARPS = 4
PER_THREAD = 16
"""Numbers that a thread holds of each tensor: two or four loads of 16 bytes."""
GATE_BLOCK = NUM_WARPS * 32 * PER_THREAD
CONV_LANES = NUM_WARPS * 32
"""A thread of a convolution has one run."""

# The gradients of taps and weights are sums over positions: a program adds up as many chunks of
# them or, of a norm, as many as it takes; what the programs found is added afterwards.
CONV_CHUNKS = 16
NORM_PROGRAMS = 2048


def _dense_last(tensor: Tensor) -> Tensor:
    """The tensor, or a copy if positions are not next to each other in memory."""
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _dense_rows(tensor: Tensor) -> Tensor:
    """The tensor, or a copy if its (E, L) parts have gaps: halves of a projection have none."""
    dense = tensor.stride(2) == 1 and tensor.stride(1) == tensor.shape[2]
    return tensor if dense else tensor.contiguous()


class _ConvSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, leftward: bool) -> Tensor:
        x, weight, bias = _dense_last(x), weight.contiguous(), bias.contiguous()
        y = x.new_empty(x.shape)
        chunks, groups, blocks = _conv_blocks(x, weight.shape[1])
        _launch_conv(
            triton_conv.forward_kernel,
            (chunks, groups, len(x)),
            (x, weight, bias, y),
            (x, y),
            LEFTWARD=leftward,
            **blocks,
        )
        ctx.save_for_backward(x, weight, bias)
        ctx.leftward = leftward
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        dy = _dense_last(dy)
        channels, taps = weight.shape
        chunks, groups, blocks = _conv_blocks(x, taps)
        programs = triton.cdiv(chunks, CONV_CHUNKS)
        dx = x.new_empty(x.shape)
        partial = x.new_empty(len(x), programs, taps + 1, channels, dtype=torch.float32)
        _launch_conv(
            triton_conv.backward_kernel,
            (programs, groups, len(x)),
            (x, weight, bias, dy, dx, partial),
            (x, dy, dx),
            chunks=CONV_CHUNKS,
            LEFTWARD=ctx.leftward,
            **blocks,
        )
        sums = partial.sum((0, 1))  # (W + 1, E)
        return dx, sums[:taps].T.to(weight.dtype), sums[taps].to(bias.dtype), None


def _conv_blocks(x: Tensor, taps: int) -> tuple[int, int, dict[str, int]]:
    """(chunks of positions, groups of channels, block sizes)."""
    _, channels, length = x.shape
    # a thread's load of 16 bytes, if that is as far as the taps reach
    run = 4 if x.element_size() == 4 and taps <= 5 else 8
    lanes = min(CONV_LANES, triton.next_power_of_2(triton.cdiv(length, run)))
    rows = min(CONV_LANES // lanes, triton.next_power_of_2(channels))
    blocks = {"W": taps, "ROWS": rows, "LANES": lanes, "RUN": run, "num_warps": NUM_WARPS}
    return triton.cdiv(length, lanes * run), triton.cdiv(channels, rows), blocks


def _launch_conv(
    kernel: Any,
    grid: tuple[int, ...],
    tensors: tuple[Tensor, ...],
    strided: tuple[Tensor, ...],
    **options: Any,
) -> None:
    """Run a kernel on tensors, some of which have strides of their own."""
    x = tensors[0]
    numbers = [x.shape[2], *(stride for tensor in strided for stride in tensor.stride()[:2])]
    unit = math.gcd(16, *numbers)
    units = [number // unit for number in numbers]
    with torch.cuda.device_of(x):
        kernel[grid](*tensors, x.shape[1], *units, UNIT=unit, **options)


class _GateSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, z: Tensor) -> Tensor:
        y, z = _dense_rows(y), _dense_rows(z)
        out = y.new_empty(y.shape)
        _launch_gate(triton_gate.forward_kernel, y, z, out)
        ctx.save_for_backward(y, z)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor, Tensor]:
        y, z = ctx.saved_tensors
        dy, dz = y.new_empty(y.shape), z.new_empty(z.shape)
        _launch_gate(triton_gate.backward_kernel, y, z, _dense_rows(dout), dy, dz)
        return dy, dz


def _launch_gate(kernel: Any, *tensors: Tensor) -> None:
    batch, channels, length = tensors[0].shape
    size = channels * length
    strides = (tensor.stride(0) for tensor in tensors)
    with torch.cuda.device_of(tensors[0]):
        kernel[(triton.cdiv(size, GATE_BLOCK), batch)](
            *tensors, size, *strides, BLOCK=GATE_BLOCK, num_warps=NUM_WARPS
        )


class _AddRmsNorm(torch.autograd.Function):
    """(residual, hidden or None) -> (sum or None, normed): with nothing to add, no copy."""

    @staticmethod
    def forward(
        ctx: Any,
        residual: Tensor,
        hidden: Tensor | None,
        weight: Tensor,
        eps: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor | None, Tensor]:
        residual, weight = residual.contiguous(), weight.contiguous()
        hidden = None if hidden is None else hidden.contiguous()
        total = None if hidden is None else torch.empty_like(residual)
        normed = torch.empty_like(residual, dtype=dtype)
        tiles = norm_tiles(weight.shape[0])
        rows = residual.numel() // weight.shape[0]
        with torch.cuda.device_of(residual):
            triton_norm.forward_kernel[(triton.cdiv(rows, tiles["ROWS"]),)](
                residual, hidden, weight, total, normed, rows, eps,
                ADD=hidden is not None, **tiles,
            )  # fmt: skip
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(residual if total is None else total, weight)
        ctx.eps, ctx.hidden_dtype = eps, None if hidden is None else hidden.dtype
        return total, normed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, dtotal: Tensor | None, dnormed: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        total, weight = ctx.saved_tensors
        dnormed = torch.zeros_like(total) if dnormed is None else dnormed.contiguous()
        dtotal = None if dtotal is None else dtotal.contiguous()
        dresidual, dhidden = torch.empty_like(total), None
        if ctx.hidden_dtype is not None:
            dhidden = torch.empty_like(total, dtype=ctx.hidden_dtype)
        tiles = norm_tiles(weight.shape[0])
        rows = total.numel() // weight.shape[0]
        programs = min(NORM_PROGRAMS, triton.cdiv(rows, tiles["ROWS"]))
        partial = total.new_empty(programs, weight.shape[0])
        with torch.cuda.device_of(total):
            triton_norm.backward_kernel[(programs,)](
                total, weight, dtotal, dnormed, dresidual, dhidden, partial, rows, ctx.eps,
                ADD=dhidden is not None, SUMMED=dtotal is not None, **tiles,
            )  # fmt: skip
        return dresidual, dhidden, partial.sum(0).to(weight.dtype), None, None


def norm_tiles(width: int) -> dict[str, int]:
    """Block sizes for rows of a width."""
    columns = triton.next_power_of_2(width)
    rows = max(1, NUM_WARPS * 32 * PER_THREAD // columns)
    return {"WIDTH": width, "ROWS": rows, "COLUMNS": columns, "num_warps": NUM_WARPS}


def conv_silu(x: Tensor, weight: Tensor, bias: Tensor, *, leftward: bool) -> Tensor:
    """SiLU of a depthwise convolution; arguments as in seq2exp.fused.conv_silu."""
    y: Tensor = _ConvSilu.apply(x, weight, bias, leftward)
    return y


def gate_silu(y: Tensor, z: Tensor) -> Tensor:
    """Y times SiLU(z); arguments as in seq2exp.fused.gate_silu."""
    out: Tensor = _GateSilu.apply(y, z)
    return out


def add_rms_norm(
    residual: Tensor, hidden: Tensor | None, weight: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Sum and its RMSNorm; arguments as in seq2exp.fused.add_rms_norm."""
    residual = residual.float()
    total, normed = _AddRmsNorm.apply(residual, hidden, weight, eps, dtype)
    return residual if total is None else total, normed
