"""Variants as files have them: alternative alleles of a VCF or BCF, intervals of a BED."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pysam

from seq2exp.bed import read_bed
from seq2exp.errors import UserError
from seq2exp.filetypes import require_kind

DELETION = "<DEL>"
NO_ALLELE = ("*", "<*>", "<NON_REF>", ".")
"""Alternatives that name no sequence of this record: deleted by another one, or any other (gVCF)."""


class Record(NamedTuple):
    """One alternative allele."""

    place: str
    """File and record, for messages."""
    chrom: str
    pos: int
    """1-based, as in VCF: the first base of ``ref``; 0 before the first of the chromosome."""
    id: str
    ref: str
    alt: str
    end: int | None = None
    """Of ``<DEL>``: it takes the bases [pos, end), 0-based."""
    problem: str = ""
    """Why it cannot be read, if so."""


class Variants(NamedTuple):
    """All alternative alleles of a file, in its order."""

    records: list[Record]
    skipped: int
    """Alternatives that are no allele (``NO_ALLELE``), and records without any."""


@contextmanager
def quiet_htslib() -> Iterator[None]:
    """Keep htslib from writing to the terminal what becomes an error of ours."""
    before = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(before)


def read_variants(path: Path) -> Variants:
    """Read a VCF (plain or bgzipped), a BCF, or a BED of deletions (plain or gzipped).

    Raises
    ------
    UserError
        It is neither, is damaged, or holds nothing.
    """
    head = _first_bytes(path)
    if head.startswith((b"##fileformat=VCF", b"BCF")):
        variants = _read_vcf(path)
    elif path.name.removesuffix(".gz").lower().endswith(".bed"):
        variants = _read_bed(path)
    else:
        raise UserError(
            f"{path}: neither a VCF (its first line would be ##fileformat=VCF...) nor named .bed; "
            "give a VCF with its header, or a BED of deletions"
        )
    if not variants.records:
        raise UserError(f"{path}: holds no allele to score; give another file")
    return variants


def _first_bytes(path: Path) -> bytes:
    kind = require_kind(path, "text", "gzip", "binary")
    try:
        with gzip.open(path) if kind == "gzip" else open(path, "rb") as handle:
            return handle.read(64).removeprefix(b"\xef\xbb\xbf")
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: truncated or damaged ({error}); get the file again") from None


def _read_bed(path: Path) -> Variants:
    """Intervals as what a VCF would call them: a ``<DEL>`` behind any base."""
    table = read_bed(path, names=True)
    columns = (table[name].tolist() for name in ("chrom", "start", "end", "name"))
    records = [
        Record(f"{path}: interval {n}", chrom, start, name, "N", DELETION, end)
        for n, (chrom, start, end, name) in enumerate(zip(*columns, strict=True), 1)
    ]
    return Variants(records, skipped=0)


# --------------------------------------------------------------------------- VCF


def _read_vcf(path: Path) -> Variants:
    records: list[Record] = []
    skipped = number = 0
    try:
        with quiet_htslib(), pysam.VariantFile(str(path)) as file:
            for number, record in enumerate(file, 1):
                alternatives = list(record.alts or (".",))
                found = [i for i, alt in enumerate(alternatives) if alt not in NO_ALLELE]
                skipped += len(alternatives) - len(found)
                records += [_allele(record, i, f"{path}: record {number}") for i in found]
    except NotImplementedError:  # pysam's answer to gzip
        raise UserError(f"{path}: gzipped, not bgzipped; gunzip it, or use bgzip") from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: not readable after record {number} (htslib: {error}); correct the file"
        ) from None
    return Variants(records, skipped)


def _allele(record: pysam.VariantRecord, index: int, place: str) -> Record:
    alt = (record.alts or ())[index]
    found = Record(place, record.chrom, record.pos, record.id or "", record.ref or ".", alt)
    if not alt.startswith("<"):
        return found
    if not alt.startswith("<DEL"):
        return found._replace(problem=f"{alt}: of symbolic alleles only {DELETION} is read")
    # The text: pysam knows END and SVLEN only by what the header declares of them.
    fields = str(record).rstrip("\n").split("\t")[7].split(";")
    info = dict(field.partition("=")[::2] for field in fields)
    ends = {_number(info["END"])} if "END" in info else set()
    if "SVLEN" in info:
        lengths = info["SVLEN"].split(",")
        length = _number(lengths[index if len(lengths) > 1 else 0])
        ends.add(None if length is None else record.pos + abs(length))
    if len(ends) != 1 or None in ends:
        what = "END and SVLEN disagree" if len(ends) > 1 else "needs END or SVLEN in INFO"
        return found._replace(problem=f"{alt}: {what}")
    return found._replace(end=ends.pop())


def _number(text: str) -> int | None:
    return int(text) if text.removeprefix("-").isdigit() else None
