"""The fused functions on CPUs: numba kernels for what PyTorch does in several passes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from seq2exp.fused import cpu_kernels as kernels
from seq2exp.fused.plain import add_rms_norm
from seq2exp.scan.simd import LANES
from seq2exp.scan.threads import run

__all__ = ["add_rms_norm", "conv_silu", "gate_silu"]


def _tasks(x: Tensor) -> list[tuple[int, int]]:
    """(sequence, first channel)."""
    return [(b, e) for b in range(x.shape[0]) for e in range(0, x.shape[1], LANES)]


def _array(tensor: Tensor) -> Any:
    return tensor.detach().float().numpy()


class _ConvSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, leftward: bool) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        ctx.leftward = leftward
        out = torch.empty(x.shape)
        given = (_array(x), _array(weight.contiguous()), _array(bias.contiguous()), out.numpy())
        run(lambda task: kernels.conv_silu_forward(*given, task, leftward), _tasks(x))
        return out.to(x.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = ctx.saved_tensors
        batch, channels, _ = x.shape
        dx = torch.empty(x.shape)
        sums = torch.empty(batch, channels, weight.shape[1] + 1)
        given = (_array(x), _array(weight.contiguous()), _array(bias.contiguous()), _array(dout))
        found = (dx.numpy(), sums.numpy())
        run(lambda task: kernels.conv_silu_backward(*given, *found, task, ctx.leftward), _tasks(x))
        total = sums.sum(0)
        dweight, dbias = total[:, :-1].to(weight.dtype), total[:, -1].to(bias.dtype)
        return dx.to(x.dtype), dweight, dbias, None


class _GateSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, z: Tensor) -> Tensor:
        ctx.save_for_backward(y, z)
        out = torch.empty(y.shape)
        given = (_array(y), _array(z), out.numpy())
        run(lambda task: kernels.gate_silu_forward(*given, task), _tasks(y))
        return out.to(y.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        y, z = ctx.saved_tensors
        dy, dz = torch.empty(y.shape), torch.empty(y.shape)
        given = (_array(y), _array(z), _array(dout), dy.numpy(), dz.numpy())
        run(lambda task: kernels.gate_silu_backward(*given, task), _tasks(y))
        return dy.to(y.dtype), dz.to(z.dtype)


def conv_silu(x: Tensor, weight: Tensor, bias: Tensor, *, leftward: bool) -> Tensor:
    """SiLU of a depthwise convolution; arguments as in seq2exp.fused.conv_silu."""
    result: Tensor = _ConvSilu.apply(x, weight, bias, leftward)
    return result


def gate_silu(y: Tensor, z: Tensor) -> Tensor:
    """Y times SiLU(z); arguments as in seq2exp.fused.gate_silu."""
    result: Tensor = _GateSilu.apply(y, z)
    return result
