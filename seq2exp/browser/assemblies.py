"""Which genomes UCSC has, and what it calls them."""

from __future__ import annotations

import re

OTHER_NAMES = {
    "GRCh38": "hg38",
    "GRCh37": "hg19",
    "GRCm39": "mm39",
    "GRCm38": "mm10",
    "T2T-CHM13": "hs1",
}
_UCSC = re.compile(
    r"(hg|hs|mm|rn|panTro|panPan|gorGor|ponAbe|rheMac|macFas|calJac|canFam|felCat|bosTau|susScr|"
    r"oviAri|equCab|monDom|galGal|taeGut|xenTro|danRer|oryLat|dm|ce|sacCer)\d+"
)


def ucsc_name(genome: str) -> str | None:
    """Return UCSC's name of a genome (hg38 for GRCh38), or None where it has none of that name."""
    name = OTHER_NAMES.get(genome, genome)
    return name if _UCSC.fullmatch(name) else None
