"""Where a cell line's DNase peaks come from: a file, or MACS3 on its DNase signal."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from seq2exp.config_types import NonNegativeInt, Positive, PositiveInt, Strict
from seq2exp.source_config import Source


class Macs3Config(Strict):
    """Settings of ``macs3 bdgpeakcall``; lengths in bp."""

    cutoff: Positive
    """Least value of the DNase signal in a peak."""
    min_length: PositiveInt = 200
    max_gap: NonNegativeInt = 30
    """Widest gap between bases above the cutoff that a peak bridges."""


class CalledPeaks(Strict):
    """Peaks that the workflow calls."""

    macs3: Macs3Config


def _kind_of_peaks(value: Any) -> str:
    called = isinstance(value, CalledPeaks) or (isinstance(value, dict) and "macs3" in value)
    return "[called]" if called else "[file]"


PeaksConfig = Annotated[
    Annotated[Source, Tag("[file]")] | Annotated[CalledPeaks, Tag("[called]")],
    Discriminator(_kind_of_peaks),
]
"""BED or narrowPeak, or ``macs3: {cutoff: ...}``."""
