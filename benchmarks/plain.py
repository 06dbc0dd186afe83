"""The same network in the plain arrangement: what the fast one is measured against.

Two directions run one after the other, the leftward one on flipped copies; each has its own in-
and out-projection call and its own gate, all positions are computed, and autograd keeps what it
needs. On a GPU with mamba-ssm and causal-conv1d their fused kernels do a direction's work
(``mamba_inner_fn``), otherwise PyTorch does, with a scan of :mod:`seq2exp.scan`.

The modules share their weights with those that they are made from.
"""

from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2exp.caduceus import NORM_EPS, Backbone, DirectionalSSM, Layer, MambaMixer
from seq2exp.scan import selective_scan


def has_mamba_kernels() -> bool:
    return bool(torch.cuda.is_available() and find_spec("mamba_ssm") and find_spec("causal_conv1d"))


def mamba(block: MambaMixer, ssm: DirectionalSSM, u: Tensor, scan: str) -> Tensor:
    """One direction of a block, rightward: u (B, L, d) to (B, L, d)."""
    xz = (block.in_proj.weight @ u.transpose(1, 2)).contiguous()  # (B, 2E, L)
    if scan == "mamba_inner":
        from mamba_ssm.ops.selective_scan_interface import mamba_inner_fn

        return mamba_inner_fn(
            xz,
            ssm.conv.weight,
            ssm.conv.bias,
            ssm.x_proj.weight,
            ssm.dt_proj.weight,
            block.out_proj.weight,
            None,
            -torch.exp(ssm.A_log.float()),
            None,
            None,
            ssm.D.float(),
            delta_bias=ssm.dt_proj.bias.float(),
            delta_softplus=True,
        )
    x, z = xz.chunk(2, dim=1)
    reach = ssm.conv.weight.shape[-1] - 1
    x = F.conv1d(F.pad(x, (reach, 0)), ssm.conv.weight, ssm.conv.bias, groups=x.shape[1])
    x = F.silu(x)
    sizes = [ssm.dt_rank, ssm.d_state, ssm.d_state]
    dt, B, C = torch.split(ssm.x_proj.weight @ x, sizes, dim=1)
    delta = ssm.dt_proj.weight @ dt
    A = -torch.exp(ssm.A_log)
    y = selective_scan(x, delta, A, B, C, ssm.D, ssm.dt_proj.bias, backend=scan)
    return block.out_proj((y * F.silu(z)).transpose(1, 2))


class PlainLayer(nn.Module):
    """Pre-norm residual layer."""

    def __init__(self, layer: Layer, scan: str) -> None:
        super().__init__()
        self.layer, self.scan = layer, scan

    def forward(self, residual: Tensor) -> Tensor:
        norm, mixer = self.layer.norm.weight, self.layer.mixer
        u = F.rms_norm(residual, norm.shape, norm, NORM_EPS)
        out = mamba(mixer, mixer.rightward, u, self.scan)
        return residual + out + mamba(mixer, mixer.leftward, u.flip(1), self.scan).flip(1)


class PlainBackbone(nn.Module):
    """A stack of plain layers; the centre is taken from all positions at the end."""

    def __init__(self, backbone: Backbone, scan: str = "auto") -> None:
        super().__init__()
        self.layers = nn.ModuleList(PlainLayer(layer, scan) for layer in backbone.layers)
        self.norm = backbone.norm

    def forward(self, x: Tensor, centre: slice | None = None) -> Tensor:
        x = x.float()
        for layer in self.layers:
            x = layer(x)
        x = F.rms_norm(x, self.norm.weight.shape, self.norm.weight, NORM_EPS)
        return x if centre is None else x[:, centre]
