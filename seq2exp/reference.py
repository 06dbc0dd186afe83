"""The reference genome: FASTA preparation, chromosome sizes, chr1 / 1 naming."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np
import pyfaidx

from seq2exp.base_codes import N_CODE, OUTSIDE_CODE
from seq2exp.errors import UserError
from seq2exp.filetypes import require_kind
from seq2exp.schemas import whole_file

_LINE = 80
_BLOCK = 1 << 24
_CODES = np.full(256, N_CODE, dtype=np.uint8)
_CODES[np.frombuffer(b"ACGTacgt", dtype=np.uint8)] = [0, 1, 2, 3, 0, 1, 2, 3]


# --------------------------------------------------------------------------- names


def match_chromosome(name: str, available: Collection[str]) -> str | None:
    """Find a chromosome under its own name or the other convention (chr1 / 1, chrM / MT)."""
    return next(iter(matching_chromosomes(name, available)), None)


def matching_chromosomes(name: str, available: Collection[str]) -> list[str]:
    """Find every chromosome that a name may mean: itself alone, or else all other spellings."""
    if name in available:
        return [name]
    return [spelling for spelling in _spellings(name) if spelling in available]


def _spellings(name: str) -> tuple[str, ...]:
    bare = name.removeprefix("chr")
    if bare in ("M", "MT"):
        return name, "chrM", "MT", "M", "chrMT"
    return name, bare, f"chr{bare}"


def shown(names: Collection[str], most: int = 8) -> str:
    """Write a list of names for a message, the first few and how many more there are."""
    names = list(names)
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "none"


# --------------------------------------------------------------------------- FASTA


class _Record(NamedTuple):
    name: str
    length: int
    offset: int


def prepare_genome(
    fasta: Path, out_fasta: Path, chrom_sizes: Path, chromosomes: Collection[str] | None
) -> None:
    """Write the wanted chromosomes as plain upper-case FASTA with .fai, and their sizes.

    Parameters
    ----------
    fasta
        FASTA, plain, gzip or bgzip.
    out_fasta, chrom_sizes
        Outputs; ``out_fasta`` gets a ``.fai`` beside it.
    chromosomes
        Names to keep and to use from here on (``chr1`` also finds a record ``1`` and the other
        way round); every record, under its own name, if None.

    Raises
    ------
    UserError
        Not FASTA, truncated, a record twice, or a wanted chromosome is not there.
    """
    wanted = None if chromosomes is None else dict.fromkeys(chromosomes)
    with whole_file(out_fasta) as temporary:
        with open(temporary, "wb") as out:
            records = _copy_records(fasta, out, wanted)
        sizes = {record.name: record.length for record in records}
        for name in wanted or ():
            if name not in sizes:
                raise UserError(
                    f"{fasta}: no chromosome {name!r}; it has {shown(_names(fasta))}; correct "
                    "genome.chromosomes or the FASTA"
                )
    _write_lines(chrom_sizes, (f"{name}\t{size}" for name, size in sizes.items()))
    # Last: readers take an index older than its FASTA for stale.
    _write_lines(
        Path(f"{out_fasta}.fai"),
        (
            f"{r.name}\t{r.length}\t{r.offset}\t{min(_LINE, r.length)}\t{min(_LINE, r.length) + 1}"
            for r in records
        ),
    )


def _copy_records(fasta: Path, out: IO[bytes], wanted: Collection[str] | None) -> list[_Record]:
    records: list[_Record] = []
    name: str | None = None
    rest, length, offset = b"", 0, 0
    for is_header, text in _pieces(fasta):
        if not is_header:
            if name is not None:
                rest, added = _write_wrapped(out, rest + _clean(text, fasta, name))
                length += added
            continue
        if name is not None:
            records.append(_finish(out, fasta, _Record(name, length, offset), rest))
        name = _kept_name(text, wanted)
        if name in {record.name for record in records}:
            raise UserError(f"{fasta}: sequence {name!r} occurs twice; remove one")
        rest, length = b"", 0
        if name is not None:
            out.write(f">{name}\n".encode())
            offset = out.tell()
    if name is not None:
        records.append(_finish(out, fasta, _Record(name, length, offset), rest))
    return records


def _finish(out: IO[bytes], fasta: Path, record: _Record, rest: bytes) -> _Record:
    if rest:
        out.write(rest + b"\n")
    length = record.length + len(rest)
    if length == 0:
        raise UserError(f"{fasta}: sequence {record.name!r} is empty; get the whole file again")
    return record._replace(length=length)


def _write_wrapped(out: IO[bytes], sequence: bytes) -> tuple[bytes, int]:
    """Write all full lines; return the bases left over and how many were written."""
    full = len(sequence) // _LINE
    lines = np.full((full, _LINE + 1), ord("\n"), dtype=np.uint8)
    lines[:, :_LINE] = np.frombuffer(sequence, np.uint8, full * _LINE).reshape(full, _LINE)
    out.write(lines.tobytes())
    return sequence[full * _LINE :], full * _LINE


def _clean(text: bytes, fasta: Path, name: str) -> bytes:
    sequence = text.translate(None, b" \t\r\n").upper()
    odd = sequence.translate(None, b"ACGTNUWSMKRYBDHV*-.")
    if odd:
        raise UserError(
            f"{fasta}: {odd[:1]!r} in sequence {name!r} is not a base; is this nucleotide FASTA?"
        )
    return sequence


def _kept_name(header: bytes, wanted: Collection[str] | None) -> str | None:
    name = (header.split() or [b""])[0].decode("utf-8", "replace")
    if wanted is None:
        return name
    return match_chromosome(name, wanted)


def _names(fasta: Path) -> list[str]:
    return [str(_kept_name(text, None)) for is_header, text in _pieces(fasta) if is_header]


def _pieces(fasta: Path) -> Iterator[tuple[bool, bytes]]:
    """Yield (True, header line without >) and (False, sequence lines), in file order."""
    zipped = require_kind(fasta, "text", "gzip") == "gzip"
    try:
        with gzip.open(fasta, "rb") if zipped else open(fasta, "rb") as handle:
            yield from _split(cast(IO[bytes], handle), fasta)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{fasta}: truncated or damaged ({error}); get the file again") from None


def _split(handle: IO[bytes], fasta: Path) -> Iterator[tuple[bool, bytes]]:
    if handle.read(1) != b">":
        raise UserError(f"{fasta}: does not begin with '>'; give a FASTA file")
    pending = b">"
    while True:
        block = handle.read(_BLOCK)
        text = pending + block
        # Only whole lines are cut up, so that a header is never seen in halves.
        cut = text.rfind(b"\n") + 1 if block else len(text)
        text, pending = text[:cut], text[cut:]
        start = 0
        while (header := text.find(b">", start)) >= 0:
            if header > start:
                yield False, text[start:header]
            end = text.find(b"\n", header)
            end = len(text) if end < 0 else end
            yield True, text[header + 1 : end]
            start = end
        if start < len(text):
            yield False, text[start:]
        if not block:
            return


def _write_lines(path: Path, lines: Iterator[str]) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines))


def open_fasta(path: Path) -> pyfaidx.Fasta:
    """Open a prepared FASTA for random access (``.fai`` beside it)."""
    require_kind(path, "text")
    if not os.path.exists(f"{path}.fai"):
        raise UserError(f"{path}: no index {path}.fai beside it; prepare the genome first")
    return pyfaidx.Fasta(str(path), rebuild=False, as_raw=True, sequence_always_upper=True)


def read_codes(fasta: pyfaidx.Fasta, chrom: str, start: int, end: int) -> np.ndarray:
    """Read bases as codes: 0 A, 1 C, 2 G, 3 T, 4 anything else, 5 beyond the chromosome's ends.

    Parameters
    ----------
    fasta
        From :func:`open_fasta`.
    chrom, start, end
        0-based half-open; ``start`` may be negative and ``end`` beyond the chromosome.

    Returns
    -------
    uint8 (end - start,)
    """
    codes = np.full(end - start, OUTSIDE_CODE, dtype=np.uint8)
    inside_start, inside_end = max(start, 0), min(end, len(fasta[chrom]))
    if inside_start < inside_end:
        bases = str(fasta[chrom][inside_start:inside_end])
        codes[inside_start - start : inside_end - start] = codes_of(bases)
    return codes


def codes_of(bases: str) -> np.ndarray:
    """Letters as codes, uint8 (n,): 0 A, 1 C, 2 G, 3 T, 4 anything else."""
    return _CODES[np.frombuffer(bases.encode("ascii"), np.uint8)]


# --------------------------------------------------------------------------- sizes


def read_chrom_sizes(path: Path) -> dict[str, int]:
    """Read name and length of every chromosome (two columns, no header)."""
    require_kind(path, "text")
    sizes: dict[str, int] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) < 2 or not fields[1].isdigit():
            raise UserError(f"{path}: line {number}: {line!r} is not a name and a length")
        sizes[fields[0]] = int(fields[1])
    return sizes
