"""UCSC's rules for BED and the formats that begin like it, asked of rows as they were written.

Sources: https://genome.ucsc.edu/FAQ/FAQformat.html and the help pages of narrowPeak and interact.
Nothing here knows how the files were made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

_COLOUR = re.compile(r"\d{1,3},\d{1,3},\d{1,3}|#[0-9A-Fa-f]{6}")
_INTEGER = re.compile(r"-?\d+")


def bed_problems(
    rows: Iterable[Sequence[str]], sizes: Mapping[str, int], columns: int = 6
) -> list[str]:
    """Say what is wrong with rows of BED; of the first ``columns`` (at most 6) columns.

    Parameters
    ----------
    rows
        The fields of each line as text, chromosome, start and end (0-based half-open) first.
    sizes
        Length of each chromosome.

    Returns
    -------
    list of str
        Nothing where the rows are sorted, on the chromosomes, and every field is what it must be.
    """
    return list(_bed_problems(list(rows), sizes, columns))


def _bed_problems(
    rows: list[Sequence[str]], sizes: Mapping[str, int], columns: int
) -> Iterator[str]:
    before: tuple[str, int] | None = None
    for number, row in enumerate(rows, 1):
        place = f"row {number} ({' '.join(row[:4])})"
        if len(row) < columns:
            yield f"{place}: {len(row)} columns, not {columns}"
            continue
        if len(row) != len(rows[0]):
            yield f"{place}: {len(row)} columns, the first row has {len(rows[0])}"
        if not (row[1].isdigit() and row[2].isdigit()):
            yield f"{place}: start and end must be whole numbers"
            continue
        chrom, start, end = row[0], int(row[1]), int(row[2])
        if chrom not in sizes:
            yield f"{place}: no such chromosome"
        elif not start < end <= sizes[chrom]:
            yield f"{place}: not an interval on {chrom}, which has {sizes[chrom]} bp"
        if before is not None and (chrom, start) < before:
            yield f"{place}: not sorted"
        before = (chrom, start)
        if columns >= 4 and not row[3]:
            yield f"{place}: the name is empty"
        if columns >= 5 and not (row[4].isdigit() and 0 <= int(row[4]) <= 1000):
            yield f"{place}: score {row[4]} is not a whole number from 0 to 1000"
        if columns >= 6 and row[5] not in ("+", "-", "."):
            yield f"{place}: strand {row[5]!r}"


def narrowpeak_problems(rows: Iterable[Sequence[str]], sizes: Mapping[str, int]) -> list[str]:
    """Say what is wrong with rows of narrowPeak (BED6+4)."""
    rows = list(rows)
    problems = bed_problems(rows, sizes)
    for number, row in enumerate(rows, 1):
        if len(row) != 10:
            problems.append(f"row {number}: {len(row)} columns, not 10")
            continue
        if any(float(value) < 0 for value in row[6:7]):
            problems.append(f"row {number}: signalValue {row[6]} below 0")
        if any(float(value) < 0 and float(value) != -1 for value in row[7:9]):
            problems.append(f"row {number}: pValue or qValue below 0 and not -1")
        peak = int(row[9])
        if peak != -1 and not 0 <= peak < int(row[2]) - int(row[1]):
            problems.append(f"row {number}: peak {peak} is outside of its interval")
    return problems


def interact_problems(rows: Iterable[Sequence[str]], sizes: Mapping[str, int]) -> list[str]:
    """Say what is wrong with rows of interact (BED5+13)."""
    rows = list(rows)
    problems = bed_problems(rows, sizes, columns=5)
    for number, row in enumerate(rows, 1):
        if len(row) != 18:
            problems.append(f"row {number}: {len(row)} columns, not 18")
            continue
        problems += [f"row {number}: {said}" for said in _interact_problems(row, sizes)]
    return problems


def _interact_problems(row: Sequence[str], sizes: Mapping[str, int]) -> Iterator[str]:
    float(row[5])
    if not colour_is_good(row[7]):
        yield f"colour {row[7]!r}"
    if row[12] not in ("+", "-", ".") or row[17] not in ("+", "-", "."):
        yield f"strands {row[12]!r} and {row[17]!r}"
    ends = []
    for chrom, start, end in (row[8:11], row[13:16]):
        if chrom != row[0]:
            yield f"an end on {chrom} in a row of {row[0]}"
        if not (_INTEGER.fullmatch(start) and 0 <= int(start) < int(end) <= sizes.get(chrom, 0)):
            yield f"{chrom}:{start}-{end} is not an interval on the genome"
        else:
            ends.append((int(start), int(end)))
    if len(ends) == 2:
        span = (min(ends)[0], max(end for _, end in ends))
        if span != (int(row[1]), int(row[2])):
            yield f"{row[1]}-{row[2]} is not what its ends span, {span[0]}-{span[1]}"


def colour_is_good(text: str) -> bool:
    """Tell whether a colour is ``r,g,b`` with 0 to 255 each, or #RRGGBB."""
    if not _COLOUR.fullmatch(text):
        return False
    return text.startswith("#") or all(int(part) <= 255 for part in text.split(","))
