"""peaks_mask: Seq2Exp's predictor on DNase peaks as the mask, the MACS3 row of the paper's tables.

The mask is a file's, the same in training and evaluation: no generator, no KL.

Axes: B batch, L window length (bp), d model width.
"""

from __future__ import annotations

from torch import Tensor

from seq2exp.bottleneck import apply_fixed_bases
from seq2exp.model_config import PeaksMaskConfig
from seq2exp.models.interface import ExpressionHead, InputShape, promoter_of, zero_biases
from seq2exp.models.masked import MaskedModel, Proposal, new_backbone
from seq2exp.packing import Batch


class PeaksMask(MaskedModel):
    """The predictor sees sequence and signals of the bases in peaks, and the promoter."""

    hard_mask = True

    def __init__(self, config: PeaksMaskConfig, shape: InputShape) -> None:
        super().__init__(config, shape)
        self.config = config
        self.predictor = new_backbone(config, config.predictor_layers)
        self.head = ExpressionHead(config.d_model, shape)
        zero_biases(self)

    def propose(self, batch: Batch, x_sequence: Tensor, x: Tensor) -> Proposal:
        """1 in peaks and on the promoter, which wins over the blacklist; else 0."""
        promoter = promoter_of(batch, self.shape)
        return Proposal(apply_fixed_bases(known_peaks(batch).float(), batch.blacklist, promoter))


def known_peaks(batch: Batch) -> Tensor:
    """Peaks of a batch, bool (B, L), which a caller must have seen to be there."""
    assert batch.peaks is not None, "the window store has no peaks, or unpack was not told of them"
    return batch.peaks
