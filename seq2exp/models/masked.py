"""A mask, and a predictor that sees what it leaves of the window: all Seq2Exp models (section 4).

Axes: B batch, L window length (bp), P promoter length (bp), d model width.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

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
    promoter_of,
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

    ranks_bases = False
    """Whether the mask has a density, whose mean ranks all bases of the window."""
    predictor: nn.Module
    head: ExpressionHead

    def __init__(self, config: MambaNetworkConfig, shape: InputShape) -> None:
        super().__init__()
        self.shape = shape
        self.signals, self.signal_transform = config.signals, config.signal_transform
        self.reads_signals = bool(config.signals)
        self.sequence_embedding = nn.Linear(4, config.d_model)
        self.signal_embedding = nn.Linear(3, config.d_model)

    def forward(self, batch: Batch) -> Output:
        x_sequence, x = self.embedded(batch)
        proposal = self.propose(batch, x_sequence, x)
        return Output(self.read(batch, x, proposal.mask), *proposal)

    def mask_of(self, batch: Batch) -> Proposal:
        """Say which bases to see: drawn in training, the model's choice in evaluation."""
        return self.propose(batch, *self.embedded(batch))

    def predict_from(self, batch: Batch, mask: Tensor) -> Tensor:
        """Predict (B,) from what any mask (B, L) shows."""
        return self.read(batch, self.embedded(batch)[1], mask)

    def reads_length(self, length: int) -> bool:
        return True

    def embedded(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embed the sequence, and all that the predictor reads; (B, L, d) each."""
        signals = keep_signals(batch, self.signals).signals
        x_sequence = self.sequence_embedding(batch.sequence)
        x_signals = self.signal_embedding(network_signals(signals, self.signal_transform))
        return x_sequence, self.embed(x_sequence, x_signals)

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

    def read(self, batch: Batch, x: Tensor, mask: Tensor) -> Tensor:
        """Predict (B,) from the input x (B, L, d) as the mask (B, L) shows it."""
        hidden = self.read_masked(x, mask, promoter_of(batch, self.shape))  # (B, P, d)
        return self.predict_hidden(batch, hidden)

    def predict_hidden(self, batch: Batch, hidden: Tensor) -> Tensor:
        """Predict (B,) from what the predictor made of the promoter (B, P, d)."""
        features = keep_signals(batch, self.signals).gene_features
        return self.head(hidden, network_features(features, self.signal_transform))

    def read_masked(self, x: Tensor, mask: Tensor, promoter: slice) -> Tensor:
        """Read the window (B, L, d) through the mask (B, L): the promoter's hidden (B, P, d)."""
        hidden: Tensor = self.predictor(x * mask.unsqueeze(-1), centre=promoter)
        return hidden


def new_backbone(config: MambaNetworkConfig, layers: int) -> Backbone:
    """Build a backbone of a model's width."""
    return Backbone(config.d_model, layers, config.d_state, config.d_conv, config.expand)
