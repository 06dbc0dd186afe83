"""Prism: prediction from sequence and signals that should not lean on the chromatin's background.

Source: Yang et al. 2026, arXiv 2602.21550 (losses, and n = 2 states); layers of the signal encoder
as in the authors' release (github.com/yangzhao1230/Prism, SignalWeightGenerator).

With X the embedded sequence and H the embedded signals, training minimises

    |pred(X, H) - y| + w_1 |mean_k pred(X, H * a_k) - y| + w_2 log sum_ij exp(2 t a_i.a_j - 2 t)

where a_1 .. a_n in (0, 1)^d are weights of the signals' embedding, read off the gene's own signals:
n background states of chromatin, over which the second term averages (backdoor adjustment). In the
third the a_k have unit length, so that 2 a_i.a_j - 2 = -|a_i - a_j|^2: the term is least where they
are far apart. A prediction is pred(X, H); the states are for training alone.

Axes: B batch, L window length (bp), P promoter length (bp), S signals, d model width, n states,
C channels of the encoder.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2exp.caduceus import Backbone
from seq2exp.model_config import PrismConfig
from seq2exp.models.interface import (
    ExpressionHead,
    ExpressionModel,
    InputShape,
    Loss,
    Output,
    keep_signals,
    network_features,
    network_signals,
    promoter_of,
    zero_biases,
)
from seq2exp.packing import Batch


class SignalEncoder(nn.Module):
    """Convolutional network from a gene's signals to its weight vectors.

    Its batch norm takes the statistics of the batch at hand, always: it has no use in evaluation.
    """

    def __init__(self, config: PrismConfig) -> None:
        super().__init__()
        self.shape = (config.background_states, config.d_model)
        first = config.encoder_channels
        channels = (3, first, 2 * first, 4 * first)
        layers: list[nn.Module] = []
        for before, after, width in zip(channels, channels[1:], (7, 5, 3), strict=False):
            layers += [
                nn.Conv1d(before, after, width, padding=width // 2),
                nn.BatchNorm1d(after, track_running_stats=False),
                nn.ReLU(),
                nn.MaxPool1d(config.POOLING),
            ]
        self.layers = nn.Sequential(*layers)
        self.projection = nn.Linear(channels[-1], config.background_states * config.d_model)

    def forward(self, signals: Tensor) -> Tensor:
        """Map signals (B, L, S) to weights (B, n, d) in (0, 1)."""
        hidden = self.layers(signals.transpose(1, 2))  # (B, 4 C, L / 64)
        weights = self.projection(hidden.mean(dim=-1))  # (B, n d)
        return weights.unflatten(-1, self.shape).sigmoid()


class Prism(ExpressionModel):
    """Caduceus on sequence and signals, and the encoder of background states."""

    def __init__(self, config: PrismConfig, shape: InputShape) -> None:
        super().__init__()
        self.config, self.shape = config, shape
        self.reads_signals = bool(config.signals)
        self.sequence_embedding = nn.Linear(4, config.d_model)
        self.signal_embedding = nn.Linear(3, config.d_model)
        self.background = SignalEncoder(config)
        self.backbone = Backbone(
            config.d_model, config.layers, config.d_state, config.d_conv, config.expand
        )
        self.head = ExpressionHead(config.d_model, shape)
        zero_biases(self)

    def forward(self, batch: Batch) -> Output:
        batch = keep_signals(batch, self.config.signals)
        signals = network_signals(batch.signals, self.config.signal_transform)
        features = network_features(batch.gene_features, self.config.signal_transform)
        X = self.sequence_embedding(batch.sequence)  # (B, L, d)
        H = self.signal_embedding(signals)  # (B, L, d)
        centre = promoter_of(batch, self.shape)
        prediction = self.predict(X + H, features, centre)  # (B,)
        if not self.training:
            return Output(prediction)
        weights = self.background(signals)  # (B, n, d)
        in_states = [
            self.predict(X + H * a.unsqueeze(1), features, centre) for a in weights.unbind(1)
        ]
        adjusted = torch.stack(in_states).mean(dim=0)  # (B,)
        return Output(prediction, for_loss={"adjusted": adjusted, "weights": weights})

    def predict(self, x: Tensor, features: Tensor, centre: slice) -> Tensor:
        """Map an embedded window x (B, L, d) and gene features to predictions (B,)."""
        promoter = self.backbone(x, centre=centre)  # (B, P, d)
        prediction: Tensor = self.head(promoter, features)
        return prediction

    def reads_length(self, length: int) -> bool:
        return length >= self.config.least_length

    def loss(self, output: Output, label: Tensor, *, label_scale: float = 1.0) -> Loss:
        """Absolute error; in training also that of the adjusted prediction, and the contrast."""
        label = label / label_scale
        prediction = F.l1_loss(output.prediction / label_scale, label)
        total = prediction
        if output.for_loss is not None:
            adjusted = F.l1_loss(output.for_loss["adjusted"] / label_scale, label)
            apart = contrast(output.for_loss["weights"], self.config.temperature)
            total = total + self.config.adjustment_weight * adjusted
            total = total + self.config.contrast_weight * apart
        return Loss(total, prediction, prediction.new_zeros(()))


def contrast(weights: Tensor, temperature: float) -> Tensor:
    """How close a gene's weight vectors are: log sum_ij exp(2 t a_i.a_j - 2 t), mean over genes.

    Parameters
    ----------
    weights
        a (B, n, d); their lengths do not matter.
    temperature
        t.

    Returns
    -------
    Scalar: log n^2 where all vectors of a gene point the same way; log n or more.
    """
    a = F.normalize(weights.float(), dim=-1)
    similarity = a @ a.transpose(1, 2)  # (B, n, n)
    return (2 * temperature * (similarity - 1)).flatten(1).logsumexp(dim=-1).mean()
