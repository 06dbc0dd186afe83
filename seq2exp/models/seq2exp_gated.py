"""Seq2Exp-gated: a mask that decides what the predictor can read.

Axes: B batch, L window length (bp), S signals, d model width.
"""

from __future__ import annotations

from torch import Tensor

from seq2exp.bottleneck import BetaParameters, apply_fixed_bases, bottleneck_kl, draw_mask
from seq2exp.model_config import Seq2ExpGatedConfig
from seq2exp.models.interface import InputShape, Output, network_features, network_signals
from seq2exp.models.seq2exp import Seq2ExpSoft
from seq2exp.packing import Batch
from seq2exp.recompute import Gating


class Seq2ExpGated(Seq2ExpSoft):
    """The mask acts where ``gate`` says; see docs/gated.md."""

    config: Seq2ExpGatedConfig  # type: ignore[assignment]

    def __init__(self, config: Seq2ExpGatedConfig, shape: InputShape) -> None:
        super().__init__(config, shape)  # type: ignore[arg-type]
        self.binarised_evaluation = False

    def forward(self, batch: Batch) -> Output:
        x_sequence = self.sequence_embedding(batch.sequence)  # (B, L, d)
        x_signals = self.signal_embedding(
            network_signals(batch.signals, self.config.signal_transform)
        )
        parameters = self.mask_parameters(x_sequence, batch.signals)  # (B, L) each
        mask = self.make_mask(parameters, batch)  # (B, L)
        prediction = self.predict_from(x_sequence + x_signals, mask, batch)
        kl = bottleneck_kl(
            parameters, marginal_mean=self.config.marginal.mean, scale=self.config.marginal.scale
        )
        if self.training and self.config.ratio_weight:
            excess = mask.mean() - self.config.target_ratio
            kl = kl + self.config.ratio_weight / self.config.kl_weight * excess.clamp(min=0)
        return Output(prediction, mask, *parameters, kl)

    def predict_from(self, x: Tensor, mask: Tensor, batch: Batch) -> Tensor:
        """Prediction (B,) from x (B, L, d) seen through a mask (B, L)."""
        gatings: list[Gating | None] = [None] * len(self.predictor.layers)
        gate = self.config.gate
        if gate == "embedding":
            x = x * mask.unsqueeze(-1)
        elif gate == "first_norm":
            x = x * mask.unsqueeze(-1)
            gatings[0] = Gating(mask, "norm")
        else:
            gatings = [Gating(mask, gate)] * len(gatings)
        features = network_features(batch.gene_features, self.config.signal_transform)
        return self.head(self.predictor(x, self.promoter, gatings), features)

    def make_mask(self, parameters: BetaParameters, batch: Batch) -> Tensor:
        mask = draw_mask(parameters, sample=self.training, seeds=batch.seeds)
        if (self.training and self.config.binarise) or self.binarised_evaluation:
            hard = (mask >= 0.5).to(mask.dtype)
            mask = hard + mask - mask.detach() if self.training else hard
        return apply_fixed_bases(mask, batch.blacklist, self.promoter)
