"""The Mamba baseline: one backbone on the sequence, read from left to right.

Like Caduceus but for the direction, and so causal: a base sees itself and the bases to its left.
The promoter is the window's centre, so this baseline never sees the right half of the window beyond
the promoter, on whichever strand the gene lies. That half is not computed.

Axes: B batch, L window length (bp), P promoter length (bp), d model width.
"""

from __future__ import annotations

from torch import nn

from seq2exp.caduceus import Backbone
from seq2exp.model_config import MambaConfig
from seq2exp.models.interface import (
    ExpressionHead,
    ExpressionModel,
    InputShape,
    Output,
    keep_signals,
    network_features,
    promoter_of,
    zero_biases,
)
from seq2exp.packing import Batch


class Mamba(ExpressionModel):
    """Linear embedding, Mamba rightward, mean over the promoter, the shared head."""

    def __init__(self, config: MambaConfig, shape: InputShape) -> None:
        super().__init__()
        self.config, self.shape = config, shape
        self.embedding = nn.Linear(4, config.d_model)
        self.backbone = Backbone(
            config.d_model,
            config.layers,
            config.d_state,
            config.d_conv,
            config.expand,
            bidirectional=False,
        )
        self.head = ExpressionHead(config.d_model, shape)
        zero_biases(self)

    def forward(self, batch: Batch) -> Output:
        batch = keep_signals(batch, self.config.signals)
        centre = promoter_of(batch, self.shape)
        seen = batch.sequence[:, : centre.stop]  # (B, (L + P) / 2, 4)
        features = network_features(batch.gene_features, self.config.signal_transform)
        promoter = self.backbone(self.embedding(seen), centre=centre)  # (B, P, d)
        return Output(self.head(promoter, features))

    def reads_length(self, length: int) -> bool:
        return length >= self.config.least_length
