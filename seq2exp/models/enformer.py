"""The Enformer baseline: convolutions, then attention, on the sequence; trained from scratch.

Source: Avsec et al. 2021; the trunk is that of the library enformer-pytorch, without pre-trained
weights. In place of its thousands of tracks, the mean of all its embeddings and the gene features
go to the shared head. It reads 196,608 bp (1,536 positions of 128 bp) of longer windows, as
published.

Its batch norm sees the windows of one pass together: other than with the other networks,
``training.accumulate`` changes what is learned.

Axes: B batch, L window length (bp), T positions after the convolutions, d model width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from torch import nn

from seq2exp.errors import UserError
from seq2exp.model_config import EnformerConfig
from seq2exp.models.interface import (
    ExpressionHead,
    ExpressionModel,
    InputShape,
    Output,
    keep_signals,
    network_features,
    zero_biases,
)
from seq2exp.packing import Batch


def new_trunk(config: EnformerConfig) -> nn.Module:
    """Untrained trunk, (B, L, 4) to embeddings (B, T, 2 d).

    Raises
    ------
    UserError
        If the library is not installed.
    """
    if find_spec(config.PACKAGE) is None:
        raise UserError(f"models: {config.MISSING}")
    import enformer_pytorch  # on first use: it takes seconds

    settings = enformer_pytorch.EnformerConfig(
        dim=config.d_model,
        depth=config.layers,
        heads=config.heads,
        attn_dim_key=config.key_width,
        num_downsamples=config.downsamples,
        dropout_rate=config.dropout,
        dim_divisible_by=math.gcd(config.d_model, 128),  # of the convolutions' widths
        target_length=-1,  # keep all positions
        output_heads={},
    )
    trunk: nn.Module = enformer_pytorch.Enformer(settings).trunk
    return trunk


class Enformer(ExpressionModel):
    """The trunk, mean over its positions, the shared head."""

    def __init__(self, config: EnformerConfig, shape: InputShape) -> None:
        super().__init__()
        self.config = config
        self.trunk = new_trunk(config)
        self.head = ExpressionHead(2 * config.d_model, shape)
        zero_biases(self.head)

    def forward(self, batch: Batch) -> Output:
        batch = keep_signals(batch, self.config.signals)
        sequence = batch.sequence[
            :, centre_crop(batch.sequence.shape[1], self.config)
        ]  # (B, L', 4)
        with dropout_of(batch.seeds, sequence.device):
            embeddings = self.trunk(sequence)  # (B, T, 2 d)
        features = network_features(batch.gene_features, self.config.signal_transform)
        return Output(self.head(embeddings, features))

    def reads_length(self, length: int) -> bool:
        return length >= self.config.least_length


def centre_crop(window_length: int, config: EnformerConfig) -> slice:
    """The bases in the window's middle that are read: a whole, even number of positions."""
    positions = min(window_length, config.most_bases) // 2**config.downsamples
    bases = positions * 2**config.downsamples
    start = (window_length - bases) // 2
    return slice(start, start + bases)


@contextmanager
def dropout_of(seeds: Sequence[int] | None, device: torch.device) -> Iterator[None]:
    """Draw from the batch's own seeds, so that a resumed training draws the same; or as it comes."""
    if seeds is None:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seeds[0])
        yield
