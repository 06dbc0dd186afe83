"""Seq2Exp-gated: the soft model with a mask that acts where its zero means that a base is removed.

Axes: B batch, L window length (bp), P promoter length (bp), d model width.
"""

from __future__ import annotations

from torch import Tensor

from seq2exp.bottleneck import BetaParameters, draw_mask
from seq2exp.model_config import Seq2ExpGatedConfig
from seq2exp.models.interface import InputShape
from seq2exp.models.seq2exp_hard import one_where_likely, straight_through
from seq2exp.models.seq2exp_soft import Seq2ExpSoft
from seq2exp.packing import Batch
from seq2exp.recompute import Gating


class Seq2ExpGated(Seq2ExpSoft):
    """Generator, prior and predictor are the soft model's; see docs/gated.md."""

    config: Seq2ExpGatedConfig

    def __init__(self, config: Seq2ExpGatedConfig, shape: InputShape) -> None:
        super().__init__(config, shape)

    def draw(self, parameters: BetaParameters, batch: Batch) -> Tensor:
        """A sample in training, the mean in evaluation; of zeros and ones where binarised; (B, L)."""
        soft = draw_mask(parameters, sample=self.training, seeds=batch.seeds)
        if not self.config.binarise:
            return soft
        return straight_through(soft) if self.training else one_where_likely(soft)

    def read_masked(self, x: Tensor, mask: Tensor, promoter: slice) -> Tensor:
        layers = self.config.predictor_layers
        if self.config.gate == "embedding":
            return super().read_masked(x, mask, promoter)
        if self.config.gate == "first_norm":
            gatings = [Gating(mask, "norm"), *[None] * (layers - 1)]
            x = x * mask.unsqueeze(-1)
        else:
            gatings = [Gating(mask, self.config.gate)] * layers
        hidden: Tensor = self.predictor(x, promoter, gatings)
        return hidden
