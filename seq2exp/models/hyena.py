"""The HyenaDNA baseline: gated long convolutions on the sequence, read from left to right.

Sources: Poli et al. 2023, "Hyena Hierarchy" (operator of order 2, implicit filters); Nguyen et al.
2023, "HyenaDNA" (layers and sizes). With u the normalised input, each channel computes

    x_0, x_1, v = short(W_in u)        y = x_0 (h * (x_1 v) + D x_1 v)        out = W_out y

where short is a causal convolution of a few bases, * the causal convolution over the whole window,
and the filter h a function of the distance s: an MLP with sines, times exp(-a s / L), a different
for each channel. No parameter's size depends on L.

Causal as published: like the Mamba baseline it never sees what lies to the right of the promoter,
and does not compute it.

Axes: B batch, L window length (bp), P promoter length (bp), d model width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from seq2exp.model_config import HyenaConfig
from seq2exp.models.interface import (
    ExpressionHead,
    ExpressionModel,
    InputShape,
    Output,
    keep_signals,
    network_features,
    promoter_of,
    zero_biases,
)
from seq2exp.packing import Batch

SINE_FREQUENCY = 10.0
"""With which the filter's network starts to oscillate (learned)."""
DECAYED = 1e-2
FASTEST, SLOWEST = 0.3, 1.5
"""Filters have decayed to `DECAYED` after these shares of the window, spread over the channels."""
WEIGHT_SCALE = 0.02
"""Standard deviation of the initial weights."""


class Sine(nn.Module):
    """sin(w x) with a frequency w for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.full((width,), SINE_FREQUENCY))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.frequency * x)


class LongFilter(nn.Module):
    """The filters h (d, distances) of a layer, as a function of the distance.

    Parameters
    ----------
    config
        With d_model and the sizes of the network that makes them.
    window_length
        L, the unit of distances: the same filters, finer or coarser.
    """

    decay: Tensor

    def __init__(self, config: HyenaConfig, window_length: int) -> None:
        super().__init__()
        self.window_length, self.frequencies = window_length, config.filter_frequencies
        width = config.filter_width
        self.network = nn.Sequential(
            nn.Linear(1 + 2 * config.filter_frequencies, width),
            Sine(width),
            nn.Linear(width, width),
            Sine(width),
            nn.Linear(width, width),
            Sine(width),
            nn.Linear(width, config.d_model, bias=False),
        )
        slowest, fastest = (-math.log(DECAYED) / share for share in (SLOWEST, FASTEST))
        self.register_buffer("decay", torch.linspace(slowest, fastest, config.d_model))  # a (d,)

    def forward(self, distances: int) -> Tensor:
        """Filters at the distances 0 .. distances - 1; (d, distances)."""
        dtype, device = self.decay.dtype, self.decay.device
        s = torch.arange(distances, dtype=dtype, device=device).unsqueeze(-1)
        t = s / max(self.window_length - 1, 1)  # (distances, 1), from 0 to 1 over the window
        f = torch.linspace(1e-4, self.frequencies - 1, self.frequencies, dtype=dtype, device=device)
        angle = 2 * math.pi / self.window_length * s * f  # (distances, frequencies)
        position = torch.cat([t, angle.cos(), -angle.sin()], dim=-1)
        with torch.autocast(device.type, enabled=False):  # bfloat16 knows 256 positions apart
            h = self.network(position)  # (distances, d)
        return (h * torch.exp(-self.decay * t)).T


class HyenaOperator(nn.Module):
    """Short convolution, gate, long convolution, gate: all that moves along the sequence."""

    def __init__(self, config: HyenaConfig, window_length: int) -> None:
        super().__init__()
        d, taps = config.d_model, config.d_conv
        self.in_proj = nn.Linear(d, 3 * d)
        self.short = nn.Conv1d(3 * d, 3 * d, taps, groups=3 * d, padding=taps - 1)
        self.long = LongFilter(config, window_length)
        self.D = nn.Parameter(torch.randn(d))
        self.out_proj = nn.Linear(d, d)

    def forward(self, u: Tensor) -> Tensor:
        """Map u (B, L, d) to (B, L, d)."""
        length = u.shape[1]
        projected = self.short(self.in_proj(u).transpose(1, 2))[..., :length]  # (B, 3 d, L)
        x_0, x_1, v = projected.chunk(3, dim=1)  # (B, d, L) each
        v = x_1 * v
        y = causal_convolution(v, self.long(length)) + self.D.unsqueeze(-1) * v
        return self.out_proj((x_0 * y).transpose(1, 2))


def causal_convolution(u: Tensor, h: Tensor) -> Tensor:
    """Convolve each channel with its own filter: y_t = sum_s h_s u_{t - s}.

    By fast Fourier transforms, in float32 (float64 stays).

    Parameters
    ----------
    u : (B, d, L)
    h : (d, L)

    Returns
    -------
    (B, d, L)
    """
    length = u.shape[-1]
    u = u if u.dtype == torch.float64 else u.float()
    size = fast_length(2 * length - 1)  # room for what would come round from the other end
    spectrum = torch.fft.rfft(u, size) * torch.fft.rfft(h, size)
    return torch.fft.irfft(spectrum, size)[..., :length]


def fast_length(length: int) -> int:
    """Round up to 5, 6, 7 or 8 times a power of two, of which transforms are fast."""
    shift = max(0, (length - 1).bit_length() - 3)
    return -(-length >> shift) << shift


class Block(nn.Module):
    """Pre-norm residual block: the operator, then an MLP at each position."""

    def __init__(self, config: HyenaConfig, window_length: int) -> None:
        super().__init__()
        d, inner = config.d_model, config.expand * config.d_model
        self.mixer_norm, self.mlp_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.mixer = HyenaOperator(config, window_length)
        mlp_out = nn.Linear(inner, d)
        self.mlp = nn.Sequential(nn.Linear(d, inner), nn.GELU("tanh"), mlp_out)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=WEIGHT_SCALE)
        for last in (self.mixer.out_proj, mlp_out):
            # so that the residual stream does not grow with depth (GPT-2)
            nn.init.normal_(last.weight, std=WEIGHT_SCALE / math.sqrt(2 * config.layers))

    def forward(self, residual: Tensor) -> Tensor:
        """Map the residual stream (B, L, d), float32, to the next one."""
        residual = residual + self.mixer(self.mixer_norm(residual))
        return residual + self.mlp(self.mlp_norm(residual))


class Hyena(ExpressionModel):
    """Linear embedding, Hyena blocks, mean over the promoter, the shared head."""

    def __init__(self, config: HyenaConfig, shape: InputShape) -> None:
        super().__init__()
        self.config = config
        self.shape = shape
        self.embedding = nn.Linear(4, config.d_model)
        self.blocks = nn.ModuleList(
            Block(config, shape.window_length) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.d_model)
        self.head = ExpressionHead(config.d_model, shape)
        zero_biases(self)

    def forward(self, batch: Batch) -> Output:
        batch = keep_signals(batch, self.config.signals)
        promoter = promoter_of(batch, self.shape)
        seen = batch.sequence[:, : promoter.stop]  # (B, (L + P) / 2, 4)
        hidden = self.embedding(seen)  # (B, (L + P) / 2, d)
        hidden = hidden if hidden.dtype == torch.float64 else hidden.float()
        for block in self.blocks:
            # Only a block's input is kept for its backward pass: 200 kb fit a GPU.
            hidden = checkpoint(block, hidden, use_reentrant=False, preserve_rng_state=False)
        features = network_features(batch.gene_features, self.config.signal_transform)
        return Output(self.head(self.norm(hidden[:, promoter]), features))

    def reads_length(self, length: int) -> bool:
        return length >= self.config.least_length
