"""What a Mamba block does between its matrix products and its scan, each in one pass over memory.

On a GPU Triton kernels, wherever triton is installed; on a CPU numba kernels; otherwise plain
PyTorch. float64 is plain PyTorch everywhere, and is the oracle of the kernels.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from seq2exp.fused import plain

MAX_TAPS = 8


def _functions(x: Tensor) -> Any:
    """The module whose functions suit a tensor; compilers are imported only where one is used."""
    if x.dtype != torch.float64 and x.device.type == "cpu":
        return import_module("seq2exp.fused.cpu")
    if x.dtype != torch.float64 and x.is_cuda and find_spec("triton") is not None:
        return import_module("seq2exp.fused.triton")
    return plain


def _check(name: str, **shapes: tuple[Tensor, tuple[int, ...]]) -> None:
    """Compiled kernels read memory unchecked: no tensor may be smaller than the first one says."""
    for argument, (tensor, shape) in shapes.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(
                f"{name}: {argument} has shape {tuple(tensor.shape)}, expected {shape}"
            )


def conv_silu(x: Tensor, weight: Tensor, bias: Tensor, *, leftward: bool) -> Tensor:
    """Convolve each channel with its own taps, then apply SiLU.

    Rightward, position t sees itself and the W - 1 positions before it, through

        SiLU(bias + sum_w weight[:, w] x[:, :, t - W + 1 + w]);

    leftward is the mirror image, with x[:, :, t + W - 1 - w]. Beyond the ends x is 0.

    Parameters
    ----------
    x : (B, E, L)
    weight : (E, W) with W from 1 to 8
    bias : (E,)
    leftward : whether a position sees those after it

    Returns
    -------
    (B, E, L), of x's dtype; float32 inside
    """
    channels, taps = weight.shape
    if not 1 <= taps <= MAX_TAPS:
        raise ValueError(f"conv_silu: weight has {taps} taps; use 1 to {MAX_TAPS}")
    shape = (x.shape[0], channels, x.shape[2])
    _check("conv_silu", x=(x, shape), bias=(bias, (channels,)))
    result: Tensor = _functions(x).conv_silu(x, weight, bias, leftward=leftward)
    return result


def gate_silu(y: Tensor, z: Tensor) -> Tensor:
    """Gate y: y * SiLU(z).

    Parameters
    ----------
    y, z : (B, E, L), each float32 or bfloat16

    Returns
    -------
    (B, E, L), of y's dtype; float32 inside
    """
    _check("gate_silu", z=(z, tuple(y.shape)))
    result: Tensor = _functions(y).gate_silu(y, z)
    return result


def add_rms_norm(
    residual: Tensor, hidden: Tensor | None, weight: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Add to the residual stream, and normalise the sum over the model width.

    Parameters
    ----------
    residual : (B, L, d) float32
    hidden : (B, L, d) of any float dtype, or None where there is nothing to add yet
    weight : (d,)
    eps : added to the mean square
    dtype : of the normalised sum

    Returns
    -------
    total : (B, L, d) float32, residual + hidden
    normed : (B, L, d) of `dtype`, total / sqrt(mean(total^2) + eps) * weight
    """
    _check("add_rms_norm", weight=(weight, tuple(residual.shape[-1:])))
    if hidden is not None:
        _check("add_rms_norm", hidden=(hidden, tuple(residual.shape)))
    result: tuple[Tensor, Tensor] = _functions(residual).add_rms_norm(
        residual, hidden, weight, eps, dtype
    )
    return result


__all__ = ["add_rms_norm", "conv_silu", "gate_silu"]
