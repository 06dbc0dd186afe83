"""A block of the config's section ``cell_lines``: tracks, labels, and what regions are held against."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from seq2exp.config_types import Name, Strict
from seq2exp.evaluation_config import CrispriSource, LinkSource, ReferenceName, ReferenceSource
from seq2exp.label_config import LabelConfig
from seq2exp.peaks_config import PeaksConfig
from seq2exp.source_config import HiCSource, Source


class CellLineConfig(Strict):
    """The tracks and labels of one cell line."""

    h3k27ac: Source
    dnase: Source
    hic: HiCSource | None = None
    """Left out: distance power law (``power_law``)."""
    peaks: PeaksConfig | None = None
    """DNase peaks: for models whose ``needs_peaks`` is true, and what masks are held against."""
    expression: Annotated[dict[Name, LabelConfig], Field(min_length=1)]
    crispri: CrispriSource | None = None
    """Element-gene pairs that a CRISPRi screen has tested in this cell line."""
    predictions: dict[Name, LinkSource] = Field(default_factory=dict)
    """What other methods say of the pairs of this screen, under names of one's own."""
    references: dict[ReferenceName, ReferenceSource] = Field(default_factory=dict)
    """Sets of regions that are this cell line's own, under names of one's own."""
