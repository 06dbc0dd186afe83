"""Mamba layers: Caduceus's, bidirectional with tied projections, and those of one direction.

Caduceus is the one without reverse-complement equivariance.

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

is computed once, exactly. Where only the positions of a centre are asked for, each direction scans
no further than the centre's end, and the gate and out_proj see the centre alone: exact as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from seq2exp.fused import add_rms_norm, conv_silu, gate_silu
from seq2exp.recompute import Gating, layer_step
from seq2exp.scan import ScanInputs, selective_scan

NORM_EPS = 1e-5
DT_MIN, DT_MAX, DT_FLOOR = 1e-3, 0.1, 1e-4


def project(weight: Tensor, x: Tensor) -> Tensor:
    """Map each position of x (B, I, L) by weight (O, I); (B, O, L), contiguous."""
    if x.is_cuda:
        return weight @ x
    # weight @ x would copy x and the result, to multiply all windows at once: on a CPU three to
    # six times slower.
    return torch.bmm(weight.expand(len(x), -1, -1), x)


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

    scan_backend = "auto"
    """See :func:`seq2exp.scan.selective_scan`; set by :func:`set_scan_backend`."""

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

    def scan_inputs(self, x: Tensor, inner: slice = slice(None)) -> ScanInputs:
        """Map x (B, E, L) to what the selective scan reads at the positions `inner`."""
        assert self.conv.bias is not None
        x = conv_silu(x, self.conv.weight.squeeze(1), self.conv.bias, leftward=self.leftward)
        x = x[..., inner]
        dt, B, C = torch.split(
            project(self.x_proj.weight, x),  # (B, R + 2N, L)
            [self.dt_rank, self.d_state, self.d_state],
            dim=1,
        )
        return ScanInputs(
            x,  # (B, E, L)
            project(self.dt_proj.weight, dt),  # (B, E, L); the scan applies bias and softplus
            -torch.exp(self.A_log),
            B,
            C,
            self.D,
            self.dt_proj.bias,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, E, L) to y (B, E, L), before the gate."""
        inputs = self.scan_inputs(x)
        return selective_scan(*inputs, reverse=self.leftward, backend=self.scan_backend)

    @property
    def conv_reach(self) -> int:
        """Positions beside its own that the convolution looks at."""
        return self.conv.weight.shape[-1] - 1

    def reach(self, centre: slice, length: int) -> slice:
        """Positions that decide y on the centre: those up to it, in the direction of the scan."""
        return slice(centre.start, length) if self.leftward else slice(0, centre.stop)


class MambaMixer(nn.Module):
    """Mamba in both directions with shared in- and out-projections ("add" strategy), or in one.

    Parameters
    ----------
    d_model, d_state, d_conv, expand
        d, N, W and E / d.
    bidirectional
        Otherwise rightward alone: Mamba as it was published.
    """

    def __init__(
        self,
        d_model: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        *,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        d_inner, dt_rank = expand * d_model, math.ceil(d_model / 16)
        size = (d_inner, d_state, dt_rank, d_conv)
        self.in_proj = nn.Linear(d_model, 2 * d_inner, bias=False)
        self.rightward = DirectionalSSM(*size, leftward=False)
        self.leftward = DirectionalSSM(*size, leftward=True) if bidirectional else None
        self.out_proj = nn.Linear(d_inner, d_model, bias=False)

    @property
    def directions(self) -> tuple[DirectionalSSM, ...]:
        """One, or both."""
        return (self.rightward,) if self.leftward is None else (self.rightward, self.leftward)

    def project_x(self, u: Tensor) -> Tensor:
        """Map u (B, L, d) to the scans' input x (B, E, L): the first half of in_proj."""
        return project(self.in_proj.weight.chunk(2)[0], u.transpose(1, 2))

    def project_z(self, u: Tensor) -> Tensor:
        """Map u (B, L, d) to the gate's input z (B, E, L): the second half of in_proj."""
        return project(self.in_proj.weight.chunk(2)[1], u.transpose(1, 2))

    def output(self, y: Tensor, z: Tensor) -> Tensor:
        """Gate y by z, both (B, E, L), and project to (B, L, d)."""
        return self.out_proj(gate_silu(y, z).transpose(1, 2))

    def forward(self, u: Tensor) -> Tensor:
        """Map u (B, L, d) to (B, L, d).

        As it is defined; :mod:`seq2exp.recompute` does the same in less memory.
        """
        x = self.project_x(u)
        y = reduce(torch.add, (ssm(x) for ssm in self.directions))
        return self.output(y, self.project_z(u))


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the model width, in float32."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(
        self, residual: Tensor, hidden: Tensor | None, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Return (residual + hidden, its norm in ``dtype``); all (B, L, d)."""
        return add_rms_norm(residual, hidden, self.weight, NORM_EPS, dtype)


class Layer(nn.Module):
    """Pre-norm residual layer; the residual stream stays in float32."""

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        d_state: int,
        d_conv: int,
        expand: int,
        *,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        self.norm = RMSNorm(d_model)
        self.mixer = MambaMixer(d_model, d_state, d_conv, expand, bidirectional=bidirectional)
        nn.init.kaiming_uniform_(self.mixer.out_proj.weight, a=math.sqrt(5))
        with torch.no_grad():  # so that the residual stream does not grow with depth (GPT-2)
            self.mixer.out_proj.weight /= math.sqrt(n_layers)

    def forward(
        self,
        residual: Tensor,
        hidden: Tensor | None,
        centre: slice | None = None,
        gating: Gating | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Map (residual, hidden) to (residual + hidden, mixer(norm(residual + hidden))).

        The output is added by whoever reads it next, together with its norm. All (B, L, d); with
        a centre, the results are of its positions alone.
        """
        return layer_step(self, residual, hidden, centre, gating)


class Backbone(nn.Module):
    """A stack of layers and a final norm.

    Parameters
    ----------
    d_model, n_layers, d_state, d_conv, expand
        d, the number of layers, N, W and E / d.
    bidirectional
        Otherwise a position sees itself and those to its left alone.
    """

    def __init__(
        self,
        d_model: int,
        n_layers: int,
        d_state: int = 16,
        d_conv: int = 4,
        expand: int = 2,
        *,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        size = (d_model, n_layers, d_state, d_conv, expand)
        self.layers = nn.ModuleList(
            Layer(*size, bidirectional=bidirectional) for _ in range(n_layers)
        )
        self.norm = RMSNorm(d_model)

    def forward(
        self, x: Tensor, centre: slice | None = None, gatings: Sequence[Gating | None] | None = None
    ) -> Tensor:
        """Map x (B, L, d) to (B, L, d), float32; or to the positions of a centre alone.

        With ``gatings``, one a layer, masks act inside the layers.
        """
        residual = x if x.dtype == torch.float64 else x.float()
        hidden: Tensor | None = None
        gatings = gatings or [None] * len(self.layers)
        for number, (layer, gating) in enumerate(zip(self.layers, gatings, strict=True), start=1):
            last = number == len(self.layers)
            residual, hidden = layer(residual, hidden, centre if last else None, gating)
        return self.norm(residual, hidden, residual.dtype)[1]


def set_scan_backend(model: nn.Module, backend: str) -> None:
    """Let every scan of a model run on one backend of :mod:`seq2exp.scan`."""
    for ssm in _scans(model):
        ssm.scan_backend = backend


def _scans(model: nn.Module) -> Iterator[DirectionalSSM]:
    return (module for module in model.modules() if isinstance(module, DirectionalSSM))
