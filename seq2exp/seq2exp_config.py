"""Settings of the models that read through a mask; the defaults are the paper's."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from seq2exp.config_types import (
    Fraction,
    Name,
    NonNegative,
    NonNegativeInt,
    Positive,
    PositiveInt,
    Strict,
)
from seq2exp.network_config import Evidence, MambaNetworkConfig, once_each


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

    evidence: Annotated[tuple[Evidence, ...], AfterValidator(once_each), Field(min_length=1)] = (
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

    @property
    def mask_parts(self) -> tuple[str, ...]:
        names = {"sequence": "sequence_part", "signals": "prior"}
        return tuple(names[evidence] for evidence in self.evidence)

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


class FreePriorConfig(PriorConfig):
    """Weak enough for the sequence to have a say."""

    scale: Positive = 0.1
    beta_min: NonNegative = 0.1


class FreeMarginalConfig(MarginalConfig):
    """Beta(1, 9)."""

    scale: Positive = 1.0


class Seq2ExpGatedConfig(Seq2ExpSoftConfig):
    """Seq2Exp-soft with a mask that acts elsewhere, and a prior that leaves it free.

    In the published model the mask scales what a norm scales back (docs/gated.md).
    """

    kind: Literal["seq2exp_gated"] = "seq2exp_gated"  # type: ignore[assignment]
    gate: Literal["embedding", "first_norm", "norm", "step"] = "step"
    """Where the mask acts in the predictor: on its input (as published); on that and on the first
    layer's normalised input; on every layer's; or on the step size of every layer's scans and what
    their convolutions read, so that a base with mask 0 leaves the state as if it were not there."""
    binarise: bool = True
    """Whether the mask is of zeros and ones: drawn in training, the likely bases in evaluation."""
    stretch_length: PositiveInt = 100
    """Mean length (bp) of the stretches that training keeps or removes together."""
    mask_ratio: Annotated[float, Field(gt=0, lt=1)] | None = 0.2
    """Share of the window's bases that the mask keeps, on average over genes, the promoter among them (so
    that it must be above the promoter's): held by a multiplier that is learned. None: nothing but the KL
    holds it."""
    start_ratio: Annotated[float, Field(gt=0, le=1)] = 0.85
    """That share at first."""
    close: tuple[Fraction, Fraction] = (0.33, 0.67)
    """Between which shares of the training it falls from start_ratio to mask_ratio."""
    stem_width: NonNegativeInt = 15
    """Bases that a convolution sees around each, of what the mask leaves; 0: none, as published."""
    pooling: Literal["open", "window", "promoter"] = "open"
    """open: the head also reads a sum over all kept bases, however far, each weighted by how open it is;
    window: all of them alike; promoter: none, as published."""
    prior: PriorConfig = FreePriorConfig()
    marginal: MarginalConfig = FreeMarginalConfig()
    kl_weight: NonNegative = 0.001

    @model_validator(mode="after")
    def _settings_fit(self) -> Seq2ExpGatedConfig:
        if self.stem_width and self.stem_width % 2 == 0:
            raise ValueError(f"stem_width: {self.stem_width} has no middle base; use an odd width")
        if self.close[0] >= self.close[1]:
            raise ValueError(
                f"close: {list(self.close)} does not rise; give the earlier share first"
            )
        if self.mask_ratio is not None and "sequence" not in self.evidence:
            raise ValueError(
                "mask_ratio: nothing of the mask is learned without the sequence as evidence; set "
                "mask_ratio: null"
            )
        return self


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


class PeaksMaskConfig(MambaNetworkConfig):
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
