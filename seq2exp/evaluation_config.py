"""What is made of trained models: predictions, regions, and what they are held against."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from seq2exp.config_types import Fraction, Name, NonNegativeInt, PositiveInt, Strict
from seq2exp.element_columns import SCORED_ELEMENT_COLUMNS
from seq2exp.model_config import Signal
from seq2exp.source_config import Source


class PredictionConfig(Strict):
    """What is predicted with a trained model."""

    mask_splits: tuple[Literal["train", "valid", "test"], ...] = ("test",)
    """Splits whose per-base masks are kept (expression is predicted for every gene)."""
    batch_size: PositiveInt = 8


class EffectsConfig(Strict):
    """Which effects of called elements are computed; see `seq2exp.evidence.element_scores`."""

    per_gene: NonNegativeInt = 10
    """Elements of a gene that are taken away and shuffled: those with the highest mean mask."""
    shuffles: NonNegativeInt = 4
    """Random orders of an element's bases that are averaged; none with 0."""


class RegionsConfig(Strict):
    """From a mask to regions."""

    select: Literal["fraction", "value", "fdr"] = "fraction"
    """fraction: the top share of a gene's bases; value: every base at or above the threshold; fdr:
    every base at or above the smallest value with at most this false-discovery rate
    (`seq2exp.false_discovery`)."""
    threshold: Fraction = 0.1
    other_tracks: tuple[Literal["sequence_part", "prior"], ...] = ()
    """Parts of the mask from which regions are called as well, into files of their own."""
    merge_gap: NonNegativeInt = 50
    min_length: PositiveInt = 50
    include_promoter: bool = False
    effects: EffectsConfig = EffectsConfig()


class TruthConfig(Strict):
    """Planted truth of a simulated genome."""

    elements: Source
    """Planted active elements and decoys (BED)."""
    pairs: Source
    """Element-gene pairs with their effect, per cell line."""
    expression: Source
    """The noiseless part of every label, for the noise ceiling."""


class CrispriSource(Source):
    """Element-gene pairs that a CRISPRi screen has tested in a cell line."""

    cell_type: str | None = None
    """The cell line's name in the table; its own when left out."""


class LinkColumns(Strict):
    """Names of the columns of an element-gene table."""

    chrom: str = "chrom"
    start: str = "start"
    end: str = "end"
    gene_name: str = "gene_name"
    score: str = "score"


class LinkSource(Source):
    """Element-gene scores of another method: the higher, the likelier the element acts."""

    columns: LinkColumns = LinkColumns()


class ReferenceSource(Source):
    """A set of regions (BED, narrowPeak) that called regions are held against."""

    column: Annotated[int, Field(ge=4)] | None = None
    """Column of the file, counted from 1, that says what a region is."""
    values: tuple[str, ...] = ()
    """What it says of the regions to keep."""

    @model_validator(mode="after")
    def _whole_filter(self) -> Self:
        if (self.column is None) != (not self.values):
            raise ValueError("column and values go together: which column, and what it must say")
        return self


class MotifSource(Source):
    """Motifs of transcription factors (JASPAR or MEME) that are looked for in called regions."""

    max_regions: PositiveInt = 5000
    """Called regions of a run that are looked at: those with the highest mean mask."""


def _free_name(name: str) -> str:
    if name == "peaks":
        raise ValueError("this name is taken by cell_lines.X.peaks; choose another")
    if name in SCORED_ELEMENT_COLUMNS:
        raise ValueError("this name is taken by a column of element_scores.tsv; choose another")
    return name


ReferenceName = Annotated[Name, AfterValidator(_free_name)]


FULL_VIEW = "full"
"""Name of the unchanged view."""


class ViewConfig(Strict):
    """A test-time ablation: what a trained model is shown of a test window; see `seq2exp.views`."""

    window_length: PositiveInt | None = None
    """The window cropped about the TSS."""
    signals: tuple[Signal, ...] | None = None
    """Signals that are left; the others are 0 for network and prior."""
    mask: Literal["shifted", "promoter"] | None = None
    """shifted: rolled by an offset drawn once a gene. promoter: nothing outside the promoter."""
    mask_fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    """1 on this share of the bases, those with the highest mean mask, and 0 elsewhere."""

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("give one or several of window_length, signals, mask, mask_fraction")
        if self.window_length and self.window_length % 2:
            raise ValueError("window_length must be even: the TSS is the centre")
        if self.signals and len(set(self.signals)) != len(self.signals):
            raise ValueError("signals: a name is listed twice; remove one")
        if self.mask == "promoter" and self.mask_fraction:
            raise ValueError("mask: promoter leaves nothing for mask_fraction; remove one of them")
        return self

    @property
    def changes_mask(self) -> bool:
        """Whether the predictor gets another mask than the model's."""
        return self.mask is not None or self.mask_fraction is not None


class EvaluationConfig(Strict):
    """What predictions and regions are held against."""

    truth: TruthConfig | None = None
    views: dict[Name, ViewConfig] = Field(default_factory=dict)
    """Test-time ablations, under names of one's own."""
    references: dict[ReferenceName, ReferenceSource] = Field(default_factory=dict)
    """Sets of regions for every cell line, beside its own, under names of one's own."""
    motifs: MotifSource | None = None
    loci: NonNegativeInt = 3
    """Number of test loci to draw."""

    @model_validator(mode="after")
    def _names_of_views(self) -> Self:
        if FULL_VIEW in self.views:
            raise ValueError(
                f"views.{FULL_VIEW}: the name of the unchanged view, which is always there; rename it"
            )
        return self
