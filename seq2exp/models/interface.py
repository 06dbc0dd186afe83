"""What every model takes and gives, and the parts that several models share.

Axes: B batch, L window length (bp), P promoter length (bp), S signals, F gene features, d model width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2exp.packing import Batch


class Output(NamedTuple):
    """Result of one forward pass."""

    prediction: Tensor
    """(B,), in the label's units."""
    mask: Tensor | None = None
    """(B, L) in [0, 1]; None for models without a mask."""
    alpha: Tensor | None = None
    """(B, L), of the mask's Beta density."""
    beta: Tensor | None = None
    """(B, L)."""
    kl: Tensor | None = None
    """Scalar, KL of the mask from its marginal."""


class InputShape(NamedTuple):
    """Sizes that the data decides."""

    window_length: int
    promoter_length: int
    n_gene_features: int


def network_signals(signals: Tensor, transform: str) -> Tensor:
    """Signals as the network sees them (B, L, S): raw, or log1p.

    Hi-C, the last signal, is stored as log10(1 + contact) already and stays as it is.
    """
    if transform == "raw":
        return signals
    return torch.cat([signals[..., :2].log1p(), signals[..., 2:]], dim=-1)


def network_features(features: Tensor, transform: str) -> Tensor:
    """Gene features (B, F) likewise: promoter activity, the last one, follows the signals."""
    if transform == "raw":
        return features
    return torch.cat([features[:, :-1], features[:, -1:].log1p()], dim=-1)


class ExpressionHead(nn.Module):
    """Mean over the promoter, gene features, three linear layers (paper, section 4).

    The output is rescaled by the label's mean and standard deviation where training set them
    (``set_label_scale``); otherwise they are 0 and 1.
    """

    label_mean: Tensor
    label_scale: Tensor

    def __init__(self, d_model: int, shape: InputShape, hidden: int | None = None) -> None:
        super().__init__()
        width = hidden or d_model
        self.mlp = nn.Sequential(
            nn.Linear(d_model + shape.n_gene_features, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, 1),
        )
        self.register_buffer("label_mean", torch.zeros(()))
        self.register_buffer("label_scale", torch.ones(()))

    def set_label_scale(self, mean: float, scale: float) -> None:
        """Let the network work on (label - mean) / scale while its output keeps the units."""
        self.label_mean.fill_(mean)
        self.label_scale.fill_(scale)

    def forward(self, hidden: Tensor, gene_features: Tensor) -> Tensor:
        """Map the promoter's hidden (B, P, d) and gene_features (B, F) to predictions (B,)."""
        pooled = hidden.mean(dim=1)  # (B, d)
        output = self.mlp(torch.cat([pooled, gene_features.to(pooled.dtype)], dim=-1))  # (B, 1)
        return output.squeeze(-1).float() * self.label_scale + self.label_mean


def zero_biases(model: nn.Module) -> None:
    """Start the biases of all linear layers at 0, but those of the step sizes."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and layer.bias is not None and "dt_proj" not in name:
            nn.init.zeros_(layer.bias)


class ExpressionModel(nn.Module):
    """Base of every model: a forward pass from a Batch to an Output."""

    def forward(self, batch: Batch) -> Output:
        raise NotImplementedError
