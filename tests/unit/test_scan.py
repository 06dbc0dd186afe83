"""The selective scan on CPU: closed forms, and every backend against the float64 oracle."""

import math
import subprocess
import sys
from itertools import product

import pytest
import torch

from seq2exp.errors import UserError
from seq2exp.scan import available_backends, resolve_backend, selective_scan

NAMES = ("x", "delta", "A", "B", "C", "D", "delta_bias", "gate")


def make_inputs(batch, channels, states, length, gated, seed=0, dtype=torch.float32):
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
    return {name: tensor.to(dtype) for name, tensor in inputs.items()}


def scan_with_gradients(inputs, backend, reverse, dtype):
    inputs = {name: t.detach().to(dtype).requires_grad_() for name, t in inputs.items()}
    y = selective_scan(**inputs, backend=backend, reverse=reverse)
    weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    gradients = torch.autograd.grad((y * weight).sum(), list(inputs.values()))
    return {"y": y.detach(), **dict(zip(inputs, gradients, strict=True))}


def relative_error(found, expected):
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30))


def assert_agrees(inputs, backend, reverse, tolerance, dtype=torch.float32):
    found = scan_with_gradients(inputs, backend, reverse, dtype)
    expected = scan_with_gradients(inputs, "reference", reverse, torch.float64)
    for name, tensor in expected.items():
        assert found[name].shape == tensor.shape
        assert found[name].dtype == dtype
        assert relative_error(found[name].double(), tensor) <= tolerance, name


@pytest.mark.parametrize("backend", ["reference", "chunked", "cpu"])
def test_three_steps_by_hand(backend):
    # one channel, two state entries; softplus(delta + bias) = log 2 for delta + bias = 0,
    # so exp(s A) is 1/2 for A = -1 and 1/4 for A = -2
    s = math.log(2)
    x = torch.tensor([[[1.0, 0.0, 2.0]]])
    delta = torch.full((1, 1, 3), -0.5)
    B = torch.tensor([[[1.0, 5.0, 1.0], [2.0, 5.0, 0.0]]])
    C = torch.tensor([[[1.0, 1.0, 2.0], [1.0, 4.0, 8.0]]])
    arguments = (x, delta, torch.tensor([[-1.0, -2.0]]), B, C, torch.tensor([3.0]))
    bias = torch.tensor([0.5])
    # h: (s, 2s), (s/2, s/2), (s/4 + 2s, s/8)
    y = selective_scan(*arguments, bias, backend=backend)
    expected = torch.tensor([3 * s + 3, 2.5 * s, 5.5 * s + 6])
    torch.testing.assert_close(y[0, 0], expected, rtol=3e-7, atol=0)
    # from the right: (2s, 0), (s, 0), (s/2 + s, 2s)
    y = selective_scan(*arguments, bias, backend=backend, reverse=True)
    expected = torch.tensor([3.5 * s + 3, s, 4 * s + 6])
    torch.testing.assert_close(y[0, 0], expected, rtol=3e-7, atol=0)
    # without the middle position: (s, 2s), the same, (s/2 + 2s, s/2); it still reads its state
    gate = torch.tensor([[1.0, 0.0, 1.0]])
    y = selective_scan(*arguments, bias, backend=backend, gate=gate)
    expected = torch.tensor([3 * s + 3, 9 * s, 9 * s + 6])
    torch.testing.assert_close(y[0, 0], expected, rtol=3e-7, atol=0)


SHAPES = [
    (1, 1, 1, 1),
    (2, 3, 1, 33),
    (3, 16, 8, 32),
    (2, 40, 16, 100),
    (1, 70, 5, 64),
    (1, 17, 64, 45),
    (1, 18, 8, 520),
]


@pytest.mark.parametrize("backend", ["chunked", "cpu"])
@pytest.mark.parametrize("shape", SHAPES)
def test_backends_agree_with_the_oracle(backend, shape):
    for reverse, gated in product((False, True), (False, True)):
        assert_agrees(make_inputs(*shape, gated), backend, reverse, 2e-6)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_cpu_at_length_4096(reverse, gated):
    assert_agrees(make_inputs(1, 20, 16, 4096, gated), "cpu", reverse, 1e-5)


@pytest.mark.parametrize("backend", ["reference", "chunked"])
def test_gradcheck(backend):
    for reverse in (False, True):
        inputs = make_inputs(1, 2, 2, 5, gated=True, dtype=torch.float64)
        inputs = [inputs[name].requires_grad_() for name in NAMES]

        def scan(*tensors, reverse=reverse):
            *others, gate = tensors
            return selective_scan(*others, gate=gate, reverse=reverse, backend=backend)

        assert torch.autograd.gradcheck(scan, inputs)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_closed_gate_is_a_removed_position(backend, reverse):
    inputs = make_inputs(1, 20, 16, 150, gated=False)
    kept = torch.rand(150, generator=torch.Generator().manual_seed(2)) > 0.4
    sequences = ("x", "delta", "B", "C")
    packed = {n: t[..., kept] if n in sequences else t for n, t in inputs.items()}
    gated = selective_scan(**inputs, gate=kept.float()[None], reverse=reverse, backend=backend)
    assert torch.equal(gated[..., kept], selective_scan(**packed, reverse=reverse, backend=backend))


@pytest.mark.parametrize("backend", ["reference", "chunked", "cpu"])
def test_reverse_is_the_scan_of_the_mirror_image(backend):
    inputs = make_inputs(2, 20, 4, 77, gated=True)
    mirrored = {
        name: tensor.flip(-1) if name in ("x", "delta", "B", "C", "gate") else tensor
        for name, tensor in inputs.items()
    }
    y = selective_scan(**inputs, reverse=True, backend=backend)
    expected = selective_scan(**mirrored, backend=backend).flip(-1)
    torch.testing.assert_close(y, expected, rtol=1e-6, atol=1e-6)


def test_gradients_do_not_change_the_output():
    inputs = make_inputs(2, 20, 16, 100, gated=True)
    with_gradients = scan_with_gradients(inputs, "cpu", False, torch.float32)["y"]
    assert torch.equal(with_gradients, selective_scan(**inputs, backend="cpu"))
    frozen = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
    with torch.no_grad():
        y = selective_scan(**frozen, backend="cpu")
    assert torch.equal(with_gradients, y)
    assert not y.requires_grad


@pytest.mark.parametrize("backend", ["chunked", "cpu"])
def test_bfloat16_inputs(backend):
    inputs = make_inputs(2, 20, 16, 100, gated=True, dtype=torch.bfloat16)
    # inside all is float32: only y's gradient and the results are rounded, each by 2^-9 at most
    assert_agrees(inputs, backend, False, 2**-7, dtype=torch.bfloat16)


def test_autocast_leaves_the_state_in_float32():
    inputs = make_inputs(1, 20, 16, 100, gated=False)
    for backend in ("chunked", "cpu"):
        expected = selective_scan(**inputs, backend=backend)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(selective_scan(**inputs, backend=backend), expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_inputs_need_not_be_contiguous(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        inputs = make_inputs(2, 20, 16, 50, gated=False)
        expected = selective_scan(**inputs, backend="cpu")
        strided = {
            name: tensor.transpose(0, -1).contiguous().transpose(0, -1)
            for name, tensor in inputs.items()
        }
        assert torch.equal(selective_scan(**strided, backend="cpu"), expected)
    finally:
        torch.set_num_threads(before)


def test_extreme_step_sizes():
    # exp(s A) far below the smallest float must act as 0; softplus of -100 as no step at all
    inputs = make_inputs(1, 16, 4, 40, gated=False)
    inputs["delta"][..., ::2] = 60.0
    inputs["delta"][..., 1::2] = -100.0
    assert_agrees(inputs, "cpu", False, 1e-5)


def test_nan_stays_visible():
    inputs = make_inputs(1, 16, 4, 40, gated=False)
    inputs["delta"][0, 3, 10] = math.nan
    y = selective_scan(**inputs, backend="cpu")
    assert torch.isnan(y[0, 3, 10:]).all()
    assert torch.isfinite(y[0, :3]).all()
    assert torch.isfinite(y[0, 3, :10]).all()


FORK = """
import os
import torch
from seq2exp.scan import selective_scan
torch.set_num_threads(2)
torch.manual_seed(0)
x = torch.randn(2, 32, 40)
arguments = (x, x, -torch.ones(32, 2), x[:, :2], x[:, :2], torch.ones(32), torch.zeros(32))
expected = selective_scan(*arguments, backend="cpu")
child = os.fork()
if child == 0:
    same = torch.equal(selective_scan(*arguments, backend="cpu"), expected)
    os._exit(0 if same else 1)
assert os.waitpid(child, 0)[1] == 0
"""


def test_scan_after_fork():
    subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], check=True, timeout=120)


def test_backend_names():
    assert available_backends("cpu") == ("cpu", "chunked", "reference")
    assert resolve_backend("auto", "cpu") == "cpu"
    assert resolve_backend("chunked", "cpu") == "chunked"
    with pytest.raises(UserError, match=r"'fast': unknown; use one of auto, reference"):
        resolve_backend("fast", "cpu")
    with pytest.raises(UserError, match=r"'mamba_ssm': cannot run on cpu here; use one of auto"):
        resolve_backend("mamba_ssm", "cpu")


def test_wrong_shapes_are_named():
    inputs = make_inputs(2, 4, 3, 10, gated=True)
    inputs["gate"] = inputs["gate"][:, :9]
    with pytest.raises(ValueError, match=r"gate has shape \(2, 9\), expected \(2, 10\)"):
        selective_scan(**inputs)
