"""Seq2Exp-retrain: a fresh predictor on the top bases of a trained soft mask (paper, table 2).

Axes: B batch, L window length (bp), d model width.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from seq2exp.bottleneck import apply_fixed_bases
from seq2exp.fixed_masks import free_bases, shift_mask, top_bases
from seq2exp.model_config import Seq2ExpRetrainConfig, Seq2ExpSoftConfig
from seq2exp.models.interface import ExpressionHead, InputShape, promoter_of, zero_biases
from seq2exp.models.masked import MaskedModel, Proposal, new_backbone
from seq2exp.models.seq2exp_soft import Seq2ExpSoft, soft_generator
from seq2exp.packing import Batch


class Seq2ExpRetrain(MaskedModel):
    """The source, a trained generator, is part of the model: it makes the mask of any window.

    The source is not trained here; it has the run's fold and seed, so it has seen no test gene.
    """

    hard_mask = True

    def __init__(self, config: Seq2ExpRetrainConfig, shape: InputShape) -> None:
        super().__init__(config, shape)
        assert config.source is not None, "the source's settings come with its checkpoint"
        self.config = config
        self.source = FrozenMask(config.source, shape)
        self.predictor = new_backbone(config, config.predictor_layers)
        self.head = ExpressionHead(config.d_model, shape)
        zero_biases(self)

    def propose(self, batch: Batch, x_sequence: Tensor, x: Tensor) -> Proposal:
        promoter = promoter_of(batch, self.shape)
        mask = top_bases(self.source(batch), self.config.fraction)  # (B, L)
        if self.config.placement == "shifted":
            mask = shift_mask(mask, free_bases(batch.blacklist, promoter), batch.index.tolist())
        return Proposal(apply_fixed_bases(mask, batch.blacklist, promoter))


class FrozenMask(nn.Module):
    """Evaluation mask of a trained soft model, of which it has no more than that takes."""

    def __init__(self, config: Seq2ExpSoftConfig, shape: InputShape) -> None:
        super().__init__()
        self.shape = shape
        self.sequence_embedding = nn.Linear(4, config.d_model)
        self.generator = soft_generator(config)
        self.requires_grad_(False)
        self.eval()

    def take_weights(self, source: Seq2ExpSoft) -> None:
        """Copy the weights of a trained model."""
        self.sequence_embedding.load_state_dict(source.sequence_embedding.state_dict())
        self.generator.load_state_dict(source.generator.state_dict())

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, batch: Batch) -> Tensor:
        """Mean of the mask, 0 on the blacklist and 1 on the promoter; (B, L)."""
        # In float32 also while the predictor is trained in bfloat16: the mask is the same then.
        with torch.autocast(batch.sequence.device.type, enabled=False):
            mean = self.generator(self.sequence_embedding(batch.sequence), batch.signals).mean()
        return apply_fixed_bases(mean, batch.blacklist, promoter_of(batch, self.shape))
