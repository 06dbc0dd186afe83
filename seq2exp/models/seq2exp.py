"""Seq2Exp-soft: generator -> Beta mask -> predictor (paper, sections 3 and 4).

Axes: B batch, L window length (bp), S signals (H3K27ac, DNase, Hi-C), d model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seq2exp.bottleneck import (
    BetaParameters,
    apply_fixed_bases,
    bottleneck_kl,
    draw_mask,
    promoter_slice,
    sequence_evidence,
    signal_prior,
)
from seq2exp.caduceus import Backbone
from seq2exp.model_config import Seq2ExpSoftConfig
from seq2exp.models.interface import (
    ExpressionHead,
    ExpressionModel,
    InputShape,
    Output,
    network_features,
    network_signals,
    zero_biases,
)
from seq2exp.packing import Batch


class Seq2ExpSoft(ExpressionModel):
    """The generator reads the sequence and proposes a mask; the predictor sees masked bases."""

    signal_betas: Tensor
    signal_weights: Tensor

    def __init__(self, config: Seq2ExpSoftConfig, shape: InputShape) -> None:
        super().__init__()
        self.config, self.shape = config, shape
        self.promoter = promoter_slice(shape.window_length, shape.promoter_length)
        size = (config.d_state, config.d_conv, config.expand)
        self.sequence_embedding = nn.Linear(4, config.d_model)
        self.signal_embedding = nn.Linear(3, config.d_model)
        self.generator = Backbone(config.d_model, config.generator_layers, *size)
        self.mask_head = nn.Linear(config.d_model, 2)
        self.predictor = Backbone(config.d_model, config.predictor_layers, *size)
        self.head = ExpressionHead(config.d_model, shape)
        zero_biases(self)
        weights = torch.tensor(config.prior.signal_weights)
        self.register_buffer("signal_betas", torch.tensor(config.prior.signal_betas))
        self.register_buffer("signal_weights", weights / weights.sum())

    def forward(self, batch: Batch) -> Output:
        x_sequence = self.sequence_embedding(batch.sequence)  # (B, L, d)
        x_signals = self.signal_embedding(
            network_signals(batch.signals, self.config.signal_transform)
        )  # (B, L, d)

        parameters = self.mask_parameters(x_sequence, batch.signals)  # (B, L) each
        mask = self.make_mask(parameters, batch)  # (B, L)

        x = (x_sequence + x_signals) * mask.unsqueeze(-1)  # (B, L, d)
        features = network_features(batch.gene_features, self.config.signal_transform)
        promoter = self.predictor(x, centre=self.promoter)  # (B, promoter_length, d)
        prediction = self.head(promoter, features)  # (B,)

        kl = bottleneck_kl(
            parameters,
            marginal_mean=self.config.marginal.mean,
            scale=self.config.marginal.scale,
        )
        return Output(prediction, mask, *parameters, kl)

    def mask_parameters(self, x_sequence: Tensor, signals: Tensor) -> BetaParameters:
        """Evidence of the sequence (generator) plus evidence of the signals (prior)."""
        logits = self.mask_head(self.generator(x_sequence))  # (B, L, 2)
        sequence = sequence_evidence(logits, self.config.prior.beta_min)
        prior = self.prior(signals)
        return BetaParameters(sequence.alpha + prior.alpha, sequence.beta + prior.beta)

    def prior(self, signals: Tensor) -> BetaParameters:
        """What the raw signals (B, L, S) alone say about the mask."""
        return signal_prior(
            signals.float(),
            self.signal_betas,
            self.signal_weights,
            scale=self.config.prior.scale,
            beta_min=self.config.prior.beta_min,
        )

    def make_mask(self, parameters: BetaParameters, batch: Batch) -> Tensor:
        """Draw the mask and fix the bases that are known; (B, L)."""
        mask = draw_mask(parameters, sample=self.training, seeds=batch.seeds)
        if self.config.mask_region == "promoter":
            mask = torch.zeros_like(mask)
        return apply_fixed_bases(mask, batch.blacklist, self.promoter)
