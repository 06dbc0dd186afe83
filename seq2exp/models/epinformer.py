"""EPInformer: the promoter and its candidate elements, each read by convolutions, then attention.

Source: Lin, Luo and Pinello 2024 (bioRxiv 2024.08.01.606099) and their code (pinellolab/EPInformer):
the network with batch norm, layer norm and three features an element. Its sequence encoder is not
trained beforehand on other data here, and there is no dropout, as there is none there.

Axes: B batch, L window length (bp), E elements, the promoter being a further one in front (1 + E),
T element length (bp), C channels, P positions after pooling, d model width, F gene features.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2exp.model_config import EPInformerConfig
from seq2exp.models.candidate_elements import Elements, candidate_elements, cut_sequences
from seq2exp.models.interface import (
    ExpressionHead,
    ExpressionModel,
    InputShape,
    Output,
    keep_signals,
    network_features,
    promoter_of,
)
from seq2exp.packing import Batch

STEM_WIDTH = 8
ELEMENT_FEATURES = 3
"""Distance in kb, log10(1 + contact), activity; 0 for the promoter."""
DILATIONS = (2, 4, 6)
READ_CHANNELS = 64
POSITION_CHANNELS = 32
"""The embedding of an element is d / 32 numbers for each of these channels."""


class EPInformer(ExpressionModel):
    """Chooses the elements of each window, and predicts from their sequence and features."""

    def __init__(self, config: EPInformerConfig, shape: InputShape) -> None:
        super().__init__()
        self.config, self.shape = config, shape
        self.reads_signals = bool(config.signals)
        self.network = ElementNetwork(config, shape)

    def forward(self, batch: Batch) -> Output:
        with torch.no_grad():
            sequences, present, features = self.elements(batch)
        kept = keep_signals(batch, self.config.signals)
        gene_features = network_features(kept.gene_features, self.config.signal_transform)
        return Output(self.network(sequences, present, features, gene_features))

    def reads_length(self, length: int) -> bool:
        return True

    def elements(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Cut out promoter and elements.

        Returns
        -------
        sequences
            (B, 1 + E, T, 4): T bases around the TSS, then around each element's centre.
        present
            bool (B, 1 + E).
        features
            (B, 1 + E, 3): see ``ELEMENT_FEATURES``.
        """
        found = candidate_elements(
            batch,
            peaks=self.config.elements == "peaks",
            signals=self.config.signals,
            most=self.config.max_elements,
            core_length=self.config.core_length,
            min_distance=self.config.min_distance,
            promoter=promoter_of(batch, self.shape),
        )
        centre = F.pad(found.centre, (1, 0), value=batch.sequence.shape[1] // 2)  # (B, 1 + E)
        present = F.pad(found.present, (1, 0), value=True)  # (B, 1 + E)
        sequences = cut_sequences(batch.sequence, centre, self.config.element_length)
        sequences = sequences * present[..., None, None]
        return sequences, present, F.pad(self.element_features(found), (0, 0, 1, 0))

    def element_features(self, found: Elements) -> Tensor:
        """Stack the features of elements as the network reads them; (B, E, 3)."""
        log = self.config.signal_transform == "log1p"
        activity = found.activity.log1p() if log else found.activity
        return torch.stack([found.distance / 1000, found.contact, activity], dim=-1)


class ElementNetwork(nn.Module):
    """Encoder of each element, attention between promoter and elements, head."""

    def __init__(self, config: EPInformerConfig, shape: InputShape) -> None:
        super().__init__()
        self.encoder = SequenceEncoder(config.encoder_widths)
        self.reader = PositionReader(
            config.encoder_widths[-1], config.pooled_positions, config.d_model
        )
        self.mix_features = nn.Sequential(
            nn.Linear(config.d_model + ELEMENT_FEATURES, config.d_model),
            nn.ReLU(),
            nn.Linear(config.d_model, config.d_model),
            nn.ReLU(),
        )
        self.layers = nn.ModuleList(
            AnchoredAttention(config.d_model, config.heads) for _ in range(config.attention_layers)
        )
        self.head = ExpressionHead(config.d_model, shape, hidden=config.head_width)

    def forward(
        self, sequences: Tensor, present: Tensor, features: Tensor, gene_features: Tensor
    ) -> Tensor:
        """Predict expression (B,) from what :meth:`EPInformer.elements` gives."""
        windows, elements = present.shape
        x = sequences.flatten(0, 1).transpose(1, 2)  # (B (1 + E), 4, T)
        x = self.reader(self.encoder(x))  # (B (1 + E), d)
        x = x.unflatten(0, (windows, elements))  # (B, 1 + E, d)
        x = self.mix_features(torch.cat([x, features.to(x.dtype)], dim=-1))  # (B, 1 + E, d)
        for layer in self.layers:
            x = layer(x, present)
        prediction: Tensor = self.head(x[:, :1], gene_features)  # (B,)
        return prediction


class SequenceEncoder(nn.Module):
    """Convolutions over the sequence; every block halves its length."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.stem = nn.Conv1d(4, widths[0], STEM_WIDTH)
        self.blocks = nn.ModuleList(PoolingBlock(narrow, wide) for narrow, wide in pairwise(widths))

    def forward(self, x: Tensor) -> Tensor:
        """Map sequences (n, 4, T) to (n, C, T / 2 ** blocks)."""
        # As long as before; of the even number of bases, one more on the right.
        x = F.pad(x, ((STEM_WIDTH - 1) // 2, STEM_WIDTH // 2))
        x = F.elu(self.stem(x))  # (n, C, T)
        for block in self.blocks:
            x = block(x)
        return x


class PoolingBlock(nn.Module):
    """Convolution, norm, the higher of two neighbours, and a residual layer at each position."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, width, 3, padding=1)
        self.norm = nn.BatchNorm1d(width)
        self.pointwise = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, C, P) to (n, width, P // 2)."""
        x = F.max_pool1d(F.elu(self.norm(self.conv(x))), 2)
        return F.elu(self.pointwise(x)) + x


class PositionReader(nn.Module):
    """Dilated convolutions without padding, then one linear layer over all positions."""

    def __init__(self, channels: int, positions: int, d_model: int) -> None:
        super().__init__()
        widths = (channels, *(READ_CHANNELS,) * len(DILATIONS), POSITION_CHANNELS)
        sizes = [(3, dilation) for dilation in DILATIONS] + [(1, 1)]
        self.convs = nn.ModuleList(
            nn.Conv1d(narrow, wide, size, dilation=dilation)
            for (narrow, wide), (size, dilation) in zip(pairwise(widths), sizes, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(wide) for wide in widths[1:])
        left = positions - 2 * sum(DILATIONS)
        self.positions = nn.Linear(left, d_model // POSITION_CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, C, P) to an embedding (n, d)."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.elu(norm(conv(x)))  # (n, 32, P - 24) in the end
        return F.elu(self.positions(x)).flatten(1)  # (n, d)


class AnchoredAttention(nn.Module):
    """A pre-norm attention layer in which elements see the promoter and themselves only."""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(d_model)
        self.attention = nn.MultiheadAttention(d_model, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(d_model)
        self.feed_forward = nn.Sequential(
            nn.Linear(d_model, 4 * d_model), nn.ReLU(), nn.Linear(4 * d_model, d_model)
        )

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Update promoter and elements (B, 1 + E, d); those not present (B, 1 + E) are not seen."""
        hidden = torch.eye(x.shape[1], dtype=torch.bool, device=x.device).logical_not()
        hidden[0, :] = False  # the promoter sees all
        hidden[:, 0] = False  # and is seen by all, so that every row sees something
        y = self.norm1(x)
        y, _ = self.attention(
            y, y, y, attn_mask=hidden, key_padding_mask=~present, need_weights=False
        )
        x = x + y
        x = x + self.feed_forward(self.norm2(x))
        return x
