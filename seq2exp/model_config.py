"""Typed settings of every model, one class a kind; the defaults are the paper's."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from seq2exp.config_types import Name, NonNegative, Positive, PositiveInt, Strict

Signal = Literal["h3k27ac", "dnase", "hic"]
SIGNALS: tuple[Signal, ...] = get_args(Signal)
"""In the order of `Batch.signals`."""
Evidence = Literal["sequence", "signals"]


def _once_each(values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse a name that is listed twice; the order is always the same."""
    if len(set(values)) != len(values):
        raise ValueError("a name is listed twice; remove one")
    known = (*SIGNALS, *get_args(Evidence))
    return tuple(sorted(values, key=known.index))


class NetworkConfig(Strict):
    """What every neural model shares: its view of the window, and its width."""

    window_length: PositiveInt | None = None
    """Centre crop of the stored window; all of it when left out."""
    signal_transform: Literal["raw", "log1p"] = "raw"
    """How the network sees the signals (the paper: raw). The Beta prior always keeps raw values."""
    signals: Annotated[tuple[Signal, ...], AfterValidator(_once_each)] = SIGNALS
    """Signals that the model has; the others are 0 to it, in training and after. Promoter activity,
    sqrt(H3K27ac x DNase), needs both of these."""
    d_model: PositiveInt = 128

    @property
    def width_times_layers(self) -> int:
        """Size of the network for estimates of memory and time: d_model, once a Mamba layer."""
        raise NotImplementedError

    @property
    def least_length(self) -> int:
        """The shortest window that the network can read, in bp."""
        return 1


class MambaNetworkConfig(NetworkConfig):
    """A network of Mamba layers: the sizes of one."""

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
    """w_i, normalised to sum 1 over the signals that the model has."""


class MarginalConfig(Strict):
    """The information bottleneck's fixed marginal Beta(scale, scale (1 - mean) / mean)."""

    mean: Annotated[float, Field(gt=0, lt=1)] = 0.1
    scale: Positive = 10.0


class BetaMaskConfig(MambaNetworkConfig):
    """What the models share that learn their mask: its evidence, its bottleneck, its region."""

    has_mask: ClassVar[bool] = True
    """Whether the model says which bases it used: masks, and regions from them."""

    evidence: Annotated[tuple[Evidence, ...], AfterValidator(_once_each), Field(min_length=1)] = (
        "sequence",
        "signals",
    )
    """What the mask is made of. Without the sequence there is no generator and no bottleneck (nothing
    of the mask is learned); without the signals there is no prior. The predictor reads both."""
    prior: PriorConfig = PriorConfig()
    marginal: MarginalConfig = MarginalConfig()
    kl_weight: NonNegative = 0.01
    mask_region: Literal["window", "promoter"] = "window"
    """promoter: the mask is 0 outside the central promoter, a control without distal bases."""

    @model_validator(mode="after")
    def _evidence_is_there(self) -> BetaMaskConfig:
        if "signals" in self.evidence and not self.signals:
            raise ValueError("signals: [] leaves no evidence of signals; set evidence: [sequence]")
        return self


class Seq2ExpSoftConfig(BetaMaskConfig):
    """Generator -> soft Beta mask -> predictor (paper, Seq2Exp-soft)."""

    kind: Literal["seq2exp_soft"] = "seq2exp_soft"
    generator_layers: PositiveInt = 4
    predictor_layers: PositiveInt = 4

    @property
    def width_times_layers(self) -> int:
        generator = self.generator_layers if "sequence" in self.evidence else 0
        return self.d_model * (generator + self.predictor_layers)


class HardPriorConfig(PriorConfig):
    """The same with the paper's values for Seq2Exp-hard."""

    scale: Positive = 1.0
    beta_min: NonNegative = 0.0


class HardMarginalConfig(MarginalConfig):
    """The same with the paper's values for Seq2Exp-hard: Beta(0.1, 0.1222)."""

    mean: Annotated[float, Field(gt=0, lt=1)] = 0.45
    scale: Positive = 0.1


class Seq2ExpHardConfig(BetaMaskConfig):
    """One backbone proposes a mask of zeros and ones, then reads what is left (Seq2Exp-hard)."""

    kind: Literal["seq2exp_hard"] = "seq2exp_hard"
    layers: PositiveInt = 4
    """Of the backbone that generator and predictor share."""
    padding: Literal["none", "longest"] = "none"
    """longest: what is left of a window is read with zeros up to the longest of its batch behind it,
    as in the released code; a prediction then depends a little on the windows beside it."""
    prior: HardPriorConfig = HardPriorConfig()
    marginal: HardMarginalConfig = HardMarginalConfig()

    @property
    def width_times_layers(self) -> int:
        """At most: the predictor reads the bases that are left, the window's at worst."""
        passes = 2 if "sequence" in self.evidence else 1
        return self.d_model * self.layers * passes


class Seq2ExpRetrainConfig(MambaNetworkConfig):
    """A fresh predictor on a fixed mask: the top bases of a trained soft model (paper, table 2)."""

    has_mask: ClassVar[bool] = True
    kind: Literal["seq2exp_retrain"] = "seq2exp_retrain"
    mask_from: Name
    """A model of the config, of kind seq2exp_soft: trained before, with the same fold and seed."""
    source: Seq2ExpSoftConfig | None = None
    """Its settings. They come from the trained model, and are kept in checkpoints."""
    fraction: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the window's bases that the mask keeps, the promoter among them."""
    placement: Literal["learned", "shifted"] = "learned"
    """shifted: the same mask but for its place, moved along the window by a length that is drawn once
    for each gene; a control of equal size and pieces."""
    predictor_layers: PositiveInt = 4

    @property
    def width_times_layers(self) -> int:
        """With the source's generator, taken to be as large as the predictor while not known."""
        generator = self.predictor_layers * self.d_model
        if self.source is not None:
            generator = self.source.width_times_layers
            generator -= self.source.predictor_layers * self.source.d_model
        return self.d_model * self.predictor_layers + generator


class CaduceusConfig(MambaNetworkConfig):
    """One bidirectional Mamba backbone on the sequence alone."""

    has_mask: ClassVar[bool] = False
    kind: Literal["caduceus"] = "caduceus"
    layers: PositiveInt = 4

    @property
    def width_times_layers(self) -> int:
        return self.d_model * self.layers


class CaduceusSignalsConfig(MambaNetworkConfig):
    """The same backbone on sequence and signals, concatenated."""

    has_mask: ClassVar[bool] = False
    kind: Literal["caduceus_signals"] = "caduceus_signals"
    layers: PositiveInt = 4

    @property
    def width_times_layers(self) -> int:
        return self.d_model * self.layers


class MambaConfig(MambaNetworkConfig):
    """One Mamba backbone on the sequence alone, read from left to right."""

    has_mask: ClassVar[bool] = False
    kind: Literal["mamba"] = "mamba"
    layers: PositiveInt = 4

    @property
    def width_times_layers(self) -> int:
        return -(-self.d_model * self.layers // 2)  # one scan a layer, not two


class PrismConfig(MambaNetworkConfig):
    """One backbone on sequence and signals, trained under learned background states as well.

    Source: Yang et al. 2026 (arXiv 2602.21550), whose windows have 2,000 bp.
    """

    has_mask: ClassVar[bool] = False
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

    has_mask: ClassVar[bool] = False
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

    has_mask: ClassVar[bool] = False
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


class SignalLinearConfig(Strict):
    """Least squares on log1p of the mean DNase and H3K27ac around the TSS; no training steps."""

    has_mask: ClassVar[bool] = False
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


ModelConfig = Annotated[
    Seq2ExpSoftConfig
    | Seq2ExpHardConfig
    | Seq2ExpRetrainConfig
    | CaduceusConfig
    | CaduceusSignalsConfig
    | MambaConfig
    | HyenaConfig
    | EnformerConfig
    | PrismConfig
    | SignalLinearConfig,
    Field(discriminator="kind"),
]
