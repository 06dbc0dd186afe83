"""Typed settings of every model, one class a kind; the defaults are the paper's."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from seq2exp.config_types import NonNegative, NonNegativeInt, Positive, PositiveInt, Strict

EvenLength = Annotated[int, Field(gt=0, multiple_of=2)]
"""bp around a centre."""


class AnyModelConfig(Strict):
    """What the workflow asks of every kind."""

    has_mask: ClassVar[bool] = False
    """Whether the model says which bases it used: masks, and regions from them."""

    @property
    def needs_peaks(self) -> bool:
        """Whether the model reads DNase peaks, which every cell line must then have."""
        return False


class NeuralConfig(AnyModelConfig):
    """What every neural model shares: its view of the window, and what it costs."""

    window_length: PositiveInt | None = None
    """Centre crop of the stored window; all of it when left out."""
    signal_transform: Literal["raw", "log1p"] = "raw"
    """How the network sees the signals (the paper: raw). The Beta prior always keeps raw values."""

    @property
    def width_times_layers(self) -> int:
        """Size of the network for estimates of memory and time: d_model, once a Mamba layer."""
        raise NotImplementedError

    def bases_read(self, window_length: int) -> int:
        """Bases that its layers go through for one window, for the same estimates."""
        return window_length


class NetworkConfig(NeuralConfig):
    """Networks of Mamba layers: the sizes of these."""

    d_model: PositiveInt = 128
    d_state: PositiveInt = 16
    d_conv: PositiveInt = 4
    expand: PositiveInt = 2


class PriorConfig(Strict):
    """Beta parameters read off the signals without learning (paper, section 3.3)."""

    scale: Positive = 10.0
    beta_min: NonNegative = 1.0
    signal_betas: tuple[Positive, Positive, Positive] = (1.5, 0.2, 1.0)
    """c_i: the constant beta of H3K27ac, DNase and Hi-C."""
    signal_weights: tuple[Positive, Positive, Positive] = (2.0, 2.0, 1.0)
    """w_i, normalised to sum 1."""


class MarginalConfig(Strict):
    """The information bottleneck's fixed marginal Beta(scale, scale (1 - mean) / mean)."""

    mean: Annotated[float, Field(gt=0, lt=1)] = 0.1
    scale: Positive = 10.0


class Seq2ExpSoftConfig(NetworkConfig):
    """Generator -> soft Beta mask -> predictor (paper, Seq2Exp-soft)."""

    has_mask: ClassVar[bool] = True
    kind: Literal["seq2exp_soft"] = "seq2exp_soft"
    generator_layers: PositiveInt = 4
    predictor_layers: PositiveInt = 4
    prior: PriorConfig = PriorConfig()
    marginal: MarginalConfig = MarginalConfig()
    kl_weight: NonNegative = 0.01
    mask_region: Literal["window", "promoter"] = "window"
    """promoter: the mask is 0 outside the central promoter, a control without distal bases."""

    @property
    def width_times_layers(self) -> int:
        return self.d_model * (self.generator_layers + self.predictor_layers)


class PeaksMaskConfig(NetworkConfig):
    """Seq2Exp's predictor on DNase peaks as a fixed mask (paper, the MACS3 row of table 2).

    Without regions (``has_mask`` is false): they would be the peaks of the file, repeated for every
    gene that is near, and nothing that the model has found. The mask ratio is reported.
    """

    kind: Literal["peaks_mask"] = "peaks_mask"
    predictor_layers: PositiveInt = 4

    @property
    def needs_peaks(self) -> bool:
        return True

    @property
    def width_times_layers(self) -> int:
        return self.d_model * self.predictor_layers


class CaduceusConfig(NetworkConfig):
    """One bidirectional Mamba backbone on the sequence alone."""

    kind: Literal["caduceus"] = "caduceus"
    layers: PositiveInt = 4

    @property
    def width_times_layers(self) -> int:
        return self.d_model * self.layers


class CaduceusSignalsConfig(NetworkConfig):
    """The same backbone on sequence and signals, concatenated."""

    kind: Literal["caduceus_signals"] = "caduceus_signals"
    layers: PositiveInt = 4

    @property
    def width_times_layers(self) -> int:
        return self.d_model * self.layers


class EPInformerConfig(NeuralConfig):
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
        """By the floats that the encoder keeps of a base, against the 24 of a Mamba layer's width."""
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
    def _spans_fit(self) -> SignalLinearConfig:
        if self.window_length and 2 * max(self.spans) > self.window_length:
            raise ValueError(
                f"spans: +- {max(self.spans)} bp reach over window_length {self.window_length}"
            )
        return self


ModelConfig = Annotated[
    Seq2ExpSoftConfig
    | PeaksMaskConfig
    | CaduceusConfig
    | CaduceusSignalsConfig
    | EPInformerConfig
    | SignalLinearConfig,
    Field(discriminator="kind"),
]
