"""What is made of trained models: predictions, regions, and what they are held against."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from seq2exp.config_types import Fraction, Name, NonNegativeInt, PositiveInt, Strict
from seq2exp.source_config import Source


class PredictionConfig(Strict):
    """What is predicted with a trained model."""

    mask_splits: tuple[Literal["train", "valid", "test"], ...] = ("test",)
    """Splits whose per-base masks are kept (expression is predicted for every gene)."""
    batch_size: PositiveInt = 8


class RegionsConfig(Strict):
    """From a mask to regions."""

    select: Literal["fraction", "value"] = "fraction"
    """fraction: the top share of a gene's bases; value: every base at or above the threshold."""
    threshold: Fraction = 0.1
    merge_gap: NonNegativeInt = 50
    min_length: PositiveInt = 50
    include_promoter: bool = False


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


def _not_peaks(name: str) -> str:
    if name == "peaks":
        raise ValueError("this name is taken by cell_lines.X.peaks; choose another")
    return name


ReferenceName = Annotated[Name, AfterValidator(_not_peaks)]


class EvaluationConfig(Strict):
    """What predictions and regions are held against."""

    truth: TruthConfig | None = None
    references: dict[ReferenceName, ReferenceSource] = Field(default_factory=dict)
    """Sets of regions for every cell line, beside its own, under names of one's own."""
    loci: NonNegativeInt = 3
    """Number of test loci to draw."""
