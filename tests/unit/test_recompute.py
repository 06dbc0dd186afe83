"""A layer's recomputing passes against its definition, gradients of everything included."""

import pytest
import torch
from torch import Tensor

from seq2exp.caduceus import NORM_EPS, Backbone, Layer, set_scan_backend
from seq2exp.fused import add_rms_norm
from seq2exp.recompute import Gating
from seq2exp.scan import selective_scan

LENGTH = 23
CENTRES = [None, slice(8, 15), slice(0, 5), slice(20, 23), slice(0, 23)]
BOTH = pytest.mark.parametrize("bidirectional", [True, False], ids=["both", "rightward"])


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def new_layer(
    dtype: torch.dtype = torch.float64, backend: str = "reference", *, bidirectional: bool = True
) -> Layer:
    sizes = {"d_model": 8, "n_layers": 2, "d_state": 4, "d_conv": 4, "expand": 2}
    layer = Layer(**sizes, bidirectional=bidirectional).to(dtype)
    set_scan_backend(layer, backend)
    with torch.no_grad():  # no parameter whose gradient an error could leave right by chance
        for parameter in layer.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return layer


def as_defined(layer: Layer, residual: Tensor, hidden: Tensor | None, centre: slice | None):
    """The same by autograd, all positions computed and the centre taken afterwards."""
    total, u = add_rms_norm(residual, hidden, layer.norm.weight, NORM_EPS, residual.dtype)
    inside = centre or slice(None)
    return total[:, inside], layer.mixer(u)[:, inside]


def gated_as_defined(layer: Layer, residual: Tensor, mask: Tensor, at: str, centre: slice | None):
    """The same with a mask inside: on the norm's output, or on convolution input and step size."""
    mixer, inside = layer.mixer, centre or slice(None)
    total, u = add_rms_norm(residual, None, layer.norm.weight, NORM_EPS, residual.dtype)
    if at == "norm":
        return total[:, inside], mixer(u * mask.unsqueeze(-1))[:, inside]
    x = mixer.project_x(u) * mask.unsqueeze(1)
    y = sum(
        selective_scan(*ssm.scan_inputs(x)[:-1], mask, reverse=ssm.leftward, backend="reference")
        for ssm in mixer.directions
    )
    return total[:, inside], mixer.output(y, mixer.project_z(u))[:, inside]


def gradients(outputs, inputs, layer: Layer) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    loss = sum(
        (out * torch.randn(out.shape, generator=generator, dtype=torch.float64)).sum()
        for out in outputs
    )
    return list(torch.autograd.grad(loss, [*inputs, *layer.parameters()]))


@pytest.mark.parametrize("centre", CENTRES, ids=str)
@pytest.mark.parametrize("first", [False, True])
@BOTH
def test_outputs_and_gradients_are_those_of_the_definition(centre, first, bidirectional):
    layer = new_layer(bidirectional=bidirectional)
    inputs = [torch.randn(2, LENGTH, 8, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    inputs = inputs[:1] if first else inputs
    given = (*inputs, None)[:2]
    expected = as_defined(layer, *given, centre)
    found = layer(*given, centre)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        gradients(found, inputs, layer), gradients(expected, inputs, layer), rtol=1e-9, atol=1e-11
    )


@pytest.mark.parametrize("centre", [None, slice(8, 15)], ids=str)
@pytest.mark.parametrize("at", ["norm", "step"])
@pytest.mark.parametrize(("backend", "part"), [("reference", 4096), ("cpu", 4096), ("cpu", 7)])
def test_masks_inside_a_layer(monkeypatch, at, backend, part, centre):
    monkeypatch.setattr("seq2exp.scan._PART", part)
    exact, layer = new_layer(), new_layer()
    layer.load_state_dict(exact.state_dict())
    set_scan_backend(layer, backend)
    residual = torch.randn(2, LENGTH, 8, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(2, LENGTH, dtype=torch.float64)
    mask[0, 3:6] = 0.0
    mask.requires_grad_()
    expected = gated_as_defined(exact, residual, mask, at, centre)
    found = layer(residual, None, centre, Gating(mask, at))
    precise = (
        {"rtol": 1e-9, "atol": 1e-11} if backend == "reference" else {"rtol": 1e-3, "atol": 1e-4}
    )
    torch.testing.assert_close(found, expected, **precise)
    inputs = [residual, mask]
    torch.testing.assert_close(
        gradients(found, inputs, layer), gradients(expected, inputs, exact), **precise
    )


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_step_of_zero_leaves_the_state_as_if_the_base_were_not_there(backend):
    """The scan over a window with gaps is the scan over the window without these positions."""
    layer = new_layer(torch.float32 if backend == "cpu" else torch.float64, backend)
    ssm = layer.mixer.rightward
    dtype = layer.norm.weight.dtype
    kept = torch.rand(1, LENGTH) < 0.6
    for reverse in (False, True):
        inputs = ssm.scan_inputs(torch.randn(1, 16, LENGTH, dtype=dtype))
        gated = selective_scan(*inputs[:-1], kept.to(dtype), reverse=reverse, backend=backend)
        here = kept[0]
        x, delta, A, B, C, D, bias, _ = inputs
        without = selective_scan(
            *(x[..., here], delta[..., here], A, B[..., here], C[..., here], D, bias),
            reverse=reverse,
            backend=backend,
        )
        torch.testing.assert_close(gated[..., here], without, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backend", ["cpu", "chunked"])
@BOTH
def test_backends_that_keep_states_and_that_do_not(backend, bidirectional):
    layer = new_layer(torch.float32, backend, bidirectional=bidirectional)
    inputs = [torch.randn(2, LENGTH, 8, requires_grad=True) for _ in range(2)]
    found = gradients(layer(*inputs, slice(8, 15)), inputs, layer)
    exact = new_layer(bidirectional=bidirectional)
    exact.load_state_dict(layer.state_dict())
    doubled = [tensor.detach().double().requires_grad_() for tensor in inputs]
    expected = gradients(as_defined(exact, *doubled, slice(8, 15)), doubled, exact)
    for ours, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), reference, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("centre", CENTRES, ids=str)
@pytest.mark.parametrize("length", [1, 4, 7])
@BOTH
def test_a_window_in_parts_is_the_window_at_once(monkeypatch, centre, length, bidirectional):
    """Parts shorter than, as long as and longer than what the convolution looks at (3)."""
    layer = new_layer(torch.float32, "cpu", bidirectional=bidirectional)
    inputs = [torch.randn(2, LENGTH, 8, requires_grad=True) for _ in range(2)]
    whole = layer(*inputs, centre)
    expected = gradients(whole, inputs, layer)
    monkeypatch.setattr("seq2exp.scan._PART", length)
    parts = layer(*inputs, centre)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-5)
    for ours, reference in zip(gradients(parts, inputs, layer), expected, strict=True):
        assert (ours - reference).norm() <= 1e-5 * reference.norm()


def test_frozen_parameters_get_no_gradient_and_change_no_other():
    layer = new_layer()
    residual = torch.randn(1, LENGTH, 8, dtype=torch.float64)
    sum(out.sum() for out in layer(residual, None)).backward()
    expected = layer.mixer.rightward.x_proj.weight.grad.clone()
    layer.zero_grad()
    for frozen in (layer.norm.weight, layer.mixer.rightward.A_log, layer.mixer.out_proj.weight):
        frozen.requires_grad_(False)
    sum(out.sum() for out in layer(residual, None)).backward()
    assert layer.mixer.rightward.A_log.grad is None
    torch.testing.assert_close(layer.mixer.rightward.x_proj.weight.grad, expected)


def test_bfloat16_gradients_follow_float32():
    layer = new_layer(torch.float32, "cpu")
    residual = torch.randn(2, LENGTH, 8, requires_grad=True)
    exact = gradients(layer(residual, None), [residual], layer)
    with torch.autocast("cpu", torch.bfloat16):
        total, out = layer(residual, None)
    assert (total.dtype, out.dtype) == (torch.float32, torch.bfloat16)
    for ours, reference in zip(gradients((total, out), [residual], layer), exact, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - reference).norm() < 2e-2 * reference.norm()


@BOTH
def test_only_residual_output_and_states_are_kept(bidirectional):
    """Bytes that autograd holds for one layer: residual d, y E, and what the scans keep."""
    layer, length = new_layer(torch.float32, "cpu", bidirectional=bidirectional), 640
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    residual = torch.randn(1, length, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        layer(residual, None)
    parameters = sum(parameter.nbytes for parameter in layer.parameters())
    d, inner, states, chunk = 8, 16, 4, 32
    of_scan = 4 * (length // chunk) * inner * states
    scans = 2 if bidirectional else 1
    assert sum(kept.values()) == 4 * length * (d + inner) + scans * of_scan + parameters


@BOTH
def test_centre_of_a_backbone_equals_the_slice_of_all_positions(bidirectional):
    backbone = Backbone(d_model=8, n_layers=2, d_state=4, bidirectional=bidirectional).double()
    set_scan_backend(backbone, "reference")
    x = torch.randn(2, LENGTH, 8, dtype=torch.float64, requires_grad=True)
    centre, everywhere = backbone(x, slice(8, 15)), backbone(x)[:, 8:15]
    torch.testing.assert_close(centre, everywhere, rtol=1e-12, atol=1e-12)
    parameters = [x, *backbone.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(centre.square().sum(), parameters),
        torch.autograd.grad(everywhere.square().sum(), parameters),
        rtol=1e-9,
        atol=1e-11,
    )
