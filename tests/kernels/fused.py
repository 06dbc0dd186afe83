"""Cases of seq2exp.fused: the Triton kernels against their definitions in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from tests.kernels.compare import Case, Error, differentiate, errors, normal

FLOAT, BF16 = torch.float32, torch.bfloat16
EPS = 1e-5


def exact_conv_silu(x: Tensor, weight: Tensor, bias: Tensor, *, leftward: bool) -> Tensor:
    """As seq2exp.fused.conv_silu is defined."""
    length, taps = x.shape[-1], weight.shape[-1]
    padded = pad(x, (0, taps - 1) if leftward else (taps - 1, 0))
    total = bias[:, None].expand_as(x)
    for w in range(taps):
        first = taps - 1 - w if leftward else w
        total = total + weight[:, w, None] * padded[..., first : first + length]
    return total * torch.sigmoid(total)


def exact_gate_silu(y: Tensor, z: Tensor) -> Tensor:
    """As seq2exp.fused.gate_silu is defined."""
    return y * z * torch.sigmoid(z)


def exact_add_rms_norm(
    residual: Tensor, hidden: Tensor | None, weight: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """As seq2exp.fused.add_rms_norm is defined; the dtype is left alone."""
    total = residual if hidden is None else residual + hidden
    return total, total / torch.sqrt((total**2).mean(-1, keepdim=True) + eps) * weight


def conv_silu(
    function: Callable[..., Tensor],
    batch: int,
    channels: int,
    length: int,
    taps: int,
    leftward: bool,
    dtype: torch.dtype,
) -> list[Error]:
    """Errors of an implementation of conv_silu."""
    inputs = {
        # a piece of a longer sequence, as the predictor's last layer takes one
        "x": normal(0, batch, channels, length + 3, dtype=dtype)[..., 3:],
        "weight": normal(1, channels, taps),
        "bias": normal(2, channels),
    }
    fixed = {"leftward": leftward}
    return _compare(function, exact_conv_silu, inputs, ("y",), fixed, dtype == BF16)


def gate_silu(
    function: Callable[..., Tensor], batch: int, channels: int, length: int, *dtypes: torch.dtype
) -> list[Error]:
    """Errors of an implementation of gate_silu; dtypes of y and z."""
    inputs = {
        "y": normal(0, batch, channels, length, dtype=dtypes[0]),
        # half of a projection
        "z": normal(1, batch, 2 * channels, length, dtype=dtypes[1])[:, channels:],
    }
    return _compare(function, exact_gate_silu, inputs, ("out",), {}, BF16 in dtypes)


def add_rms_norm(
    function: Callable[..., Any], batch: int, length: int, width: int, add: bool, dtype: torch.dtype
) -> list[Error]:
    """Errors of an implementation of add_rms_norm."""
    inputs = {"residual": normal(0, batch, length, width), "weight": normal(1, width)}
    fixed: dict[str, Any] = {"eps": EPS, "dtype": dtype}
    if add:
        inputs["hidden"] = normal(2, batch, length, width, dtype=dtype)
    else:
        fixed["hidden"] = None
    names = ("total", "normed")
    return _compare(function, exact_add_rms_norm, inputs, names, fixed, dtype == BF16)


def _compare(
    function: Callable[..., Any],
    exact: Callable[..., Any],
    inputs: dict[str, Tensor],
    names: tuple[str, ...],
    fixed: dict[str, Any],
    half: bool,
) -> list[Error]:
    found = differentiate(partial(function, **fixed), inputs, names)
    doubles = {name: tensor.double() for name, tensor in inputs.items()}
    expected = differentiate(partial(exact, **fixed), doubles, names)
    return errors(found, expected, set(names), half)


def cases(count: int = 36) -> Iterator[Case]:
    """Small shapes: no positions before the first tap, ragged ends, several programs."""
    from seq2exp.fused import triton

    rng = np.random.default_rng(0)
    for case in range(count):
        dtype = (FLOAT, BF16)[case & 1]
        length = int(rng.choice([1, 3, 8, 37, 130, 1200]))
        shape = (1 + case % 2, int(rng.choice([1, 3, 8])), length)
        taps, leftward = 1 + case % 8, bool(case & 2)
        name = f"{shape}, {taps} taps, {'leftward' if leftward else 'rightward'}"
        run = partial(conv_silu, triton.conv_silu, *shape, taps, leftward, dtype)
        yield Case("conv_silu", name, dtype, run)
    for y, z in ((FLOAT, FLOAT), (FLOAT, BF16), (BF16, FLOAT), (BF16, BF16)):
        for shape in ((1, 1, 1), (2, 5, 77), (1, 3, 900)):
            name = f"{shape}, z {z}"
            yield Case("gate_silu", name, y, partial(gate_silu, triton.gate_silu, *shape, y, z))
    for case, width in enumerate((1, 16, 128, 200) * 3):
        dtype, add = (FLOAT, BF16)[case // 4 % 2], case // 8 == 0
        shape = (1 + case % 2, int(rng.integers(1, 60)), width)
        name = f"{shape}{', added' if add else ''}"
        run = partial(add_rms_norm, triton.add_rms_norm, *shape, add, dtype)
        yield Case("add_rms_norm", name, dtype, run)


def full_cases() -> Iterator[Case]:
    """The size of use, and one beyond 2^31 numbers, on a GPU."""
    from seq2exp.fused import triton

    batch, channels, length = shape = (8, 256, 200_000)
    for leftward in (False, True):
        run = partial(conv_silu, triton.conv_silu, *shape, 4, leftward, BF16)
        direction = "leftward" if leftward else "rightward"
        yield Case("conv_silu", f"{shape}, 4 taps, {direction}", BF16, run)
    run = partial(gate_silu, triton.gate_silu, *shape, BF16, BF16)
    yield Case("gate_silu", f"{shape}", BF16, run)
    run = partial(add_rms_norm, triton.add_rms_norm, batch, length, channels // 2, True, BF16)
    yield Case("add_rms_norm", f"{(batch, length, channels // 2)}, added", BF16, run)
    for leftward in (False, True):
        run = partial(last_channels_agree, triton, (44, channels, length), leftward)
        yield Case("conv_silu, gate_silu, last channels", f"{(44, channels, length)}", BF16, run)


def last_channels_agree(module: Any, shape: tuple[int, int, int], leftward: bool) -> list[Error]:
    """Errors of the last channels of the last sequence: the gate of a convolution."""
    weight, bias = normal(1, shape[1], 4), normal(2, shape[1])
    x = normal(0, *shape, dtype=BF16)
    dout = normal(3, *shape, dtype=BF16)

    def run(functions: Any, x: Tensor, dout: Tensor, *parameters: Tensor) -> dict[str, Tensor]:
        x = x.detach().requires_grad_()
        out = functions.gate_silu(functions.conv_silu(x, *parameters, leftward=leftward), x)
        (dx,) = torch.autograd.grad(out, x, dout)
        return {"out": out.detach()[-1:, -2:].clone(), "dx": dx[-1:, -2:].clone()}

    found = run(module, x, dout, weight, bias)
    few = (tensor[-1:, -2:].double() for tensor in (x, dout))
    expected = run(_Exact, *few, weight[-2:].double(), bias[-2:].double())
    return errors(found, expected, {"out"}, True)


class _Exact:
    """The definitions, under the functions' names."""

    conv_silu = staticmethod(exact_conv_silu)
    gate_silu = staticmethod(exact_gate_silu)
