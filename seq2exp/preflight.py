"""The config against the disk: what can be known to fail is said before any job starts."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from seq2exp.bed import check_bed_assembly, read_bed
from seq2exp.config import Config
from seq2exp.contacts import open_contact_map
from seq2exp.errors import UserError
from seq2exp.evaluation_config import CrispriSource, LinkSource, MotifSource, ReferenceSource
from seq2exp.evidence.motif_files import read_motifs
from seq2exp.filetypes import kind_of, require_kind
from seq2exp.model_config import EnformerConfig
from seq2exp.reference import match_chromosome, shown
from seq2exp.schemas import GENE_COLUMNS, MRNA_FEATURES, read_header, require_pair_columns
from seq2exp.source_config import HiCSource, Source
from seq2exp.sources import local_path
from seq2exp.tracks import Missing, open_bigwig, resolve_chromosome

_LINES = 10_000


def preflight(config: Config, origin: str = "config") -> None:
    """Check every file of the config that is on this disk (``path``, or ``url`` with file://).

    And that the packages which some kinds of models need are installed.

    Existence, size, first bytes, and by use: bigWigs are whole, Hi-C maps have the resolution and
    the normalisation, tables the columns, BED and GTF lines theirs; all files agree on chromosome
    sizes, and have the chromosomes that the config lists. Contents but those of peaks and motifs,
    which are small, are not read through, so that this takes a moment however large the files are; what is to
    be downloaded is checked later.

    Parameters
    ----------
    config
        From :func:`seq2exp.config.parse_config`.
    origin
        The config's file name, for messages.

    Raises
    ------
    UserError
        The first problem: file of the config, key, file, and remedy.
    """
    for key, problem in problems(config):
        raise UserError(f"{origin}: {key}: {problem}")


def problems(config: Config, *, across: bool = True) -> Iterator[tuple[str, str]]:
    """Find what is wrong with each file, as :func:`preflight` does.

    Parameters
    ----------
    config
        From :func:`seq2exp.config.parse_config`.
    across
        Also hold the files' chromosomes against the config and against each other.

    Yields
    ------
    key, message
    """
    columns: dict[str, tuple[str, ...]] = {
        f"cell_lines.{name}.expression.{assay}.table": (label.id_column, *(label.column or ()))
        for name, cell_line in config.cell_lines.items()
        for assay, label in cell_line.expression.items()
    }
    columns["genome.genes"] = GENE_COLUMNS
    if config.genome.features:
        columns["genome.features.table"] = (config.genome.features.id_column, *MRNA_FEATURES)
    assembly = _Assembly(config, across)
    yield from _missing_packages(config)
    for key, source in config.sources():
        path = local_path(source)
        if path is None:
            continue
        try:
            with _readable():
                _check_file(path, source)
                if source.member is None:
                    _check_use(path, key, source, columns, assembly)
        except UserError as error:
            yield key, str(error)


def _missing_packages(config: Config) -> Iterator[tuple[str, str]]:
    for name, model in config.models.items():
        if isinstance(model, EnformerConfig) and find_spec(model.PACKAGE) is None:
            yield f"models.{name}", model.MISSING


class _Assembly:
    """The chromosome sizes seen so far, and which key they came from."""

    def __init__(self, config: Config, across: bool) -> None:
        self.across = across
        self.wanted = config.genome.chromosomes or ()
        self.missing = config.window.missing_chromosome
        self.sizes: dict[str, tuple[int, str]] = {}

    def check(
        self, sizes: dict[str, int], path: Path, key: str, *, missing: Missing | None = None
    ) -> None:
        """Compare a file's chromosomes with those wanted and with the files before it."""
        if not self.across:
            return
        for chrom in self.wanted:
            resolve_chromosome(sizes, chrom, path, missing=missing or self.missing)
        shared = False
        for chrom, size in sizes.items():
            known = match_chromosome(chrom, self.sizes)
            if known is None:
                continue
            shared = True
            other, other_key = self.sizes[known]
            if size != other:
                raise UserError(
                    f"{path}: {chrom} has {size} bp, but {other} in {other_key}; the files are of "
                    "different assemblies, get them of one"
                )
        if self.sizes and not shared:
            raise UserError(
                f"{path}: no chromosome in common with the other files ({shown(sizes)} against "
                f"{shown(self.sizes)}); get the files of one assembly"
            )
        for chrom, size in sizes.items():
            self.sizes.setdefault(match_chromosome(chrom, self.sizes) or chrom, (size, key))

    def check_peaks(self, path: Path) -> None:
        """Hold intervals, whose file has no chromosome sizes, against those seen so far."""
        table = read_bed(path)
        if self.across and self.sizes:
            sizes = {chrom: size for chrom, (size, _) in self.sizes.items()}
            check_bed_assembly(table, sizes, path)


def _check_file(path: Path, source: Source) -> None:
    kind = kind_of(path)
    if kind == "empty":
        raise UserError(f"{path}: the file is empty; download or write it again")
    if kind == "html":
        raise UserError(f"{path}: an HTML page instead of data; download the file itself")
    size = path.stat().st_size
    if source.bytes and size != source.bytes:
        raise UserError(
            f"{path}: {size} bytes, but bytes says {source.bytes}; get the file again, or correct "
            "bytes"
        )
    if source.member:
        require_kind(path, "zip")
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if not any(source.member in (name, name.rsplit("/", 1)[-1]) for name in names):
            raise UserError(
                f"{path}: no file {source.member!r} in the archive, which has {shown(names)}; set "
                "member to one of these"
            )


def _check_use(
    path: Path, key: str, source: Source, columns: dict[str, tuple[str, ...]], assembly: _Assembly
) -> None:
    if isinstance(source, HiCSource):
        contact_map = open_contact_map(
            path, source.resolution, source.normalization, source.missing_normalization
        )
        missing: Missing = "error" if source.missing_chromosome == "error" else "zeros"
        assembly.check(contact_map.sizes, path, key, missing=missing)
    elif isinstance(source, ReferenceSource):
        _check_lines(path, source.column or 3, "\t", "give tab-separated BED")
    elif isinstance(source, MotifSource):
        read_motifs(path)
    elif isinstance(source, LinkSource):
        _check_columns(path, tuple(source.columns.model_dump().values()))
    elif isinstance(source, CrispriSource):
        require_pair_columns(read_header(path), path)
    elif key.endswith((".h3k27ac", ".dnase")) or _is_label_track(key):
        track = open_bigwig(path)
        track.handle.close()
        assembly.check(track.sizes, path, key)
    elif key.endswith(".peaks"):
        assembly.check_peaks(path)
    elif key == "genome.fasta":
        _check_fasta(path, key, assembly)
    elif key == "genome.annotation":
        _check_lines(path, 9, "\t", "give GTF")
    elif key == "genome.blacklist":
        _check_lines(path, 3, None, "give BED")
    elif key in columns:
        _check_columns(path, columns[key])


def _is_label_track(key: str) -> bool:
    return ".expression." in key and not key.endswith(".table")


def _check_fasta(path: Path, key: str, assembly: _Assembly) -> None:
    first = next(_head(path), "")
    if not first.startswith(">"):
        raise UserError(f"{path}: does not begin with '>'; give a FASTA file")
    index = Path(f"{path}.fai")
    if not index.exists():
        return
    rows = [line.split("\t") for line in index.read_text().splitlines()]
    if not all(len(row) >= 2 and row[1].isdigit() for row in rows):
        raise UserError(f"{index}: not a FASTA index; remove it or make it again")
    assembly.check({row[0]: int(row[1]) for row in rows}, path, key, missing="error")


def _check_columns(path: Path, columns: tuple[str, ...]) -> None:
    header = read_header(path)
    for column in columns:
        if column not in header:
            raise UserError(f"{path}: no column {column!r}; the columns are {', '.join(header)}")


def _check_lines(path: Path, columns: int, separator: str | None, remedy: str) -> None:
    """Check the number of columns of the first line that is neither comment nor track line."""
    for line in islice(_head(path), _LINES):
        if line.strip() and not line.startswith(("#", "track", "browser")):
            found = len(line.rstrip("\n").split(separator))
            if found < columns:
                raise UserError(
                    f"{path}: its first line has {found} columns, not {columns} or more; {remedy}"
                )
            return


def _head(path: Path) -> Iterator[str]:
    opener = gzip.open if require_kind(path, "text", "gzip") == "gzip" else open
    with opener(path, "rt", encoding="utf-8") as handle:
        yield from handle


@contextmanager
def _readable() -> Iterator[None]:
    """Put one line in place of what readers say about damaged files."""
    try:
        yield
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"damaged or unreadable ({reason}); get the file again") from None
