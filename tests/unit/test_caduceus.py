import math

import pytest
import torch
from torch import nn

from seq2exp.caduceus import Backbone, DirectionalSSM, MambaMixer
from seq2exp.scan.reference import reference_scan


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def mirrored(module: DirectionalSSM) -> DirectionalSSM:
    """The same weights, scanning the other way."""
    twin = DirectionalSSM(8, 4, 1, 4, leftward=not module.leftward)
    twin.load_state_dict(module.state_dict())
    return twin


def test_leftward_equals_flip_rightward_flip():
    rightward = DirectionalSSM(8, 4, 1, 4, leftward=False)
    x = torch.randn(2, 8, 37)
    expected = rightward(x.flip(-1)).flip(-1)
    torch.testing.assert_close(mirrored(rightward)(x), expected, rtol=1e-5, atol=1e-6)


def test_rightward_is_causal_and_leftward_anticausal():
    rightward = DirectionalSSM(8, 4, 1, 4, leftward=False)
    x = torch.randn(1, 8, 30)
    changed = x.clone()
    changed[:, :, 12] += 1
    right = (rightward(x) != rightward(changed)).any(dim=1)[0]
    left = (mirrored(rightward)(x) != mirrored(rightward)(changed)).any(dim=1)[0]
    assert not right[:12].any()
    assert right[12]
    assert not left[13:].any()
    assert left[12]


@pytest.mark.parametrize("bidirectional", [True, False])
def test_shared_projections_equal_separate_mambas(bidirectional):
    """out(y_f SiLU(z)) + out(y_r SiLU(z)), with flips and the slow scan, as published."""
    block = MambaMixer(d_model=16, d_state=4, bidirectional=bidirectional)
    u = torch.randn(2, 21, 16)

    def one_direction(ssm: DirectionalSSM, u: torch.Tensor) -> torch.Tensor:
        x, z = block.in_proj(u).chunk(2, dim=-1)
        x = nn.functional.pad(x.transpose(1, 2), (3, 0))
        x = nn.functional.silu(ssm.conv(x))
        dt, B, C = (x.transpose(1, 2) @ ssm.x_proj.weight.T).split([1, 4, 4], dim=-1)
        y = reference_scan(
            x,
            (dt @ ssm.dt_proj.weight.T).transpose(1, 2),
            -ssm.A_log.exp(),
            B.transpose(1, 2),
            C.transpose(1, 2),
            ssm.D,
            ssm.dt_proj.bias,
        )
        return block.out_proj(y.transpose(1, 2) * nn.functional.silu(z))

    expected = one_direction(block.rightward, u)
    if bidirectional:
        expected = expected + one_direction(block.leftward, u.flip(1)).flip(1)
    torch.testing.assert_close(block(u), expected, rtol=1e-4, atol=1e-5)


def test_initial_values():
    backbone = Backbone(d_model=128, n_layers=4)
    mixer = backbone.layers[0].mixer
    assert mixer.rightward.A_log[5].exp().tolist() == pytest.approx(range(1, 17), rel=1e-5)
    assert mixer.leftward.D.tolist() == [1.0] * 256
    dt = nn.functional.softplus(mixer.rightward.dt_proj.bias)
    assert dt.min() >= 1e-3 * 0.999
    assert dt.max() <= 0.1 * 1.001
    # log-uniform: the mean of log10 is -2, its spread 2 / sqrt(12)
    assert dt.log10().mean().item() == pytest.approx(-2, abs=0.15)
    assert dt.log10().std().item() == pytest.approx(2 / math.sqrt(12), rel=0.15)
    assert mixer.rightward.dt_proj.weight.abs().max().item() <= 8**-0.5
    # kaiming-uniform with a = sqrt(5) is bounded by 1 / sqrt(fan in); then / sqrt(layers)
    bound = 1 / math.sqrt(256) / 2
    assert mixer.out_proj.weight.abs().max().item() == pytest.approx(bound, rel=0.01)


def test_backbone_without_mixers_is_a_norm():
    backbone = Backbone(d_model=8, n_layers=2)
    with torch.no_grad():
        for layer in backbone.layers:
            layer.mixer.out_proj.weight.zero_()
    x = torch.randn(1, 5, 8)
    expected = x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(backbone(x), expected)
