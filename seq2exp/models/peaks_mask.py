"""peaks_mask: Seq2Exp's predictor on DNase peaks as the mask, the MACS3 row of the paper's tables.

The mask is a file's, the same in training and evaluation: no generator, no KL.

Axes: B batch, L window length (bp), P promoter length (bp), d model width.
"""

from __future__ import annotations

from torch import Tensor, nn

from seq2exp.bottleneck import apply_fixed_bases, promoter_slice
from seq2exp.caduceus import Backbone
from seq2exp.model_config import PeaksMaskConfig
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


class PeaksMask(ExpressionModel):
    """The predictor sees sequence and signals of the bases in peaks, and the promoter."""

    def __init__(self, config: PeaksMaskConfig, shape: InputShape) -> None:
        super().__init__()
        self.config = config
        self.promoter = promoter_slice(shape.window_length, shape.promoter_length)
        self.sequence_embedding = nn.Linear(4, config.d_model)
        self.signal_embedding = nn.Linear(3, config.d_model)
        self.predictor = Backbone(
            config.d_model,
            config.predictor_layers,
            *(config.d_state, config.d_conv, config.expand),
        )
        self.head = ExpressionHead(config.d_model, shape)
        zero_biases(self)

    def forward(self, batch: Batch) -> Output:
        transform = self.config.signal_transform
        x_sequence = self.sequence_embedding(batch.sequence)  # (B, L, d)
        x_signals = self.signal_embedding(network_signals(batch.signals, transform))  # (B, L, d)
        mask = self.mask(batch)  # (B, L)
        x = (x_sequence + x_signals) * mask.unsqueeze(-1)  # (B, L, d)
        promoter = self.predictor(x, centre=self.promoter)  # (B, P, d)
        features = network_features(batch.gene_features, transform)
        return Output(self.head(promoter, features), mask)

    def mask(self, batch: Batch) -> Tensor:
        """1 in peaks and on the promoter, which wins over the blacklist; else 0; (B, L)."""
        return apply_fixed_bases(known_peaks(batch).float(), batch.blacklist, self.promoter)


def known_peaks(batch: Batch) -> Tensor:
    """Peaks of a batch, bool (B, L), which a caller must have seen to be there."""
    assert batch.peaks is not None, "the window store has no peaks, or unpack was not told of them"
    return batch.peaks
