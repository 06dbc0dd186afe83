"""Where a file comes from: a path, a URL, or an accession of ENCODE, 4DN or FANTOM5."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from seq2exp.config_types import PositiveInt, Strict

PLACES = ("path", "url", "encode", "fourdn", "fantom5")
"""The keys of which a source has exactly one."""

ASSAYS = ("DNase", "ATAC", "RNA", "Hi-C")
HISTONE_MARK = r"H(1|2A|2B|3|4)[A-Za-z0-9]+"


class EncodeQuery(Strict):
    """An ENCODE file by what it measures; see :mod:`seq2exp.encode` for which one is taken."""

    biosample: Annotated[str, Field(min_length=1)]
    """Name of the biosample as ENCODE spells it: K562, H1, heart left ventricle."""
    assay: str
    """DNase, ATAC, RNA, Hi-C, or a histone mark such as H3K27ac."""
    output_type: str | None = None
    """As ENCODE spells it; the one of the paper, then the next best of the assay, if left out."""
    assembly: str | None = None
    """As ENCODE spells it (GRCh38, hg19, mm10); that of ``genome.name`` if left out."""

    @field_validator("assay")
    @classmethod
    def _known_assay(cls, assay: str) -> str:
        if not re.fullmatch(rf"{'|'.join(ASSAYS)}|{HISTONE_MARK}", assay):
            raise ValueError(f"give {', '.join(ASSAYS)} or a histone mark such as H3K27ac")
        return assay


def _encode_tag(value: Any) -> str:
    return "[query]" if isinstance(value, dict | EncodeQuery) else "[accession]"


class Source(Strict):
    """One file, given by exactly one of the keys in ``PLACES``."""

    path: str | None = None
    url: Annotated[str, Field(pattern=r"^(https?|ftp|file)://")] | None = None
    encode: (
        Annotated[
            Annotated[str, Field(pattern=r"^ENCFF[0-9]{3}[A-Z]{3}$"), Tag("[accession]")]
            | Annotated[EncodeQuery, Tag("[query]")],
            Discriminator(_encode_tag),
        ]
        | None
    ) = None
    """A file accession, or what it measures."""
    fourdn: Annotated[str, Field(pattern=r"^4DNFI[0-9A-Z]{7}$")] | None = None
    """A file accession of the 4D Nucleome portal."""
    fantom5: Annotated[str, Field(pattern=r"^CNhs[0-9]{5}$")] | None = None
    """A CAGE library of FANTOM5: the counts of 5' ends per base."""
    strand: Literal["+", "-"] | None = None
    """Of a FANTOM5 library, whose strands are files of their own."""
    md5: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    bytes: PositiveInt | None = None
    member: str | None = None
    """The file to take out of a .zip archive."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [key for key in PLACES if getattr(self, key)]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(PLACES[:-1])} or {PLACES[-1]} "
                f"(found: {', '.join(given) or 'none'})"
            )
        if (self.fantom5 is None) != (self.strand is None):
            raise ValueError("fantom5 and strand (+ or -) go together")
        return self


def both_strands(value: Any) -> Any:
    """Turn ``{fantom5: ...}`` without strand into its forward and reverse track."""
    if not (isinstance(value, dict) and "fantom5" in value and "strand" not in value):
        return value
    return {"forward": {**value, "strand": "+"}, "reverse": {**value, "strand": "-"}}


class HiCSource(Source):
    """A contact map (.hic, .cool or .mcool)."""

    resolution: PositiveInt = 5000
    """Bin size in bp."""
    normalization: str = "VC"
    """Name of the balancing vector (VC, KR, weight, ...) or NONE for raw counts."""
    missing_normalization: Literal["error", "none"] = "error"
    """Where the map, or a chromosome of it, lacks that vector. none: raw counts, and a warning."""
    missing_chromosome: Literal["error", "zeros", "distance"] = "error"
    """For genes on a chromosome that the map lacks. distance: the map's own mean at each distance
    from a TSS, over the genes on the chromosomes that it has."""
