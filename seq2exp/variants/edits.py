"""From an allele as its file has it to an edit of the reference genome."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seq2exp.base_codes import N_CODE
from seq2exp.reference import codes_of
from seq2exp.variants.genome import Genome
from seq2exp.variants.records import Record

LETTERS = frozenset("ACGTN")


class Refused(Exception):  # noqa: N818 - of one allele; the others go on
    """An allele cannot be scored; the message says why."""


class Edit(NamedTuple):
    """The bases [start, end) of a chromosome, 0-based, give way to others.

    The first new bases take the places of the first old ones, one by one. What there is more of the
    new is inserted behind them; what there is more of the old is deleted.
    """

    chrom: str
    """As the FASTA names it."""
    start: int
    end: int
    codes: np.ndarray
    """uint8 (n,): the new bases, 0 to 4."""
    blank: int = 0
    """The last so many new bases stand for deleted ones that were left in their place as N."""

    @property
    def replaced(self) -> int:
        """Count the old bases that a new one takes the place of."""
        return min(self.end - self.start, len(self.codes))

    def deletes(self, position: int) -> bool:
        """Whether a base of the reference is gone."""
        return self.start + self.replaced <= position < self.end

    def touches(self, first: int, last: int) -> bool:
        """Whether it changes bases of [first, last); an insertion has to be between two of them."""
        if self.start == self.end:
            return first < self.start < last
        return self.start < last and self.end > first

    def distance(self, position: int) -> int:
        """Bases from a position to the nearest one that is changed, or beside an insertion.

        Negative where the edit is left of the position.
        """
        first, last = self.start, self.end - 1
        if self.start == self.end:
            first, last = self.start - 1, self.start
        return first - position if position < first else min(last - position, 0)


def edit_of(record: Record, genome: Genome) -> Edit:
    """Hold an allele against the reference genome.

    Raises
    ------
    Refused
        It cannot be read, is not on the genome, or its reference allele is not the genome's.
    """
    if record.problem:
        raise Refused(record.problem)
    chrom = genome.name_of(record.chrom)
    if chrom is None:
        raise Refused(f"{genome.path.name} has no chromosome {record.chrom!r}")
    ref, alt = record.ref.upper(), record.alt.upper()
    for name, allele in (("REF", ref), ("ALT", alt if record.end is None else "N")):
        if not LETTERS.issuperset(allele):
            raise Refused(f"{name} {allele} is not a sequence of A, C, G, T and N")
    start = record.pos - 1
    _check_place(record, start, genome.sizes[chrom], chrom)
    # N before a deletion says no more than that there is a base, if any.
    if not (record.end is not None and ref == "N"):
        _check_reference(ref, genome.text(chrom, start, start + len(ref)), record, genome)
    if record.end is not None:
        return Edit(chrom, record.pos, record.end, np.empty(0, np.uint8))
    if ref == alt:
        raise Refused("ALT is REF")
    shared, ref, alt = trim(ref, alt)
    return Edit(chrom, start + shared, start + shared + len(ref), codes_of(alt))


def _check_place(record: Record, start: int, size: int, chrom: str) -> None:
    if record.end is None:
        first, last = start, start + len(record.ref)
    else:
        first, last = record.pos, record.end
    if first < 0 or last > size:
        raise Refused(f"reaches beyond {chrom}, which has {size} bp")
    if first >= last:
        raise Refused("deletes nothing")


def _check_reference(ref: str, found: str, record: Record, genome: Genome) -> None:
    if ref == found:
        return
    # Short alleles as a whole; of long ones, where they first differ.
    if len(ref) <= 8:
        raise Refused(f"REF is {ref}, but {genome.path.name} has {found or 'no base'} there")
    wrong = next(i for i in range(len(ref)) if found[i : i + 1] != ref[i])
    raise Refused(
        f"REF has {ref[wrong]} at {record.chrom}:{record.pos + wrong}, but {genome.path.name} has "
        f"{found[wrong : wrong + 1] or 'no base'}"
    )


def trim(ref: str, alt: str) -> tuple[int, str, str]:
    """Cut off the bases that two alleles share at their ends.

    The first base stays as long as there is something else to cut: in a VCF it is the base before
    the change. Nothing is moved along repeats.

    Returns
    -------
    shared : int
        Bases cut off at the left.
    ref, alt : str
        What is left; one of them may be empty.
    """
    last = _shared(ref[:0:-1], alt[:0:-1])
    ref, alt = ref[: len(ref) - last], alt[: len(alt) - last]
    first = _shared(ref, alt)
    ref, alt = ref[first:], alt[first:]
    last = _shared(ref[::-1], alt[::-1])  # before the first base of a chromosome
    return first, ref[: len(ref) - last], alt[: len(alt) - last]


def _shared(one: str, other: str) -> int:
    """Bases that two sequences begin with."""
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def blanked(edit: Edit) -> Edit:
    """Leave deleted bases in their place, as N."""
    blank = edit.end - edit.start - edit.replaced
    codes = np.concatenate([edit.codes, np.full(blank, N_CODE, np.uint8)])
    return edit._replace(codes=codes, blank=blank)
