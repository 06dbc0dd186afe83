"""Seq2Exp-soft: every base is multiplied by its mask (paper, sections 3 and 4).

Axes: B batch, L window length (bp), d model width.
"""

from __future__ import annotations

from torch import Tensor

from seq2exp.bottleneck import BetaParameters, draw_mask
from seq2exp.model_config import Seq2ExpSoftConfig
from seq2exp.models.interface import ExpressionHead, InputShape, zero_biases
from seq2exp.models.mask_generator import MaskGenerator
from seq2exp.models.masked import new_backbone
from seq2exp.models.seq2exp import Seq2Exp
from seq2exp.packing import Batch


class Seq2ExpSoft(Seq2Exp):
    """The generator reads the sequence; the predictor, a second backbone, the masked window."""

    def __init__(self, config: Seq2ExpSoftConfig, shape: InputShape) -> None:
        super().__init__(config, shape)
        self.generator = soft_generator(config)
        self.predictor = new_backbone(config, config.predictor_layers)
        self.head = ExpressionHead(config.d_model, shape)
        zero_biases(self)

    def generator_input(self, x_sequence: Tensor, x: Tensor) -> Tensor:
        return x_sequence

    def draw(self, parameters: BetaParameters, batch: Batch) -> Tensor:
        """Sample in training, the mean in evaluation; (B, L)."""
        return draw_mask(parameters, sample=self.training, seeds=batch.seeds)


def soft_generator(config: Seq2ExpSoftConfig) -> MaskGenerator:
    """Build the mask generator, without a backbone where the sequence is no evidence."""
    learned = "sequence" in config.evidence
    return MaskGenerator(config, new_backbone(config, config.generator_layers) if learned else None)
