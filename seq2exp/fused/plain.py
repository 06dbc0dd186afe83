"""The fused functions in plain PyTorch: any device, float32 inside, or float64 for float64."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def _without_autocast(function: Callable[P, R]) -> Callable[P, R]:
    """Autocast would undo the choice of dtypes made inside."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        first = args[0]
        assert isinstance(first, Tensor)
        with torch.autocast(first.device.type, enabled=False):
            return function(*args, **kwargs)

    return run


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


@_without_autocast
def conv_silu(x: Tensor, weight: Tensor, bias: Tensor, *, leftward: bool) -> Tensor:
    """SiLU of a depthwise convolution; arguments as in seq2exp.fused.conv_silu."""
    inner = _wide(x)
    taps = weight.to(inner.dtype)[:, None]  # (E, 1, W)
    reach = taps.shape[-1] - 1
    padding = (0, reach) if leftward else (reach, 0)
    taps = taps.flip(-1) if leftward else taps
    total = F.conv1d(F.pad(inner, padding), taps, bias.to(inner.dtype), groups=x.shape[1])
    return F.silu(total).to(x.dtype)


@_without_autocast
def gate_silu(y: Tensor, z: Tensor) -> Tensor:
    """Y times SiLU(z); arguments as in seq2exp.fused.gate_silu."""
    return (_wide(y) * F.silu(_wide(z))).to(y.dtype)


@_without_autocast
def add_rms_norm(
    residual: Tensor, hidden: Tensor | None, weight: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Sum and its RMSNorm; arguments as in seq2exp.fused.add_rms_norm."""
    total = _wide(residual)
    if hidden is not None:
        total = total + hidden.to(total.dtype)
    normed = F.rms_norm(total, weight.shape, weight.to(total.dtype), eps)
    return total, normed.to(dtype)
