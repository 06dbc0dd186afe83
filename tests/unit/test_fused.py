"""The fused functions: against their definitions in float64, and by hand."""

import pytest
import torch
from torch.autograd import gradcheck

from seq2exp import fused
from seq2exp.fused import plain
from tests.kernels import fused as cases
from tests.kernels.run import (
    assert_gpu_agrees,
    assert_small_cases_agree,
    needs_triton,
    shared_memory,
)

DTYPES = [torch.float32, torch.bfloat16]


@needs_triton
def test_kernels_agree_with_float64():
    assert_small_cases_agree("fused", at_least=60)


@pytest.mark.gpu
def test_kernels_agree_with_float64_at_full_size():
    assert_gpu_agrees("fused")


@needs_triton
def test_convolution_and_gate_exchange_nothing_between_warps():
    for name, size in shared_memory("bf16 conv_silu", "bf16 gate_silu").items():
        # but the sums of the taps' gradients, a number a warp
        assert size == (16 if "conv_silu backward" in name else 0), name


def assert_small(errors):
    for error in errors:
        assert error.error <= error.tolerance, error


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("leftward", [False, True])
@pytest.mark.parametrize(("length", "taps"), [(1, 1), (1, 4), (3, 4), (9, 8), (700, 4)])
def test_conv_silu_agrees_with_float64(length, taps, leftward, dtype):
    assert_small(cases.conv_silu(fused.conv_silu, 2, 5, length, taps, leftward, dtype))


@pytest.mark.parametrize("y", DTYPES)
@pytest.mark.parametrize("z", DTYPES)
def test_gate_silu_agrees_with_float64(y, z):
    assert_small(cases.gate_silu(fused.gate_silu, 2, 3, 50, y, z))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("add", [False, True])
def test_add_rms_norm_agrees_with_float64(add, dtype):
    assert_small(cases.add_rms_norm(fused.add_rms_norm, 2, 9, 16, add, dtype))


def test_conv_silu_by_hand():
    x = torch.tensor([[[1.0, 2.0, 4.0]]])
    weight, bias = torch.tensor([[10.0, 1.0]]), torch.tensor([0.5])
    # far to the right of 0, SiLU(v) = v
    right = fused.conv_silu(x, weight, bias, leftward=False)
    torch.testing.assert_close(right, torch.nn.functional.silu(torch.tensor([[[1.5, 12.5, 24.5]]])))
    left = fused.conv_silu(x, weight, bias, leftward=True)
    torch.testing.assert_close(left, torch.nn.functional.silu(torch.tensor([[[21.5, 42.5, 4.5]]])))


def test_leftward_is_the_mirror_image():
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(2, 3, n, generator=generator) for n in (20, 4))
    bias = torch.zeros(3)
    left = fused.conv_silu(x, weight[0], bias, leftward=True)
    right = fused.conv_silu(x.flip(-1), weight[0], bias, leftward=False)
    torch.testing.assert_close(left, right.flip(-1))


def test_outputs_keep_their_dtypes():
    x = torch.ones(1, 2, 3, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        y = fused.conv_silu(x.float(), torch.ones(2, 4), torch.ones(2), leftward=False)
        assert y.dtype == torch.float32
        assert fused.gate_silu(y, x).dtype == torch.float32
        assert fused.gate_silu(x, y).dtype == torch.bfloat16
        total, normed = fused.add_rms_norm(y, x, torch.ones(3), 1e-5, torch.bfloat16)
    assert total.dtype == torch.float32
    assert normed.dtype == torch.bfloat16


def test_add_rms_norm_by_hand():
    residual, hidden = torch.tensor([[[3.0, 0.0]]]), torch.tensor([[[0.0, 4.0]]])
    total, normed = fused.add_rms_norm(
        residual, hidden, torch.tensor([1.0, 2.0]), 0.0, torch.float32
    )
    torch.testing.assert_close(total, torch.tensor([[[3.0, 4.0]]]))
    # root mean square of 3 and 4: sqrt(12.5)
    torch.testing.assert_close(normed, torch.tensor([[[3.0, 8.0]]]) / 12.5**0.5)
    alone = fused.add_rms_norm(total, None, torch.tensor([1.0, 2.0]), 0.0, torch.float32)[1]
    torch.testing.assert_close(alone, normed)


def double(*shape):
    generator = torch.Generator().manual_seed(len(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("leftward", [False, True])
def test_gradients_of_plain_conv_silu(leftward):
    inputs = (double(2, 3, 5), double(3, 4), double(3))
    assert gradcheck(lambda *i: plain.conv_silu(*i, leftward=leftward), inputs)


def test_gradients_of_plain_gate_and_norm():
    y, z = double(2, 3, 5), double(2, 3, 5)
    assert gradcheck(plain.gate_silu, (y, z))
    assert gradcheck(
        lambda r, h, w: plain.add_rms_norm(r, h, w, 1e-5, torch.float64), (y, z, double(5))
    )


def test_shapes_that_do_not_fit_are_named():
    x, weight, bias = torch.ones(1, 3, 5), torch.ones(3, 4), torch.ones(3)
    with pytest.raises(ValueError, match="9 taps; use 1 to 8"):
        fused.conv_silu(x, torch.ones(3, 9), bias, leftward=False)
    with pytest.raises(ValueError, match=r"x has shape \(1, 3, 5\), expected \(1, 2, 5\)"):
        fused.conv_silu(x, weight[:2], bias, leftward=False)
    with pytest.raises(ValueError, match=r"z has shape \(1, 3, 4\), expected \(1, 3, 5\)"):
        fused.gate_silu(x, x[..., :4])
    with pytest.raises(ValueError, match=r"weight has shape \(3,\), expected \(5,\)"):
        fused.add_rms_norm(x, None, bias, 1e-5, torch.float32)
