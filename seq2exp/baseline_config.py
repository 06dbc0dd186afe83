"""Settings of the models without a mask; the defaults are those of their papers."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seq2exp.config_types import NonNegative, NonNegativeInt, Positive, PositiveInt
from seq2exp.network_config import AnyModelConfig, MambaNetworkConfig, NetworkConfig

EvenLength = Annotated[int, Field(gt=0, multiple_of=2)]
"""bp around a centre."""


class CaduceusConfig(MambaNetworkConfig):
    """One bidirectional Mamba backbone on the sequence alone."""

    kind: Literal["caduceus"] = "caduceus"
    layers: PositiveInt = 4

    @property
    def width_times_layers(self) -> int:
        return self.d_model * self.layers


class CaduceusSignalsConfig(MambaNetworkConfig):
    """The same backbone on sequence and signals, concatenated."""

    kind: Literal["caduceus_signals"] = "caduceus_signals"
    layers: PositiveInt = 4

    @property
    def width_times_layers(self) -> int:
        return self.d_model * self.layers


class MambaConfig(MambaNetworkConfig):
    """One Mamba backbone on the sequence alone, read from left to right."""

    kind: Literal["mamba"] = "mamba"
    layers: PositiveInt = 4

    @property
    def width_times_layers(self) -> int:
        return -(-self.d_model * self.layers // 2)  # one scan a layer, not two


class PrismConfig(MambaNetworkConfig):
    """One backbone on sequence and signals, trained under learned background states as well.

    Source: Yang et al. 2026 (arXiv 2602.21550), whose windows have 2,000 bp.
    """

    POOLING: ClassVar[int] = 4
    """Positions of which each of the encoder's three layers makes one."""

    kind: Literal["prism"] = "prism"
    layers: PositiveInt = 4
    background_states: PositiveInt = 2
    """n: weight vectors of a gene."""
    encoder_channels: PositiveInt = 8
    """Of the first of the encoder's layers; twice and four times as many in the others."""
    adjustment_weight: NonNegative = 1.0
    """Of the loss of the prediction that is averaged over the background states."""
    contrast_weight: NonNegative = 1.0
    """Of the term that keeps a gene's weight vectors apart."""
    temperature: Positive = 2.0
    """t of that term. The paper's is not known to us; 2 is that of Wang and Isola (2020)."""

    @property
    def width_times_layers(self) -> int:
        return self.d_model * self.layers * (1 + self.background_states)  # passes of a step

    @property
    def least_length(self) -> int:
        return self.POOLING**3


class HyenaConfig(NetworkConfig):
    """Long convolutions on the sequence alone, read from left to right.

    Sources: Poli et al. 2023 (Hyena); Nguyen et al. 2023 (HyenaDNA), whose sizes these are.
    """

    kind: Literal["hyena"] = "hyena"
    layers: PositiveInt = 4
    d_conv: PositiveInt = 3
    """Width of the short convolution."""
    expand: PositiveInt = 4
    """Width of the MLP between two convolutions, in units of d_model."""
    filter_width: PositiveInt = 64
    """Of the network that makes the long filters."""
    filter_frequencies: PositiveInt = 2
    """Sines and cosines of the position that it reads, beside the position itself."""

    @property
    def width_times_layers(self) -> int:
        return self.d_model * self.layers


class EnformerConfig(NetworkConfig):
    """Convolutions and attention on the sequence alone, trained from scratch.

    Source: Avsec et al. 2021 (Enformer), whose sizes these are.
    """

    PACKAGE: ClassVar[str] = "enformer_pytorch"
    MISSING: ClassVar[str] = (
        "kind enformer needs the package enformer-pytorch, which is not installed here; "
        "pip install enformer-pytorch, or drop the model"
    )
    kind: Literal["enformer"] = "enformer"
    most_bases: PositiveInt = 196_608
    """Bases around the TSS that it reads of longer windows."""
    d_model: PositiveInt = 1536
    layers: PositiveInt = 11
    """Of attention."""
    heads: PositiveInt = 8
    key_width: PositiveInt = 64
    downsamples: Annotated[int, Field(ge=3)] = 7
    """Halvings of the sequence before attention: a position there is 2 ** downsamples bp."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.4

    @model_validator(mode="after")
    def _positions_fit(self) -> Self:
        if self.d_model % (6 * self.heads):  # six kinds of relative positions in a head
            raise ValueError(
                f"d_model {self.d_model} must be a multiple of 6 x heads = {6 * self.heads}"
            )
        if self.most_bases < self.least_length:
            raise ValueError(
                f"most_bases {self.most_bases} must be {self.least_length} or more, two positions "
                f"after {self.downsamples} downsamples"
            )
        return self

    @property
    def width_times_layers(self) -> int:
        """One layer for all convolutions; those of attention see few positions."""
        return self.d_model * (1 + -(-self.layers // 2**self.downsamples))

    @property
    def least_length(self) -> int:
        return 2 * 2**self.downsamples


class EPInformerConfig(NetworkConfig):
    """Promoter and candidate elements, convolutions and attention (Lin et al. 2024: EPInformer)."""

    kind: Literal["epinformer"] = "epinformer"
    elements: Literal["peaks", "signal"] = "peaks"
    """DNase peaks of the cell line, or where H3K27ac and DNase are highest."""
    max_elements: PositiveInt = 60
    """Those of the highest activity times contact."""
    element_length: EvenLength = 2000
    """bp that are read around the centre of each element, and around the TSS."""
    core_length: EvenLength = 500
    """bp around the centre over which an element's activity is averaged."""
    min_distance: NonNegativeInt = 1000
    """Least distance of an element's centre from the TSS, bp."""
    encoder_widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (
        *(256, 128, 64),
        *(64, 128),
    )
    """Channels of the first convolution, and of each block, which halves the sequence."""
    d_model: Annotated[int, Field(gt=0, multiple_of=32)] = 64
    attention_layers: PositiveInt = 3
    heads: PositiveInt = 4
    head_width: PositiveInt = 128

    @property
    def needs_peaks(self) -> bool:
        return self.elements == "peaks"

    @property
    def pooled_positions(self) -> int:
        """Positions of an element after the encoder."""
        return int(self.element_length // 2 ** (len(self.encoder_widths) - 1))

    @property
    def width_times_layers(self) -> int:
        """By the floats that the encoder keeps of a base; a Mamba network takes 24, kept and at work."""
        kept, length = 2.0 * self.encoder_widths[0], 1.0
        for width in self.encoder_widths[1:]:
            # Convolution, norm and their product; half as long, 2 of indices, 3 of values, 1 spare.
            kept += width * (3 * length + 6 * length / 2)
            length /= 2
        return math.ceil(kept / 24)

    def bases_read(self, window_length: int) -> int:
        return (1 + self.max_elements) * self.element_length

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.elements == "signal" and not {"h3k27ac", "dnase"} & set(self.signals):
            raise ValueError("elements: signal needs h3k27ac or dnase in signals; add one of them")
        if self.d_model % self.heads:
            raise ValueError(f"heads {self.heads} must divide d_model {self.d_model}")
        halvings = len(self.encoder_widths) - 1
        if self.pooled_positions <= 24:
            raise ValueError(
                f"element_length {self.element_length} is too short for {halvings} halvings "
                f"(encoder_widths); it takes {25 * 2**halvings}, or fewer encoder_widths"
            )
        return self


class SignalLinearConfig(AnyModelConfig):
    """Least squares on log1p of the mean DNase and H3K27ac around the TSS; no training steps."""

    kind: Literal["signal_linear"] = "signal_linear"
    window_length: PositiveInt | None = None
    spans: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (500, 1000, 5000, 10000, 50000)
    """Half-widths in bp; those reaching over the window are an error."""

    @model_validator(mode="after")
    def _spans_fit(self) -> Self:
        if self.window_length and 2 * max(self.spans) > self.window_length:
            raise ValueError(
                f"spans: +- {max(self.spans)} bp reach over window_length {self.window_length}"
            )
        return self
