"""What a case finds: relative errors of a kernel's outputs and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

# of the largest value; bf16 where the result is, or was summed from rounded ones
OUTPUT, GRADIENT, HALF = 1e-4, 1e-3, 2e-2


class Error(NamedTuple):
    """One tensor's largest error, in units of its largest value."""

    name: str
    error: float
    tolerance: float


class Case(NamedTuple):
    """One kernel at one size; `run` computes and compares."""

    kernel: str
    name: str
    dtype: torch.dtype
    run: Callable[[], list[Error]]


def generator(seed: int) -> torch.Generator:
    return torch.Generator(DEVICE).manual_seed(seed)


def normal(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal numbers that the dtype can hold."""
    return torch.randn(*shape, generator=generator(seed), device=DEVICE, dtype=dtype)


def errors(
    found: dict[str, Tensor], expected: dict[str, Tensor], outputs: set[str], half: bool
) -> list[Error]:
    """Compare tensors of the same names; `half` allows for a result in bf16."""
    assert found.keys() == expected.keys()
    return [error(name, found[name], expected[name], outputs, half) for name in expected]


def error(name: str, found: Tensor, expected: Tensor, outputs: set[str], half: bool) -> Error:
    """Largest error of one tensor; where all should be 0, the largest value itself."""
    assert found.shape == expected.shape, name
    largest = float(expected.abs().max())
    difference = float((found.double() - expected).abs().max())
    exact = OUTPUT if name in outputs else GRADIENT
    return Error(name, difference / (largest or 1.0), HALF if half else exact)


def differentiate(
    function: Callable[..., Any], inputs: dict[str, Tensor], names: tuple[str, ...]
) -> dict[str, Tensor]:
    """Outputs under their names, and the gradients of a weighted sum of them under the inputs'."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in inputs.items()}
    results = function(**leaves)
    results = results if isinstance(results, tuple) else (results,)
    # weights that every dtype can hold
    weights = [normal(99 + i, *r.shape).bfloat16().to(r) for i, r in enumerate(results)]
    gradients = torch.autograd.grad(results, list(leaves.values()), weights)
    outputs = {name: result.detach() for name, result in zip(names, results, strict=True)}
    return outputs | {f"d{name}": g for name, g in zip(leaves, gradients, strict=True)}
