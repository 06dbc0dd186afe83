"""What every model takes and gives, and the parts that several models share.

Axes: B batch, L window length (bp), P promoter length (bp), S signals, F gene features, d model width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2exp.bottleneck import promoter_slice
from seq2exp.model_config import SIGNALS, Signal
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
    for_loss: dict[str, Tensor] | None = None
    """In training: what the model's own loss reads beside the above."""


class Loss(NamedTuple):
    """Parts of the training loss; scalars."""

    total: Tensor
    """What training minimises."""
    prediction: Tensor
    """How far the predictions are from the labels."""
    kl: Tensor
    """Of the mask, unweighted; 0 for models without one."""


class InputShape(NamedTuple):
    """Sizes that the data decides."""

    window_length: int
    promoter_length: int
    """At most the window's length: a window shorter than the promoter is promoter alone."""
    n_gene_features: int


def keep_signals(batch: Batch, kept: Sequence[Signal]) -> Batch:
    """Set the signals that a model does not have to 0, and promoter activity with them.

    Promoter activity, the last gene feature, is made of H3K27ac and DNase; without one of them it is
    0 as well.
    """
    if set(kept) == set(SIGNALS):
        return batch
    left_out = [name not in kept for name in SIGNALS]
    signals = batch.signals.masked_fill(torch.tensor(left_out, device=batch.signals.device), 0.0)
    features = batch.gene_features
    if left_out[0] or left_out[1]:
        features = torch.cat([features[:, :-1], torch.zeros_like(features[:, -1:])], dim=-1)
    return batch._replace(signals=signals, gene_features=features)


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


def promoter_of(batch: Batch, shape: InputShape) -> slice:
    """The central promoter of a batch's windows, which may be shorter than those trained on."""
    return promoter_slice(batch.sequence.shape[1], shape.promoter_length)


class ExpressionModel(nn.Module):
    """Base of every model: a forward pass from a Batch to an Output, and what training minimises."""

    config: Any
    """Settings of the model's kind (:mod:`seq2exp.model_config`)."""

    reads_signals = False
    """Whether the prediction depends on the signals of the window."""
    progress = 1.0
    """Share of the training that is done; set by training."""
    settled_from = 0.0
    """Share of the training before which no weights are kept: the model is not yet what it will be."""
    hard_mask: bool = False
    """Whether its mask, in evaluation, is of zeros and ones: the ones are its regions as they are."""
    evidence_tracks: tuple[str, ...] = ()
    """What :meth:`evidence` gives, by the names of the mask store."""

    def calibrate(self, windows: Iterator[Batch]) -> None:
        """Learn, before training, what the model must know of its data; most need nothing.

        Parameters
        ----------
        windows
            Some of the training windows, one a batch.
        """

    def evidence(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        """Tell what sequence and signals each say of the mask; (B, L) each.

        Parameters
        ----------
        batch, output
            What the model was given, and what it gave.
        """
        return {}

    def forward(self, batch: Batch) -> Output:
        raise NotImplementedError

    def loss(self, output: Output, label: Tensor, *, label_scale: float = 1.0) -> Loss:
        """Smooth-L1 of the prediction, and where there is a KL, the config's ``kl_weight`` times it.

        Parameters
        ----------
        output
            Of a forward pass, with prediction (B,).
        label
            (B,).
        label_scale
            The label's standard deviation where training standardises it: errors are divided by it.
        """
        prediction = F.smooth_l1_loss(output.prediction / label_scale, label / label_scale)
        if output.kl is None:
            return Loss(prediction, prediction, prediction.new_zeros(()))
        return Loss(prediction + self.config.kl_weight * output.kl, prediction, output.kl)

    def reads_length(self, length: int) -> bool:
        """Whether it can also read its windows cropped to ``length`` bp about the TSS."""
        return False
