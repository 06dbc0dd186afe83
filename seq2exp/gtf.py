"""GENCODE-style GTF to one transcript per gene.

Format: https://www.gencodegenes.org/pages/data_format.html (1-based, closed; here 0-based,
half-open).
"""

from __future__ import annotations

import gzip
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from seq2exp.errors import UserError
from seq2exp.filetypes import require_kind
from seq2exp.schemas import strip_version

PREFERRED_TAGS = ("MANE_Select", "Ensembl_canonical", "appris_principal_1")
"""Tags by which a gene's transcript is chosen, the best first."""

_FEATURES = frozenset(("gene", "transcript", "exon", "CDS", "stop_codon"))
_ATTRIBUTE = re.compile(r'\b(gene_id|transcript_id|gene_name|gene_type|gene_biotype|tag) "([^"]*)"')


@dataclass
class Transcript:
    """Exons and coding parts of one transcript, as flat start, end, start, end, ... lists."""

    transcript_id: str
    gene_id: str
    chrom: str
    strand: str
    exons: array = field(default_factory=lambda: array("q"))
    coding: array = field(default_factory=lambda: array("q"))
    """CDS and stop codon (GTF leaves the stop codon out of CDS; here it belongs to it)."""
    tags: set[str] = field(default_factory=set)

    def exon_blocks(self) -> np.ndarray:
        """int64 (exons, 2): 0-based half-open, ascending."""
        return np.sort(np.array(self.exons, dtype=np.int64).reshape(-1, 2), axis=0)

    def coding_span(self) -> tuple[int, int] | None:
        """First and last coding base (0-based half-open); None without CDS."""
        return (min(self.coding), max(self.coding)) if self.coding else None

    def coding_blocks(self) -> np.ndarray:
        """int64 (blocks, 2): the exonic bases of the coding span."""
        start, end = self.coding_span() or (0, 0)
        blocks = self.exon_blocks().clip(start, end)
        return blocks[blocks[:, 0] < blocks[:, 1]]

    @property
    def tss(self) -> int:
        """The 5' end, one 0-based base: the first exon's start, or on - the last exon's end - 1."""
        return min(self.exons) if self.strand == "+" else max(self.exons) - 1

    def preference(self) -> tuple:
        """Sort key of the rule in :func:`choose_transcript`: the smallest is chosen."""
        lengths = [int(np.diff(b).sum()) for b in (self.coding_blocks(), self.exon_blocks())]
        untagged = [tag not in self.tags for tag in PREFERRED_TAGS]
        return (*untagged, -lengths[0], -lengths[1], self.transcript_id)


@dataclass
class Gene:
    """A gene and all its transcripts."""

    gene_id: str
    """Without version."""
    name: str = ""
    gene_type: str = ""
    transcripts: dict[str, Transcript] = field(default_factory=dict)


def choose_transcript(gene: Gene) -> Transcript:
    """Choose the transcript that stands for a gene.

    The first rule that tells two apart: tag MANE_Select; tag Ensembl_canonical; tag
    appris_principal_1; the longest CDS (with stop codon); the longest transcript (exons added up);
    the smallest transcript id.
    """
    return min(gene.transcripts.values(), key=Transcript.preference)


def read_gtf(path: Path, gene_types: Collection[str]) -> dict[str, Gene]:
    """Read the genes of some types (``gene_type`` or ``gene_biotype``; all types if empty).

    Raises
    ------
    UserError
        Not GTF, truncated, or without exons of such genes: names the line or the types there are.
    """
    genes: dict[str, Gene] = {}
    for place, fields in _lines(path):
        attributes, tags = _attributes(fields[8])
        gene_type = attributes.get("gene_type", attributes.get("gene_biotype", ""))
        gene_id = strip_version(attributes.get("gene_id", ""))
        if not gene_id:
            raise UserError(f"{place}: no gene_id; give GTF (GFF3 is another format)")
        gene = genes.setdefault(gene_id, Gene(gene_id))
        gene.gene_type = gene.gene_type or gene_type
        gene.name = gene.name or attributes.get("gene_name", "")
        if fields[2] == "gene" or (gene_types and gene_type and gene_type not in gene_types):
            continue
        _add(gene, attributes.get("transcript_id", ""), fields, tags, place)
    kept = {}
    for gene_id, gene in genes.items():
        gene.transcripts = {name: t for name, t in gene.transcripts.items() if t.exons}
        if gene.transcripts and (not gene_types or gene.gene_type in gene_types):
            kept[gene_id] = gene
    if not kept:
        found = Counter(gene.gene_type or "(no type)" for gene in genes.values())
        listed = ", ".join(f"{name} ({count})" for name, count in found.most_common(8)) or "none"
        raise UserError(
            f"{path}: no gene with exons of type {', '.join(gene_types) or 'any'}; gene types "
            f"there: {listed}; set genome.gene_types"
        )
    return kept


def _add(gene: Gene, name: str, fields: list[str], tags: set[str], place: str) -> None:
    chrom, feature, strand = fields[0], fields[2], fields[6]
    if strand not in ("+", "-"):
        raise UserError(f"{place}: strand {strand!r} is not + or -; correct the line")
    # Keyed with the chromosome: some annotations give both copies of a PAR gene the same ids.
    transcript = gene.transcripts.get(f"{name}@{chrom}")
    if transcript is None:
        transcript = Transcript(name, gene.gene_id, chrom, strand)
        gene.transcripts[f"{name}@{chrom}"] = transcript
    transcript.tags |= tags
    if feature != "transcript":
        try:
            start, end = int(fields[3]) - 1, int(fields[4])
        except ValueError:
            raise UserError(f"{place}: {fields[3]}-{fields[4]} is not an interval") from None
        (transcript.exons if feature == "exon" else transcript.coding).extend((start, end))


def _attributes(text: str) -> tuple[dict[str, str], set[str]]:
    found = _ATTRIBUTE.findall(text)
    return dict(found), {value for key, value in found if key == "tag"}


def _lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield place and fields of the lines that matter."""
    zipped = require_kind(path, "text", "gzip") == "gzip"
    opener = gzip.open if zipped else open
    try:
        with opener(path, "rt", encoding="utf-8") as handle:
            for number, line in enumerate(handle, 1):
                if line.startswith("#") or not line.strip():
                    continue
                fields = line.rstrip("\n").split("\t")
                if len(fields) < 9:
                    raise UserError(
                        f"{path}: line {number} has {len(fields)} tab-separated columns, not 9; "
                        "give GTF"
                    )
                if fields[2] in _FEATURES:
                    yield f"{path}: line {number}", fields
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise UserError(f"{path}: truncated or damaged ({error}); get the file again") from None
