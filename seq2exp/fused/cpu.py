"""The fused functions on CPUs: numba kernels for what PyTorch does in several passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seq2exp.fused import cpu_kernels as kernels
from seq2exp.fused.cpu_norm import ROWS, add_norm_backward, add_norm_forward
from seq2exp.scan.simd import LANES
from seq2exp.scan.threads import run


def _tasks(x: Tensor) -> list[tuple[int, int, int, int]]:
    """(sequence, first channel, end of channels, length)."""
    batch, channels, length = x.shape
    return [
        (sequence, first, min(first + LANES, channels), length)
        for sequence in range(batch)
        for first in range(0, channels, LANES)
    ]


def _rows(tensor: Tensor) -> tuple[np.ndarray, tuple[int, int]]:
    """(B, E, L) as the kernels read it, without copying a slice of a longer window."""
    tensor = tensor.detach().float()
    if tensor.stride(-1) != 1:
        tensor = tensor.contiguous()
    reach = sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    return tensor.as_strided((reach,), (1,)).numpy(), (tensor.stride(0), tensor.stride(1))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().contiguous().numpy()


class _ConvSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, leftward: bool) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        ctx.leftward = leftward
        out = torch.empty(x.shape)
        given = (_rows(x), _array(weight), _array(bias), _rows(out))
        run(lambda task: kernels.conv_silu_forward(*given, task, leftward), _tasks(x))
        return out.to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        dx = torch.empty(x.shape)
        sums = torch.empty(*x.shape[:2], weight.shape[1] + 1)
        given = (_rows(x), _array(weight), _array(bias), _rows(dout), _rows(dx), sums.numpy())
        run(lambda task: kernels.conv_silu_backward(*given, task, ctx.leftward), _tasks(x))
        total = sums.sum(0)
        dweight, dbias = total[:, :-1].to(weight.dtype), total[:, -1].to(bias.dtype)
        return dx.to(x.dtype), dweight, dbias, None


class _GateSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, z: Tensor) -> Tensor:
        ctx.save_for_backward(y, z)
        out = torch.empty(y.shape)
        given = (_rows(y), _rows(z), _rows(out))
        run(lambda task: kernels.gate_silu_forward(*given, task), _tasks(y))
        return out.to(y.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor, Tensor]:
        y, z = ctx.saved_tensors
        dy, dz = torch.empty(y.shape), torch.empty(y.shape)
        given = (_rows(y), _rows(z), _rows(dout), _rows(dy), _rows(dz))
        run(lambda task: kernels.gate_silu_backward(*given, task), _tasks(y))
        return dy.to(y.dtype), dz.to(z.dtype)


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, residual: Tensor, hidden: Tensor | None, weight: Tensor, eps: float
    ) -> tuple[Tensor, Tensor]:
        width = weight.shape[0]
        total = residual.contiguous() if hidden is None else torch.empty(residual.shape)
        normed = torch.empty(residual.shape)
        added = np.empty((0, width), np.float32) if hidden is None else _lines(hidden)
        given = (_lines(residual), added, _array(weight), np.float32(eps))
        found = (_lines(total), _lines(normed))
        run(lambda first: add_norm_forward(*given, *found, first), _starts(total))
        ctx.save_for_backward(total, weight)
        ctx.eps, ctx.added = eps, None if hidden is None else hidden.dtype
        return total, normed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dtotal: Tensor, dnormed: Tensor) -> tuple[Tensor | None, ...]:
        total, weight = ctx.saved_tensors
        dx = torch.empty(total.shape)
        dweight = torch.empty(len(_starts(total)), weight.shape[0])
        given = (_lines(total), _array(weight), np.float32(ctx.eps), _lines(dtotal))
        found = (_lines(dnormed), _lines(dx), dweight.numpy())
        run(lambda first: add_norm_backward(*given, *found, first), _starts(total))
        dhidden = None if ctx.added is None else dx.to(ctx.added)
        return dx, dhidden, dweight.sum(0).to(weight.dtype), None


def _lines(tensor: Tensor) -> np.ndarray:
    """(B, L, d) as (B L, d)."""
    return _array(tensor).reshape(-1, tensor.shape[-1])


def _starts(tensor: Tensor) -> list[int]:
    return list(range(0, tensor.shape[0] * tensor.shape[1], ROWS))


def conv_silu(x: Tensor, weight: Tensor, bias: Tensor, *, leftward: bool) -> Tensor:
    """SiLU of a depthwise convolution; arguments as in seq2exp.fused.conv_silu."""
    result: Tensor = _ConvSilu.apply(x, weight, bias, leftward)
    return result


def gate_silu(y: Tensor, z: Tensor) -> Tensor:
    """Y times SiLU(z); arguments as in seq2exp.fused.gate_silu."""
    result: Tensor = _GateSilu.apply(y, z)
    return result


def add_rms_norm(
    residual: Tensor, hidden: Tensor | None, weight: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Sum and its RMSNorm; arguments as in seq2exp.fused.add_rms_norm."""
    total, normed = _AddNorm.apply(residual, hidden, weight, eps)
    return total, normed.to(dtype)
