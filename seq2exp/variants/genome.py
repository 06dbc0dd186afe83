"""The reference genome that variants are held against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pysam

from seq2exp.base_codes import OUTSIDE_CODE
from seq2exp.errors import UserError
from seq2exp.filetypes import require_kind
from seq2exp.reference import codes_of, matching_chromosomes, shown
from seq2exp.variants.records import quiet_htslib


class Genome:
    """A FASTA, plain or bgzipped, whose chromosomes are found under either naming (chr1 / 1).

    Its index is written beside it where there is none.

    Parameters
    ----------
    path
        FASTA.

    Raises
    ------
    UserError
        It is no FASTA, cannot be indexed, or is gzipped and not bgzipped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        require_kind(path, "text", "gzip")
        for index in (Path(f"{path}.fai"), Path(f"{path}.gzi")):
            if index.exists() and index.stat().st_mtime < path.stat().st_mtime:
                raise UserError(
                    f"{index}: older than {path.name}, perhaps of another one; delete it, so that "
                    "it is written anew"
                )
        try:
            with quiet_htslib():
                self._file = pysam.FastaFile(str(path))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path}: cannot be read or indexed ({error}); give a FASTA, plain or bgzipped "
                "(not gzipped), in a folder that can be written to or with its .fai"
            ) from None
        self.sizes: dict[str, int] = dict(
            zip(self._file.references, self._file.lengths, strict=True)
        )
        self._names: dict[str, str | None] = {}

    def name_of(self, chrom: str) -> str | None:
        """Find a chromosome's name in the FASTA; None if it has no such chromosome.

        Raises
        ------
        UserError
            It goes by several other names there.
        """
        if chrom not in self._names:
            found = matching_chromosomes(chrom, self.sizes)
            if len(found) > 1:
                raise UserError(
                    f"{self.path}: chromosome {chrom!r} could be {' or '.join(found)}; name it "
                    "as the FASTA does"
                )
            self._names[chrom] = found[0] if found else None
        return self._names[chrom]

    def require_name(self, chrom: str, what: str) -> str:
        """Find a chromosome that has to be there; ``what`` says whose it is."""
        name = self.name_of(chrom)
        if name is None:
            raise UserError(
                f"{self.path}: no chromosome {chrom!r}, which {what} has; it has "
                f"{shown(self.sizes)}; give the genome that {what} was built from"
            )
        return name

    def text(self, name: str, start: int, end: int) -> str:
        """Bases in capitals; 0-based half-open, those beyond the chromosome left out."""
        start, end = max(start, 0), min(end, self.sizes[name])
        return self._file.fetch(name, start, end).upper() if start < end else ""

    def codes(self, name: str, start: int, end: int) -> np.ndarray:
        """Bases as the window store writes them: uint8 (end - start,), see ``base_codes``.

        0-based half-open; may reach beyond the chromosome on both sides.
        """
        codes = np.full(max(end - start, 0), OUTSIDE_CODE, dtype=np.uint8)
        first, last = max(start, 0), min(end, self.sizes[name])
        if first < last:
            codes[first - start : last - start] = codes_of(self.text(name, first, last))
        return codes
