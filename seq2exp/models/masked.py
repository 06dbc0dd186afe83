"""A mask, and a predictor that sees what it leaves of the window: all Seq2Exp models (section 4).

Axes: B batch, L window length (bp), P promoter length (bp), d model width.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from seq2exp.bottleneck import promoter_slice
from seq2exp.caduceus import Backbone
from seq2exp.model_config import MambaNetworkConfig
from seq2exp.models.interface import (
    ExpressionHead,
    ExpressionModel,
    InputShape,
    Output,
    keep_signals,
    network_features,
    network_signals,
)
from seq2exp.packing import Batch


class Proposal(NamedTuple):
    """A mask, and what is known of how it was made: the last fields of an `Output`."""

    mask: Tensor
    """(B, L) in [0, 1]: 0 on the blacklist, 1 on the promoter, which wins."""
    alpha: Tensor | None = None
    """(B, L), of the mask's Beta density."""
    beta: Tensor | None = None
    """(B, L)."""
    kl: Tensor | None = None
    """Scalar."""


class MaskedModel(ExpressionModel):
    """Models differ in the mask that they :meth:`propose`, and in how they read through it."""

    predictor: nn.Module
    head: ExpressionHead

    def __init__(self, config: MambaNetworkConfig, shape: InputShape) -> None:
        super().__init__()
        self.signals, self.signal_transform = config.signals, config.signal_transform
        self.promoter = promoter_slice(shape.window_length, shape.promoter_length)
        self.sequence_embedding = nn.Linear(4, config.d_model)
        self.signal_embedding = nn.Linear(3, config.d_model)

    def forward(self, batch: Batch) -> Output:
        seen = keep_signals(batch, self.signals)
        x_sequence = self.sequence_embedding(seen.sequence)  # (B, L, d)
        x_signals = self.signal_embedding(
            network_signals(seen.signals, self.signal_transform)
        )  # (B, L, d)
        x = self.embed(x_sequence, x_signals)  # (B, L, d)

        proposal = self.propose(batch, x_sequence, x)
        promoter = self.read_masked(x, proposal.mask)  # (B, P, d)

        features = network_features(seen.gene_features, self.signal_transform)
        return Output(self.head(promoter, features), *proposal)

    def embed(self, x_sequence: Tensor, x_signals: Tensor) -> Tensor:
        """Put the embeddings (B, L, d) of sequence and signals together: the predictor's input."""
        return x_sequence + x_signals

    def propose(self, batch: Batch, x_sequence: Tensor, x: Tensor) -> Proposal:
        """Make the mask.

        Parameters
        ----------
        batch
            As it came, with all signals.
        x_sequence, x
            (B, L, d): the embedded sequence, and the predictor's input.
        """
        raise NotImplementedError

    def read_masked(self, x: Tensor, mask: Tensor) -> Tensor:
        """Read the window (B, L, d) through the mask (B, L): the promoter's hidden (B, P, d)."""
        promoter: Tensor = self.predictor(x * mask.unsqueeze(-1), centre=self.promoter)
        return promoter


def new_backbone(config: MambaNetworkConfig, layers: int) -> Backbone:
    """Build a backbone of a model's width."""
    return Backbone(config.d_model, layers, config.d_state, config.d_conv, config.expand)
