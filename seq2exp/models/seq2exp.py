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
    sequence_evidence,
    signal_prior,
)
from seq2exp.caduceus import Backbone
from seq2exp.model_config import Seq2ExpSoftConfig
from seq2exp.models.interface import (
    ExpressionHead,
    InputShape,
    MaskDraw,
    MaskedModel,
    Output,
    network_features,
    network_signals,
    promoter_of,
    zero_biases,
)
from seq2exp.packing import Batch


class Seq2ExpSoft(MaskedModel):
    """The generator reads the sequence and proposes a mask; the predictor sees masked bases."""

    reads_signals = True
    signal_betas: Tensor
    signal_weights: Tensor

    def __init__(self, config: Seq2ExpSoftConfig, shape: InputShape) -> None:
        super().__init__()
        self.config, self.shape = config, shape
        self.ranks_bases = config.mask_region == "window"
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
        mask, parameters = self.mask_of(batch)
        assert parameters is not None
        kl = bottleneck_kl(
            parameters,
            marginal_mean=self.config.marginal.mean,
            scale=self.config.marginal.scale,
        )
        return Output(self.predict_from(batch, mask), mask, *parameters, kl)

    def reads_length(self, length: int) -> bool:
        return True

    def mask_of(self, batch: Batch) -> MaskDraw:
        """Generate the mask: a sample in training, the mean in evaluation; bases are fixed after."""
        x = self.sequence_embedding(batch.sequence)  # (B, L, d)
        logits = self.mask_head(self.generator(x))  # (B, L, 2)
        sequence = sequence_evidence(logits, self.config.prior.beta_min)
        prior = self.prior(batch.signals)
        parameters = BetaParameters(sequence.alpha + prior.alpha, sequence.beta + prior.beta)
        mask = draw_mask(parameters, sample=self.training, seeds=batch.seeds)  # (B, L)
        if self.config.mask_region == "promoter":
            mask = torch.zeros_like(mask)
        mask = apply_fixed_bases(mask, batch.blacklist, promoter_of(batch, self.shape))
        return MaskDraw(mask, parameters)

    def predict_from(self, batch: Batch, mask: Tensor) -> Tensor:
        """Predict (B,) from the bases that the mask (B, L) shows."""
        signals = network_signals(batch.signals, self.config.signal_transform)
        x = self.sequence_embedding(batch.sequence) + self.signal_embedding(signals)  # (B, L, d)
        x = x * mask.unsqueeze(-1)
        features = network_features(batch.gene_features, self.config.signal_transform)
        promoter = self.predictor(
            x, centre=promoter_of(batch, self.shape)
        )  # (B, promoter_length, d)
        return self.head(promoter, features)

    def prior(self, signals: Tensor) -> BetaParameters:
        """What the raw signals (B, L, S) alone say about the mask."""
        return signal_prior(
            signals.float(),
            self.signal_betas,
            self.signal_weights,
            scale=self.config.prior.scale,
            beta_min=self.config.prior.beta_min,
        )
