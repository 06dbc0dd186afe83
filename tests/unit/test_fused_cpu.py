"""The numba kernels of the fused functions against plain PyTorch in float64."""

import pytest
import torch
from torch import Tensor

from seq2exp.fused import add_rms_norm, conv_silu, gate_silu, plain

# around the kernels' tile (1,024), vector (16) and taps
LENGTHS = [1, 2, 3, 15, 16, 17, 1023, 1024, 1025, 2060]


def agree(ours: Tensor, exact: Tensor, tolerance: float = 1e-5) -> None:
    assert ours.shape == exact.shape
    assert (ours.double() - exact).norm() <= tolerance * exact.norm() + 1e-12


def gradients(out: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    return torch.autograd.grad(out, inputs, weight.to(out.dtype))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("leftward", [False, True])
@pytest.mark.parametrize(("channels", "taps"), [(5, 4), (16, 1), (17, 8)])
def test_convolution(length, leftward, channels, taps):
    generator = torch.Generator().manual_seed(length)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    ours = [normal(2, channels, length), normal(channels, taps), normal(channels)]
    exact = [tensor.double().requires_grad_() for tensor in ours]
    ours = [tensor.requires_grad_() for tensor in ours]
    out = conv_silu(*ours, leftward=leftward)
    expected = plain.conv_silu(*exact, leftward=leftward)
    agree(out, expected)
    for found, reference in zip(gradients(out, ours), gradients(expected, exact), strict=True):
        agree(found, reference)


@pytest.mark.parametrize("length", LENGTHS)
def test_gate(length):
    generator = torch.Generator().manual_seed(length)
    ours = [4 * torch.randn(2, 17, length, generator=generator) for _ in range(2)]
    exact = [tensor.double().requires_grad_() for tensor in ours]
    ours = [tensor.requires_grad_() for tensor in ours]
    out, expected = gate_silu(*ours), plain.gate_silu(*exact)
    agree(out, expected)
    for found, reference in zip(gradients(out, ours), gradients(expected, exact), strict=True):
        agree(found, reference)


@pytest.mark.parametrize(("batch", "length", "width"), [(1, 1, 1), (2, 1300, 16), (3, 7, 200)])
@pytest.mark.parametrize("first", [False, True])
def test_residual_and_norm(batch, length, width, first):
    generator = torch.Generator().manual_seed(length)
    shapes = [(batch, length, width), (width,)] + ([] if first else [(batch, length, width)])
    ours = [torch.randn(shape, generator=generator) for shape in shapes]
    exact = [tensor.double().requires_grad_() for tensor in ours]
    ours = [tensor.requires_grad_() for tensor in ours]

    def run(function, dtype, residual, weight, hidden=None):
        total, normed = function(residual, hidden, weight, 1e-5, dtype)
        return torch.cat([total, 3 * normed])

    out = run(add_rms_norm, torch.float32, *ours)
    expected = run(plain.add_rms_norm, torch.float64, *exact)
    agree(out, expected)
    for found, reference in zip(gradients(out, ours), gradients(expected, exact), strict=True):
        agree(found, reference)


def test_slices_are_read_in_place():
    """A part of a window is a strided view; it gives what its copy gives."""
    x, weight, bias = torch.randn(2, 5, 90), torch.randn(5, 4), torch.randn(5)
    part = x[..., 20:70]
    assert torch.equal(
        conv_silu(part, weight, bias, leftward=True),
        conv_silu(part.clone(), weight, bias, leftward=True),
    )


def test_extreme_gates_stay_finite():
    z = torch.tensor([[[-1e4, -90.0, -20.0, 0.0, 20.0, 90.0, 1e4]]], requires_grad=True)
    out = gate_silu(torch.ones_like(z), z)
    torch.testing.assert_close(out, torch.nn.functional.silu(z), rtol=1e-6, atol=1e-30)
    out.sum().backward()
    assert z.grad is not None
    expected = torch.tensor([[[0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0]]])
    torch.testing.assert_close(z.grad, expected, rtol=1e-6, atol=1e-6)


def test_bfloat16_is_computed_in_float32():
    x, weight, bias = torch.randn(2, 5, 40).bfloat16(), torch.randn(5, 4), torch.randn(5)
    out = conv_silu(x, weight, bias, leftward=False)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, conv_silu(x.float(), weight, bias, leftward=False).bfloat16())
