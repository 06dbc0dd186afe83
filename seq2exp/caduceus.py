"""Caduceus without reverse-complement equivariance: bidirectional Mamba with tied projections.

Axes
----
B  batch
L  window length (bp)
d  model width
E  inner width (expand * d)
N  state size
R  rank of the step size, ceil(d / 16)
W  width of the depthwise convolution

Sources: Gu and Dao 2023 (Mamba, algorithm 2); Schiff et al. 2024 (Caduceus, BiMamba); Seq2Exp,
section 4. Both directions share in_proj and out_proj, so the gate z is the same for both and

    out_proj(y_right * SiLU(z)) + out_proj(y_left * SiLU(z))
        = out_proj((y_right + y_left) * SiLU(z))

is computed once, exactly.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2exp.scan import selective_scan

NORM_EPS = 1e-5
DT_MIN, DT_MAX, DT_FLOOR = 1e-3, 0.1, 1e-4


class DirectionalSSM(nn.Module):
    """Convolution and selective state space in one direction along the genome.

    Parameters
    ----------
    d_inner, d_state, dt_rank, d_conv
        E, N, R and W.
    leftward
        Scan from the window's right end to its left end, in place: the convolution looks to
        the right and h_t follows h_{t+1}. No tensor is flipped.
    """

    def __init__(
        self, d_inner: int, d_state: int, dt_rank: int, d_conv: int, *, leftward: bool
    ) -> None:
        super().__init__()
        self.leftward = leftward
        self.d_state, self.dt_rank = d_state, dt_rank
        self.conv = nn.Conv1d(d_inner, d_inner, d_conv, groups=d_inner)
        self.x_proj = nn.Linear(d_inner, dt_rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(dt_rank, d_inner)
        self.A_log = nn.Parameter(torch.arange(1.0, d_state + 1).log().repeat(d_inner, 1))  # (E, N)
        self.D = nn.Parameter(torch.ones(d_inner))  # (E,)
        self._init_step_size()

    @torch.no_grad()
    def _init_step_size(self) -> None:
        """Make softplus(bias) log-uniform in [DT_MIN, DT_MAX] (Mamba, section 3.6)."""
        nn.init.uniform_(self.dt_proj.weight, -(self.dt_rank**-0.5), self.dt_rank**-0.5)
        low, high = math.log(DT_MIN), math.log(DT_MAX)
        dt = torch.exp(low + torch.rand_like(self.D) * (high - low)).clamp(min=DT_FLOOR)
        self.dt_proj.bias.copy_(dt + torch.log(-torch.expm1(-dt)))  # inverse of softplus

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, E, L) to y (B, E, L), before the gate."""
        x = F.silu(self._convolve(x))  # (B, E, L)
        dt, B, C = torch.split(
            self.x_proj.weight @ x,  # (B, R + 2N, L)
            [self.dt_rank, self.d_state, self.d_state],
            dim=1,
        )
        return selective_scan(
            x,
            self.dt_proj.weight @ dt,  # (B, E, L); bias and softplus are applied by the scan
            -torch.exp(self.A_log.float()),
            B,
            C,
            self.D.float(),
            delta_bias=self.dt_proj.bias.float(),
            reverse=self.leftward,
        )

    def _convolve(self, x: Tensor) -> Tensor:
        """Depthwise convolution over x_{t-W+1..t} (rightward) or x_{t..t+W-1} (leftward)."""
        reach = self.conv.weight.shape[-1] - 1
        padding = (0, reach) if self.leftward else (reach, 0)
        weight = self.conv.weight.flip(-1) if self.leftward else self.conv.weight
        return F.conv1d(F.pad(x, padding), weight, self.conv.bias, groups=x.shape[1])


class BiMamba(nn.Module):
    """Mamba in both directions with shared in- and out-projections ("add" strategy)."""

    def __init__(self, d_model: int, d_state: int = 16, d_conv: int = 4, expand: int = 2) -> None:
        super().__init__()
        d_inner, dt_rank = expand * d_model, math.ceil(d_model / 16)
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.rightward = DirectionalSSM(d_inner, d_state, dt_rank, d_conv, leftward=False)
        self.leftward = DirectionalSSM(d_inner, d_state, dt_rank, d_conv, leftward=True)
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)

    def forward(self, u: Tensor) -> Tensor:
        """Map u (B, L, d) to (B, L, d)."""
        x, z = (self.in_proj.weight @ u.transpose(1, 2)).chunk(2, dim=1)  # each (B, E, L)
        y = self.rightward(x) + self.leftward(x)  # (B, E, L)
        return self.out_proj((y * F.silu(z)).transpose(1, 2))  # (B, L, d)


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the model width, in float32."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, NORM_EPS)


class Layer(nn.Module):
    """Pre-norm residual layer; the residual stream stays in float32."""

    def __init__(self, d_model: int, n_layers: int, d_state: int, d_conv: int, expand: int) -> None:
        super().__init__()
        self.norm = RMSNorm(d_model)
        self.mixer = BiMamba(d_model, d_state, d_conv, expand)
        nn.init.kaiming_uniform_(self.mixer.out_proj.weight, a=math.sqrt(5))
        with torch.no_grad():  # so that the residual stream does not grow with depth (GPT-2)
            self.mixer.out_proj.weight /= math.sqrt(n_layers)

    def forward(self, residual: Tensor) -> Tensor:
        """Map residual (B, L, d) to residual + mixer(norm(residual))."""
        return residual + self.mixer(self.norm(residual))


class Backbone(nn.Module):
    """A stack of layers and a final norm.

    Parameters
    ----------
    d_model, n_layers, d_state, d_conv, expand
        d, the number of layers, N, W and E / d.
    """

    def __init__(
        self, d_model: int, n_layers: int, d_state: int = 16, d_conv: int = 4, expand: int = 2
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(d_model, n_layers, d_state, d_conv, expand) for _ in range(n_layers)
        )
        self.norm = RMSNorm(d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, L, d) to (B, L, d)."""
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)
