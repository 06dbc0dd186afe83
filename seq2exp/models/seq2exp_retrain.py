"""Seq2Exp-retrain: a fresh predictor on the top bases of a trained soft mask (paper, table 2).

Axes: B batch, L window length (bp), d model width.
"""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from seq2exp.bottleneck import apply_fixed_bases, promoter_slice
from seq2exp.model_config import Seq2ExpRetrainConfig, Seq2ExpSoftConfig
from seq2exp.models.interface import ExpressionHead, InputShape, zero_biases
from seq2exp.models.masked import MaskedModel, Proposal, new_backbone
from seq2exp.models.seq2exp_soft import Seq2ExpSoft, soft_generator
from seq2exp.packing import Batch

_STREAM = 2
"""Keeps the draws of :func:`shift_mask` apart from those of the order and of the views."""


class Seq2ExpRetrain(MaskedModel):
    """The source, a trained generator, is part of the model: it makes the mask of any window.

    The source is not trained here; it has the run's fold and seed, so it has seen no test gene.
    """

    hard_mask: ClassVar[bool] = True

    def __init__(self, config: Seq2ExpRetrainConfig, shape: InputShape) -> None:
        super().__init__(config, shape)
        assert config.source is not None, "the source's settings come with its checkpoint"
        self.config = config
        self.source = FrozenMask(config.source, shape)
        self.predictor = new_backbone(config, config.predictor_layers)
        self.head = ExpressionHead(config.d_model, shape)
        zero_biases(self)

    def propose(self, batch: Batch, x_sequence: Tensor, x: Tensor) -> Proposal:
        mask = top_bases(self.source(batch), self.config.fraction)  # (B, L)
        if self.config.placement == "shifted":
            free = ~batch.blacklist
            free[:, self.promoter] = False
            mask = shift_mask(mask, free, batch.index.tolist())
        return Proposal(apply_fixed_bases(mask, batch.blacklist, self.promoter))


class FrozenMask(nn.Module):
    """Evaluation mask of a trained soft model, of which it has no more than that takes."""

    def __init__(self, config: Seq2ExpSoftConfig, shape: InputShape) -> None:
        super().__init__()
        self.promoter = promoter_slice(shape.window_length, shape.promoter_length)
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
        return apply_fixed_bases(mean, batch.blacklist, self.promoter)


def top_bases(scores: Tensor, fraction: float) -> Tensor:
    """1 on the highest ``fraction`` of each window's scores (B, L), the first ones of equals."""
    count = round(fraction * scores.shape[-1])
    order = scores.argsort(dim=-1, descending=True, stable=True)  # (B, L)
    return torch.zeros_like(scores).scatter(-1, order[:, :count], 1.0)


def shift_mask(mask: Tensor, free: Tensor, genes: list[int]) -> Tensor:
    """Move each window's mask along its free bases, round the end.

    Parameters
    ----------
    mask
        (B, L).
    free
        bool (B, L): where it may be; elsewhere it stays as it is.
    genes
        (B,): numbers that decide how far each is moved, between a quarter and three quarters of
        the free bases.

    Returns
    -------
    Tensor
        (B, L), with the same sum in each window.
    """
    shifted = mask.clone()
    for row, gene in enumerate(genes):
        share = np.random.default_rng([_STREAM, gene]).uniform(0.25, 0.75)
        bases = mask[row][free[row]]
        shifted[row, free[row]] = bases.roll(int(share * len(bases)))
    return shifted
