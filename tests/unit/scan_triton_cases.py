"""The Triton kernels against the float64 oracle: run by test_scan_triton.py.

In a process of its own, since Triton reads TRITON_INTERPRET as it is imported, and Lightning
imports it.
"""

import numpy as np
import pytest
import torch

from seq2exp.scan import triton
from seq2exp.scan.reference import reference_scan

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
HALVES = ("x", "delta", "B", "C", "gate")


def make_inputs(batch, channels, states, length, gated, dtype, seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    inputs = {
        "x": normal(batch, channels, length),
        "delta": normal(batch, channels, length),
        "A": -16 * torch.rand(channels, states, generator=generator),
        "B": normal(batch, states, length),
        "C": normal(batch, states, length),
        "D": normal(channels),
        "delta_bias": normal(channels) - 4,
    }
    if gated:
        gate = torch.rand(batch, length, generator=generator)
        inputs["gate"] = gate * (gate > 0.3)
    return {
        name: tensor.to(DEVICE, dtype if name in HALVES else torch.float32)
        for name, tensor in inputs.items()
    }


def scan_with_gradients(scan, inputs, reverse):
    inputs = {name: tensor.detach().requires_grad_() for name, tensor in inputs.items()}
    y = scan(**inputs, reverse=reverse)
    weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    weight = weight.bfloat16().to(y)  # one that every dtype can hold
    gradients = torch.autograd.grad(y, list(inputs.values()), weight)
    return {"y": y.detach(), **dict(zip(inputs, gradients, strict=True))}


def assert_agrees(inputs, reverse):
    found = scan_with_gradients(triton.triton_scan, inputs, reverse)
    exact = {name: tensor.double() for name, tensor in inputs.items()}
    expected = scan_with_gradients(reference_scan, exact, reverse)
    half = inputs["x"].dtype == torch.bfloat16
    for name, tensor in expected.items():
        assert found[name].shape == tensor.shape
        assert found[name].dtype == inputs["x" if name == "y" else name].dtype
        error = float((found[name].double() - tensor).abs().max())
        tolerance = 2e-2 if half else 1e-5
        assert error <= tolerance * max(float(tensor.abs().max()), 1e-30), name


def random_cases(count):
    rng = np.random.default_rng(0)
    for case in range(count):
        lanes = int(rng.choice([1, 2, 4]))
        yield (
            lanes,
            1 + (case % 5 == 0),  # batch
            int(rng.choice([1, 5, 8, 11])),
            int(rng.choice([1, 2, 3])),
            int(rng.integers(1, 20 * lanes)),  # up to three chunks of 8 positions a lane
            bool(case & 1),
            bool(case & 2),
            [torch.float32, torch.bfloat16][(case >> 2) & 1],
            case,
        )


@pytest.mark.parametrize(
    ("lanes", "batch", "channels", "states", "length", "reverse", "gated", "dtype", "seed"),
    [
        *random_cases(32),
        (32, 1, 8, 2, 300, False, True, torch.float32, 40),  # the lanes of use; two chunks
        (32, 1, 16, 2, 300, True, False, torch.bfloat16, 41),
        (1, 1, 3, 64, 9, False, True, torch.float32, 42),
        (32, 2, 4, 3, 1, True, True, torch.float32, 43),
    ],
)
def test_agrees_with_the_oracle(
    monkeypatch, lanes, batch, channels, states, length, reverse, gated, dtype, seed
):
    monkeypatch.setattr(triton, "LANES", lanes)
    assert_agrees(make_inputs(batch, channels, states, length, gated, dtype, seed), reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_closed_gate_is_a_removed_position(monkeypatch, reverse):
    monkeypatch.setattr(triton, "LANES", 2)
    inputs = make_inputs(1, 8, 3, 50, False, torch.float32, 0)
    kept = torch.rand(50, generator=torch.Generator().manual_seed(2)) > 0.4
    packed = {n: t[..., kept] if n in HALVES else t for n, t in inputs.items()}
    gate = kept.float()[None].to(DEVICE)
    y = triton.triton_scan(**inputs, gate=gate, reverse=reverse)
    expected = triton.triton_scan(**packed, reverse=reverse)
    torch.testing.assert_close(y[..., kept], expected, rtol=1e-5, atol=1e-6)


def test_gradients_do_not_change_the_output(monkeypatch):
    monkeypatch.setattr(triton, "LANES", 2)
    inputs = make_inputs(1, 8, 3, 50, True, torch.float32, 0)
    y = triton.triton_scan(**inputs)
    assert torch.equal(scan_with_gradients(triton.triton_scan, inputs, False)["y"], y)
