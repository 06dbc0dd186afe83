"""What is made of trained models: predictions, regions, and what they are held against."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

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


class EvaluationConfig(Strict):
    """What predictions and regions are held against."""

    truth: TruthConfig | None = None
    references: dict[Name, Source] = Field(default_factory=dict)
    """Independent evidence on regulatory elements, under names of one's own."""
    loci: NonNegativeInt = 3
    """Number of test loci to draw."""
