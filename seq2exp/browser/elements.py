"""Called elements as bigBed: the columns of elements.bed.gz, described by autoSql."""

from __future__ import annotations

from pathlib import Path

from seq2exp.browser.bigbed import Column, autosql, write_bigbed
from seq2exp.reference import read_chrom_sizes
from seq2exp.regions import read_elements
from seq2exp.schemas import ELEMENT_COLUMNS

BED_COLUMNS = 6

ELEMENTS = (
    Column("string", "chrom", "Chromosome"),
    Column("uint", "chromStart", "First base (0-based)"),
    Column("uint", "chromEnd", "Base after the last"),
    Column("string", "name", "Gene, and rank of the element in its window"),
    Column("uint", "score", "1000 times the mean mask"),
    Column("char[1]", "strand", "Always . (elements have no strand)"),
    Column("string", "gene_id", "Id of the gene from whose window the element was called"),
    Column("string", "gene_name", "Name of this gene"),
    Column("int", "distance_to_tss", "bp from its TSS to the summit; negative upstream"),
    Column("float", "mean_mask", "Mean of the mask over the element"),
)
assert len(ELEMENTS) == len(ELEMENT_COLUMNS)

SQL = autosql("seq2expElements", "Regulatory elements that predict a gene's expression", ELEMENTS)


def export_elements(bed_gz: Path, chrom_sizes: Path, *, out: Path) -> None:
    """Write elements.bed.gz as bigBed (bed6+4).

    Parameters
    ----------
    bed_gz
        From :func:`seq2exp.regions.export_regions`.
    chrom_sizes
        Length of each chromosome, in two columns.
    out
        The bigBed; an element of two genes is there twice, as in ``bed_gz``.
    """
    table = read_elements(bed_gz)[list(ELEMENT_COLUMNS)]
    write_bigbed(table, read_chrom_sizes(chrom_sizes), out, sql=SQL, bed_columns=BED_COLUMNS)
