"""Tables to bigBed: sorted, checked, with the columns described by autoSql.

Format: Kent et al. 2010, doi:10.1093/bioinformatics/btq351, and its supplement.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pybigtools
import pyBigWig

from seq2exp.errors import UserError
from seq2exp.schemas import whole_file

_MAGIC, _VERSION = 0x8789F2EB, 4
_CHROMOSOME_TREE_MAGIC, _INDEX_MAGIC = 0x78CA8C91, 0x2468ACE0
_HEADER = struct.Struct("<IHHQQQHHQQIQ")
_DEFINED_FIELDS_AT = 34  # bytes from the start: of the columns, how many are BED's own


class Column(NamedTuple):
    """A column of a bigBed in autoSql: type, name, and what it says."""

    kind: str
    name: str
    meaning: str


def autosql(table: str, meaning: str, columns: Sequence[Column]) -> str:
    """Describe the columns of a bigBed in UCSC's autoSql."""
    lines = [f'    {kind} {name}; "{said}"' for kind, name, said in columns]
    return "\n".join([f"table {table}", f'"{meaning}"', "    (", *lines, "    )", ""])


def write_bigbed(
    table: pd.DataFrame, sizes: Mapping[str, int], out: Path, *, sql: str, bed_columns: int
) -> None:
    """Write a table as bigBed.

    Parameters
    ----------
    table
        A column a field: chromosome, start and end (0-based half-open) first.
    sizes
        Length of each chromosome.
    out
        The file; without rows a valid one that holds none.
    sql
        From :func:`autosql`, a column for each of the table's.
    bed_columns
        How many of the first columns are BED's own. Readers take the others for what they are.

    Raises
    ------
    UserError
        A row is on no chromosome of ``sizes``, is empty, or ends beyond its chromosome.
    """
    chrom, start, end = table.columns[:3]
    table = table.sort_values([chrom, start, end], kind="stable")
    _check_places(table, sizes, out)
    chromosomes = dict(sorted(sizes.items()))
    with whole_file(out) as temporary:
        if table.empty:
            temporary.write_bytes(_empty_bigbed(chromosomes, sql, len(table.columns)))
        else:
            pybigtools.open(str(temporary), "w").write(chromosomes, _entries(table), sql)
        with open(temporary, "r+b") as file:
            file.seek(_DEFINED_FIELDS_AT)
            file.write(struct.pack("<H", bed_columns))
        _check_rows(temporary, len(table), out)


def _check_places(table: pd.DataFrame, sizes: Mapping[str, int], out: Path) -> None:
    chrom, start, end = (table[column] for column in table.columns[:3])
    length = chrom.map(sizes)
    wrong = ~((start >= 0) & (start < end) & (end <= length))  # true too where length is NaN
    if wrong.any():
        row = table[wrong].iloc[0]
        raise UserError(
            f"{out}: {row.iloc[0]}:{row.iloc[1]}-{row.iloc[2]} is not on the chromosomes of the "
            "genome; export the regions again with this genome"
        )


def _entries(table: pd.DataFrame) -> Iterator[tuple[str, int, int, str]]:
    for chrom, start, end, *rest in table.itertuples(index=False, name=None):
        yield str(chrom), int(start), int(end), "\t".join(map(str, rest))


def _check_rows(written: Path, rows: int, out: Path) -> None:
    """Read the file with another library: pybigtools prints what is wrong, and raises nothing."""
    with pyBigWig.open(str(written)) as bigbed:
        found = sum(
            len(bigbed.entries(chrom, 0, length, withString=False) or ())
            for chrom, length in bigbed.chroms().items()
        )
    if found != rows:
        raise RuntimeError(f"{out}: {found} of {rows} rows were written")


def _empty_bigbed(sizes: Mapping[str, int], sql: str, columns: int) -> bytes:
    """Return a bigBed without rows, which pybigtools cannot write."""
    description = sql.encode() + b"\0"
    summary_at = _HEADER.size + len(description)
    chromosomes_at = summary_at + 40
    width = max(map(len, sizes))
    chromosomes = struct.pack(
        "<IIIIQQ", _CHROMOSOME_TREE_MAGIC, max(len(sizes), 1), width, 8, len(sizes), 0
    )
    chromosomes += struct.pack("<BBH", 1, 0, len(sizes))
    for number, (name, length) in enumerate(sizes.items()):
        chromosomes += name.encode().ljust(width, b"\0") + struct.pack("<II", number, length)
    data_at = chromosomes_at + len(chromosomes)
    index_at = data_at + 8
    header = _HEADER.pack(
        *(_MAGIC, _VERSION, 0, chromosomes_at, data_at, index_at, columns, columns),
        *(_HEADER.size, summary_at, 0, 0),
    )
    index = struct.pack("<IIQIIIIQII", _INDEX_MAGIC, 256, 0, 0, 0, 0, 0, index_at, 512, 0)
    index += struct.pack("<BBH", 1, 0, 0)
    return header + description + bytes(40) + chromosomes + struct.pack("<Q", 0) + index
