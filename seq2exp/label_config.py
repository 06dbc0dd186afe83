"""Where a cell line's labels come from: CAGE tracks, or a table."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from seq2exp.config_types import PositiveInt, Strict
from seq2exp.source_config import Source, both_strands


class StrandPair(Strict):
    """One CAGE library as two tracks; the absolute values of both are used."""

    forward: Source
    reverse: Source


def _kind_of_track(value: Any) -> str:
    keys = value if isinstance(value, dict) else ()
    paired = isinstance(value, StrandPair) or "forward" in keys or "reverse" in keys
    return "[strands]" if paired else "[track]"


LabelTrack = Annotated[
    Annotated[Source, Tag("[track]")] | Annotated[StrandPair, Tag("[strands]")],
    Discriminator(_kind_of_track),
    BeforeValidator(both_strands),
]
"""One track, or ``forward`` and ``reverse``; a FANTOM5 library is both of its strands."""


def _no_list(value: Any) -> Any:
    if isinstance(value, list | tuple):
        raise ValueError(
            "a list may mean strands or replicates; give strands as {forward: ..., reverse: ...}, "
            "and replicates, which are averaged, under replicates"
        )
    return value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class LabelConfig(Strict):
    """The label of one assay: summed from CAGE bigWig(s), or read from a table."""

    bigwig: Annotated[LabelTrack, BeforeValidator(_no_list)] | None = None
    replicates: Annotated[tuple[LabelTrack, ...], Field(min_length=1)] | None = None
    """Instead of ``bigwig``: several of them, whose sums are averaged."""
    span: PositiveInt = 384
    """bp around the TSS that are summed (bigWigs only)."""
    strand: Literal["both", "own"] = "both"
    """Strands that are summed: both, or the gene's own (pairs of forward and reverse only)."""
    table: Source | None = None
    column: Annotated[tuple[str, ...], Field(min_length=1), BeforeValidator(_as_list)] | None = None
    """One column, or a list that is averaged."""
    id_column: str = "gene_id"
    id_kind: Literal["gene_id", "gene_name"] = "gene_id"
    """What ``id_column`` holds: gene ids (versions are ignored), or symbols."""
    transform: Literal["log10_1p", "none"] = "log10_1p"
    """log10(x + 1), or none where the values are log-scaled already."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [key for key in ("bigwig", "replicates", "table") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of bigwig, replicates or table")
        if (self.table is None) != (self.column is None):
            raise ValueError("table and column go together")
        of_others = {"span", "strand"} if self.table else {"id_column", "id_kind"}
        unused = sorted(of_others & self.model_fields_set)
        if unused:
            raise ValueError(f"{unused[0]} does not go with {given[0]}; remove it")
        paired = all(isinstance(track, StrandPair) for track in self.tracks())
        if self.strand == "own" and not paired:
            raise ValueError(
                "strand: own needs tracks of both strands; give {forward: ..., reverse: ...}"
            )
        return self

    def tracks(self) -> tuple[Source | StrandPair, ...]:
        """The CAGE tracks, one a replicate; none where the label comes from a table."""
        return self.replicates or ((self.bigwig,) if self.bigwig else ())
