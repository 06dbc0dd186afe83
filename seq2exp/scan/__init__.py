"""Selective scan of Mamba-1 (Gu and Dao 2023): one function, several backends.

| backend | what | runs on |
| --- | --- | --- |
| reference | step by step, the oracle | any device, any float dtype |
| chunked | chunks in plain PyTorch | any device, any float dtype |
| cpu | numba kernels | CPU, float32 inside |
| triton | Triton kernels | CUDA, float32 inside |
| mamba_ssm | the mamba-ssm package's kernel, no gate | CUDA |

`selective_scan` is for everyone. The bidirectional block recomputes the scan's inputs in its
backward pass, and calls `scan_part` and `scan_gradients` itself.
"""

import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from seq2exp.errors import UserError
from seq2exp.scan import mamba_ssm

log = logging.getLogger(__name__)

# Imported on first use: numba alone takes half a second.
_DIFFERENTIABLE = {
    "reference": "reference_scan",
    "chunked": "chunked_scan",
    "mamba_ssm": "mamba_ssm_scan",
}
"""Backends that autograd goes through, and their function."""
_COMPILED = ("cpu", "triton")
"""Backends with kernels of their own for both passes: modules with `forward` and `backward`."""
_PART = 4096
"""Positions of a part on a CPU."""
_BACKENDS = ("reference", "chunked", "cpu", "triton", "mamba_ssm")


class ScanInputs(NamedTuple):
    """Tensors of one scan: see `selective_scan`."""

    x: Tensor
    delta: Tensor
    A: Tensor
    B: Tensor
    C: Tensor
    D: Tensor
    delta_bias: Tensor
    gate: Tensor | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> "ScanInputs":
        """Apply a function to every tensor; a gate that is not there stays None."""
        return ScanInputs._make(None if tensor is None else function(tensor) for tensor in self)


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
    if name != "auto" and name not in _BACKENDS:
        raise UserError(f"scan backend {name!r}: unknown; use one of auto, {', '.join(_BACKENDS)}")
    usable = available_backends(device)
    if name == "auto":
        chosen = next(b for b in usable if not (gated and b == "mamba_ssm"))
        _say_once(chosen, torch.device(device).type, usable)
        return chosen
    if name not in usable:
        raise UserError(
            f"scan backend {name!r}: cannot run on {torch.device(device).type} here; "
            f"use one of auto, {', '.join(usable)}"
        )
    return name


@cache
def _say_once(chosen: str, device: str, usable: tuple[str, ...]) -> None:
    """Log once per process which backend runs."""
    log.info("selective scan on %s: %s (of %s)", device, chosen, ", ".join(usable))


def _check_shapes(inputs: ScanInputs) -> None:
    """Compiled kernels read memory unchecked: no tensor may be smaller than x and A say."""
    batch, channels, length = inputs.x.shape
    states = inputs.A.shape[-1]
    shapes = {
        "delta": (batch, channels, length),
        "A": (channels, states),
        "B": (batch, states, length),
        "C": (batch, states, length),
        "D": (channels,),
        "delta_bias": (channels,),
        "gate": (batch, length),
    }
    for name, shape in shapes.items():
        tensor = getattr(inputs, name)
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ValueError(
                f"selective_scan: {name} has shape {tuple(tensor.shape)}, expected {shape} "
                f"for x {tuple(inputs.x.shape)}"
            )
    if length == 0:
        raise ValueError("selective_scan: x has no positions (length 0)")


def _module(backend: str) -> ModuleType:
    return import_module(f"seq2exp.scan.{backend}")


def _as_backend_reads(inputs: ScanInputs, backend: str) -> ScanInputs:
    """In the dtype in which a backend works; differentiable."""
    float64 = inputs.x.dtype == torch.float64
    if backend in ("reference", "chunked"):
        dtype = torch.float64 if float64 else torch.float32
    elif backend == "cpu" or float64:
        dtype = torch.float32
    else:
        return inputs
    return inputs.map(lambda tensor: tensor.to(dtype))


def _differentiable(inputs: ScanInputs, backend: str, reverse: bool) -> Tensor:
    scan: Callable[..., Tensor] = getattr(_module(backend), _DIFFERENTIABLE[backend])
    *tensors, gate = inputs
    return scan(*tensors, reverse=reverse, gate=gate)


class _Compiled(torch.autograd.Function):
    """The scan by a backend with kernels of its own for both passes."""

    @staticmethod
    def forward(ctx: Any, backend: str, reverse: bool, keep: bool, *tensors: Any) -> Tensor:
        y, states, _ = _module(backend).forward(ScanInputs(*tensors), reverse=reverse, keep=keep)
        if keep:
            ctx.backend, ctx.reverse = backend, reverse
            ctx.save_for_backward(states, *tensors)
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        states, *tensors = ctx.saved_tensors
        gradients, _ = _module(ctx.backend).backward(
            dy, states, ScanInputs(*tensors), reverse=ctx.reverse
        )
        return None, None, None, *gradients


def selective_scan(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    gate: Tensor | None = None,
    *,
    reverse: bool = False,
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
    gate : (batch, L) in [0, 1], a factor on the step size of every channel; where it is 0
        the state passes unchanged, as if the position were not there
    reverse : scan from the last position to the first, so that h_t follows from h_{t+1};
        y stays in the order of x
    backend : `auto` or one of available_backends(x.device)

    Returns
    -------
    y : (batch, E, L), of x's dtype; the fast backends hold the state in float32
    """
    inputs = ScanInputs(x, delta, A, B, C, D, delta_bias, gate)
    _check_shapes(inputs)
    chosen = resolve_backend(backend, x.device, gated=gate is not None)
    inputs = _as_backend_reads(inputs, chosen)
    with torch.autocast(x.device.type, enabled=False):
        if chosen in _COMPILED:
            differentiable = any(t is not None and t.requires_grad for t in inputs)
            keep = torch.is_grad_enabled() and differentiable
            y = _Compiled.apply(chosen, reverse, keep, *inputs)
        else:
            y = _differentiable(inputs, chosen, reverse)
    return y.to(x.dtype)


class ScanPart(NamedTuple):
    """What `scan_part` gives."""

    y: Tensor
    """(batch, E, L), of x's dtype."""
    states: Tensor | None
    """For `scan_gradients`; None where nothing is kept."""
    end: Tensor | None
    """State after the part, to start the next one from; None with backends that scan whole."""


def part_length(backend: str, device: torch.device | str) -> int | None:
    """Positions to give `scan_part` at a time; None if it must get all of them at once.

    On a CPU, a part and all that is computed from it stay in the cache.
    """
    return _PART if resolve_backend(backend, device) == "cpu" else None


@torch.no_grad()
def scan_part(
    inputs: ScanInputs,
    *,
    reverse: bool,
    keep: bool,
    start: Tensor | None = None,
    backend: str = "auto",
) -> ScanPart:
    """Scan outside autograd, a whole sequence or one part after another.

    Parameters
    ----------
    inputs, reverse, backend
        As in `selective_scan`.
    keep
        Whether gradients will be asked for.
    start
        `end` of the part scanned before.
    """
    _check_shapes(inputs)
    chosen = resolve_backend(backend, inputs.x.device, gated=inputs.gate is not None)
    read = _as_backend_reads(inputs, chosen)
    with torch.autocast(inputs.x.device.type, enabled=False):
        if chosen not in _COMPILED:
            return ScanPart(_differentiable(read, chosen, reverse).to(inputs.x.dtype), None, None)
        y, states, end = _module(chosen).forward(read, reverse=reverse, keep=keep, start=start)
        return ScanPart(y.to(inputs.x.dtype), states if keep else None, end)


def scan_gradients(
    dy: Tensor,
    states: Tensor | None,
    inputs: ScanInputs,
    *,
    reverse: bool,
    carry: Tensor | None = None,
    backend: str = "auto",
) -> tuple[ScanInputs, Tensor | None]:
    """Gradients of every input, in its dtype, from that of y.

    Parameters
    ----------
    dy
        (batch, E, L)
    states
        From `scan_part` with the same inputs, direction and backend.
    carry
        Second result for the part scanned after this one; None for the last part.
    """
    chosen = resolve_backend(backend, inputs.x.device, gated=inputs.gate is not None)
    found: tuple[Tensor | None, ...]
    with torch.autocast(inputs.x.device.type, enabled=False):
        if chosen in _COMPILED:
            read = _as_backend_reads(inputs, chosen)
            found, carry = _module(chosen).backward(
                dy.to(read.x.dtype), states, read, reverse=reverse, carry=carry
            )
        else:
            found = _gradients_by_autograd(dy, inputs, chosen, reverse)
    gradients = ScanInputs._make(
        None if gradient is None or tensor is None else gradient.to(tensor.dtype)
        for gradient, tensor in zip(found, inputs, strict=True)
    )
    return gradients, carry


def _gradients_by_autograd(
    dy: Tensor, inputs: ScanInputs, backend: str, reverse: bool
) -> tuple[Tensor | None, ...]:
    with torch.enable_grad():
        leaves = inputs.map(lambda tensor: tensor.detach().requires_grad_())
        read = _as_backend_reads(leaves, backend)
        y = _differentiable(read, backend, reverse).to(inputs.x.dtype)
    given = [leaf for leaf in leaves if leaf is not None]
    found = torch.autograd.grad(y, given, dy.to(y.dtype))
    return (*found, None) if inputs.gate is None else found


__all__ = [
    "ScanInputs",
    "ScanPart",
    "available_backends",
    "part_length",
    "resolve_backend",
    "scan_gradients",
    "scan_part",
    "selective_scan",
]
