"""Selective scan of Mamba-1 (Gu and Dao 2023): one function, several backends.

| backend | what | runs on |
| --- | --- | --- |
| reference | step by step, the oracle | any device, any float dtype |
| chunked | chunks in plain PyTorch | any device, any float dtype |
| cpu | numba kernels | CPU, float32 inside |
| triton | Triton kernels | CUDA, float32 inside |
| mamba_ssm | the mamba-ssm package's kernel, no gate | CUDA |
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor

from seq2exp.errors import UserError
from seq2exp.scan import mamba_ssm

# Imported on first use: numba alone takes half a second.
_FUNCTIONS = {
    "reference": "reference_scan",
    "chunked": "chunked_scan",
    "cpu": "cpu_scan",
    "triton": "triton_scan",
    "mamba_ssm": "mamba_ssm_scan",
}


def available_backends(device: torch.device | str) -> tuple[str, ...]:
    """Backends that can run on a device, the one `auto` would choose first."""
    kind = torch.device(device).type
    if kind == "cpu":
        return ("cpu", "chunked", "reference")
    compiled = []
    if kind == "cuda" and find_spec("triton") is not None:
        compiled.append("triton")
    if kind == "cuda" and mamba_ssm.is_installed():
        compiled.append("mamba_ssm")
    return (*compiled, "chunked", "reference")


def resolve_backend(name: str, device: torch.device | str, *, gated: bool = False) -> str:
    """Name of the backend to run; `auto` means the fastest one for the device.

    Parameters
    ----------
    name : `auto` or one of the backends
    device : where the tensors are
    gated : whether the scan has a gate, which mamba_ssm cannot apply

    Raises
    ------
    UserError
        If there is no such backend, or it cannot run on the device.
    """
    if name != "auto" and name not in _FUNCTIONS:
        raise UserError(f"scan backend {name!r}: unknown; use one of auto, {', '.join(_FUNCTIONS)}")
    usable = available_backends(device)
    if name == "auto":
        return next(b for b in usable if not (gated and b == "mamba_ssm"))
    if name not in usable:
        raise UserError(
            f"scan backend {name!r}: cannot run on {torch.device(device).type} here; "
            f"use one of auto, {', '.join(usable)}"
        )
    return name


def _check_shapes(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    gate: Tensor | None,
) -> None:
    """Compiled kernels read memory unchecked: no tensor may be smaller than x and A say."""
    batch, channels, length = x.shape
    states = A.shape[-1]
    expected = {
        "delta": (delta, (batch, channels, length)),
        "A": (A, (channels, states)),
        "B": (B, (batch, states, length)),
        "C": (C, (batch, states, length)),
        "D": (D, (channels,)),
        "delta_bias": (delta_bias, (channels,)),
    }
    if gate is not None:
        expected["gate"] = (gate, (batch, length))
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(
                f"selective_scan: {name} has shape {tuple(tensor.shape)}, expected {shape} "
                f"for x {tuple(x.shape)}"
            )
    if length == 0:
        raise ValueError("selective_scan: x has no positions (length 0)")


def selective_scan(
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
    backend: str = "auto",
) -> Tensor:
    """Run a linear recurrence along each sequence, with step sizes that depend on the input.

    With s_t = gate_t softplus(delta_t + delta_bias), for each channel e and state entry n:

        h_t = exp(s_t A) h_{t-1} + s_t B_t x_t        y_t = sum_n C_t h_t + D x_t

    from h = 0 before the first position. Differentiable in every tensor argument.

    Parameters
    ----------
    x : (batch, E, L) input
    delta : (batch, E, L) step size before bias and softplus, as in mamba-ssm
    A : (E, N) rates, negative
    B, C : (batch, N, L) input and output weights
    D : (E,) weight of the input in the output
    delta_bias : (E,) added to delta
    reverse : scan from the last position to the first, so that h_t follows from h_{t+1};
        y stays in the order of x
    gate : (batch, L) in [0, 1], a factor on the step size of every channel; where it is 0
        the state passes unchanged, as if the position were not there
    backend : `auto` or one of available_backends(x.device)

    Returns
    -------
    y : (batch, E, L), of x's dtype; the fast backends hold the state in float32
    """
    _check_shapes(x, delta, A, B, C, D, delta_bias, gate)
    chosen = resolve_backend(backend, x.device, gated=gate is not None)
    module = import_module(f"seq2exp.scan.{chosen}")
    scan: Callable[..., Tensor] = getattr(module, _FUNCTIONS[chosen])
    tensors = [x, delta, A, B, C, D, delta_bias]
    if chosen in ("reference", "chunked", "cpu") or x.dtype == torch.float64:
        exact = x.dtype == torch.float64 and chosen in ("reference", "chunked")
        dtype = torch.float64 if exact else torch.float32
        tensors = [tensor.to(dtype) for tensor in tensors]
        gate = None if gate is None else gate.to(dtype)
    with torch.autocast(x.device.type, enabled=False):
        y = scan(*tensors, reverse=reverse, gate=gate)
    return y.to(x.dtype)


__all__ = ["available_backends", "resolve_backend", "selective_scan"]
