"""The Caduceus baselines: one backbone on the sequence, with or without the signals beside it.

Axes: B batch, L window length (bp), d model width.
"""

from __future__ import annotations

import torch
from torch import nn

from seq2exp.caduceus import Backbone
from seq2exp.model_config import CaduceusConfig, CaduceusSignalsConfig
from seq2exp.models.interface import (
    ExpressionHead,
    ExpressionModel,
    InputShape,
    Output,
    keep_signals,
    network_features,
    network_signals,
    promoter_of,
    zero_biases,
)
from seq2exp.packing import Batch


class Caduceus(ExpressionModel):
    """Linear embedding, bidirectional Mamba, mean over the promoter, the shared head."""

    def __init__(self, config: CaduceusConfig | CaduceusSignalsConfig, shape: InputShape) -> None:
        super().__init__()
        self.config, self.shape = config, shape
        self.reads_signals = isinstance(config, CaduceusSignalsConfig)
        self.embedding = nn.Linear(7 if self.reads_signals else 4, config.d_model)
        self.backbone = Backbone(
            config.d_model, config.layers, config.d_state, config.d_conv, config.expand
        )
        self.head = ExpressionHead(config.d_model, shape)
        zero_biases(self)

    def forward(self, batch: Batch) -> Output:
        batch = keep_signals(batch, self.config.signals)
        x = batch.sequence  # (B, L, 4)
        if self.reads_signals:
            signals = network_signals(batch.signals, self.config.signal_transform)
            x = torch.cat([x, signals], dim=-1)  # (B, L, 7)
        features = network_features(batch.gene_features, self.config.signal_transform)
        promoter = self.backbone(
            self.embedding(x), centre=promoter_of(batch, self.shape)
        )  # (B, promoter_length, d)
        return Output(self.head(promoter, features))

    def reads_length(self, length: int) -> bool:
        return True
